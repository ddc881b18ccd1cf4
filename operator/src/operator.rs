//! What all passes share: clients, projects, places, metrics, and what the watches show.

use std::fmt;
use std::sync::Arc;

use helix_clients::kube::{SecretStore, WorkloadClients};
use helix_clients::s3::{BucketSnapshots, ObjectStores, SetUpError};
use helix_clients::talos::TalosClient;
use helix_crds::{HelixMachine, HelixPlatform};
use helix_engine::Project;
use helix_engine::seams::Seams;
use helix_engine::seams::{Clock, Recovery, Snapshots, Store as SecretsStore, Talos, Workload};
use helix_engine::secrets::{PkiMaker, SecretMaker};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::Store;
use kube::{Client, ResourceExt as _};

use crate::clock::SystemClock;
use crate::kept::Places;
use crate::machines::is_forsaken;
use crate::metrics::Metrics;
use crate::projects::SharedProjects;

/// Shared by all passes.
pub(crate) struct Operator {
    /// Of the management cluster.
    pub(crate) client: Client,
    pub(crate) projects: SharedProjects,
    pub(crate) places: Places,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Arc<dyn Clock>,
    platforms: Store<HelixPlatform>,
    machines: Store<HelixMachine>,
    talos: Arc<dyn Talos>,
    recovery: Arc<dyn Recovery>,
    snapshots: Arc<dyn Snapshots>,
    workload: Arc<dyn Workload>,
    store: Arc<dyn SecretsStore>,
    secrets: Arc<dyn SecretMaker>,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Operator")
    }
}

impl Operator {
    pub(crate) fn new(
        client: Client,
        identity: &str,
        passes_per_token: u16,
        metrics: Arc<Metrics>,
        (platforms, machines): (Store<HelixPlatform>, Store<HelixMachine>),
    ) -> Result<Self, SetUpError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let talos = Arc::new(TalosClient::default());
        let stores = ObjectStores::new(Arc::clone(&clock))?;
        let reporter = Reporter { controller: "helix.dev/operator".to_owned(), instance: Some(identity.to_owned()) };
        Ok(Self {
            projects: SharedProjects::new(Arc::clone(&clock), passes_per_token),
            places: Places::default(),
            metrics,
            recorder: Recorder::new(client.clone(), reporter),
            clock,
            platforms,
            machines,
            talos: Arc::<TalosClient>::clone(&talos),
            recovery: talos,
            snapshots: Arc::new(BucketSnapshots::new(client.clone(), stores)),
            workload: Arc::new(WorkloadClients::new()),
            store: Arc::new(SecretStore::new(client.clone())),
            secrets: Arc::new(PkiMaker),
            client,
        })
    }

    /// What a turn for a platform of that project needs.
    pub(crate) fn seams(&self, project: &Arc<Project>) -> Seams {
        Seams {
            project: Arc::clone(project),
            talos: Arc::clone(&self.talos),
            recovery: Arc::clone(&self.recovery),
            snapshots: Arc::clone(&self.snapshots),
            workload: Arc::clone(&self.workload),
            store: Arc::clone(&self.store),
            secrets: Arc::clone(&self.secrets),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Where secrets are kept.
    pub(crate) fn store(&self) -> &dyn SecretsStore {
        self.store.as_ref()
    }

    /// Whether the watch shows a platform of that UID.
    pub(crate) fn exists(&self, uid: &str) -> bool {
        self.platforms.find(|platform| platform.metadata.uid.as_deref() == Some(uid)).is_some()
    }

    /// Waits until the watch has shown all machines: before that, one that is held would be taken for free.
    pub(crate) async fn machines_are_listed(&self) {
        // It fails when the watch has ended, and then passes do, too.
        let _ = self.machines.wait_until_ready().await;
    }

    /// The `HelixMachine`s that wait for an operator and have no platform.
    pub(crate) fn forsaken_machines(&self) -> Vec<Arc<HelixMachine>> {
        self.machines.state_filter(|machine| is_forsaken(machine, |uid| self.exists(uid)))
    }

    /// The `HelixMachine`s that name the platform, whoever owns them.
    pub(crate) fn machines_of(&self, namespace: &str, platform: &str) -> Vec<Arc<HelixMachine>> {
        self.machines.state_filter(|machine| {
            machine.spec.platform == platform && machine.namespace().as_deref() == Some(namespace)
        })
    }
}
