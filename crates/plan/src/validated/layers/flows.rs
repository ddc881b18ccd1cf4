//! The flows that the user allows, and the names that the browser for agents may reach.

use std::collections::BTreeSet;

use helix_crds::{AllowedFlow, FlowPeer, FlowPort, FlowProtocol};
use ipnet::{IpNet, Ipv4Net};

use crate::policy::{Flow, NamePattern, Pods, Port, Ports, Protocol, Ranges, Source, Target};
use crate::validated::{Network, Rejections};

const FIELD: &str = "spec.securityWeave.defaultDeny.allow";

/// One end of a flow, before it is known which.
enum End {
    Pods(Pods),
    Ranges(Ranges),
    Name(NamePattern),
}

pub(super) fn read(wanted: &[AllowedFlow], network: &Network, rejections: &mut Rejections) -> Vec<Flow> {
    let flows = wanted.iter().enumerate().filter_map(|(index, flow)| {
        let from = end(&format!("{FIELD}[{index}].from"), &flow.from, network, rejections);
        let to = end(&format!("{FIELD}[{index}].to"), &flow.to, network, rejections);
        let from = match from? {
            End::Pods(pods) => Source::Pods(pods),
            End::Ranges(ranges) => Source::Ranges(ranges),
            End::Name(name) => {
                rejections.add(
                    format!("{FIELD}[{index}].from.fqdn"),
                    format!("{name} cannot be told by the address of a caller"),
                    "write fqdn in to, or a cidr in from",
                );
                return None;
            }
        };
        let to = match to? {
            End::Pods(pods) => Target::Pods(pods),
            End::Ranges(ranges) => Target::Ranges(ranges),
            End::Name(name) => Target::from(name),
        };
        if matches!((&from, &to), (Source::Ranges(_), Target::Ranges(_) | Target::Names(_))) {
            rejections.add(
                format!("{FIELD}[{index}]"),
                "neither end is in the cluster",
                "write a namespace in from or in to; policies of pods do not judge what passes by",
            );
            return None;
        }
        Some(Flow::new(from, to, ports(&flow.ports), format!("the platform's owner allows it ({FIELD}[{index}])")))
    });
    flows.collect()
}

fn end(field: &str, peer: &FlowPeer, network: &Network, rejections: &mut Rejections) -> Option<End> {
    match (&peer.namespace, &peer.cidr, &peer.fqdn) {
        (Some(namespace), None, None) => {
            Some(End::Pods(Pods { namespace: namespace.clone(), labels: peer.pod_labels.clone() }))
        }
        (None, Some(cidr), None) => ranges(&format!("{field}.cidr"), cidr, network, rejections).map(End::Ranges),
        (None, None, Some(name)) => {
            let pattern = pattern(&format!("{field}.fqdn"), name, rejections);
            pattern.map(End::Name)
        }
        _ => {
            rejections.add(
                field,
                "needs exactly one of namespace, cidr and fqdn",
                "write for example {namespace: shop}",
            );
            None
        }
    }
}

fn ranges(field: &str, text: &str, network: &Network, rejections: &mut Rejections) -> Option<Ranges> {
    let Ok(range) = text.parse::<IpNet>() else {
        rejections.add(field, format!("`{text}` is no address range"), "write it as in 198.51.100.0/24");
        return None;
    };
    let within = |own: &Ipv4Net| IpNet::V4(*own).contains(&range);
    if let Some(own) = [network.pods, network.services].iter().find(|own| within(own)) {
        rejections.add(
            field,
            format!("{range} is within the cluster's own {own}, where addresses mean nothing for long"),
            "write the namespace and labels of the pods",
        );
        return None;
    }
    match Ranges::new(range, []) {
        Ok(ranges) => Some(ranges),
        Err(error) => {
            rejections.add(field, error.to_string(), "write other ranges");
            None
        }
    }
}

fn pattern(field: &str, name: &str, rejections: &mut Rejections) -> Option<NamePattern> {
    let pattern = NamePattern::parse(name);
    if pattern.is_none() {
        rejections.add(
            field,
            format!("`{name}` is neither a DNS name nor one that begins with `*.`"),
            "write it in lower case, as in example.com or *.example.com",
        );
    }
    pattern
}

fn ports(wanted: &[FlowPort]) -> Ports {
    if wanted.is_empty() {
        return Ports::Any;
    }
    let protocol = |wanted: FlowProtocol| match wanted {
        FlowProtocol::Tcp => Protocol::Tcp,
        FlowProtocol::Udp => Protocol::Udp,
        FlowProtocol::Sctp => Protocol::Sctp,
    };
    let port = |wanted: &FlowPort| Port { number: wanted.port, protocol: protocol(wanted.protocol) };
    Ports::Only(wanted.iter().map(port).collect::<BTreeSet<Port>>())
}

pub(super) fn browser(egress_allow: &[String], rejections: &mut Rejections) -> Vec<NamePattern> {
    let names = egress_allow.iter().enumerate();
    let mut names: Vec<NamePattern> = names
        .filter_map(|(index, name)| pattern(&format!("spec.ai.steelBrowser.egressAllow[{index}]"), name, rejections))
        .collect();
    names.sort();
    names.dedup();
    names
}
