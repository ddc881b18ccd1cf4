//! Verdicts, and that the policies are what Cilium reads. Whether they mean the same is for Cilium's own engine to say.

use serde_json::{Value, json};

use super::render::policies;
use super::*;
use crate::reference::Definition;

fn name(text: &str) -> NamePattern {
    NamePattern::parse(text).unwrap()
}

fn web() -> Pods {
    Pods::of("shop").with("app", "web")
}

fn matrix() -> Matrix {
    let internet = Ranges::internet(&["10.244.0.0/16".parse().unwrap()]);
    let mut flows = cluster::flows(&internet, ["browser".to_owned()].into());
    flows.extend([
        Flow::new(web(), Pods::of("billing"), Ports::tcp([8080]), "the shop charges"),
        Flow::new(Pods::of("billing"), name("api.stripe.com"), Ports::tcp([443]), "billing charges cards"),
        Flow::new(
            Ranges::new("198.51.100.0/24".parse().unwrap(), []).unwrap(),
            Pods::of("shop"),
            Ports::Any,
            "the office looks at the shop",
        ),
        Flow::new(Pods::of("browser"), name("*.wikipedia.org"), Ports::tcp([443]), "the agents may read it"),
        Flow::new(
            Pods::of("browser"),
            Target::Resolver(Lookups::Only([name("*.wikipedia.org")].into())),
            Ports::both(53),
            "a browser finds what it may reach",
        ),
        Flow::new(Pods::of("argocd"), Target::ApiServer, Ports::tcp([6443]), "Argo CD applies"),
        Flow::new(Pods::of("monitoring"), Target::Nodes, Ports::tcp([10250]), "metrics of kubelets"),
        Flow::new(Pods::of("monitoring"), Target::EveryPod, Ports::tcp([9090]), "metrics of pods"),
        Flow::new(Source::Nodes, Pods::of("argocd"), Ports::tcp([9443]), "API servers call the webhook"),
    ]);
    flows.into_iter().collect()
}

fn pod(namespace: &str, labels: &[(&str, &str)]) -> Party {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Party::Pod { namespace: namespace.to_owned(), labels }
}

fn tcp(number: u16) -> Port {
    Port { number, protocol: Protocol::Tcp }
}

fn allowed(from: &Party, to: &Party, port: Port) -> bool {
    matrix().allows(from, to, port).is_allowed()
}

#[test]
fn pods_talk_only_as_a_flow_says() {
    let (shop, billing) = (pod("shop", &[("app", "web"), ("tier", "front")]), pod("billing", &[]));
    assert!(allowed(&shop, &billing, tcp(8080)));
    assert!(!allowed(&shop, &billing, tcp(8081)));
    assert!(!allowed(&shop, &billing, Port { number: 8080, protocol: Protocol::Udp }));
    assert!(!allowed(&billing, &shop, tcp(8080)));
    assert!(!allowed(&pod("shop", &[("app", "cart")]), &billing, tcp(8080)));
}

#[test]
fn the_metadata_address_is_denied_to_every_pod() {
    let metadata = Party::Address("169.254.169.254".parse().unwrap());
    let resolver = pod("kube-system", &[("k8s-app", "kube-dns")]);
    for from in [pod("shop", &[("app", "web")]), pod("billing", &[]), resolver] {
        for port in [53, 80, 443] {
            assert!(!allowed(&from, &metadata, tcp(port)));
        }
    }
}

#[test]
fn names_outside_are_reached_by_those_who_may_look_them_up() {
    let browser = pod("browser", &[]);
    assert!(allowed(&browser, &Party::Name("en.wikipedia.org".into()), tcp(443)));
    assert!(!allowed(&browser, &Party::Name("example.com".into()), tcp(443)));
    assert!(matrix().may_look_up(&browser, "en.wikipedia.org"));
    assert!(!matrix().may_look_up(&browser, "secret.attacker.example"));
    assert!(matrix().may_look_up(&pod("billing", &[]), "api.stripe.com"));
}

