//! What the management service of the mesh tells of the account, as far as a platform's own part needs it.

use std::collections::{BTreeMap, BTreeSet};

/// The mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeshFacts {
    /// All peers.
    pub peers: Vec<MeshPeer>,
    /// Ids of groups, by name.
    pub groups: BTreeMap<String, String>,
    /// All networks.
    pub networks: Vec<MeshNetwork>,
    /// Domains of the zones of names.
    pub zones: BTreeSet<String>,
    /// What peers register by.
    pub setup_keys: Vec<MeshSetupKey>,
}

/// A key by which peers register; not the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshSetupKey {
    /// Its id.
    pub id: String,
    /// Ids of the groups that its peers are put into.
    pub groups: BTreeSet<String>,
}

/// A peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshPeer {
    /// Its name.
    pub name: String,
    /// Whether it is connected to the management service.
    pub connected: bool,
    /// Ids of its groups.
    pub groups: BTreeSet<String>,
}

/// A network behind routing peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshNetwork {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Ids of the groups whose peers lead into it.
    pub router_groups: BTreeSet<String>,
    /// Addresses that it leads to, as in `10.0.1.0/24`.
    pub resources: BTreeSet<String>,
    /// What is noted on each of its resources by whoever made it.
    pub notes: BTreeSet<String>,
}
