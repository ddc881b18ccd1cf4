//! What `spec.adopt` names: resources that are there and are not the platform's yet, with what adoption asks about them.

use serde::Serialize;

use super::{
    Fact, Firewall, LoadBalancer, MachineStage, Network, PlacementGroup, Server, SshKey, Tags, TalosFacts, Volume,
};
use crate::step::ResourceKind;

/// A resource by its kind and Hetzner's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Named {
    /// Its kind.
    pub kind: ResourceKind,
    /// Hetzner's id.
    pub id: u64,
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.words(), self.id)
    }
}

/// A resource that may become the platform's.
#[derive(Clone, Debug, PartialEq)]
pub enum Adoptee {
    /// A server.
    Server {
        /// The server.
        server: Box<Server>,
        /// What answers on it to a stranger.
        talos: Fact<TalosFacts>,
    },
    /// A load balancer.
    LoadBalancer {
        /// The load balancer.
        balancer: Box<LoadBalancer>,
        /// Whether it forwards to something that is no server named by its id: an address, or whatever has a label.
        other_targets: bool,
    },
    /// A placement group.
    PlacementGroup(PlacementGroup),
    /// A firewall.
    Firewall {
        /// The firewall.
        firewall: Firewall,
        /// Ids of the servers that it guards.
        guards: Vec<u64>,
        /// Whether it guards whatever has a label, too.
        by_label: bool,
    },
    /// An SSH key.
    SshKey(SshKey),
    /// A private network, whoever is in it.
    Network(Network),
    /// A volume. None is ever taken over: a cluster knows only those that its own driver made.
    Volume(Volume),
}

impl Adoptee {
    /// What a stranger is told by Talos that has its configuration: that, and nothing else.
    pub const CONFIGURED: TalosFacts = TalosFacts::Configured {
        version: String::new(),
        stage: MachineStage::Running,
        ready: false,
        unmet: Vec::new(),
        services: Vec::new(),
    };

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Server { server, .. } => &server.name,
            Self::LoadBalancer { balancer, .. } => &balancer.name,
            Self::PlacementGroup(group) => &group.name,
            Self::Firewall { firewall, .. } => &firewall.name,
            Self::SshKey(key) => &key.name,
            Self::Network(network) => &network.name,
            Self::Volume(volume) => &volume.name,
        }
    }

    /// Its labels.
    #[must_use]
    pub fn labels(&self) -> &Tags {
        match self {
            Self::Server { server, .. } => &server.labels,
            Self::LoadBalancer { balancer, .. } => &balancer.labels,
            Self::PlacementGroup(group) => &group.labels,
            Self::Firewall { firewall, .. } => &firewall.labels,
            Self::SshKey(key) => &key.labels,
            Self::Network(network) => &network.labels,
            Self::Volume(volume) => &volume.labels,
        }
    }
}
