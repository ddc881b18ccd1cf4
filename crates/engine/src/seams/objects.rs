//! The objects that Helix writes into a platform's cluster.
//!
//! Everything is applied on the server's side by the field manager `helix`. What a hand has set with kubectl is drift and is
//! put right; no other manager's fields are taken over. Every manifest carries the label `helix.dev/component`, by which it is found again.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use helix_plan::components::{Component, Probe, Question};
use helix_plan::observed::{Health, ObjectId, ObjectState, SavedDatabase, Surplus};
use helix_plan::secrets::Secret;
use serde_json::Value;

use super::{WorkloadError, WorkloadRoute};

/// An object as it is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Which.
    pub id: ObjectId,
    /// SHA-256 of its canonical JSON, in hex.
    pub digest: String,
    /// The object itself, with the component's label.
    pub object: Value,
}

/// Values of a Secret by key. Its `Debug` shows the keys only, for [`Secret`] redacts itself.
pub type SecretData = BTreeMap<String, Secret>;

/// What a Service answered to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP: the Service's own, or the API server's where it did not get through to the Service.
    pub code: u16,
    /// The body, of at most [`Answer::LONGEST`] bytes.
    pub body: Vec<u8>,
}

impl Answer {
    /// The longest body that is read, in bytes: a longer one is no answer.
    pub const LONGEST: usize = 1 << 20;

    /// Whether the Service is there and content with itself.
    #[must_use]
    pub fn health(&self, namespace: &str, question: &Question) -> Health {
        let Question { service, path, .. } = question;
        match self.code {
            200..300 => Health::Healthy { evidence: format!("Service {namespace}/{service} answers at {path}") },
            code => Health::Unhealthy { why: format!("Service {namespace}/{service} answers {code} at {path}") },
        }
    }
}

/// Marks of the objects of components: what is alike has not been changed.
pub type Marks = BTreeMap<Component, u64>;

/// The workload cluster's API, as far as components need it.
#[async_trait]
pub trait Objects: Send + Sync {
    /// How these objects stand in the cluster, and what carries the component's label beyond them. Reads only: kinds are
    /// listed in pages by label, and what is not found so is looked for by name.
    async fn compare(
        &self,
        route: &WorkloadRoute,
        component: Component,
        wanted: &[Arc<Manifest>],
    ) -> Result<(BTreeMap<ObjectId, ObjectState>, Vec<Surplus>), WorkloadError>;

    /// Applies an object.
    ///
    /// # Errors
    /// [`WorkloadError::Conflict`], when others have set fields of it differently: nothing is changed then.
    /// [`WorkloadError::UnknownKind`], when the cluster does not know its kind.
    async fn apply(&self, route: &WorkloadRoute, manifest: &Manifest) -> Result<(), WorkloadError>;

    /// Deletes an object, if it is still the one of that UID; one that is gone is success. What it owns goes with it.
    async fn delete(&self, route: &WorkloadRoute, object: &ObjectId, uid: &str) -> Result<(), WorkloadError>;

    /// A mark for each component, by its label, over all objects that carry it: another one after somebody has changed, made
    /// or removed any of them. Reads metadata alone, in pages. That a mark is another one does not say that anything differs.
    async fn marks(&self, route: &WorkloadRoute) -> Result<Marks, WorkloadError>;

    /// Asks a Service of a namespace by `GET`, through the API server: no other way into the cluster is needed. Takes a few
    /// seconds at most.
    async fn ask_service(
        &self,
        route: &WorkloadRoute,
        namespace: &str,
        question: &Question,
    ) -> Result<Answer, WorkloadError>;

    /// The PostgreSQL clusters of a namespace, and their newest backups.
    async fn saved_databases(
        &self,
        route: &WorkloadRoute,
        namespace: &str,
    ) -> Result<Vec<SavedDatabase>, WorkloadError>;

    /// Looks at a component's health. Of a Service it tells whether it answers; what it answers is the caller's to judge.
    async fn probe(&self, route: &WorkloadRoute, namespace: &str, probe: &Probe) -> Result<Health, WorkloadError>;

    /// A Secret of the cluster; `None` if there is none.
    async fn secret(
        &self,
        route: &WorkloadRoute,
        namespace: &str,
        name: &str,
    ) -> Result<Option<SecretData>, WorkloadError>;

    /// Makes a Secret's keys these; keys that others have added stay.
    async fn put_secret(
        &self,
        route: &WorkloadRoute,
        component: Component,
        namespace: &str,
        name: &str,
        data: &SecretData,
    ) -> Result<(), WorkloadError>;
}