#[test]
fn machines_are_told_apart_as_far_as_cilium_does() {
    let argocd = pod("argocd", &[]);
    assert!(allowed(&argocd, &Party::Node(Node::ControlPlane), tcp(6443)));
    assert!(!allowed(&argocd, &Party::Node(Node::Other), tcp(6443)));
    assert!(allowed(&Party::Node(Node::Other), &argocd, tcp(9443)));
    assert!(!allowed(&Party::Node(Node::Other), &argocd, tcp(8080)));
    assert!(allowed(&Party::Node(Node::Own), &argocd, tcp(8080)));
    let nodes = (Party::Node(Node::Own), Party::Node(Node::Other));
    assert_eq!(matrix().allows(&nodes.0, &nodes.1, tcp(1)), Verdict::NotJudged);
}

#[test]
fn a_verdict_says_why() {
    let matrix = matrix();
    let (shop, billing) = (pod("shop", &[("app", "web")]), pod("billing", &[]));
    assert_eq!(matrix.allows(&shop, &billing, tcp(8080)).to_string(), "allowed: the shop charges");
    assert!(matrix.allows(&billing, &shop, tcp(8080)).to_string().contains("spec.securityWeave.defaultDeny.allow"));
}

fn rendered() -> Vec<Value> {
    let ours = ["argocd", "browser", "kube-system", "monitoring"].map(str::to_owned).into();
    policies(&matrix(), &ours).iter().map(|policy| serde_json::to_value(policy).unwrap()).collect()
}

#[test]
fn policies_are_what_cilium_defines() {
    let Some(clusterwide) = Definition::of("cilium-ciliumclusterwidenetworkpolicies.yaml", "v2") else { return };
    let Some(namespaced) = Definition::of("cilium-ciliumnetworkpolicies.yaml", "v2") else { return };
    for policy in rendered() {
        let definition = if policy["metadata"]["namespace"].is_string() { &namespaced } else { &clusterwide };
        definition.assert_accepts(&policy);
    }
}

#[test]
fn only_what_every_version_knows_is_written() {
    let text = serde_json::to_string(&rendered()).unwrap();
    for unknown in ["enableDefaultDeny", "egressDeny", "ingressDeny", "\"world\"", "\"all\"", "\"cluster\""] {
        assert!(!text.contains(unknown), "{unknown}");
    }
}

#[test]
fn default_deny_comes_first_and_allows_nothing() {
    let first = rendered().remove(0);
    assert_eq!(first["kind"], "CiliumClusterwideNetworkPolicy");
    let spec = &first["specs"][0];
    assert_eq!(
        (&spec["endpointSelector"], &spec["ingress"], &spec["egress"]),
        (&json!({}), &json!([{}]), &json!([{}]))
    );
}

#[test]
fn each_half_of_a_flow_is_where_its_end_is() {
    let policies = rendered();
    let find = |name: &str| policies.iter().find(|policy| policy["metadata"]["name"] == name).unwrap();
    let shop = &find("helix-allow-shop")["specs"];
    let callers = shop.as_array().unwrap().iter().find(|spec| spec["egress"].is_array()).unwrap();
    assert_eq!(callers["endpointSelector"]["matchLabels"]["k8s:app"], "web");
    assert_eq!(callers["endpointSelector"]["matchLabels"]["k8s:io.kubernetes.pod.namespace"], "shop");
    let to = json!([{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "billing"}}]);
    assert_eq!(callers["egress"][0]["toEndpoints"], to);
    let billing = &find("helix-allow-billing")["specs"][0];
    assert_eq!(billing["egress"][0]["toFQDNs"], json!([{"matchName": "api.stripe.com"}]));
    assert_eq!(billing["ingress"][0]["toPorts"][0]["ports"], json!([{"port": "8080", "protocol": "TCP"}]));
}

#[test]
fn every_range_that_holds_the_metadata_address_excepts_it() {
    let text = serde_json::to_string(&rendered()).unwrap();
    assert!(text.contains("\"cidr\":\"0.0.0.0/0\""));
    for part in text.split("\"cidr\":\"0.0.0.0/0\"").skip(1) {
        let except = part.split(']').next().unwrap();
        assert!(except.contains("169.254.169.254/32"), "{except}");
    }
}

#[test]
fn the_order_of_declaration_does_not_matter() {
    let mut flows: Vec<Flow> = matrix().flows().cloned().collect();
    flows.reverse();
    let ours = BTreeSet::new();
    assert_eq!(policies(&flows.into_iter().collect(), &ours), policies(&matrix(), &ours));
}
