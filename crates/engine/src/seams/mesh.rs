//! The management service of the mesh.

use async_trait::async_trait;
use helix_plan::observed::MeshFacts;
use helix_plan::step::MeshChange;
use helix_plan::validated::MeshAccount;

/// The mesh' management service, under the account's token, which is read from its Secret at every call.
#[async_trait]
pub trait Mesh: Send + Sync {
    /// Peers, groups, networks and zones of the account. `namespace` is where the token's Secret is.
    async fn look(&self, namespace: &str, account: &MeshAccount) -> Result<MeshFacts, MeshError>;
    /// Makes something; what is there already by that name is success.
    async fn change(&self, namespace: &str, account: &MeshAccount, change: &MeshChange) -> Result<(), MeshError>;
}

/// Why the mesh could not be asked, or told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeshError {
    /// There is no token.
    #[error("there is no token for the mesh: {why}")]
    NoToken {
        /// What is wrong with the Secret, and what to do.
        why: String,
    },
    /// The management service refuses the token.
    #[error("the mesh' management service at {url} refuses the token: {why}. Put a valid one into Secret {secret}")]
    Refused {
        /// Where.
        url: String,
        /// Its words.
        why: String,
        /// The Secret with the token.
        secret: String,
    },
    /// It does not answer, or not with what it should.
    #[error("the mesh' management service at {url} cannot be asked: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// What happened.
        why: String,
    },
}

impl MeshError {
    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoToken { .. } => "MeshTokenMissing",
            Self::Refused { .. } => "MeshTokenRefused",
            Self::Unreachable { .. } => "MeshUnreachable",
        }
    }
}
