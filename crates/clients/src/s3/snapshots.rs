//! The engine's seam [`Snapshots`]: credentials from the management cluster's Secret, objects in the bucket.

use async_trait::async_trait;
use helix_engine::seams::{Listed, SnapshotError, Snapshots};
use helix_plan::names::PlatformIdentity;
use helix_plan::validated::Bucket;
use kube::Client;

use super::credentials::Credentials;
use super::transport::ObjectStores;
use crate::kube::read_bucket_credentials;

/// The buckets of all platforms of a management cluster; cheap to clone.
#[derive(Clone)]
pub struct BucketSnapshots {
    management: Client,
    stores: ObjectStores,
}

impl std::fmt::Debug for BucketSnapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BucketSnapshots")
    }
}

impl BucketSnapshots {
    /// Reads the credentials from Secrets in `management`, beside the platforms.
    #[must_use]
    pub fn new(management: Client, stores: ObjectStores) -> Self {
        Self { management, stores }
    }

    async fn credentials(&self, platform: &PlatformIdentity, bucket: &Bucket) -> Result<Credentials, SnapshotError> {
        read_bucket_credentials(&self.management, &platform.namespace, &bucket.credentials).await
    }
}

#[async_trait]
impl Snapshots for BucketSnapshots {
    async fn list(&self, platform: &PlatformIdentity, bucket: &Bucket) -> Result<Vec<Listed>, SnapshotError> {
        let credentials = self.credentials(platform, bucket).await?;
        self.stores.bucket(bucket, &credentials)?.list(&bucket.folder).await
    }

    async fn put(
        &self,
        platform: &PlatformIdentity,
        bucket: &Bucket,
        key: &str,
        content: Vec<u8>,
    ) -> Result<(), SnapshotError> {
        let credentials = self.credentials(platform, bucket).await?;
        self.stores.bucket(bucket, &credentials)?.put(key, content).await
    }

    async fn get(
        &self,
        platform: &PlatformIdentity,
        bucket: &Bucket,
        key: &str,
        limit: usize,
    ) -> Result<Vec<u8>, SnapshotError> {
        let credentials = self.credentials(platform, bucket).await?;
        self.stores.bucket(bucket, &credentials)?.get(key, limit).await
    }

    async fn delete(&self, platform: &PlatformIdentity, bucket: &Bucket, key: &str) -> Result<(), SnapshotError> {
        let credentials = self.credentials(platform, bucket).await?;
        self.stores.bucket(bucket, &credentials)?.delete(key).await
    }
}
