//! The policies of the full example, read as Cilium's documents say, against the matrix, for every pair and port.
//!
//! A reader of a hundred lines is no engine: Cilium's own has the last word. This one is at hand in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::{full, pod, tcp, workloads};
use crate::components::{matrix, namespaces};
use crate::policy::render::policies;
use crate::policy::{Flow, Matrix, NamePattern, Node, Party, Port, Ports, Protocol, Target};

/// A rule's subject and its directions.
struct Policies(Vec<(Option<String>, Value)>);

impl Policies {
    fn of(matrix: &Matrix) -> Self {
        let policies = policies(matrix, &namespaces(&full()));
        let specs = policies.iter().flat_map(|policy| {
            let value = serde_json::to_value(policy).unwrap();
            let specs = value["specs"].as_array().unwrap().clone();
            specs.into_iter().map(|spec| (policy.metadata.namespace.clone(), spec))
        });
        Self(specs.collect())
    }

    /// The rules that let one out and the other in; `None` where that direction is not judged.
    fn between(&self, from: &Party, to: &Party) -> [Option<Vec<&Value>>; 2] {
        // What a machine says to its own pods is never judged.
        let is_kubelet = *from == Party::Node(Node::Own);
        let out = matches!(from, Party::Pod { .. }).then(|| self.side("egress", from, to));
        let inn = (matches!(to, Party::Pod { .. }) && !is_kubelet).then(|| self.side("ingress", to, from));
        [out, inn]
    }

    /// The rules of any policy that selects the subject and lets it talk to the peer in a direction.
    fn side(&self, direction: &str, subject: &Party, peer: &Party) -> Vec<&Value> {
        let selecting = self.0.iter().filter(|(namespace, spec)| {
            let Party::Pod { namespace: own, .. } = subject else { return false };
            namespace.as_ref().is_none_or(|namespace| namespace == own) && selects(&spec["endpointSelector"], subject)
        });
        let rules = selecting.flat_map(|(_, spec)| items(spec, direction));
        rules.filter(|rule| has_peer(rule, direction, peer)).collect()
    }
}

fn items<'a>(rule: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    rule[key].as_array().into_iter().flatten()
}

fn has_peer(rule: &Value, direction: &str, peer: &Party) -> bool {
    let prefix = if direction == "egress" { "to" } else { "from" };
    items(rule, &format!("{prefix}Endpoints")).any(|selector| selects(selector, peer))
        || items(rule, &format!("{prefix}Entities")).any(|entity| is_entity(entity.as_str().unwrap(), peer))
        || items(rule, &format!("{prefix}CIDRSet")).any(|range| has_address(range, peer))
        || items(rule, "toFQDNs").any(|name| has_name(name, peer))
}

fn selects(selector: &Value, party: &Party) -> bool {
    let Party::Pod { namespace, labels } = party else { return false };
    let mut known: BTreeMap<String, &str> =
        labels.iter().map(|(key, value)| (format!("k8s:{key}"), &**value)).collect();
    known.insert("k8s:io.kubernetes.pod.namespace".to_owned(), namespace);
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    labels.into_iter().all(|(key, value)| known.get(key).copied() == value.as_str())
        && expressions.all(|expression| {
            let found = known.get(expression["key"].as_str().unwrap());
            let among = || items(expression, "values").any(|value| value.as_str() == found.copied());
            match expression["operator"].as_str().unwrap() {
                "Exists" => found.is_some(),
                "NotIn" => !among(),
                other => panic!("{other}"),
            }
        })
}

fn is_entity(entity: &str, party: &Party) -> bool {
    match (entity, party) {
        ("host", Party::Node(Node::Own)) | ("kube-apiserver", Party::Node(Node::ControlPlane)) => true,
        ("remote-node", Party::Node(node)) => *node != Node::Own,
        ("host" | "kube-apiserver" | "remote-node", _) => false,
        (other, _) => panic!("{other}"),
    }
}

