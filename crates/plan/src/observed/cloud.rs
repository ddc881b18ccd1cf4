//! Facts from Hetzner: the resources of one platform, by kind, as its API describes them.
//!
//! Only what a decision needs. What carries the platform's UID label is listed; [`Image`]s belong to the project, and
//! [`Unlabelled`] to nobody that labels say.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::Serialize;

use super::Named;
use crate::step::ResourceKind;

/// Labels of a resource.
pub type Tags = BTreeMap<String, String>;

/// Whether labels say that a resource was there before the platform, and outlives it.
#[must_use]
pub fn is_adopted(labels: &Tags) -> bool {
    labels.contains_key(helix_crds::labels::ADOPTED)
}

/// What every resource of a platform has.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// Which it is.
    pub named: Named,
    /// Its name.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a Tags,
}

/// What one platform has at Hetzner, and the images it may boot from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudFacts {
    /// Private networks.
    pub networks: Vec<Network>,
    /// Firewalls.
    pub firewalls: Vec<Firewall>,
    /// SSH keys.
    pub ssh_keys: Vec<SshKey>,
    /// Placement groups.
    pub placement_groups: Vec<PlacementGroup>,
    /// Load balancers.
    pub load_balancers: Vec<LoadBalancer>,
    /// Servers.
    pub servers: Vec<Server>,
    /// Volumes.
    pub volumes: Vec<Volume>,
    /// What carries no platform's label: what was made from inside a cluster is among it.
    pub unlabelled: Unlabelled,
    /// Snapshots with a `helix.dev/talos-version` label.
    pub images: Vec<Image>,
}

impl CloudFacts {
    /// Whether nothing that carries the platform's label is left; images are the project's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { networks, firewalls, ssh_keys, placement_groups, load_balancers, servers, volumes, .. } = self;
        networks.is_empty()
            && firewalls.is_empty()
            && ssh_keys.is_empty()
            && placement_groups.is_empty()
            && load_balancers.is_empty()
            && servers.is_empty()
            && volumes.is_empty()
    }

    /// Whether a load balancer hangs on the platform's network or on one of its servers.
    #[must_use]
    pub fn holds(&self, balancer: &LoadBalancer) -> bool {
        let ours = |place: &PrivateNet| self.networks.iter().any(|network| network.id == place.network);
        let at_ours = |target: &LoadBalancerTarget| self.servers.iter().any(|server| server.id == target.server);
        balancer.private.iter().any(ours) || balancer.targets.iter().any(at_ours)
    }

    /// Whether nothing is left that uses other resources and has to go: no server and no load balancer but adopted ones.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.servers.iter().all(|server| is_adopted(&server.labels))
            && self.load_balancers.iter().all(|balancer| is_adopted(&balancer.labels))
    }

    /// Whether this is one of the platform's.
    #[must_use]
    pub fn has(&self, named: Named) -> bool {
        self.labels_of(named).is_some()
    }

    /// The labels of a resource of the platform.
    #[must_use]
    pub fn labels_of(&self, named: Named) -> Option<&Tags> {
        self.labelled().find(|it| it.named == named).map(|it| it.labels)
    }

    /// Everything that carries the platform's label, users before what they use.
    pub fn labelled(&self) -> impl Iterator<Item = Labelled<'_>> {
        fn all<'a, T>(
            kind: ResourceKind,
            list: &'a [T],
            parts: fn(&T) -> (u64, &String, &Tags),
        ) -> impl Iterator<Item = Labelled<'a>> {
            list.iter().map(move |it| {
                let (id, name, labels) = parts(it);
                Labelled { named: Named { kind, id }, name, labels }
            })
        }
        all(ResourceKind::Server, &self.servers, |it| (it.id, &it.name, &it.labels))
            .chain(all(ResourceKind::LoadBalancer, &self.load_balancers, |it| (it.id, &it.name, &it.labels)))
            .chain(all(ResourceKind::Volume, &self.volumes, |it| (it.id, &it.name, &it.labels)))
            .chain(all(ResourceKind::PlacementGroup, &self.placement_groups, |it| (it.id, &it.name, &it.labels)))
            .chain(all(ResourceKind::Firewall, &self.firewalls, |it| (it.id, &it.name, &it.labels)))
            .chain(all(ResourceKind::SshKey, &self.ssh_keys, |it| (it.id, &it.name, &it.labels)))
            .chain(all(ResourceKind::Network, &self.networks, |it| (it.id, &it.name, &it.labels)))
    }

    /// The address in the platform's own network, among the places that a server or a load balancer has. A network that
    /// a user attached it to is none of the platform's, and nothing of the platform is reached through it.
    #[must_use]
    pub fn private_ipv4(&self, places: &[PrivateNet]) -> Option<Ipv4Addr> {
        places.iter().find(|place| self.networks.iter().any(|network| network.id == place.network))?.ip
    }
}

/// Load balancers and volumes of the project that carry no platform's label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unlabelled {
    /// Load balancers.
    pub load_balancers: Vec<LoadBalancer>,
    /// Volumes.
    pub volumes: Vec<Volume>,
}

/// A place in a private network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrivateNet {
    /// The network's id; not always one of the platform's.
    pub network: u64,
    /// The address there, once there is one.
    pub ip: Option<Ipv4Addr>,
}

