//! The catalogue against itself, against the charts' own defaults and schemas, and against Cilium's definitions.

mod resources;
mod verdicts;

use std::collections::BTreeSet;

use helix_crds::{HelixPlatform, PhaseName};
use serde_json::{Value, json};

use super::values::{KnownValues, merged};
use super::*;
use crate::policy::render::policies;
use crate::policy::{Lookups, METADATA, Matrix, Node, Party, Port, Protocol, Source as From, Target};
use crate::reference::{self, Definition};
use crate::validated::Layers;

/// No default values of these charts are at hand to hold ours against.
const WITHOUT_REFERENCE: [Component; 1] = [Component::KubePrometheusStack];

fn layers(change: impl FnOnce(&mut HelixPlatform)) -> Layers {
    let text = include_str!("../../../../manifests/examples/every-field.yaml");
    let mut platform: HelixPlatform = serde_saphyr::from_str(text).unwrap();
    change(&mut platform);
    Layers::new(&platform).unwrap_or_else(|rejections| panic!("{rejections}"))
}

fn full() -> Layers {
    layers(|_| {})
}

fn smallest() -> Layers {
    let platform: HelixPlatform =
        serde_saphyr::from_str(include_str!("../../../../manifests/examples/minimal.yaml")).unwrap();
    Layers::new(&platform).unwrap()
}

fn order(layers: &Layers) -> Vec<Component> {
    wanted(layers).into_iter().map(|found| found.component).collect()
}

#[test]
fn the_smallest_platform_has_the_network_and_hetzners_controller_alone() {
    assert_eq!(order(&smallest()), [Component::Cilium, Component::HcloudCcm]);
}

#[test]
fn the_full_example_has_everything() {
    let found: BTreeSet<Component> = order(&full()).into_iter().collect();
    assert_eq!(found, Component::ALL.iter().copied().collect());
}

#[test]
fn names_and_namespaces_are_claimed_once() {
    let mut names = BTreeSet::new();
    let mut namespaces = BTreeSet::from(["kube-system"]);
    for component in Component::ALL {
        assert!(names.insert(component.name()), "{component} is there twice");
        assert_eq!(Component::named(component.name()), Some(*component));
        if let Home::Own { namespace, .. } = component.entry().home {
            assert!(namespaces.insert(namespace), "{namespace} is claimed twice");
        }
    }
}

#[test]
fn each_comes_after_what_it_needs_in_a_phase_that_is_no_later() {
    let wanted = wanted(&full());
    let place = |component: Component| wanted.iter().position(|found| found.component == component).unwrap();
    for found in &wanted {
        let Entry { needs, after, .. } = found.component.entry();
        for needed in *needs {
            assert!(place(*needed) < place(found.component), "{} before {needed}", found.component);
            assert!(wanted[place(*needed)].phase <= found.phase, "{needed} is too late for {}", found.component);
        }
        for earlier in after.iter().filter(|earlier| wanted[place(**earlier)].phase <= found.phase) {
            assert!(place(*earlier) < place(found.component), "{} before {earlier}", found.component);
        }
    }
    let phases: Vec<PhaseName> = wanted.iter().map(|found| found.phase).collect();
    assert!(phases.is_sorted());
}

#[test]
fn nothing_waits_for_itself() {
    fn visit(component: Component, path: &mut Vec<Component>) {
        assert!(!path.contains(&component), "{path:?} leads back to {component}");
        path.push(component);
        let Entry { needs, after, .. } = component.entry();
        needs.iter().chain(*after).for_each(|earlier| visit(*earlier, path));
        path.pop();
    }
    Component::ALL.iter().for_each(|component| visit(*component, &mut Vec::new()));
}

#[test]
fn the_sign_ons_database_comes_with_the_sign_on() {
    let wanted = wanted(&layers(|platform| platform.spec.until_phase = PhaseName::SecurityWeave));
    for component in [Component::CloudNativePg, Component::HcloudCsi, Component::Authentik] {
        let found = wanted.iter().find(|found| found.component == component).unwrap();
        assert_eq!(found.phase, PhaseName::SecurityWeave, "{component}");
    }
    assert!(wanted.iter().all(|found| found.component != Component::Databases));
    let without = layers(|platform| platform.spec.security_weave = None);
    let postgres = super::wanted(&without).into_iter().find(|found| found.component == Component::CloudNativePg);
    assert_eq!(postgres.unwrap().phase, PhaseName::StateAndDataHa);
}

