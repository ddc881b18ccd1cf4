//! The bucket that snapshots of etcd are kept in, and how Talos gives and takes them.

use async_trait::async_trait;
use helix_plan::names::PlatformIdentity;
use helix_plan::validated::Bucket;
use jiff::Timestamp;

use super::{TalosError, TalosRoute};

/// The largest snapshot, in bytes, that is taken or restored. Snapshots pass through memory: encrypted, decrypted and
/// checked as a whole before anything is done with them.
pub const LARGEST_SNAPSHOT: usize = 128 << 20;

/// An object, as a listing tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its size.
    pub size_bytes: u64,
}

/// Buckets of S3-compatible object stores. Credentials are read from the Secret that a bucket names, in the platform's
/// namespace, at every call: they may be renewed at any time.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// The objects whose key begins with the bucket's folder, by key: all of them.
    ///
    /// # Errors
    /// [`SnapshotError::TooMany`] among others.
    async fn list(&self, platform: &PlatformIdentity, bucket: &Bucket) -> Result<Vec<Listed>, SnapshotError>;
    /// Puts an object, in place of one of the same key; it is there whole or not at all.
    async fn put(
        &self,
        platform: &PlatformIdentity,
        bucket: &Bucket,
        key: &str,
        content: Vec<u8>,
    ) -> Result<(), SnapshotError>;
    /// Gets an object of at most `limit` bytes.
    ///
    /// # Errors
    /// [`SnapshotError::Absent`] or [`SnapshotError::TooLarge`] among others.
    async fn get(
        &self,
        platform: &PlatformIdentity,
        bucket: &Bucket,
        key: &str,
        limit: usize,
    ) -> Result<Vec<u8>, SnapshotError>;
    /// Deletes an object; one that is gone is success.
    async fn delete(&self, platform: &PlatformIdentity, bucket: &Bucket, key: &str) -> Result<(), SnapshotError>;
}

/// What a control plane is asked for when etcd is saved or restored. Apart from [`super::Talos`], because only backups
/// and restores need it.
#[async_trait]
pub trait Recovery: Send + Sync {
    /// A snapshot of etcd as the machine's member has it.
    ///
    /// # Errors
    /// [`TalosError::Invalid`] where it is larger than `limit` bytes.
    async fn etcd_snapshot(&self, route: &TalosRoute, limit: usize) -> Result<Vec<u8>, TalosError>;
    /// Uploads a snapshot for [`Recovery::bootstrap_recovered`].
    async fn etcd_recover(&self, route: &TalosRoute, snapshot: Vec<u8>) -> Result<(), TalosError>;
    /// Bootstraps etcd from the snapshot that was uploaded last; one that has data already is success.
    async fn bootstrap_recovered(&self, route: &TalosRoute) -> Result<(), TalosError>;
    /// Restarts the kubelet; its pods go on.
    async fn restart_kubelet(&self, route: &TalosRoute) -> Result<(), TalosError>;
}

/// Why the bucket did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// There are no usable credentials.
    #[error("Secret {secret} has no usable credentials: {why}. Give it the keys accessKeyId and secretAccessKey")]
    Credentials {
        /// The Secret's name.
        secret: String,
        /// What is wrong with it, without its content.
        why: String,
    },
    /// The store does not let us.
    #[error("bucket {bucket} refuses: {why}. Let the credentials list, read, write and delete objects there")]
    Forbidden {
        /// The bucket's name.
        bucket: String,
        /// The store's code.
        why: String,
    },
    /// There is no such bucket.
    #[error("there is no bucket {bucket}. Make it, or name another in spec.backup.etcd.s3")]
    NoBucket {
        /// The bucket's name.
        bucket: String,
    },
    /// There is no such object.
    #[error("there is no object {key}")]
    Absent {
        /// Its key.
        key: String,
    },
    /// It is larger than asked for.
    #[error("object {key} is larger than {limit} bytes")]
    TooLarge {
        /// Its key.
        key: String,
        /// What was allowed.
        limit: usize,
    },
    /// What came is not what was put there.
    #[error("object {key} arrived damaged: {why}; it is tried again, and if it stays so the object itself is bad")]
    Damaged {
        /// Its key.
        key: String,
        /// What gave it away.
        why: String,
    },
    /// Its clock and ours are too far apart for a signature to count.
    #[error("bucket {bucket} refuses: its store's clock says {theirs}, ours {ours}. Set the operator's clock, by NTP")]
    ClockSkew {
        /// The bucket's name.
        bucket: String,
        /// What the store says, where it says so.
        theirs: String,
        /// What we say.
        ours: Timestamp,
    },
    /// The bucket is elsewhere.
    #[error("bucket {bucket} is in region {region}, not in {asked}. Write {region} to spec.backup.etcd.s3.region")]
    WrongRegion {
        /// The bucket's name.
        bucket: String,
        /// Where it is, by the store's words.
        region: String,
        /// What requests were signed for.
        asked: String,
    },
    /// It wants fewer requests.
    #[error("the object store at {endpoint} is busy ({code}); it is tried again")]
    Busy {
        /// Where it was asked.
        endpoint: String,
        /// The store's code, as in `SlowDown`.
        code: String,
    },
    /// There are more objects than anybody would keep; which is the newest cannot be told.
    #[error(
        "bucket {bucket} has more than {limit} objects under {prefix}. Delete those that are not needed, and see to \
         spec.backup.etcd.retention"
    )]
    TooMany {
        /// The bucket's name.
        bucket: String,
        /// What their keys begin with.
        prefix: String,
        /// What is looked at.
        limit: usize,
    },
    /// It cannot be reached, or the connection broke.
    #[error("the object store at {endpoint} cannot be reached: {why}; it is tried again")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// What happened.
        why: String,
    },
    /// It answered something else.
    #[error("the object store at {endpoint} answered {status} {code}")]
    Other {
        /// Where it was asked.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// The store's code, as in `InternalError`.
        code: String,
    },
}

impl SnapshotError {
    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Credentials { .. } => "BackupCredentials",
            Self::Forbidden { .. } => "BucketForbidden",
            Self::NoBucket { .. } => "BucketMissing",
            Self::Absent { .. } => "SnapshotMissing",
            Self::TooLarge { .. } => "SnapshotTooLarge",
            Self::Damaged { .. } => "SnapshotDamaged",
            Self::ClockSkew { .. } => "BucketClockSkew",
            Self::WrongRegion { .. } => "BucketRegion",
            Self::Busy { .. } => "BucketBusy",
            Self::TooMany { .. } => "BucketCrowded",
            Self::Unreachable { .. } => "BucketUnreachable",
            Self::Other { .. } => "BucketError",
        }
    }
}
