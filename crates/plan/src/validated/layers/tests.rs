//! What is refused, with what words; one change to the full example each.

use helix_crds::{HelixPlatform, HelixPlatformSpec, IngressAuth, ProviderSpec};
use serde_json::json;

use super::*;

fn judged(change: impl FnOnce(&mut HelixPlatformSpec)) -> Result<Layers, Rejections> {
    let text = include_str!("../../../../../manifests/examples/every-field.yaml");
    let mut platform: HelixPlatform = serde_saphyr::from_str(text).unwrap();
    change(&mut platform.spec);
    Layers::new(&platform)
}

/// The only rejection, as it is told.
#[track_caller]
fn refused(change: impl FnOnce(&mut HelixPlatformSpec)) -> String {
    let rejections = judged(change).expect_err("it is refused");
    let [rejection] = rejections.as_slice() else { panic!("one rejection expected, found:\n{rejections}") };
    rejection.to_string()
}

fn weave(spec: &mut HelixPlatformSpec) -> &mut helix_crds::SecurityWeave {
    spec.security_weave.as_mut().unwrap()
}

fn domains(spec: &mut HelixPlatformSpec) -> &mut Vec<IngressDomain> {
    &mut weave(spec).ingress.as_mut().unwrap().domains
}

fn component(spec: &mut HelixPlatformSpec, name: &str, with: serde_json::Value) {
    spec.components.insert(name.to_owned(), serde_json::from_value(with).unwrap());
}

#[test]
fn the_full_example_is_accepted() {
    let layers = judged(|_| {}).unwrap_or_else(|rejections| panic!("{rejections}"));
    assert_eq!(layers.allowed.len(), 3);
    assert_eq!(layers.browser.map(|names| names.len()), Some(2));
}

#[test]
fn a_host_is_listed_once() {
    let told = refused(|spec| {
        let again = domains(spec)[0].clone();
        domains(spec).push(again);
    });
    assert!(
        told.starts_with("spec.securityWeave.ingress.domains[1].host: app.example.com is already the host of"),
        "{told}"
    );
    let told = refused(|spec| domains(spec)[0].host = "SSO.example.com".to_lowercase());
    assert!(told.contains("is already the host of spec.securityWeave.authentik.host"), "{told}");
}

#[test]
fn a_domain_has_somebody_who_vouches_for_its_visitors() {
    let told = refused(|spec| weave(spec).authentik = None);
    assert_eq!(
        told,
        "spec.securityWeave.ingress.domains[0].auth: app.example.com is only for who is signed on, but nothing signs \
         anybody on; write securityWeave.authentik, or auth: None to let everybody through"
    );
    let open = judged(|spec| {
        weave(spec).authentik = None;
        domains(spec)[0].auth = IngressAuth::None;
    });
    assert!(open.is_ok());
}

#[test]
fn the_platforms_own_hosts_are_under_its_domains() {
    let told = refused(|spec| weave(spec).authentik.as_mut().unwrap().host = "sso.example.net".to_owned());
    assert!(told.contains("sso.example.net is not under a domain of the platform (example.com)"), "{told}");
    let told = refused(|spec| {
        spec.dns.zone = None;
        spec.dns.provider = helix_crds::DnsProvider::Manual;
        spec.gitops.as_mut().unwrap().argocd.host = Some("argocd.notexample.com".to_owned());
    });
    assert!(told.starts_with("spec.gitops.argocd.host"), "{told}");
}

#[test]
fn a_published_page_needs_an_account_for_its_certificate() {
    let told = refused(|spec| spec.acme = None);
    assert!(told.ends_with("write acme: {email: ops@example.com}"), "{told}");
}

#[test]
fn longhorn_has_where_to_keep_its_copies() {
    let told = refused(|spec| spec.worker_pools.iter_mut().for_each(|pool| pool.storage = None));
    assert!(told.starts_with("spec.data.longhorn: no machine has storage"), "{told}");
    let told = refused(|spec| spec.data.as_mut().unwrap().longhorn.as_mut().unwrap().replicas = 4);
    assert!(told.starts_with("spec.data.longhorn.replicas: 4 copies need as many machines"), "{told}");
}

#[test]
fn agents_use_databases_that_are_there() {
    let told = refused(|spec| spec.ai.as_mut().unwrap().langgraph.as_mut().unwrap().postgres = "mian".to_owned());
    assert_eq!(
        told,
        "spec.ai.langgraph.postgres: spec.data.postgres has no `mian`; write one of main, or add it to \
         spec.data.postgres"
    );
    let told = refused(|spec| {
        let postgres = &mut spec.data.as_mut().unwrap().postgres;
        postgres.push(postgres[0].clone());
    });
    assert!(told.starts_with("spec.data.postgres[1].name: `main` is there twice"), "{told}");
}

#[test]
fn no_flow_reaches_the_metadata_service_or_addresses_of_pods() {
    let allow = |cidr: &'static str| {
        move |spec: &mut HelixPlatformSpec| weave(spec).default_deny.allow[2].from.cidr = Some(cidr.to_owned())
    };
    assert!(refused(allow("169.254.169.254/32")).contains("which no pod may reach"));
    assert!(refused(allow("10.244.3.0/24")).contains("write the namespace and labels of the pods"));
    assert!(refused(allow("everywhere")).contains("is no address range"));
    assert!(judged(allow("169.254.0.0/16")).is_ok());
}

