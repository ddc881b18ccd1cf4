//! What is waited for until a platform is found from outside: by its names, and by the mesh.

use std::fmt;
use std::net::Ipv4Addr;

/// A way to the platform that is not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// NetBird's operator has to make something in the mesh.
    MeshRouter {
        /// What, by name.
        network: String,
    },
    /// No routing peer is connected to the mesh.
    MeshPeers {
        /// Of which network.
        network: String,
    },
    /// Helix has to come in by itself, without the load balancer.
    WayIn,
    /// The ingress has no load balancer that has told its address yet.
    IngressAddress,
    /// Somebody has to let a name lead to an address.
    DnsRecord {
        /// The name.
        host: String,
        /// The address.
        address: Ipv4Addr,
    },
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MeshRouter { network } => write!(f, "NetBird's operator has not made {network} in the mesh yet"),
            Self::MeshPeers { network } => write!(f, "no routing peer of the mesh network {network} is connected"),
            Self::WayIn => f.write_str(
                "the admin ports close once a control plane's Talos and its API server answer Helix directly",
            ),
            Self::IngressAddress => {
                f.write_str("the load balancer of Service traefik/traefik has not told its address yet")
            }
            Self::DnsRecord { host, address } => {
                write!(f, "{host} does not lead to {address} yet: add an A record with that address to its zone")
            }
        }
    }
}
