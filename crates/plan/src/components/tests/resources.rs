//! What Helix writes itself, against the definitions of those who read it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{full, layers};
use crate::components::{Component, Probe, wanted};
use crate::reference::{self, Definition};

/// Definitions of the kinds that Helix writes itself.
const DEFINITIONS: [(&str, &str, &str); 11] = [
    ("AppProject", "argocd-appproject.yaml", "v1alpha1"),
    ("Application", "argocd-application.yaml", "v1alpha1"),
    ("Certificate", "cert-manager.io_certificates.yaml", "v1"),
    ("Cluster", "cnpg-clusters.yaml", "v1"),
    ("ClusterIssuer", "cert-manager.io_clusterissuers.yaml", "v1"),
    ("Group", "netbird-groups.yaml", "v1alpha1"),
    ("IngressRoute", "traefik-ingressroutes.yaml", "v1alpha1"),
    ("Middleware", "traefik-middlewares.yaml", "v1alpha1"),
    ("NetworkResource", "netbird-networkresources.yaml", "v1alpha1"),
    ("NetworkRouter", "netbird-networkrouters.yaml", "v1alpha1"),
    ("ScheduledBackup", "cnpg-scheduledbackups.yaml", "v1"),
];

fn resources() -> Vec<Value> {
    wanted(&full()).into_iter().flat_map(|found| found.resources).collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    resources().into_iter().filter(|resource| resource["kind"] == kind).collect()
}

#[test]
fn custom_resources_are_what_their_owners_define() {
    let redis = ("RedisReplication", "redis-redisreplications.yaml", "v1beta2");
    for (kind, file, version) in DEFINITIONS.into_iter().chain([redis]) {
        let Some(definition) = Definition::of(file, version) else { return };
        let found = of_kind(kind);
        assert!(!found.is_empty(), "{kind}");
        found.iter().for_each(|resource| definition.assert_accepts(resource));
    }
}

/// Reads a resource as Kubernetes' own type and writes it again: what is lost was no field.
fn assert_kubernetes<T: serde::de::DeserializeOwned + serde::Serialize>(resource: &Value) {
    let read: T = serde_json::from_value(resource.clone()).unwrap();
    assert_eq!(&serde_json::to_value(read).unwrap(), resource);
}

#[test]
fn everything_else_is_what_kubernetes_defines() {
    use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
    use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap, core::v1::Namespace, core::v1::Service};
    let defined: BTreeSet<&str> = DEFINITIONS.iter().map(|(kind, ..)| *kind).chain(["RedisReplication"]).collect();
    for resource in resources() {
        match resource["kind"].as_str().unwrap() {
            "ClusterRoleBinding" => assert_kubernetes::<ClusterRoleBinding>(&resource),
            "ConfigMap" => assert_kubernetes::<ConfigMap>(&resource),
            "Namespace" => assert_kubernetes::<Namespace>(&resource),
            "Deployment" => assert_kubernetes::<Deployment>(&resource),
            "Service" => assert_kubernetes::<Service>(&resource),
            kind => assert!(defined.contains(kind), "{kind} is held against nothing"),
        }
    }
}

#[test]
fn every_resource_is_named_once_and_holds_no_secret() {
    let mut names = BTreeSet::new();
    for resource in resources() {
        let metadata = &resource["metadata"];
        let name = format!("{} {}/{}", resource["kind"], metadata["namespace"], metadata["name"]);
        assert!(names.insert(name.clone()), "{name} is there twice");
        assert_ne!(resource["kind"], "Secret", "{name}");
    }
}

#[test]
fn who_is_not_signed_on_is_asked_but_while_signing_on() {
    let route =
        of_kind("IngressRoute").into_iter().find(|route| route["metadata"]["name"] == "app-example-com").unwrap();
    let routes = route["spec"]["routes"].as_array().unwrap();
    assert_eq!(routes[0]["middlewares"], json!([{"name": "authentik"}]));
    assert_eq!(routes[0]["services"][0]["namespace"], "shop");
    assert!(
        routes[1]["middlewares"].is_null() && routes[1]["match"].as_str().unwrap().contains("/outpost.goauthentik.io/")
    );
    let own = of_kind("IngressRoute").into_iter().filter(|route| route["metadata"]["name"] != "app-example-com");
    assert!(
        own.flat_map(|route| route["spec"]["routes"].as_array().cloned())
            .flatten()
            .all(|rule| rule["middlewares"].is_null())
    );
}

#[test]
fn a_recovered_cluster_does_not_write_over_its_origin() {
    let main = of_kind("Cluster").into_iter().find(|cluster| cluster["metadata"]["name"] == "main").unwrap();
    let spec = &main["spec"];
    assert_eq!(spec["externalClusters"][0]["barmanObjectStore"]["serverName"], "main");
    assert_eq!(spec["backup"]["barmanObjectStore"]["serverName"], "main-recovered");
    assert_eq!(spec["affinity"]["podAntiAffinityType"], "required");
    assert_eq!(of_kind("ScheduledBackup")[0]["spec"]["schedule"], "0 0 0 * * *");
}

