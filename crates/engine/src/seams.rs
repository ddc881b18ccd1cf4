//! What the engine needs of the world: one trait for each neighbour.
//!
//! Guarantees that every implementation gives: a call ends within a bounded time; an error says whether the effect may
//! have happened ([`CloudError::is_ambiguous`]); no error, `Debug` output or log line holds a secret; nothing is
//! retried behind the engine's back, because a second attempt is a decision.

mod applications;
mod charts;
mod cloud;
mod git;
mod mesh;
mod objects;
mod snapshots;
mod store;
mod talos;
mod workload;
mod zones;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;

pub use applications::Applications;
pub use charts::{ChartError, ChartRequest, Charts, Rendering};
pub use cloud::{Accepted, ActionFacts, ActionState, Cloud, CloudError, Owner, ProjectFacts};
pub use git::{Git, GitError, Published};
pub use mesh::{Mesh, MeshError};
pub use objects::{Answer, Manifest, Marks, Objects, SecretData};
pub use snapshots::{LARGEST_SNAPSHOT, Listed, Recovery, SnapshotError, Snapshots};
pub use store::{ClientConfigKind, Receipt, Store, StoreError, StoredClientConfig};
pub use talos::{InForce, Talos, TalosCredentials, TalosError, TalosRoute};
pub use workload::{KubernetesCredentials, Workload, WorkloadError, WorkloadRoute};
pub use zones::{Names, Zones};

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
    /// The mesh' management service.
    pub mesh: Arc<dyn Mesh>,
    /// What names lead to.
    pub names: Arc<dyn Names>,
    /// Where components' charts come from, and what renders them.
    pub charts: Arc<dyn Charts>,
    /// The objects of components in the platform's cluster.
    pub objects: Arc<dyn Objects>,
    /// The platform's repository.
    pub git: Arc<dyn Git>,
    /// What Argo CD tells in the platform's cluster.
    pub applications: Arc<dyn Applications>,
    /// Where secrets are kept.
    pub store: Arc<dyn Store>,
    /// Where secrets come from.
    pub secrets: Arc<dyn SecretMaker>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}
