//! Where the few things are kept that may not be lost: bundle, bootstrap record, client configurations.

use async_trait::async_trait;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{BootstrapRecord, CredentialFacts, RestoreRecord, StoreFacts};
use helix_plan::secrets::{Rotation, RotationFacts, Secret, SecretBundle};
use jiff::Timestamp;

use super::SecretData;

/// Which client configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientConfigKind {
    /// `<platform>-kubeconfig`
    Kubeconfig,
    /// `<platform>-talosconfig`
    Talosconfig,
}

/// A client configuration to be stored, and what may be known of it.
#[derive(Clone, Debug)]
pub struct StoredClientConfig {
    /// Which.
    pub kind: ClientConfigKind,
    /// The file.
    pub text: Secret,
    /// What may be known of it.
    pub facts: CredentialFacts,
}

/// What became of everything that was a platform's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// When the teardown was over.
    pub at: Timestamp,
    /// What was deleted, as in `server prod-cp-0`, as far as it is listed.
    pub deleted: Vec<String>,
    /// How much was deleted, listed or not.
    pub deleted_count: u32,
    /// What was left where it is.
    pub kept: Vec<String>,
}

/// The store: Secrets of the management cluster, or a directory of encrypted files.
///
/// Bundle and bootstrap record are created, never updated; a rotation of authorities is kept beside the bundle, and what
/// is in force follows from both. [`StoreError::Exists`] tells of a race that somebody else
/// won, and what is stored then counts. Nothing in the store may be garbage-collected with the platform object: the
/// bundle outlives every server that was made with it, and goes by [`Store::forget`] alone. The receipt holds no secret
/// and stays.
#[async_trait]
pub trait Store: Send + Sync {
    /// What is stored, and the bundle itself, if one is: both from one look, so that they agree.
    async fn read(&self, platform: &PlatformIdentity) -> Result<(StoreFacts, Option<SecretBundle>), StoreError>;
    /// Stores the bundle, once.
    async fn create_bundle(&self, platform: &PlatformIdentity, bundle: &SecretBundle) -> Result<(), StoreError>;
    /// Stores the bootstrap record, once.
    async fn record_bootstrap(&self, platform: &PlatformIdentity, record: &BootstrapRecord) -> Result<(), StoreError>;
    /// Stores how far a restore is, in place of the record that it was made from.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where [`RestoreRecord::may_follow`] says no to what is stored.
    async fn record_restore(&self, platform: &PlatformIdentity, record: &RestoreRecord) -> Result<(), StoreError>;
    /// Stores a client configuration in place of an earlier one.
    async fn put_client_config(
        &self,
        platform: &PlatformIdentity,
        config: &StoredClientConfig,
    ) -> Result<(), StoreError>;
    /// Since when this platform's bundle has been stored; none where there is none, or another's.
    async fn bundle_since(&self, platform: &PlatformIdentity) -> Result<Option<Timestamp>, StoreError>;
    /// The rotation of authorities that was begun last, if there ever was one.
    async fn rotation(&self, platform: &PlatformIdentity) -> Result<Option<Rotation>, StoreError>;
    /// Stores a rotation in place of `before`, which is what is stored now.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where something else is stored by now: another process has gone on.
    async fn put_rotation(
        &self,
        platform: &PlatformIdentity,
        rotation: &Rotation,
        before: Option<&RotationFacts>,
    ) -> Result<(), StoreError>;
    /// A Secret that the user has made in the platform's namespace; `None` if there is none.
    async fn users_secret(&self, platform: &PlatformIdentity, name: &str) -> Result<Option<SecretData>, StoreError>;
    /// Deletes everything of the platform but its receipt; what is gone is success.
    async fn forget(&self, platform: &PlatformIdentity) -> Result<(), StoreError>;
    /// Stores the receipt of a teardown in place of an earlier one's; it outlives the platform.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where the name is taken by something that is no receipt of a platform of this name.
    async fn put_receipt(&self, platform: &PlatformIdentity, receipt: &Receipt) -> Result<(), StoreError>;
}

/// Why the store did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It is there already.
    #[error("{what} exists already and is not overwritten")]
    Exists {
        /// Name of the object.
        what: String,
    },
    /// What is stored cannot be read.
    #[error("{what} cannot be read: {why}. Restore it with `helix secrets import`")]
    Corrupt {
        /// Name of the object.
        what: String,
        /// What is wrong with it, without its content.
        why: String,
    },
    /// The store may not be used.
    #[error(
        "the store does not permit this: {why}. Grant the operator's role on Secrets and ConfigMaps in the platform's namespace"
    )]
    Forbidden {
        /// Its words.
        why: String,
    },
    /// It cannot be reached.
    #[error("the store cannot be reached: {why}")]
    Unreachable {
        /// What happened.
        why: String,
    },
}

impl StoreError {
    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "StoreExists",
            Self::Corrupt { .. } => "StoreCorrupt",
            Self::Forbidden { .. } => "StoreForbidden",
            Self::Unreachable { .. } => "StoreUnreachable",
        }
    }
}