#[test]
fn the_controller_that_initialises_nodes_needs_nothing_of_them() {
    let ordered = order(&full());
    assert_eq!(ordered[..2], [Component::Cilium, Component::HcloudCcm]);
    let values = (Component::HcloudCcm.entry().values)(&full());
    assert_eq!(values["networking"]["enabled"], true, "this is what puts it on the host network");
    let tolerated = values["additionalTolerations"].as_array().unwrap();
    assert!(tolerated.iter().any(|found| found["key"] == "node.kubernetes.io/not-ready"));
}

#[test]
fn sections_and_catalogue_agree_on_versions() {
    for component in [Component::Cilium, Component::ArgoCd, Component::Longhorn] {
        let Source::Chart(chart) = &component.entry().source else { panic!("{component} has a chart") };
        assert_eq!((component.entry().version)(&full()), Some(chart.version), "{component}");
    }
    let traefik = wanted(&full()).into_iter().find(|found| found.component == Component::Traefik).unwrap();
    let chart = traefik.chart.unwrap();
    assert_eq!((chart.version.as_str(), chart.digest), ("41.0.1", Digest::ToBeResolved), "the example overrides it");
    assert_eq!(traefik.values["deployment"]["replicas"], 2);
}

/// What the chart itself brings, and its schema.
fn known(component: Component) -> Option<(Value, KnownValues, Option<Value>)> {
    let Source::Chart(chart) = &component.entry().source else { return None };
    if WITHOUT_REFERENCE.contains(&component) {
        return None;
    }
    let text = reference::read(&format!("values/{}-{}.yaml", chart.name, chart.version))?;
    let has_schema = ["cilium", "cert-manager", "cloudnative-pg", "traefik"].contains(&chart.name);
    let schema = has_schema.then(|| reference::read(&format!("values/{}-{}.schema.json", chart.name, chart.version)));
    let schema = schema.flatten().map(|text| serde_json::from_str(&text).unwrap());
    Some((reference::yaml(&text), KnownValues::read(&text, schema.clone()).unwrap(), schema))
}

#[test]
fn every_value_is_one_that_the_chart_knows() {
    for layers in [smallest(), full()] {
        for component in Component::ALL {
            let Some((defaults, known, schema)) = known(*component) else { continue };
            let values = (component.entry().values)(&layers);
            let unknown = known.unknown_keys(&values, component.entry().open_values);
            assert!(unknown.is_empty(), "{component}: {unknown:#?}");
            let Some(schema) = schema else { continue };
            let all = merged(defaults, &values);
            let validator = jsonschema::validator_for(&schema).unwrap();
            let errors: Vec<String> =
                validator.iter_errors(&all).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(errors.is_empty(), "{component}: {errors:#?}");
        }
    }
}

#[test]
fn a_users_value_that_the_chart_does_not_know_names_the_nearest() {
    let Some((_, known, _)) = known(Component::Ollama) else { return };
    let wrong = layers(|platform| {
        let wrong = json!({"values": {"replicacount": 2, "ollama": {"gpus": {}}, "nodeSelector": {"any": "thing"}}});
        platform.spec.components.insert("ollama".to_owned(), serde_json::from_value(wrong).unwrap());
    });
    let ollama = wanted(&wrong).into_iter().find(|found| found.component == Component::Ollama).unwrap();
    let told: Vec<String> = ollama.unknown_keys(&known).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "the chart knows no value `ollama.gpus`; did you mean `ollama.gpu`?",
            "the chart knows no value `replicacount`; did you mean `replicaCount`?",
        ]
    );
}

