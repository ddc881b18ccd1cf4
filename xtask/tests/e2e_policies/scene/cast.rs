//! Everybody who could meet on a platform: its workloads and others that look like them, a stranger, machines,
//! addresses within and beside every range, and names.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use helix_plan::policy::{METADATA, Matrix, Node, Party, Pods, Port, Ports, Protocol, Ranges, Source, Target, cluster};
use ipnet::IpNet;

/// Whom no policy speaks of.
const STRANGER: &str = "stranger";

/// A pod in a namespace of which no policy speaks.
pub(super) fn stranger() -> Party {
    pod(&Pods::of(STRANGER))
}

pub(super) fn pod(pods: &Pods) -> Party {
    Party::Pod { namespace: pods.namespace.clone(), labels: pods.labels.clone() }
}

/// All of them, in one order.
pub(super) fn parties(matrix: &Matrix, namespaces: BTreeSet<String>) -> Vec<Party> {
    let pods = pods(matrix, namespaces).iter().map(pod).collect::<Vec<_>>();
    let names = names(matrix).into_iter().map(Party::Name);
    let outside = addresses(matrix).into_iter().map(Party::Address).chain([Party::Internet]);
    pods.into_iter().chain(Node::ALL.map(Party::Node)).chain(names).chain(outside).collect()
}

/// Every workload that a flow speaks of; the same without one of its labels, in a foreign namespace and in that of each
/// of its peers; and a bare pod in every namespace.
fn pods(matrix: &Matrix, namespaces: BTreeSet<String>) -> BTreeSet<Pods> {
    let bare = namespaces.into_iter().chain([STRANGER.to_owned()]);
    let mut found: BTreeSet<Pods> = bare.map(|namespace| Pods { namespace, labels: BTreeMap::new() }).collect();
    let mut workloads: BTreeSet<Pods> = [cluster::resolver()].into();
    for flow in matrix.flows() {
        let from = if let Source::Pods(pods) = &flow.from { Some(pods) } else { None };
        let to = if let Target::Pods(pods) = &flow.to { Some(pods) } else { None };
        if let (Some(from), Some(to)) = (from, to) {
            found.insert(Pods { namespace: from.namespace.clone(), labels: to.labels.clone() });
            found.insert(Pods { namespace: to.namespace.clone(), labels: from.labels.clone() });
        }
        workloads.extend(from.into_iter().chain(to).cloned());
    }
    for pods in &workloads {
        found.insert(Pods { namespace: STRANGER.to_owned(), labels: pods.labels.clone() });
        found.extend(pods.labels.keys().map(|key| {
            let mut lacking = pods.clone();
            lacking.labels.remove(key);
            lacking
        }));
    }
    found.extend(workloads);
    found
}

/// One address in every range, in every exception of it, and just beside it; and the platform's own.
fn addresses(matrix: &Matrix) -> BTreeSet<IpAddr> {
    let own = ["10.0.1.200", "10.96.0.1", "10.244.3.3", "192.168.1.1", "2001:db8::1"];
    let mut found: BTreeSet<IpAddr> = own.map(|text| text.parse().unwrap()).into();
    found.insert(METADATA.addr().into());
    for flow in matrix.flows() {
        let from = if let Source::Ranges(ranges) = &flow.from { Some(ranges) } else { None };
        let to = if let Target::Ranges(ranges) = &flow.to { Some(ranges) } else { None };
        found.extend(from.into_iter().chain(to).flat_map(within_and_beside));
    }
    found
}

fn within_and_beside(ranges: &Ranges) -> Vec<IpAddr> {
    let range = ranges.range();
    let beside = range.supernet().map(|wider| {
        let mut halves = wider.subnets(range.prefix_len()).unwrap();
        halves.find(|half| *half != range).unwrap()
    });
    let nets = ranges.except().iter().copied().chain([range]).chain(beside);
    nets.map(|net: IpNet| net.hosts().next().unwrap()).collect()
}

/// A name for every pattern, one above and one below it; and one that nobody allows.
fn names(matrix: &Matrix) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = ["example.org".to_owned()].into();
    for flow in matrix.flows() {
        let Target::Names(names) = &flow.to else { continue };
        for name in names {
            let name = name.as_str().replace('*', "any");
            let parent = name.split_once('.').map(|(_, parent)| parent).filter(|parent| parent.contains('.'));
            found.extend(parent.map(str::to_owned));
            found.extend([format!("below.{name}"), name]);
        }
    }
    found
}

/// Every port that a flow names, that of Cilium's health checks, and some that none names.
pub(super) fn ports(matrix: &Matrix) -> Vec<Port> {
    let named = matrix.flows().filter_map(|flow| if let Ports::Only(ports) = &flow.ports { Some(ports) } else { None });
    let others = [(1, Protocol::Tcp), (4240, Protocol::Tcp), (443, Protocol::Udp), (53, Protocol::Sctp)];
    let others = others.map(|(number, protocol)| Port { number, protocol });
    named.flatten().copied().chain(others).collect::<BTreeSet<Port>>().into_iter().collect()
}
