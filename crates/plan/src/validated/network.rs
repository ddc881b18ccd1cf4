//! Address ranges, and whether the machines fit into them and into Hetzner's limits.

use helix_crds::{HelixPlatformSpec, HetznerNetwork};
use ipnet::{IpNet, Ipv4Net};

use super::{Endpoint, Network, Rejections};
use crate::catalogue::Catalogue;

/// Servers and load balancers that Hetzner admits to one network.
const MOST_ATTACHMENTS: u32 = 100;

/// Prefix length of the range of pods on one node.
const NODE_POD_PREFIX: u8 = 24;

/// Addresses of a subnet that no machine gets: network, gateway, broadcast.
const RESERVED_ADDRESSES: u64 = 3;

const FIELD: &str = "spec.provider.hetzner.network";

pub(super) fn validate(wanted: &HetznerNetwork, machines: u32, rejections: &mut Rejections) -> Option<Network> {
    let cidr = parse("cidr", &wanted.cidr, rejections);
    let subnet = parse("subnet", &wanted.subnet, rejections);
    let pods = parse("podCidr", &wanted.pod_cidr, rejections);
    let services = parse("serviceCidr", &wanted.service_cidr, rejections);
    let (cidr, subnet, pods, services) = (cidr?, subnet?, pods?, services?);
    let network = Network { cidr, subnet, zone: wanted.zone.clone(), pods, services };
    ranges(&network, rejections);
    sizes(&network, machines, rejections);
    Some(network)
}

fn parse(name: &str, text: &str, rejections: &mut Rejections) -> Option<Ipv4Net> {
    let parsed = text.parse::<Ipv4Net>().ok().filter(|net| net.trunc() == *net);
    if parsed.is_none() {
        rejections.add(
            format!("{FIELD}.{name}"),
            format!("`{text}` is no IPv4 range"),
            "write the first address of the range and its prefix length, as in 10.0.0.0/16",
        );
    }
    parsed
}

fn ranges(network: &Network, rejections: &mut Rejections) {
    let Network { cidr, subnet, pods, services, .. } = network;
    if !cidr.addr().is_private() || !cidr.broadcast().is_private() {
        rejections.add(
            format!("{FIELD}.cidr"),
            format!("{cidr} is not a private range"),
            "write a range within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
        );
    }
    if !cidr.contains(subnet) {
        rejections.add(
            format!("{FIELD}.subnet"),
            format!("{subnet} is not within the network's {cidr}"),
            "write a part of the network's range",
        );
    }
    let overlapping = |a: &Ipv4Net, b: &Ipv4Net| a.contains(b) || b.contains(a);
    for (name, range, other_name, other) in [
        ("podCidr", pods, "cidr", cidr),
        ("serviceCidr", services, "cidr", cidr),
        ("serviceCidr", services, "podCidr", pods),
    ] {
        if overlapping(range, other) {
            rejections.add(
                format!("{FIELD}.{name}"),
                format!("{range} overlaps {other_name} {other}"),
                "write a range that overlaps no other",
            );
        }
    }
}

fn sizes(network: &Network, machines: u32, rejections: &mut Rejections) {
    let room = |range: &Ipv4Net, unit_prefix: u8| 1_u64 << unit_prefix.saturating_sub(range.prefix_len());
    let addresses = room(&network.subnet, 32).saturating_sub(RESERVED_ADDRESSES);
    // One more for the load balancer.
    let needed = u64::from(machines) + 1;
    if addresses < needed {
        rejections.add(
            format!("{FIELD}.subnet"),
            format!("{} has {addresses} usable addresses for {needed} machines and load balancers", network.subnet),
            "write a larger range",
        );
    }
    let node_ranges =
        if network.pods.prefix_len() > NODE_POD_PREFIX { 0 } else { room(&network.pods, NODE_POD_PREFIX) };
    if node_ranges < u64::from(machines) {
        rejections.add(
            format!("{FIELD}.podCidr"),
            format!("{} holds {node_ranges} ranges of /{NODE_POD_PREFIX} for {machines} machines", network.pods),
            "write a larger range: every machine needs a /24 for its pods",
        );
    }
}

/// The allow-list, sorted and each entry once.
pub(super) fn allowlist(entries: &[String], rejections: &mut Rejections) -> Vec<String> {
    const FIELD: &str = "spec.provider.hetzner.apiAllowlist";
    if entries.is_empty() {
        rejections.add(FIELD, "is empty: nobody could reach the machines", "write your address, as in 203.0.113.7/32");
    }
    address_ranges(FIELD, entries, rejections)
}

/// Address ranges of a field, sorted, each once.
pub(super) fn address_ranges(field: &str, entries: &[String], rejections: &mut Rejections) -> Vec<String> {
    let mut parsed = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match entry.parse::<IpNet>() {
            Ok(net) => parsed.push(net.trunc().to_string()),
            Err(_) => rejections.add(
                format!("{field}[{index}]"),
                format!("`{entry}` is no address range"),
                "write an address with its prefix length, as in 203.0.113.7/32",
            ),
        }
    }
    parsed.sort();
    parsed.dedup();
    parsed
}

/// Whether every placement is in the network's zone: a server elsewhere could not be attached.
pub(super) fn locations_in_zone(
    spec: &HelixPlatformSpec,
    catalogue: &Catalogue,
    zone: &str,
    rejections: &mut Rejections,
) {
    if !catalogue.locations.values().any(|known| known == zone) {
        rejections.add(
            format!("{FIELD}.zone"),
            format!("Hetzner has no network zone `{zone}`"),
            "write one of eu-central, us-east, us-west, ap-southeast",
        );
        return;
    }
    let control_plane = spec.control_plane.placements.iter().enumerate();
    let workers = spec.worker_pools.iter().enumerate().flat_map(|(pool, spec)| {
        let path = format!("spec.workerPools[{pool}]");
        spec.placements.iter().enumerate().map(move |(index, placement)| (path.clone(), index, placement))
    });
    let all = control_plane.map(|(index, placement)| ("spec.controlPlane".to_owned(), index, placement)).chain(workers);
    for (path, index, placement) in all {
        match catalogue.locations.get(&placement.location) {
            Some(found) if found != zone => rejections.add(
                format!("{path}.placements[{index}].location"),
                format!("{} is in network zone {found}, the network is in {zone}", placement.location),
                format!("write a location of {zone}"),
            ),
            _ => {}
        }
    }
}

/// Whether servers and load balancers may all be attached to one network.
pub(super) fn attachments(machines: u32, endpoint: &Option<Endpoint>, rejections: &mut Rejections) {
    let load_balancers = u32::from(matches!(endpoint, Some(Endpoint::LoadBalancer { .. })));
    let attachments = machines.saturating_add(load_balancers);
    if attachments > MOST_ATTACHMENTS {
        rejections.add(
            "spec.workerPools",
            format!("{attachments} machines and load balancers are more than the {MOST_ATTACHMENTS} that Hetzner admits to a network"),
            "ask for fewer machines, or make a second platform",
        );
    }
}
