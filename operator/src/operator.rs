//! What all passes share: clients, projects, places, metrics, and what the watches show.

use std::fmt;
use std::sync::Arc;

use helix_clients::charts::{ChartOptions, ChartStore};
use helix_clients::git::GitRepositories;
use helix_clients::kube::{SecretStore, WorkloadClients};
use helix_clients::mirrors::Mirrors;
use helix_clients::names::SystemResolver;
use helix_clients::netbird::Netbird;
use helix_clients::s3::{BucketSnapshots, ObjectStores};
use helix_clients::talos::TalosClient;
use helix_crds::{HelixMachine, HelixPlatform};
use helix_engine::Project;
use helix_engine::seams::Seams;
use helix_engine::seams::{
    Applications, Charts, Clock, Git, Mesh, Objects, Recovery, Snapshots, Store as SecretsStore, Talos, Workload,
};
use helix_engine::secrets::{PkiMaker, SecretMaker};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::Store;
use kube::{Client, ResourceExt as _};

use crate::clock::SystemClock;
use crate::error::StartError;
use crate::kept::Places;
use crate::machines::is_forsaken;
use crate::metrics::Metrics;
use crate::options::Options;
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
    mesh: Arc<dyn Mesh>,
    objects: Arc<dyn Objects>,
    charts: Arc<dyn Charts>,
    git: Arc<dyn Git>,
    applications: Arc<dyn Applications>,
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
        options: &Options,
        metrics: Arc<Metrics>,
        (platforms, machines): (Store<HelixPlatform>, Store<HelixMachine>),
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let talos = Arc::new(TalosClient::default());
        let stores = ObjectStores::new(Arc::clone(&clock))?;
        let mirrors: Mirrors = options.mirrors.iter().cloned().collect();
        let charts = ChartStore::new(ChartOptions {
            helm: options.helm.clone(),
            cache: options.chart_cache.clone(),
            mirrors: mirrors.clone(),
        })?;
        let git = GitRepositories::new(client.clone(), options.git_dir.as_deref())?;
        let workload = Arc::new(WorkloadClients::new());
        let instance = Some(options.identity.clone());
        let reporter = Reporter { controller: "helix.dev/operator".to_owned(), instance };
        Ok(Self {
            projects: SharedProjects::new(Arc::clone(&clock), options.concurrency_per_token),
            places: Places::default(),
            metrics,
            recorder: Recorder::new(client.clone(), reporter),
            clock,
            platforms,
            machines,
            talos: Arc::<TalosClient>::clone(&talos),
            recovery: talos,
            snapshots: Arc::new(BucketSnapshots::new(client.clone(), stores)),
            mesh: Arc::new(Netbird::new(client.clone(), mirrors)),
            workload: Arc::<WorkloadClients>::clone(&workload),
            objects: Arc::<WorkloadClients>::clone(&workload),
            charts: Arc::new(charts),
            git: Arc::new(git),
            applications: workload,
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
            mesh: Arc::clone(&self.mesh),
            names: Arc::new(SystemResolver),
            charts: Arc::clone(&self.charts),
            objects: Arc::clone(&self.objects),
            git: Arc::clone(&self.git),
            applications: Arc::clone(&self.applications),
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
