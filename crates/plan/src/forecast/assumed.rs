//! What a forecast makes up: ids and addresses of what does not exist yet. Addresses are from the ranges that are set
//! aside for documentation (RFC 5737), so that none is ever mistaken for a real one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use helix_crds::labels;
use ipnet::Ipv4Net;
use jiff::Timestamp;

use crate::catalogue::Architecture;
use crate::observed::{
    Adoptee, CloudFacts, Fact, Firewall, Image, LoadBalancer, Named, Network, PlacementGroup, Server, ServerStatus,
    SshKey, Tags, TalosFacts,
};
use crate::phases::load_balancer::LOAD_BALANCER_TYPE;
use crate::step::ResourceKind;
use crate::validated::{Adoption, ValidatedPlatform};

/// The address of a load balancer that does not exist yet in its network: the endpoint that machines use.
pub const ENDPOINT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Its public address: the endpoint for callers outside.
pub const PUBLIC_ENDPOINT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// The address of the ingress' load balancer, which does not exist yet.
pub const INGRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);

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

/// What is to be adopted, as if it were there and fitted: what a plan without a token takes as given.
#[must_use]
pub fn adoptees(platform: &ValidatedPlatform, now: Timestamp) -> BTreeMap<Named, Fact<Option<Adoptee>>> {
    let pending = platform.adoptions.iter().filter(|adoption| !adoption.done);
    pending.filter_map(|it| Some((it.named, Fact::known(Some(adoptee(platform, it, now)?), now)))).collect()
}

fn adoptee(platform: &ValidatedPlatform, adoption: &Adoption, now: Timestamp) -> Option<Adoptee> {
    let (id, labels) = (adoption.named.id, Tags::new());
    let name = platform.identity.base_name();
    Some(match adoption.named.kind {
        ResourceKind::Network => {
            let (cidr, subnets) = (platform.network.cidr, vec![platform.network.subnet]);
            Adoptee::Network(Network { id, name, labels, cidr, subnets })
        }
        ResourceKind::Firewall => {
            let firewall = Firewall { id, name, labels, rules: Vec::new() };
            Adoptee::Firewall { firewall, guards: Vec::new(), by_label: false }
        }
        // The specification is refused that names one.
        ResourceKind::Volume => return None,
        ResourceKind::SshKey => Adoptee::SshKey(SshKey { id, name, labels }),
        ResourceKind::PlacementGroup => {
            let name = platform.identity.placement_group_name(&platform.control_plane.name, 0);
            Adoptee::PlacementGroup(PlacementGroup { id, name, labels, servers: Vec::new() })
        }
        ResourceKind::LoadBalancer => {
            let balancer = LoadBalancer {
                id,
                name: platform.identity.load_balancer_name(),
                labels,
                kind: LOAD_BALANCER_TYPE.to_owned(),
                location: platform.control_plane.placements.first()?.location.clone(),
                public: true,
                public_ipv4: Some(PUBLIC_ENDPOINT),
                private: Vec::new(),
                services: Vec::new(),
                targets: Vec::new(),
                created: Some(now),
            };
            Adoptee::LoadBalancer { balancer: Box::new(balancer), other_targets: false }
        }
        ResourceKind::Server => {
            let machine = adoption.machine.as_ref()?;
            let placement = platform.pool(machine.pool())?.placements.first()?;
            let server = Server {
                id,
                name: machine.to_string(),
                labels,
                status: ServerStatus::Running,
                locked: false,
                server_type: placement.server_type.clone(),
                location: placement.location.clone(),
                public_ipv4: Some(SERVERS.broadcast()),
                private: Vec::new(),
                placement_group: None,
                firewalls: Vec::new(),
                created: Some(now),
            };
            let talos = TalosFacts::Maintenance { version: format!("v{}", platform.versions.talos) };
            Adoptee::Server { server: Box::new(server), talos: Fact::known(talos, now) }
        }
    })
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