#[test]
fn argo_cd_is_told_of_its_root_and_of_what_that_may_hold() {
    let root = of_kind("Application");
    assert_eq!(root.len(), 1, "all others come from the repository");
    assert_eq!(root[0]["spec"]["source"]["path"], "clusters/prod/applications");
    assert!(root[0]["spec"]["syncPolicy"]["automated"].is_object());
    let project = &of_kind("AppProject")[0]["spec"];
    assert_eq!(project["sourceRepos"], json!(["https://github.com/acme/platform.git"]));
    assert!(!project["namespaceResourceWhitelist"].to_string().contains("Secret"));
    let without = layers(|platform| platform.spec.gitops.as_mut().unwrap().repository = None);
    let found = wanted(&without).into_iter().flat_map(|found| found.resources);
    assert_eq!(found.filter(|resource| resource["kind"] == "Application").count(), 0);
}

#[test]
fn health_is_read_where_there_is_something_to_read() {
    let files = [
        ("postgresql.cnpg.io/v1", "Cluster", "cnpg-clusters.yaml"),
        ("netbird.io/v1alpha1", "NetworkRouter", "netbird-networkrouters.yaml"),
        ("redis.redis.opstreelabs.in/v1beta2", "RedisReplication", "redis-redisreplications.yaml"),
    ];
    for probe in Component::ALL.iter().flat_map(|component| component.entry().health) {
        let (api, kind, pointer) = match probe {
            Probe::Condition { api, kind, .. } => (api, kind, "/status/conditions"),
            Probe::Status { api, kind, pointer, .. } | Probe::Told { api, kind, pointer } => (api, kind, *pointer),
            _ => continue,
        };
        // Longhorn's definitions are many in one file.
        let Some((.., file)) = files.iter().find(|(known, of, _)| known == api && of == kind) else {
            assert_eq!((*api, *kind), ("longhorn.io/v1beta2", "Node"));
            continue;
        };
        let Some(text) = reference::read(&format!("crds/{file}")) else { return };
        let versions = reference::yaml(&text)["spec"]["versions"].clone();
        let version = api.rsplit_once('/').unwrap().1;
        let schema = versions.as_array().unwrap().iter().find(|found| found["name"] == version).unwrap().clone();
        let place = pointer
            .trim_start_matches('/')
            .split('/')
            .fold("/schema/openAPIV3Schema".to_owned(), |at, part| format!("{at}/properties/{part}"));
        assert!(schema.pointer(&place).is_some(), "{kind} has no {pointer}");
    }
}

fn blueprint(layers: &crate::validated::Layers) -> String {
    let resources = wanted(layers).into_iter().flat_map(|found| found.resources);
    let map = resources.into_iter().find(|resource| resource["kind"] == "ConfigMap").unwrap();
    map["data"]["helix.yaml"].as_str().unwrap().to_owned()
}

#[test]
fn the_sign_on_knows_its_domains_and_clients() {
    let text = blueprint(&full());
    // Tags are Authentik's own; without them it is plain YAML.
    let plain = ["!KeyOf ", "!Find ", "!Env "].iter().fold(text.clone(), |text, tag| text.replace(tag, ""));
    let read = reference::yaml(&plain);
    let named = |model: &str| -> BTreeSet<String> {
        let entries = read["entries"].as_array().unwrap().iter().filter(|entry| entry["model"] == model);
        entries
            .map(|entry| {
                entry["identifiers"].as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
            })
            .collect()
    };
    assert_eq!(named("authentik_core.group"), ["helix-admins", "helix-viewers"].map(str::to_owned).into());
    assert_eq!(named("authentik_providers_proxy.proxyprovider"), ["app.example.com".to_owned()].into());
    assert_eq!(named("authentik_providers_oauth2.oauth2provider"), ["argocd", "kubernetes"].map(str::to_owned).into());
    assert!(text.contains("providers: [!KeyOf provider-app.example.com]"));
    assert!(text.contains("client_secret: !Env ARGOCD_CLIENT_SECRET"));
}

#[test]
fn grafana_trusts_the_sign_on_where_it_is_published() {
    let published = layers(|platform| {
        let domains = &mut platform.spec.security_weave.as_mut().unwrap().ingress.as_mut().unwrap().domains;
        let service = json!({"namespace": "monitoring", "name": "grafana", "port": 80});
        let domain = json!({"host": "grafana.example.com", "service": service, "auth": "None"});
        domains.push(serde_json::from_value(domain).unwrap());
    });
    assert!(blueprint(&published).contains("https://grafana.example.com/login/generic_oauth"));
    let values = (Component::KubePrometheusStack.entry().values)(&published);
    assert_eq!(values["grafana"]["grafana.ini"]["server"]["root_url"], "https://grafana.example.com/");
    assert!((Component::KubePrometheusStack.entry().values)(&full())["grafana"]["grafana.ini"].is_null());
}
