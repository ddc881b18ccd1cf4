//! The store on Secrets of the management cluster, in the platform's namespace; the receipt alone is a ConfigMap.
//!
//! Each Secret carries the platform's UID as a label; one of the right name without it is somebody else's, and is
//! neither read, changed nor deleted. What lies there encrypted at rest is the management cluster's concern.

use std::fmt;

use async_trait::async_trait;
use helix_crds::labels::FIELD_MANAGER;
use helix_engine::seams::{ClientConfigKind, Receipt, SecretData, Store, StoreError, StoredClientConfig};
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{BootstrapRecord, BundleFacts, RestoreRecord, StoreFacts};
use helix_plan::secrets::{Rotation, RotationFacts, SecretBundle};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};

use super::failure::{Failure, absent_is_none, bounded};
use super::{names, receipt, record};

/// The store in the cluster that `client` talks to.
///
/// # Guarantees
/// Bundle and bootstrap record are immutable to the API server, too: not even a bug can change them in place.
#[derive(Clone)]
pub struct SecretStore {
    client: Client,
}

impl fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretStore")
    }
}

impl SecretStore {
    /// A store in the cluster of `client`, who may get, create, patch and delete Secrets, and all but delete ConfigMaps.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    fn api(&self, platform: &PlatformIdentity) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &platform.namespace)
    }

    /// The Secret of that name if there is one and it is ours.
    async fn get(&self, platform: &PlatformIdentity, name: &str) -> Result<Option<Secret>, StoreError> {
        let stored = absent_is_none(bounded(self.api(platform).get(name)).await).map_err(|f| store_error(f, name))?;
        if let Some(stored) = &stored {
            record::must_be_ours(platform, stored)?;
        }
        Ok(stored)
    }

    async fn create(&self, platform: &PlatformIdentity, secret: &Secret) -> Result<(), StoreError> {
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let created = bounded(self.api(platform).create(&params, secret)).await;
        created.map(|_| ()).map_err(|failure| store_error(failure, name))
    }

    async fn delete(&self, platform: &PlatformIdentity, name: &str) -> Result<(), StoreError> {
        let api = self.api(platform);
        let stored = absent_is_none(bounded(api.get(name)).await).map_err(|f| store_error(f, name))?;
        let Some(stored) = stored.filter(|stored| record::is_ours(platform, stored)) else {
            return Ok(());
        };
        // Exactly the Secret that was looked at: one that took its place meanwhile may be somebody else's.
        let exactly = Preconditions { uid: stored.metadata.uid, resource_version: None };
        let params = DeleteParams { preconditions: Some(exactly), ..DeleteParams::default() };
        let deleted = absent_is_none(bounded(api.delete(name, &params)).await);
        deleted.map(|_| ()).map_err(|failure| store_error(failure, name))
    }
}

#[async_trait]
impl Store for SecretStore {
    async fn read(&self, platform: &PlatformIdentity) -> Result<(StoreFacts, Option<SecretBundle>), StoreError> {
        let [kubeconfig, talosconfig] = [ClientConfigKind::Kubeconfig, ClientConfigKind::Talosconfig]
            .map(|kind| names::client_config(platform, kind));
        let (bundle, bootstrap) = (names::bundle(platform), names::bootstrap(platform));
        let restore = names::restore(platform);
        let (bundle, bootstrap, restore, kubeconfig, talosconfig) = futures::try_join!(
            self.get(platform, &bundle),
            self.get(platform, &bootstrap),
            self.get(platform, &restore),
            self.get(platform, &kubeconfig),
            self.get(platform, &talosconfig),
        )?;
        let bundle = bundle.as_ref().map(record::read_bundle).transpose()?;
        let facts = StoreFacts {
            bundle: bundle.as_ref().map(|bundle| BundleFacts { digest: bundle.digest() }),
            bootstrap: bootstrap.as_ref().map(record::read_bootstrap).transpose()?,
            restore: restore.as_ref().map(record::read_restore).transpose()?,
            kubeconfig: kubeconfig.as_ref().and_then(record::read_client_config),
            talosconfig: talosconfig.as_ref().and_then(record::read_client_config),
            rotation: None,
        };
        Ok((facts, bundle))
    }

    async fn bundle_since(&self, platform: &PlatformIdentity) -> Result<Option<Timestamp>, StoreError> {
        let name = names::bundle(platform);
        let stored = absent_is_none(bounded(self.api(platform).get(&name)).await).map_err(|f| store_error(f, &name))?;
        let ours = stored.filter(|stored| record::is_ours(platform, stored));
        Ok(ours.and_then(|stored| stored.metadata.creation_timestamp).map(|time| time.0))
    }

    async fn create_bundle(&self, platform: &PlatformIdentity, bundle: &SecretBundle) -> Result<(), StoreError> {
        self.create(platform, &record::of_bundle(platform, bundle)?).await
    }

