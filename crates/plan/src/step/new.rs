//! What is to be made at Hetzner, complete: a resource is never made first and guarded or labelled afterwards.

use ipnet::Ipv4Net;
use serde::Serialize;

use crate::names::MachineName;
use crate::observed::{FirewallRule, LoadBalancerService, Tags};

/// A private network to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewNetwork {
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
    /// The whole range.
    pub cidr: Ipv4Net,
    /// The range of the one cloud subnet.
    pub subnet: Ipv4Net,
    /// Hetzner's network zone, as in `eu-central`.
    pub zone: String,
}

/// A firewall to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewFirewall {
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
    /// Inbound rules; all else is dropped.
    pub rules: Vec<FirewallRule>,
}

/// A load balancer to be made, complete with its network and its service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewLoadBalancer {
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
    /// Hetzner's name of the type.
    pub kind: String,
    /// Hetzner's name of the location.
    pub location: String,
    /// The network's id.
    pub network: u64,
    /// Whether its public interface is on.
    pub public: bool,
    /// Its one service.
    pub service: LoadBalancerService,
}

/// A server to be made, complete with everything that must hold from its first packet on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewServer {
    /// The machine that it will be.
    pub machine: MachineName,
    /// Labels.
    pub labels: Tags,
    /// Hetzner's name of the type.
    pub server_type: String,
    /// Hetzner's name of the location.
    pub location: String,
    /// The snapshot's id.
    pub image: u64,
    /// The network's id.
    pub network: u64,
    /// The firewall's id.
    pub firewall: u64,
    /// The SSH key's id: without one Hetzner makes a root password and mails it.
    pub ssh_key: u64,
    /// The placement group's id, if the pool spreads over hosts.
    pub placement_group: Option<u64>,
}
