//! Cilium's policies, made of flows.
//!
//! A flow between two pods is two rules, one where the caller is and one where the called is; each is as wide as the
//! flow and no wider, so that two halves of different flows never make a third. Rules of one namespace are one policy.
//! Namespaces that Helix does not make may not be there yet: their rules go into policies of the whole cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::cilium::{
    CidrRule, DnsRules, Egress, Expression, IcmpField, IcmpRule, Ingress, NAMESPACE, Name, Policy, PortProtocol,
    PortRule, Selector, Spec,
};
use super::{Flow, Lookups, Matrix, NamePattern, Pods, Port, Ports, Protocol, Ranges, Source, Target, cluster};

/// The end to which Cilium sends its health checks, on every machine.
const HEALTH: &str = "reserved:health";
/// The port on which it answers them.
const HEALTH_PORT: u16 = 4240;
/// ICMP's type of an echo request.
const ECHO_REQUEST: u8 = 8;
/// The machines: the pod's own and all others.
const NODES: [&str; 2] = ["host", "remote-node"];

/// Whose traffic a rule judges.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Pods(Pods),
    EveryPod { but: BTreeSet<String> },
}

/// The rules of one subject.
#[derive(Default)]
struct Rules {
    reasons: BTreeSet<String>,
    ingress: Vec<Ingress>,
    egress: Vec<Egress>,
}

/// All policies of a platform: default-deny first, then what is allowed in the whole cluster, then by namespace.
///
/// `ours` are the namespaces that Helix makes, and `kube-system`.
#[must_use]
pub fn policies(matrix: &Matrix, ours: &BTreeSet<String>) -> Vec<Policy> {
    let mut subjects: BTreeMap<Subject, Rules> = BTreeMap::new();
    for flow in matrix.flows() {
        add(&mut subjects, flow);
    }
    let mut everywhere = vec![health()];
    let mut namespaces: BTreeMap<String, Vec<Spec>> = BTreeMap::new();
    for (subject, rules) in subjects {
        match subject {
            Subject::EveryPod { but } => everywhere.push(spec(every_pod(but), rules)),
            Subject::Pods(pods) => {
                let selector = if ours.contains(&pods.namespace) { workload(&pods) } else { across_namespaces(&pods) };
                namespaces.entry(pods.namespace).or_default().push(spec(selector, rules));
            }
        }
    }
    let by_namespace = namespaces.into_iter().map(|(namespace, specs)| {
        if ours.contains(&namespace) {
            Policy::in_namespace(&namespace, "helix-allow", specs)
        } else {
            Policy::clusterwide(&format!("helix-allow-{namespace}"), specs)
        }
    });
    let cluster = [default_deny(), Policy::clusterwide("helix-allow", everywhere)];
    cluster.into_iter().chain(by_namespace).collect()
}

/// Selects everything and allows nothing: whatever no other policy allows is denied from then on.
fn default_deny() -> Policy {
    let spec = Spec {
        description: "Nobody may call or be called but as another policy allows".to_owned(),
        endpoint_selector: Selector::default(),
        ingress: vec![Ingress::default()],
        egress: vec![Egress::default()],
    };
    Policy::clusterwide("helix-default-deny", vec![spec])
}

/// Cilium's agents check each other's health ends from the host network, by ICMP and TCP. These ends only answer.
fn health() -> Spec {
    let from = || Ingress { from_entities: vec!["remote-node"], ..Ingress::default() };
    let fields = vec![IcmpField { family: "IPv4", kind: ECHO_REQUEST }];
    let port = Port { number: HEALTH_PORT, protocol: Protocol::Tcp };
    Spec {
        description: "Cilium checks the health of the network between machines".to_owned(),
        endpoint_selector: Selector {
            match_labels: [(HEALTH.to_owned(), String::new())].into(),
            ..Selector::default()
        },
        ingress: vec![
            Ingress { to_ports: to_ports(&Ports::Only([port].into()), None), ..from() },
            Ingress { icmps: vec![IcmpRule { fields }], ..from() },
        ],
        egress: Vec::new(),
    }
}

