//! What is told to the management service of the mesh.

use serde::Serialize;

/// Something to be made in the mesh' account, or to go from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum MeshChange {
    /// A zone of names, for everybody in the mesh.
    CreateZone {
        /// Its domain.
        domain: String,
    },
    /// A way into a network.
    CreateRoute {
        /// The network's id.
        network: String,
        /// Unique name.
        name: String,
        /// Where it leads, as in `10.0.1.0/24`.
        address: String,
        /// Id of the group that it is in.
        group: String,
        /// What is noted on it, which proves whose it is.
        note: String,
    },
    /// The end of a network with all that is in it, and of what only it had use for.
    DeleteNetwork {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// Ids of the keys by which its routing peers register.
        setup_keys: Vec<String>,
        /// Ids of its groups; one that others use stays.
        groups: Vec<String>,
    },
}

impl MeshChange {
    /// What it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::CreateZone { domain } => domain,
            Self::CreateRoute { name, .. } | Self::DeleteNetwork { name, .. } => name,
        }
    }

    /// What is done, as a verb in the imperative.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::CreateZone { .. } | Self::CreateRoute { .. } => "create",
            Self::DeleteNetwork { .. } => "delete",
        }
    }
}