#[test]
fn a_flow_begins_or_ends_in_the_cluster() {
    let told = refused(|spec| {
        let allow = &mut weave(spec).default_deny.allow;
        allow[1].from = allow[2].from.clone();
    });
    assert_eq!(
        told,
        "spec.securityWeave.defaultDeny.allow[1]: neither end is in the cluster; write a namespace in from or in to; \
         policies of pods do not judge what passes by"
    );
    let told = refused(|spec| weave(spec).default_deny.allow[1].to.fqdn = Some("*".to_owned()));
    assert!(told.contains("`*` is neither a DNS name"), "{told}");
}

#[test]
fn overrides_are_of_components_that_are_wanted() {
    let told = refused(|spec| component(spec, "treafik", json!({})));
    assert_eq!(told, "spec.components.treafik: is no component of the catalogue; did you mean `traefik`?");
    let told = refused(|spec| {
        spec.ai = None;
        component(spec, "ollama", json!({"values": {"replicaCount": 2}}));
    });
    assert_eq!(told, "spec.components.ollama: overrides what nothing asks for; write ai.ollama, or leave this out");
}

#[test]
fn what_others_need_is_not_switched_off() {
    let told = refused(|spec| component(spec, "cilium", json!({"enabled": false})));
    assert!(told.starts_with("spec.components.cilium.enabled: without cilium no pod runs"), "{told}");
    let told = refused(|spec| component(spec, "cert-manager", json!({"enabled": false})));
    assert!(told.contains("cannot do without cert-manager"), "{told}");
    let layers = judged(|spec| component(spec, "ollama", json!({"enabled": false}))).unwrap();
    assert!(!layers.asks_for(Component::Ollama));
}

#[test]
fn a_component_stays_where_its_policies_are() {
    let told = refused(|spec| component(spec, "longhorn", json!({"values": {"namespaceOverride": "traefik"}})));
    assert!(told.starts_with("spec.components.longhorn.values.namespaceOverride: longhorn stays in its own"), "{told}");
}

#[test]
fn what_helix_relies_on_is_not_overridden() {
    let policies = json!({"values": {"k8sNetworkPolicy": {"enabled": true}}});
    let told = refused(|spec| component(spec, "cilium", policies));
    assert!(told.starts_with("spec.components.cilium.values.k8sNetworkPolicy: is what Helix relies on"), "{told}");
    let labels = json!({"values": {"controller": {"volumeExtraLabels": {"helix.dev/platform-uid": null}}}});
    let told = refused(|spec| component(spec, "hcloud-csi", labels));
    assert!(told.contains("values.controller.volumeExtraLabels.helix.dev/platform-uid:"), "{told}");
    let more = json!({"values": {"controller": {"volumeExtraLabels": {"team": "a"}}}});
    assert!(judged(|spec| component(spec, "hcloud-csi", more)).is_ok());
}

#[test]
fn versions_are_versions_and_said_once() {
    let told = refused(|spec| component(spec, "ollama", json!({"version": "newest"})));
    assert_eq!(told, "spec.components.ollama.version: `newest` is no version; write it as in 1.77.0");
    let told = refused(|spec| component(spec, "steel-browser", json!({"version": "1.0.0"})));
    assert!(told.contains("has no chart"), "{told}");
    let told = refused(|spec| {
        weave(spec).cilium.version = "1.19.4".to_owned();
        component(spec, "cilium", json!({"version": "1.18.0"}));
    });
    assert!(told.contains("already says 1.19.4"), "{told}");
}

#[test]
fn a_pair_that_does_not_fit_says_what_does() {
    let told = refused(|spec| spec.versions.kubernetes = "v1.31.4".to_owned());
    assert_eq!(
        told,
        "spec.versions.kubernetes: cert-manager does not run on Kubernetes v1.31.4; write v1.33.x to v1.36.x, or \
         another version of cert-manager in spec.components.cert-manager"
    );
    let other = judged(|spec| {
        spec.versions.kubernetes = "v1.31.4".to_owned();
        component(spec, "cert-manager", json!({"version": "1.19.5"}));
    });
    assert!(other.is_ok());
}

#[test]
fn manifests_of_our_own_have_the_values_they_have() {
    let told = refused(|spec| component(spec, "steel-browser", json!({"values": {"Image": "x"}})));
    assert_eq!(
        told,
        "spec.components.steel-browser.values.Image: steel-browser has no such value; did you mean `image`?"
    );
}

#[test]
fn every_problem_is_told_at_once() {
    let rejections = judged(|spec| {
        let ProviderSpec::Hetzner(_) = &spec.provider;
        domains(spec)[0].host = "no_name".to_owned();
        component(spec, "nothing", json!({}));
        weave(spec).netbird.as_mut().unwrap().management_url = "https://mesh.example.com".to_owned();
    });
    assert_eq!(rejections.unwrap_err().as_slice().len(), 3);
}

#[test]
fn an_image_without_what_longhorn_needs_is_refused() {
    let plain = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
    let with = |spec: &mut HelixPlatformSpec, schematic: &str| {
        let ProviderSpec::Hetzner(hetzner) = &mut spec.provider;
        schematic.clone_into(&mut hetzner.image.schematic);
    };
    let told = refused(|spec| with(spec, plain));
    assert_eq!(
        told,
        "spec.provider.hetzner.image.schematic: the image lacks the system extensions siderolabs/iscsi-tools, \
         siderolabs/util-linux-tools, which Longhorn needs; write \
         613e1592b2da41ae5e265e8789429f22e121aab91cb4deb6bc3c0b6262961245, the image factory's schematic with them, or \
         leave longhorn out"
    );
    let early = judged(|spec| {
        with(spec, plain);
        spec.until_phase = PhaseName::GitOpsControlPlane;
    });
    assert!(early.is_ok(), "nothing needs it yet");
    assert!(judged(|spec| with(spec, &"0".repeat(64))).is_ok(), "its machines will tell");
}
