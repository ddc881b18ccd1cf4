//! The store: what was put into it is there, until it is lost by hand.

use async_trait::async_trait;
use helix_engine::seams::{ClientConfigKind, Receipt, SecretData, Store, StoreError, StoredClientConfig};
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{BootstrapRecord, BundleFacts, CredentialFacts, RestoreRecord, StoreFacts};
use helix_plan::secrets::{Rotation, RotationFacts, SecretBundle};
use jiff::Timestamp;

use super::Universe;

/// What one platform has stored.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) bundle: Option<SecretBundle>,
    /// Whose the bundle is, and since when it has been there.
    bundle_of: Option<(PlatformIdentity, Timestamp)>,
    pub(crate) bootstrap: Option<BootstrapRecord>,
    pub(crate) restore: Option<RestoreRecord>,
    kubeconfig: Option<CredentialFacts>,
    talosconfig: Option<CredentialFacts>,
    pub(crate) rotation: Option<Rotation>,
}

#[async_trait]
impl Store for Universe {
    async fn read(&self, platform: &PlatformIdentity) -> Result<(StoreFacts, Option<SecretBundle>), StoreError> {
        self.ask("read", |inner| {
            let stored = inner.stored_of(platform);
            let facts = StoreFacts {
                bundle: stored.bundle.as_ref().map(|bundle| BundleFacts { digest: bundle.digest() }),
                bootstrap: stored.bootstrap.clone(),
                restore: stored.restore.clone(),
                kubeconfig: stored.kubeconfig.clone(),
                talosconfig: stored.talosconfig.clone(),
                rotation: None,
            };
            Ok((facts, stored.bundle.clone()))
        })
        .await
    }

    async fn bundle_since(&self, platform: &PlatformIdentity) -> Result<Option<Timestamp>, StoreError> {
        self.ask("bundle since", |inner| {
            let bundle = inner.stored_of(platform).bundle_of.as_ref().filter(|(owner, _)| owner == platform);
            Ok(bundle.map(|(_, since)| *since))
        })
        .await
    }

    async fn create_bundle(&self, platform: &PlatformIdentity, bundle: &SecretBundle) -> Result<(), StoreError> {
        self.tell("create bundle", |inner| {
            if inner.stored_of(platform).bundle.is_some() {
                return Err(StoreError::Exists { what: "the bundle".to_owned() });
            }
            inner.counts.bundles += 1;
            let now = inner.now;
            let stored = inner.stored_of(platform);
            stored.bundle = Some(bundle.clone());
            stored.bundle_of = Some((platform.clone(), now));
            Ok(())
        })
        .await
    }

    async fn record_bootstrap(&self, platform: &PlatformIdentity, record: &BootstrapRecord) -> Result<(), StoreError> {
        self.tell("record bootstrap", |inner| {
            let stored = inner.stored_of(platform);
            if stored.bootstrap.is_some() {
                return Err(StoreError::Exists { what: "the bootstrap record".to_owned() });
            }
            stored.bootstrap = Some(record.clone());
            Ok(())
        })
        .await
    }

    async fn record_restore(&self, platform: &PlatformIdentity, record: &RestoreRecord) -> Result<(), StoreError> {
        self.tell("record restore", |inner| {
            if !record.may_follow(inner.stored_of(platform).restore.as_ref()) {
                return Err(StoreError::Exists { what: "another restore record".to_owned() });
            }
            inner.restores += u64::from(record.closed_at.is_none() && record.target.is_none());
            inner.stored_of(platform).restore = Some(record.clone());
            Ok(())
        })
        .await
    }

    async fn put_client_config(
        &self,
        platform: &PlatformIdentity,
        config: &StoredClientConfig,
    ) -> Result<(), StoreError> {
        self.tell("put client config", |inner| {
            let facts = Some(config.facts.clone());
            match config.kind {
                ClientConfigKind::Kubeconfig => inner.stored_of(platform).kubeconfig = facts,
                ClientConfigKind::Talosconfig => inner.stored_of(platform).talosconfig = facts,
            }
            Ok(())
        })
        .await
    }

    async fn rotation(&self, platform: &PlatformIdentity) -> Result<Option<Rotation>, StoreError> {
        self.ask("rotation", |inner| Ok(inner.stored_of(platform).rotation.clone())).await
    }

    async fn put_rotation(
        &self,
        platform: &PlatformIdentity,
        rotation: &Rotation,
        before: Option<&RotationFacts>,
    ) -> Result<(), StoreError> {
        self.tell("put rotation", |inner| {
            let stored = inner.stored_of(platform);
            if stored.rotation.as_ref().map(|stored| &stored.facts) != before {
                return Err(StoreError::Exists { what: "a rotation".to_owned() });
            }
            stored.rotation = Some(rotation.clone());
            Ok(())
        })
        .await
    }

    async fn users_secret(&self, _: &PlatformIdentity, name: &str) -> Result<Option<SecretData>, StoreError> {
        self.ask("user's secret", |inner| Ok(inner.users_secrets.get(name).cloned())).await
    }

    async fn forget(&self, platform: &PlatformIdentity) -> Result<(), StoreError> {
        self.tell("forget", |inner| {
            inner.stored.remove(&platform.uid);
            Ok(())
        })
        .await
    }

    async fn put_receipt(&self, _: &PlatformIdentity, receipt: &Receipt) -> Result<(), StoreError> {
        self.tell("put receipt", |inner| {
            inner.receipt = Some(receipt.clone());
            Ok(())
        })
        .await
    }
}
