//! The objects of components in a workload cluster: compared, applied on the server's side, pruned, and looked at for
//! health; and the Secrets that components need.
//!
//! Objects of any kind are JSON here, as the API server has them. What is remembered of a cluster (its kinds, which kinds a
//! component has had, how the last applies ended) saves calls and never decides: see each part for what its loss costs.

mod ask;
mod cluster;
mod compare;
mod conflicts;
mod kinds;
mod likeness;
mod marks;
mod memory;
mod probes;
mod quantity;
mod record;
mod saved;
mod secrets;
mod surplus;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use helix_crds::labels::COMPONENT;
use helix_engine::seams::{Answer, Manifest, Marks, Objects, SecretData, WorkloadError, WorkloadRoute};
use helix_plan::components::{Component, Probe, Question};
use helix_plan::observed::{Health, ObjectId, ObjectState, SavedDatabase, Surplus};
use kube::api::Patch;
use serde_json::Value;

use self::cluster::{Cluster, ours};
use self::compare::in_scope;
use self::kinds::Kind;
use self::likeness::is_alike;
use self::memory::Outcome;
use super::workload::WorkloadClients;

pub(super) use self::cluster::Memory;

#[async_trait]
impl Objects for WorkloadClients {
    async fn compare(
        &self,
        route: &WorkloadRoute,
        component: Component,
        wanted: &[Arc<Manifest>],
    ) -> Result<(BTreeMap<ObjectId, ObjectState>, Vec<Surplus>), WorkloadError> {
        self.cluster(route)?.compare(component, wanted).await
    }

    async fn apply(&self, route: &WorkloadRoute, manifest: &Manifest) -> Result<(), WorkloadError> {
        self.cluster(route)?.apply(manifest).await
    }

    async fn delete(&self, route: &WorkloadRoute, object: &ObjectId, uid: &str) -> Result<(), WorkloadError> {
        let cluster = self.cluster(route)?;
        cluster.memory.attempts.forget(object);
        // A kind that is gone has taken its objects with it.
        let Some(kind) = cluster.kind(&object.api_version, &object.kind).await? else { return Ok(()) };
        cluster.delete(&kind, object, uid).await
    }

    async fn marks(&self, route: &WorkloadRoute) -> Result<Marks, WorkloadError> {
        self.cluster(route)?.marks().await
    }

    async fn ask_service(
        &self,
        route: &WorkloadRoute,
        namespace: &str,
        question: &Question,
    ) -> Result<Answer, WorkloadError> {
        self.cluster(route)?.ask(namespace, question).await
    }

    async fn saved_databases(
        &self,
        route: &WorkloadRoute,
        namespace: &str,
    ) -> Result<Vec<SavedDatabase>, WorkloadError> {
        self.cluster(route)?.saved_databases(namespace).await
    }

    async fn probe(&self, route: &WorkloadRoute, namespace: &str, probe: &Probe) -> Result<Health, WorkloadError> {
        self.cluster(route)?.health(namespace, probe).await
    }

    async fn secret(
        &self,
        route: &WorkloadRoute,
        namespace: &str,
        name: &str,
    ) -> Result<Option<SecretData>, WorkloadError> {
        self.cluster(route)?.secret(namespace, name).await
    }

    async fn put_secret(
        &self,
        route: &WorkloadRoute,
        component: Component,
        namespace: &str,
        name: &str,
        data: &SecretData,
    ) -> Result<(), WorkloadError> {
        self.cluster(route)?.put_secret(component, namespace, name, data).await
    }
}

impl WorkloadClients {
    fn cluster(&self, route: &WorkloadRoute) -> Result<Cluster, WorkloadError> {
        let (client, memory) = self.open(route)?;
        Ok(Cluster { client, memory, route: route.clone() })
    }
}

impl Cluster {
    async fn apply(&self, manifest: &Manifest) -> Result<(), WorkloadError> {
        let Manifest { id, digest, object } = manifest;
        let kind = self.known_kind(&id.api_version, &id.kind).await?;
        if let Some(component) = object["metadata"]["labels"][COMPONENT].as_str() {
            self.record_kind(component, id).await?;
        }
        let said = in_scope(object, &kind);
        let mut applied = self.patch(&kind, id, &ours(), &Patch::Apply(said.as_ref())).await;
        if matches!(&applied, Err(WorkloadError::Conflict { fields, .. }) if conflicts::are_by_hand(fields)) {
            // A change by hand is drift: nobody will make it again when it is put right.
            applied = self.patch(&kind, id, &ours().force(), &Patch::Apply(said.as_ref())).await;
        }
        match applied {
            Ok(live) if is_alike(&said, &live) => self.memory.attempts.forget(id),
            // The API server has its own way to write some of it: that it has accepted it is what counts.
            Ok(live) => self.memory.attempts.remember(id, digest, (&said, &live), Outcome::Settled),
            Err(error) => return Err(self.refused(error, &kind, manifest, &said).await),
        }
        if kind.kind == "CustomResourceDefinition" {
            self.forget_kinds_of(&said);
        }
        Ok(())
    }

    /// What an apply was refused for, remembered as far as it matters to the next look.
    async fn refused(&self, error: WorkloadError, kind: &Kind, manifest: &Manifest, said: &Value) -> WorkloadError {
        let Manifest { id, digest, .. } = manifest;
        match &error {
            WorkloadError::Conflict { fields, .. } => {
                // Without a look the next one finds it different, and it is tried again.
                if let Ok(Some(live)) = self.get(kind, id.namespace.as_deref(), &id.name).await {
                    let outcome = Outcome::Refused(fields.clone());
                    self.memory.attempts.remember(id, digest, (said, &live), outcome);
                }
                error
            }
            // The definition may be gone since it was looked at, or the namespace may not be there yet.
            WorkloadError::Other { code: 404, .. } => {
                self.memory.kinds.forget(&id.api_version);
                self.known_kind(&id.api_version, &id.kind).await.err().unwrap_or(error)
            }
            _ => error,
        }
    }

    /// What a definition defines may be served in another way now.
    fn forget_kinds_of(&self, definition: &Value) {
        let spec = &definition["spec"];
        for version in spec["versions"].as_array().into_iter().flatten() {
            if let (Some(group), Some(version)) = (spec["group"].as_str(), version["name"].as_str()) {
                self.memory.kinds.forget(&format!("{group}/{version}"));
            }
        }
    }
}