    async fn record_bootstrap(&self, platform: &PlatformIdentity, record: &BootstrapRecord) -> Result<(), StoreError> {
        self.create(platform, &record::of_bootstrap(platform, record)?).await
    }

    /// Patched at the version that was looked at: of two that get on at the same time one loses.
    async fn record_restore(&self, platform: &PlatformIdentity, record: &RestoreRecord) -> Result<(), StoreError> {
        let name = names::restore(platform);
        let mut secret = record::of_restore(platform, record)?;
        let Some(stored) = self.get(platform, &name).await? else {
            return self.create(platform, &secret).await;
        };
        if !record.may_follow(Some(&record::read_restore(&stored)?)) {
            return Err(StoreError::Exists { what: record::words(&name) });
        }
        secret.metadata.resource_version = stored.metadata.resource_version;
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = bounded(self.api(platform).patch(&name, &params, &Patch::Merge(&secret))).await;
        patched.map(|_| ()).map_err(|failure| store_error(failure, &name))
    }

    async fn put_client_config(
        &self,
        platform: &PlatformIdentity,
        config: &StoredClientConfig,
    ) -> Result<(), StoreError> {
        let secret = record::of_client_config(platform, config)?;
        let name = names::client_config(platform, config.kind);
        self.get(platform, &name).await?;
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = bounded(self.api(platform).patch(&name, &params, &Patch::Apply(&secret))).await;
        applied.map(|_| ()).map_err(|failure| store_error(failure, &name))
    }

    async fn rotation(&self, platform: &PlatformIdentity) -> Result<Option<Rotation>, StoreError> {
        self.get(platform, &names::rotation(platform)).await?.as_ref().map(record::read_rotation).transpose()
    }

    async fn put_rotation(
        &self,
        platform: &PlatformIdentity,
        rotation: &Rotation,
        before: Option<&RotationFacts>,
    ) -> Result<(), StoreError> {
        let name = names::rotation(platform);
        let mut secret = record::of_rotation(platform, rotation)?;
        let stored = self.get(platform, &name).await?;
        let facts = stored.as_ref().map(record::read_rotation).transpose()?.map(|rotation| rotation.facts);
        if facts.as_ref() != before {
            return Err(StoreError::Exists { what: record::words(&name) });
        }
        let Some(stored) = stored else { return self.create(platform, &secret).await };
        // Exactly the version that was looked at is changed: two processes must not both go on.
        secret.metadata.resource_version = stored.metadata.resource_version;
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = bounded(self.api(platform).patch(&name, &params, &Patch::Apply(&secret))).await;
        applied.map(|_| ()).map_err(|failure| store_error(failure, &name))
    }

    /// The bundle goes last: as long as anything of the platform is stored, so is what it was made with.
    async fn users_secret(&self, platform: &PlatformIdentity, name: &str) -> Result<Option<SecretData>, StoreError> {
        let found = absent_is_none(bounded(self.api(platform).get(name)).await).map_err(|f| store_error(f, name))?;
        let data = found.map(|secret| secret.data.unwrap_or_default());
        // What is no text is no value of a component: it is told as missing.
        let text = |(key, bytes): (String, k8s_openapi::ByteString)| {
            Some((key, helix_plan::secrets::Secret::new(String::from_utf8(bytes.0).ok()?)))
        };
        Ok(data.map(|data| data.into_iter().filter_map(text).collect()))
    }

    async fn forget(&self, platform: &PlatformIdentity) -> Result<(), StoreError> {
        self.delete(platform, &names::client_config(platform, ClientConfigKind::Kubeconfig)).await?;
        self.delete(platform, &names::client_config(platform, ClientConfigKind::Talosconfig)).await?;
        self.delete(platform, &names::restore(platform)).await?;
        self.delete(platform, &names::bootstrap(platform)).await?;
        self.delete(platform, &names::rotation(platform)).await?;
        self.delete(platform, &names::bundle(platform)).await
    }

    async fn put_receipt(&self, platform: &PlatformIdentity, receipt: &Receipt) -> Result<(), StoreError> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &platform.namespace);
        let name = names::receipt(platform);
        let stored = absent_is_none(bounded(api.get(&name)).await).map_err(|f| store_error(f, &name))?;
        if stored.is_some_and(|stored| !receipt::is_one(platform, &stored)) {
            return Err(StoreError::Exists { what: format!("ConfigMap {name}") });
        }
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = bounded(api.patch(&name, &params, &Patch::Apply(&receipt::of(platform, receipt)))).await;
        applied.map(|_| ()).map_err(|failure| store_error(failure, &name))
    }
}

fn store_error(failure: Failure, name: &str) -> StoreError {
    match failure {
        Failure::Refused { code: 401 | 403, .. } => StoreError::Forbidden { why: failure.why() },
        Failure::Refused { code: 409, .. } => StoreError::Exists { what: record::words(name) },
        Failure::Refused { .. } | Failure::Identity { .. } | Failure::Unreachable { .. } => {
            StoreError::Unreachable { why: failure.why() }
        }
    }
}