/// A private network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Hetzner's id.
    pub id: u64,
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
    /// The whole range.
    pub cidr: Ipv4Net,
    /// Ranges of its cloud subnets.
    pub subnets: Vec<Ipv4Net>,
}

/// One inbound rule: a TCP port and who may reach it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FirewallRule {
    /// What it is for; shown in Hetzner's console.
    pub description: String,
    /// `tcp`, `udp` or `icmp`.
    pub protocol: String,
    /// Port or range; none for ICMP.
    pub port: Option<String>,
    /// Sources, sorted.
    pub sources: Vec<String>,
}

/// A firewall and its inbound rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// Hetzner's id.
    pub id: u64,
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
    /// Inbound rules.
    pub rules: Vec<FirewallRule>,
}

/// An SSH key, by its public half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshKey {
    /// Hetzner's id.
    pub id: u64,
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
}

/// A spread placement group; Hetzner admits at most ten servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementGroup {
    /// Hetzner's id.
    pub id: u64,
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
    /// Ids of its servers.
    pub servers: Vec<u64>,
}

/// What the health check of a target says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetHealth {
    /// The check passes.
    Healthy,
    /// The check fails.
    Unhealthy,
    /// Not checked yet, or a status that is new to us.
    Unknown,
}

/// A server behind the load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadBalancerTarget {
    /// The server's id.
    pub server: u64,
    /// What its health check says.
    pub health: TargetHealth,
}

/// A TCP service of the load balancer with its health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadBalancerService {
    /// Port on which it listens.
    pub listen_port: u16,
    /// Port to which it forwards.
    pub destination_port: u16,
    /// `http` or `tcp`.
    pub check_protocol: String,
    /// Whether the check speaks TLS.
    pub check_tls: bool,
    /// Path of an HTTP check.
    pub check_path: Option<String>,
    /// Status codes that count as healthy.
    pub check_status_codes: Vec<String>,
    /// Seconds between checks.
    pub check_interval_seconds: u32,
    /// Failures until unhealthy.
    pub check_retries: u32,
}

/// A load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    /// Hetzner's id.
    pub id: u64,
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
    /// Hetzner's name of the type, as in `lb11`.
    pub kind: String,
    /// Hetzner's name of the location.
    pub location: String,
    /// Whether its public interface is on.
    pub public: bool,
    /// Its public address.
    pub public_ipv4: Option<Ipv4Addr>,
    /// Its private network, or the one that it is on its way to; Hetzner admits one.
    pub private: Vec<PrivateNet>,
    /// Services.
    pub services: Vec<LoadBalancerService>,
    /// Targets.
    pub targets: Vec<LoadBalancerTarget>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

/// The life of a server, in Hetzner's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerStatus {
    /// Being made.
    Initializing,
    /// Being powered on.
    Starting,
    /// Powered on.
    Running,
    /// Being powered off.
    Stopping,
    /// Powered off; billed all the same.
    Off,
    /// Being deleted.
    Deleting,
    /// A status that is new to us.
    Other(String),
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Hetzner's id; never used twice.
    pub id: u64,
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
    /// Power state.
    pub status: ServerStatus,
    /// Whether an action holds it.
    pub locked: bool,
    /// Hetzner's name of the type.
    pub server_type: String,
    /// Hetzner's name of the location.
    pub location: String,
    /// Public address.
    pub public_ipv4: Option<Ipv4Addr>,
    /// The private networks it is in, or on its way to.
    pub private: Vec<PrivateNet>,
    /// Its placement group, if any.
    pub placement_group: Option<u64>,
    /// Ids of the firewalls that guard it.
    pub firewalls: Vec<u64>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl Server {
    /// Whether it is in this private network, or on its way there.
    #[must_use]
    pub fn is_in(&self, network: u64) -> bool {
        self.private.iter().any(|place| place.network == network)
    }
}

/// A disk that outlives servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Hetzner's id.
    pub id: u64,
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
    /// Hetzner's name of the location.
    pub location: String,
    /// Its size in GB.
    pub size_gb: u32,
    /// The id of the server that has it; not always one of the platform's.
    pub server: Option<u64>,
}

/// A snapshot that boots Talos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Hetzner's id.
    pub id: u64,
    /// Labels, of which `helix.dev/talos-version` and `helix.dev/schematic` say what it holds.
    pub labels: Tags,
    /// `x86` or `arm`, in Hetzner's words.
    pub architecture: String,
    /// Whether it can be booted from.
    pub available: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_a_foreign_network_is_not_the_platforms() {
        let ours = Network {
            id: 1,
            name: "dev".into(),
            labels: Tags::new(),
            cidr: "10.0.0.0/16".parse().unwrap(),
            subnets: Vec::new(),
        };
        let cloud = CloudFacts { networks: vec![ours], ..CloudFacts::default() };
        let here = PrivateNet { network: 1, ip: Some([10, 0, 1, 2].into()) };
        let elsewhere = PrivateNet { network: 2, ip: Some([10, 9, 1, 2].into()) };
        assert_eq!(cloud.private_ipv4(&[elsewhere, here]), here.ip);
        assert_eq!(cloud.private_ipv4(&[elsewhere]), None);
        assert_eq!(cloud.private_ipv4(&[elsewhere, PrivateNet { ip: None, ..here }]), None);
    }
}
