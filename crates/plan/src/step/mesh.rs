//! What is told to the management service of the mesh.

use serde::Serialize;

/// Something to be made in the mesh' account.
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
    },
}

impl MeshChange {
    /// What it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::CreateZone { domain } => domain,
            Self::CreateRoute { name, .. } => name,
        }
    }
}