fn add(subjects: &mut BTreeMap<Subject, Rules>, flow: &Flow) {
    // Cilium always lets a machine reach its own pods: there is nothing to write.
    if flow.from == Source::OwnNode {
        return;
    }
    let caller = match &flow.from {
        Source::Pods(pods) => Some(Subject::Pods(pods.clone())),
        Source::EveryPod { but } => Some(Subject::EveryPod { but: but.clone() }),
        Source::Nodes | Source::OwnNode | Source::Ranges(_) => None,
    };
    let called = match &flow.to {
        Target::Pods(pods) => Some(Subject::Pods(pods.clone())),
        Target::EveryPod => Some(Subject::EveryPod { but: BTreeSet::new() }),
        Target::Resolver(_) => Some(Subject::Pods(cluster::resolver())),
        Target::Nodes | Target::ApiServer | Target::Ranges(_) | Target::Names(_) => None,
    };
    if let Some(caller) = caller {
        let rules = subjects.entry(caller).or_default();
        rules.egress.push(egress(&flow.to, &flow.ports));
        rules.reasons.insert(flow.because.clone());
    }
    if let Some(called) = called {
        let rules = subjects.entry(called).or_default();
        rules.ingress.push(ingress(&flow.from, &flow.ports));
        rules.reasons.insert(flow.because.clone());
    }
}

fn spec(endpoint_selector: Selector, rules: Rules) -> Spec {
    let Rules { reasons, mut ingress, mut egress } = rules;
    // Flows of different reasons may come out as one rule.
    ingress.dedup();
    egress.dedup();
    let reasons: Vec<String> = reasons.into_iter().collect();
    Spec { description: reasons.join("; "), endpoint_selector, ingress, egress }
}

fn ingress(from: &Source, ports: &Ports) -> Ingress {
    let rule = Ingress { to_ports: to_ports(ports, None), ..Ingress::default() };
    match from {
        Source::Pods(pods) => Ingress { from_endpoints: vec![across_namespaces(pods)], ..rule },
        Source::EveryPod { but } => Ingress { from_endpoints: vec![every_pod(but.clone())], ..rule },
        Source::Nodes => Ingress { from_entities: NODES.into(), ..rule },
        Source::OwnNode => Ingress { from_entities: vec!["host"], ..rule },
        Source::Ranges(ranges) => Ingress { from_cidr_set: vec![cidr_rule(ranges)], ..rule },
    }
}

fn egress(to: &Target, ports: &Ports) -> Egress {
    let rule = Egress { to_ports: to_ports(ports, None), ..Egress::default() };
    match to {
        Target::Pods(pods) => Egress { to_endpoints: vec![across_namespaces(pods)], ..rule },
        Target::EveryPod => Egress { to_endpoints: vec![every_pod(BTreeSet::new())], ..rule },
        Target::Nodes => Egress { to_entities: NODES.into(), ..rule },
        Target::ApiServer => Egress { to_entities: vec!["kube-apiserver"], ..rule },
        Target::Ranges(ranges) => Egress { to_cidr_set: vec![cidr_rule(ranges)], ..rule },
        Target::Names(names) => Egress { to_fqdns: names.iter().map(name).collect(), ..rule },
        Target::Resolver(lookups) => Egress {
            to_endpoints: vec![across_namespaces(&cluster::resolver())],
            to_ports: to_ports(ports, Some(lookups)),
            ..Egress::default()
        },
    }
}

/// Every question goes through Cilium's DNS proxy, which learns there what the names of `toFQDNs` stand for.
fn to_ports(ports: &Ports, lookups: Option<&Lookups>) -> Vec<PortRule> {
    let Ports::Only(ports) = ports else { return Vec::new() };
    let rules = lookups.map(|lookups| DnsRules {
        dns: match lookups {
            Lookups::Any => vec![Name::MatchPattern("*".to_owned())],
            Lookups::Only(names) => names.iter().map(name).collect(),
        },
    });
    let port = |port: &Port| PortProtocol { port: port.number.to_string(), protocol: port.protocol.as_str() };
    vec![PortRule { ports: ports.iter().map(port).collect(), rules }]
}

fn name(pattern: &NamePattern) -> Name {
    let text = pattern.as_str().to_owned();
    if pattern.is_pattern() { Name::MatchPattern(text) } else { Name::MatchName(text) }
}

fn cidr_rule(ranges: &Ranges) -> CidrRule {
    let except = ranges.except().iter().map(ToString::to_string).collect();
    CidrRule { cidr: ranges.range().to_string(), except }
}

/// Selects within the policy's own namespace.
fn workload(pods: &Pods) -> Selector {
    let label = |(key, value): (&String, &String)| (format!("k8s:{key}"), value.clone());
    Selector { match_labels: pods.labels.iter().map(label).collect(), ..Selector::default() }
}

fn across_namespaces(pods: &Pods) -> Selector {
    let mut selector = workload(pods);
    selector.match_labels.insert(NAMESPACE.to_owned(), pods.namespace.clone());
    selector
}

/// Pods only: an empty selector would mean Cilium's own ends, too.
fn every_pod(but: BTreeSet<String>) -> Selector {
    let mut match_expressions = vec![Expression::in_a_namespace()];
    if !but.is_empty() {
        match_expressions.push(Expression::in_no_namespace_of(but));
    }
    Selector { match_expressions, ..Selector::default() }
}
