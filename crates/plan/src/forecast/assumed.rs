//! What a forecast makes up: ids and addresses of what does not exist yet. Addresses are from the ranges that are set
//! aside for documentation (RFC 5737), so that none is ever mistaken for a real one.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use helix_crds::labels;
use ipnet::Ipv4Net;

use crate::catalogue::Architecture;
use crate::observed::{CloudFacts, Image, Tags};
use crate::validated::ValidatedPlatform;

/// The address of a load balancer that does not exist yet in its network: the endpoint that machines use.
pub const ENDPOINT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Its public address: the endpoint for callers outside.
pub const PUBLIC_ENDPOINT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// Where servers that do not exist yet have their public addresses.
const SERVERS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24);

/// The digest of a secret bundle that does not exist yet.
pub const BUNDLE_DIGEST: &str = "to-be-made";

/// The snapshots that a platform needs: what a plan without a token takes as given.
#[must_use]
pub fn images(platform: &ValidatedPlatform) -> Vec<Image> {
    let architectures: BTreeSet<Architecture> =
        platform.pools().flat_map(|pool| pool.placements.iter().map(|placement| placement.architecture)).collect();
    (1..)
        .zip(architectures)
        .map(|(id, architecture)| Image {
            id,
            labels: Tags::from([
                (labels::TALOS_VERSION.to_owned(), format!("v{}", platform.versions.talos)),
                (labels::SCHEMATIC.to_owned(), platform.schematic_label().to_owned()),
            ]),
            architecture: architecture.to_string(),
            available: true,
        })
        .collect()
}

/// The highest id of anything at Hetzner.
pub(super) fn highest_id(cloud: &CloudFacts) -> u64 {
    let ids = cloud.networks.iter().map(|resource| resource.id);
    let ids = ids.chain(cloud.firewalls.iter().map(|resource| resource.id));
    let ids = ids.chain(cloud.ssh_keys.iter().map(|resource| resource.id));
    let ids = ids.chain(cloud.placement_groups.iter().map(|resource| resource.id));
    let ids = ids.chain(cloud.load_balancers.iter().map(|resource| resource.id));
    let ids = ids.chain(cloud.servers.iter().map(|resource| resource.id));
    let ids = ids.chain(cloud.volumes.iter().map(|resource| resource.id));
    let ids = ids.chain(cloud.images.iter().map(|resource| resource.id));
    ids.max().unwrap_or(0)
}

/// A public address that no server has; the last one again when all are taken.
pub(super) fn public_address(cloud: &CloudFacts) -> Ipv4Addr {
    let taken = |address: &Ipv4Addr| cloud.servers.iter().any(|server| server.public_ipv4 == Some(*address));
    SERVERS.hosts().find(|address| !taken(address)).unwrap_or(SERVERS.broadcast())
}

/// An address of the subnet that no server has. Hetzner keeps the first one for the gateway.
pub(super) fn private_address(cloud: &CloudFacts, subnet: Ipv4Net) -> Option<Ipv4Addr> {
    let servers = cloud.servers.iter().flat_map(|server| &server.private);
    let balancers = cloud.load_balancers.iter().flat_map(|balancer| &balancer.private);
    let taken: BTreeSet<Ipv4Addr> = servers.chain(balancers).filter_map(|place| place.ip).collect();
    subnet.hosts().skip(1).find(|address| !taken.contains(address))
}