#[test]
fn only_traefik_is_reached_from_outside() {
    fn services(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, inner) in fields {
                    let opens = key == "type" && (inner == "LoadBalancer" || inner == "NodePort");
                    if opens && path.to_lowercase().contains("service") {
                        found.push(path.to_owned());
                    }
                    services(inner, &format!("{path}.{key}"), found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| services(item, path, found)),
            _ => {}
        }
    }
    for component in Component::ALL.iter().filter(|component| **component != Component::Traefik) {
        let Some((defaults, ..)) = known(*component) else { continue };
        let mut found = Vec::new();
        services(&merged(defaults, &(component.entry().values)(&full())), component.name(), &mut found);
        // Parts of Cilium's that are off.
        found.retain(|path| !path.contains("clustermesh") && !path.contains("ingressController"));
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn values_are_the_same_twice_and_hold_no_random_part() {
    assert_eq!(wanted(&full()), wanted(&full()));
}

#[test]
fn what_is_fixed_is_there() {
    let layers = full();
    for component in Component::ALL {
        let entry = component.entry();
        let values = (entry.values)(&layers);
        for pointer in entry.fixed_values {
            assert!(values.pointer(pointer).is_some(), "{component} has no {pointer}");
        }
    }
}

#[test]
fn charts_that_would_render_secrets_are_told_of_ours() {
    let layers = full();
    let values = |component: Component| (component.entry().values)(&layers);
    let at = |component: Component, pointer: &str| values(component).pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(at(Component::Cilium, "/hubble/tls/auto/enabled"), json!(false));
    assert_eq!(at(Component::ArgoCd, "/configs/secret/createSecret"), json!(false));
    assert_eq!(at(Component::ArgoCd, "/redisSecretInit/enabled"), json!(false));
    let named = [
        (Component::Cilium, "/hubble/tls/server/existingSecret"),
        (Component::Cilium, "/hubble/relay/tls/client/existingSecret"),
        (Component::Authentik, "/authentik/existingSecret/secretName"),
        (Component::HcloudCcm, "/networking/enabled"),
        (Component::HcloudCsi, "/controller/hcloudToken/existingSecret/name"),
        (Component::LangGraph, "/config/existingSecretName"),
        (Component::LangGraph, "/postgres/external/existingSecretName"),
        (Component::LangGraph, "/redis/external/existingSecretName"),
        (Component::NetbirdOperator, "/netbirdAPI/keyFromSecret/name"),
        (Component::KubePrometheusStack, "/grafana/admin/existingSecret"),
    ];
    let secrets: Vec<SecretWanted> = wanted(&layers).into_iter().flat_map(|found| found.secrets).collect();
    for (component, pointer) in named {
        let Value::String(name) = at(component, pointer) else { continue };
        let here = component.entry().home.namespace();
        assert!(secrets.iter().any(|found| found.namespace == here && found.name == name), "{here}/{name}");
    }
}

#[test]
fn the_licence_is_the_users_and_blocks_only_its_component() {
    let users = |component: Component| {
        let secrets = (component.entry().secrets)(&full());
        let keys = secrets.into_iter().flat_map(|secret| secret.keys);
        keys.filter(|key| matches!(key.value, SecretValue::Users { .. })).count()
    };
    assert_eq!(users(Component::LangGraph), 1);
    assert_eq!(users(Component::Ollama), 0);
}

#[test]
fn host_networks_and_levels_have_their_reason() {
    let on_host: BTreeSet<Component> =
        Component::ALL.iter().copied().filter(|component| component.entry().host_network.is_some()).collect();
    let expected =
        [Component::Cilium, Component::HcloudCcm, Component::HcloudCsi, Component::KubePrometheusStack].into();
    assert_eq!(on_host, expected);
    let privileged = Component::ALL
        .iter()
        .filter(|component| matches!(component.entry().home, Home::Own { level: PodSecurity::Privileged, .. }));
    let privileged: BTreeSet<&str> = privileged.map(|component| component.name()).collect();
    assert_eq!(privileged, ["kube-prometheus-stack", "longhorn", "netbird-operator"].into());
    assert_eq!(talos_extensions(&full()), ["siderolabs/iscsi-tools", "siderolabs/util-linux-tools"].into());
    assert_eq!(talos_extensions(&smallest()), BTreeSet::new());
    let early = Layers { until: PhaseName::SecurityWeave, ..full() };
    assert_eq!(talos_extensions(&early), BTreeSet::new());
}

fn tcp(number: u16) -> Port {
    Port { number, protocol: Protocol::Tcp }
}

fn pod(namespace: &str, labels: &[(&str, &str)]) -> Party {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Party::Pod { namespace: namespace.to_owned(), labels }
}

#[test]
fn policies_of_the_full_example_are_what_cilium_defines() {
    let (layers, matrix) = (full(), matrix(&full()));
    let Some(clusterwide) = Definition::of("cilium-ciliumclusterwidenetworkpolicies.yaml", "v2") else { return };
    let Some(namespaced) = Definition::of("cilium-ciliumnetworkpolicies.yaml", "v2") else { return };
    let policies = policies(&matrix, &namespaces(&layers));
    let mut names = BTreeSet::new();
    for policy in &policies {
        let (name, namespace) = (policy.metadata.name.clone(), policy.metadata.namespace.clone());
        let definition = if namespace.is_some() { &namespaced } else { &clusterwide };
        definition.assert_accepts(&serde_json::to_value(policy).unwrap());
        assert!(names.insert((name, namespace)));
    }
}

/// Every pod that any flow of the platform speaks of, and one of which none does.
fn workloads(matrix: &Matrix) -> Vec<Party> {
    let mut pods = BTreeSet::new();
    for flow in matrix.flows() {
        if let From::Pods(found) = &flow.from {
            pods.insert(found.clone());
        }
        if let Target::Pods(found) = &flow.to {
            pods.insert(found.clone());
        }
    }
    let parties = pods.into_iter().map(|pods| Party::Pod { namespace: pods.namespace, labels: pods.labels });
    parties.chain([pod("stranger", &[])]).collect()
}

#[test]
fn no_pod_reaches_the_metadata_service() {
    let matrix = matrix(&full());
    let metadata = Party::Address(METADATA.addr().into());
    for from in workloads(&matrix) {
        for port in [53, 80, 443] {
            assert!(!matrix.allows(&from, &metadata, tcp(port)).is_allowed(), "{from:?} on {port}");
        }
    }
}

#[test]
fn a_stranger_looks_up_names_and_nothing_else() {
    let matrix = matrix(&full());
    let stranger = pod("stranger", &[]);
    for to in workloads(&matrix) {
        for number in [53, 80, 443, 3000, 5432, 6379, 8080, 9000] {
            let verdict = matrix.allows(&stranger, &to, tcp(number));
            let is_resolver =
                matches!(&to, Party::Pod { labels, .. } if labels.contains_key("k8s-app") && number == 53);
            assert_eq!(verdict.is_allowed(), is_resolver && to == dns(), "{to:?} on {number}: {verdict}");
        }
    }
    assert!(!matrix.allows(&stranger, &Party::Node(Node::ControlPlane), tcp(6443)).is_allowed());
    assert!(!matrix.allows(&stranger, &Party::Address("1.1.1.1".parse().unwrap()), tcp(443)).is_allowed());
}

fn dns() -> Party {
    pod("kube-system", &[("k8s-app", "kube-dns")])
}

#[test]
fn the_agents_browser_reaches_its_list_and_only_agents_reach_it() {
    let matrix = matrix(&full());
    let browser = pod("steel-browser", &[("app.kubernetes.io/name", "steel-browser")]);
    let name = |name: &str| Party::Name(name.to_owned());
    assert!(matrix.allows(&browser, &name("en.wikipedia.org"), tcp(443)).is_allowed());
    assert!(!matrix.allows(&browser, &name("example.org"), tcp(443)).is_allowed());
    assert!(!matrix.may_look_up(&browser, "leak.attacker.example"));
    for from in workloads(&matrix) {
        let is_agent = matches!(&from, Party::Pod { namespace, .. } if namespace == "langgraph");
        assert_eq!(matrix.allows(&from, &browser, tcp(3000)).is_allowed(), is_agent, "{from:?}");
    }
    let closed = layers(|platform| {
        platform.spec.ai.as_mut().unwrap().steel_browser.as_mut().unwrap().egress_allow.clear();
    });
    let matrix = super::matrix(&closed);
    let speaks = |flow: &&crate::policy::Flow| flow.from == From::Pods(crate::policy::Pods::of("steel-browser"));
    assert_eq!(matrix.flows().find(speaks), None, "without a list it reaches nothing");
    let everybody = |flow: &&crate::policy::Flow| flow.to == Target::Resolver(Lookups::Any);
    assert!(matrix.flows().filter(everybody).all(|flow| !matrix_covers_browser(flow)));
}

fn matrix_covers_browser(flow: &crate::policy::Flow) -> bool {
    matches!(&flow.from, From::EveryPod { but } if !but.contains("steel-browser"))
}

#[test]
fn the_world_comes_in_by_traefik_alone() {
    let matrix = matrix(&full());
    let (world, balancer) = ("203.0.113.9".parse().unwrap(), "10.0.1.200".parse().unwrap());
    for to in workloads(&matrix) {
        let is_traefik = matches!(&to, Party::Pod { labels, namespace } if namespace == "traefik" && labels.values().any(|value| value == "traefik"));
        for port in [80, 443, 8000, 8443] {
            assert!(!matrix.allows(&Party::Address(world), &to, tcp(port)).is_allowed(), "{to:?}");
            let passes = matrix.allows(&Party::Address(balancer), &to, tcp(port)).is_allowed();
            assert_eq!(passes, is_traefik && port >= 8000, "{to:?} on {port}");
        }
    }
}

#[test]
fn what_is_not_there_is_not_spoken_of() {
    let matrix = matrix(&smallest());
    let namespaces: BTreeSet<String> = workloads(&matrix)
        .into_iter()
        .filter_map(|party| if let Party::Pod { namespace, .. } = party { Some(namespace) } else { None })
        .collect();
    assert_eq!(namespaces, ["kube-system", "stranger"].map(str::to_owned).into());
}
