//! Typed ids. Hetzner numbers everything from one counter per account and never uses a number twice; so does the world.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                Self(number)
            }
        }
    )*};
}

ids! {
    /// An asynchronous task.
    ActionId,
    /// A firewall.
    FirewallId,
    /// An image or snapshot.
    ImageId,
    /// A load balancer.
    LoadBalancerId,
    /// A private network.
    NetworkId,
    /// A placement group.
    PlacementGroupId,
    /// A primary IP.
    PrimaryIpId,
    /// A server, and with it the machine that runs in it.
    ServerId,
    /// An SSH key.
    SshKeyId,
    /// A volume.
    VolumeId,
    /// A zone of DNS.
    ZoneId,
}

/// A project at Hetzner: the scope of names, quotas and tokens. Only [`World::add_project`](super::World::add_project)
/// makes one and none is ever removed, so that a held id is always good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectId(pub(crate) usize);

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
