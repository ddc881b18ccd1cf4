//! What answers of different resources share: pages, accepted mutations, actions, prices.
//!
//! Only what Helix reads is named; everything else in an answer is passed over. Words that Hetzner may add to (states,
//! types, protocols) are read as text and judged where they are turned into facts, so that a new one breaks nothing.

use helix_plan::observed::PrivateNet;
use rust_decimal::Decimal;
use serde::Deserialize;

/// One page of a list. Hetzner names the list after the resource.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    #[serde(
        alias = "firewalls",
        alias = "images",
        alias = "load_balancers",
        alias = "locations",
        alias = "networks",
        alias = "placement_groups",
        alias = "rrsets",
        alias = "server_types",
        alias = "servers",
        alias = "ssh_keys",
        alias = "volumes",
        alias = "zones"
    )]
    pub(super) items: Vec<T>,
    pub(super) meta: Meta,
}

#[derive(Debug, Deserialize)]
pub(super) struct Meta {
    pub(super) pagination: Pagination,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pagination {
    pub(super) next_page: Option<u64>,
    pub(super) total_entries: Option<usize>,
}

/// The answer to a creation. Hetzner names the resource after its kind, and the actions in three ways.
#[derive(Debug, Deserialize)]
pub(super) struct Created<T> {
    #[serde(
        alias = "firewall",
        alias = "load_balancer",
        alias = "network",
        alias = "placement_group",
        alias = "server",
        alias = "ssh_key"
    )]
    pub(super) resource: T,
    #[serde(flatten)]
    pub(super) started: Started,
}

/// The actions that a mutation started.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Started {
    action: Option<Action>,
    actions: Option<Vec<Action>>,
    next_actions: Option<Vec<Action>>,
}

impl Started {
    pub(super) fn ids(&self) -> Vec<u64> {
        let several = self.actions.iter().chain(&self.next_actions).flatten();
        self.action.iter().chain(several).map(|action| action.id).collect()
    }

    /// Whether the answer speaks of actions at all; a change that needs none has an empty list of them.
    pub(super) fn speaks_of_actions(&self) -> bool {
        self.action.is_some() || self.actions.is_some()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Actions {
    pub(super) actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) command: String,
    pub(super) status: String,
    pub(super) error: Option<ActionError>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ActionError {
    pub(super) code: String,
    pub(super) message: String,
}

/// Something that is referred to by its name.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// Something that is referred to by its id.
#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    pub(super) id: u64,
}

/// An attachment to a private network; while it is being made it may lack its parts.
#[derive(Debug, Deserialize)]
pub(super) struct PrivateNetWire {
    network: Option<u64>,
    ip: Option<std::net::Ipv4Addr>,
}

/// The places in private networks that an answer names.
pub(super) fn places(nets: &[PrivateNetWire]) -> Vec<PrivateNet> {
    nets.iter().filter_map(|net| Some(PrivateNet { network: net.network?, ip: net.ip })).collect()
}

#[derive(Debug, Deserialize)]
pub(super) struct Amount {
    pub(super) net: Decimal,
}

/// Resources are labelled; owners are told by it.
#[derive(Debug, Deserialize)]
pub(super) struct Labelled {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) labels: helix_plan::observed::Tags,
}

impl super::paging::Item for Labelled {
    fn id(&self) -> u64 {
        self.id
    }
}
