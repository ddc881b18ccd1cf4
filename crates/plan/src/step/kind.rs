//! The kinds of resources at Hetzner, and the order in which they go.

use serde::Serialize;

/// Kinds of resources at Hetzner that Helix makes and deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ResourceKind {
    /// A virtual machine.
    Server,
    /// A load balancer.
    LoadBalancer,
    /// A volume.
    Volume,
    /// A placement group.
    PlacementGroup,
    /// A firewall.
    Firewall,
    /// An SSH key.
    SshKey,
    /// A private network.
    Network,
}

impl ResourceKind {
    /// Every kind, in the order in which a teardown may delete them: what is used goes after its users.
    pub const TEARDOWN_ORDER: [Self; 7] = [
        Self::Server,
        Self::LoadBalancer,
        Self::Volume,
        Self::PlacementGroup,
        Self::Firewall,
        Self::SshKey,
        Self::Network,
    ];

    /// The kind in words, as in `load balancer`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::LoadBalancer => "load balancer",
            Self::Volume => "volume",
            Self::PlacementGroup => "placement group",
            Self::Firewall => "firewall",
            Self::SshKey => "SSH key",
            Self::Network => "network",
        }
    }
}
