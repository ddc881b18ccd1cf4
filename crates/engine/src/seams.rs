//! What the engine needs of the world: one trait for each neighbour.
//!
//! Guarantees that every implementation gives: a call ends within a bounded time; an error says whether the effect may
//! have happened ([`CloudError::is_ambiguous`]); no error, `Debug` output or log line holds a secret; nothing is
//! retried behind the engine's back, because a second attempt is a decision.

mod cloud;
mod snapshots;
mod store;
mod talos;
mod workload;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;

pub use cloud::{Accepted, ActionFacts, ActionState, Cloud, CloudError, Owner, ProjectFacts};
pub use snapshots::{LARGEST_SNAPSHOT, Listed, Recovery, SnapshotError, Snapshots};
pub use store::{ClientConfigKind, Receipt, Store, StoreError, StoredClientConfig};
pub use talos::{InForce, Talos, TalosCredentials, TalosError, TalosRoute};
pub use workload::{KubernetesCredentials, Workload, WorkloadError, WorkloadRoute};

use crate::project::Project;
use crate::secrets::SecretMaker;

/// Where the engine reads the time, what it bounds its patience by, and what carries work beside its turns.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Ends when so much time has passed, by the runtime's clock; a virtual clock brings its own.
    fn pause(&self, span: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(span).boxed()
    }

    /// Lets work go on by itself, beside the turns; the answer comes once it has begun.
    fn set_going(&self, work: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        drop(tokio::spawn(work));
        futures::future::ready(()).boxed()
    }
}

/// Everything outside that the engine turns against.
pub struct Seams {
    /// The token's project.
    pub project: Arc<Project>,
    /// The machines.
    pub talos: Arc<dyn Talos>,
    /// The machines, when etcd is saved or restored.
    pub recovery: Arc<dyn Recovery>,
    /// Where snapshots of etcd are kept.
    pub snapshots: Arc<dyn Snapshots>,
    /// The platform's cluster.
    pub workload: Arc<dyn Workload>,
    /// Where secrets are kept.
    pub store: Arc<dyn Store>,
    /// Where secrets come from.
    pub secrets: Arc<dyn SecretMaker>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}