fn has_address(range: &Value, party: &Party) -> bool {
    // A name's address is one on the internet of which no rule speaks.
    let elsewhere = IpAddr::from([192, 0, 2, 77]);
    let address = match party {
        Party::Address(address) => address,
        Party::Name(_) | Party::Internet => &elsewhere,
        _ => return false,
    };
    let holds = |range: &Value| range.as_str().unwrap().parse::<IpNet>().unwrap().contains(address);
    holds(&range["cidr"]) && !items(range, "except").any(holds)
}

fn has_name(name: &Value, party: &Party) -> bool {
    let Party::Name(asked) = party else { return false };
    let text = name["matchName"].as_str().or(name["matchPattern"].as_str()).unwrap();
    NamePattern::parse(text).unwrap().covers(asked)
}

fn has_port(rule: &Value, port: Port) -> bool {
    if rule["icmps"].is_array() {
        return false;
    }
    let Some(rules) = rule["toPorts"].as_array() else { return true };
    rules.iter().flat_map(|rule| items(rule, "ports")).any(|found| {
        found["port"].as_str() == Some(&port.number.to_string()) && found["protocol"] == port.protocol.as_str()
    })
}

/// Everybody that a flow speaks of, and strangers of every kind.
fn parties(matrix: &Matrix) -> Vec<Party> {
    let addresses = ["1.1.1.1", "10.0.1.200", "10.244.3.3", "169.254.169.254", "198.51.100.9", "192.168.1.1"];
    let addresses = addresses.map(|text| Party::Address(text.parse::<IpAddr>().unwrap()));
    let mut names: BTreeSet<String> = ["example.org".to_owned()].into();
    for flow in matrix.flows() {
        if let Target::Names(found) = &flow.to {
            names.extend(found.iter().map(|name| name.as_str().replace('*', "any")));
        }
    }
    let nodes = [Node::Own, Node::Other, Node::ControlPlane].map(Party::Node);
    let labelled = pod("shop", &[("app", "web"), ("tier", "front")]);
    let parties = workloads(matrix).into_iter().chain(addresses).chain(nodes).chain([labelled, Party::Internet]);
    parties.chain(names.into_iter().map(Party::Name)).collect()
}

fn ports(matrix: &Matrix) -> BTreeSet<Port> {
    let named = matrix.flows().filter_map(|flow| if let Ports::Only(ports) = &flow.ports { Some(ports) } else { None });
    let others = [tcp(1), tcp(65535), Port { number: 443, protocol: Protocol::Udp }];
    named.flatten().copied().chain(others).collect()
}

/// The first pair and port of which policies and matrix say different things.
fn difference(read: &Matrix, judged: &Matrix) -> Option<String> {
    let policies = Policies::of(read);
    let (parties, ports) = (parties(judged), ports(judged));
    for from in parties.iter().filter(|from| !matches!(from, Party::Name(_))) {
        for to in parties.iter().filter(|to| matches!(from, Party::Pod { .. }) || matches!(to, Party::Pod { .. })) {
            let sides = policies.between(from, to);
            for port in &ports {
                let verdict = judged.allows(from, to, *port);
                let passes = |rules: &Vec<&Value>| rules.iter().any(|rule| has_port(rule, *port));
                if verdict.is_allowed() != sides.iter().flatten().all(passes) {
                    return Some(format!("{from:?} to {to:?} on {port}: {verdict}"));
                }
            }
        }
    }
    None
}

#[test]
fn policies_say_what_the_matrix_says() {
    let matrix = matrix(&full());
    assert_eq!(difference(&matrix, &matrix), None);
}

#[test]
fn a_rule_too_few_or_too_wide_is_noticed() {
    let matrix = matrix(&full());
    let redis = |flow: &&Flow| flow.because.contains("messages go through Redis");
    let fewer: Matrix = matrix.flows().filter(|flow| !redis(flow)).cloned().collect();
    assert_ne!(difference(&fewer, &matrix), None);
    let wider =
        matrix.flows().cloned().map(|flow| if redis(&&flow) { Flow { ports: Ports::Any, ..flow } } else { flow });
    assert_ne!(difference(&wider.collect(), &matrix), None);
}
