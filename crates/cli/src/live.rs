//! The management cluster, as a kubeconfig leads to it, and the way from there to everything outside. Reads only.

use std::error::Error;
use std::sync::Arc;

use helix_clients::charts::{ChartOptions, ChartStore};
use helix_clients::git::GitRepositories;
use helix_clients::hetzner::{Connection, Projects};
use helix_clients::kube::{SecretStore, WorkloadClients, intents, read_token};
use helix_clients::mirrors::Mirrors;
use helix_clients::names::SystemResolver;
use helix_clients::netbird::Netbird;
use helix_clients::s3::{BucketSnapshots, ObjectStores};
use helix_clients::talos::TalosClient;
use helix_crds::{HelixMachine, HelixPlatform, ProviderSpec};
use helix_engine::Project;
use helix_engine::seams::Seams;
use helix_engine::seams::{Clock, Cloud, Store};
use helix_engine::secrets::PkiMaker;
use helix_engine::sweep::Census;
use helix_plan::observed::Intents;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::arguments::ClusterArguments;
use crate::clock::SystemClock;
use crate::error::CliError;

/// The management cluster.
pub(crate) struct Management {
    client: Client,
    endpoint: String,
    namespace: String,
}

impl Management {
    /// The cluster of the kubeconfig's context, or of the pod that this runs in. Sends nothing.
    pub(crate) async fn connect(cluster: &ClusterArguments) -> Result<Self, CliError> {
        // kube takes the process-wide provider. Whoever was first has set it; any one will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = match &cluster.context {
            Some(context) => {
                let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
                let kubeconfig = Kubeconfig::read().map_err(|error| CliError::NoCluster(error.to_string()))?;
                let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
                config.map_err(|error| CliError::NoCluster(error.to_string()))?
            }
            None => Config::infer().await.map_err(|error| CliError::NoCluster(error.to_string()))?,
        };
        let namespace = cluster.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let endpoint = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| CliError::NoCluster(error.to_string()))?;
        Ok(Self { client, endpoint, namespace })
    }

    /// The cluster's API.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The namespace that is meant where none is said.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A platform, if there is one of that name.
    pub(crate) async fn find(&self, namespace: &str, name: &str) -> Result<Option<HelixPlatform>, CliError> {
        let api: Api<HelixPlatform> = Api::namespaced(self.client.clone(), namespace);
        api.get_opt(name).await.map_err(|error| self.failed(namespace, name, &error))
    }

    /// A platform that must be there.
    pub(crate) async fn get(&self, namespace: &str, name: &str) -> Result<HelixPlatform, CliError> {
        let missing = || CliError::NoSuchPlatform { namespace: namespace.to_owned(), name: name.to_owned() };
        self.find(namespace, name).await?.ok_or_else(missing)
    }

    /// The machines of a platform, by name.
    pub(crate) async fn machines(&self, namespace: &str, name: &str) -> Result<Vec<HelixMachine>, CliError> {
        let api: Api<HelixMachine> = Api::namespaced(self.client.clone(), namespace);
        let machines = api.list(&ListParams::default()).await.map_err(|error| self.failed(namespace, name, &error))?;
        let mut machines: Vec<HelixMachine> =
            machines.items.into_iter().filter(|machine| machine.spec.platform == name).collect();
        machines.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        Ok(machines)
    }

    /// What users ask of the platform's machines.
    pub(crate) async fn intents(&self, platform: &HelixPlatform) -> Result<Intents, CliError> {
        let metadata = &platform.metadata;
        let namespace = metadata.namespace.as_deref().unwrap_or(&self.namespace);
        let machines = self.machines(namespace, metadata.name.as_deref().unwrap_or_default()).await?;
        Ok(intents(metadata.uid.as_deref().unwrap_or_default(), &machines))
    }

    /// All platforms of the cluster: who lives, and where.
    pub(crate) async fn census(&self) -> Result<Census, CliError> {
        let api: Api<HelixPlatform> = Api::all(self.client.clone());
        let all = api.list(&ListParams::default()).await.map_err(|error| self.failed("", "", &error))?;
        let metadata = || all.items.iter().map(|platform| &platform.metadata);
        Ok(Census {
            living: metadata().filter_map(|it| it.uid.clone()).collect(),
            namespaces: metadata().filter_map(|it| it.namespace.clone()).collect(),
        })
    }

    /// Where the platforms' secrets are kept.
    pub(crate) fn store(&self) -> SecretStore {
        SecretStore::new(self.client.clone())
    }

    /// Everything that a platform is looked at through, with the token of its Secret.
    pub(crate) async fn seams(&self, platform: &HelixPlatform, charts: ChartOptions) -> Result<Seams, CliError> {
        let ProviderSpec::Hetzner(hetzner) = &platform.spec.provider;
        let namespace = platform.metadata.namespace.as_deref().unwrap_or(&self.namespace);
        let token = read_token(&self.client, namespace, &hetzner.token_secret_ref).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let connection = Connection { endpoint: hetzner.endpoint.clone(), token };
        let cloud: Arc<dyn Cloud> = Projects::new(Arc::clone(&clock)).connect(&connection)?;
        let store: Arc<dyn Store> = Arc::new(self.store());
        let talos = Arc::new(TalosClient::default());
        let workload = Arc::new(WorkloadClients::new());
        let charts = ChartStore::new(charts)?;
        // Who has no Helm has rendered nothing before, and is told what is to be rendered.
        let _ = charts.ask_helm().await;
        let snapshots = BucketSnapshots::new(self.client.clone(), ObjectStores::new(Arc::clone(&clock))?);
        Ok(Seams {
            project: Arc::new(Project::new(cloud)),
            talos: Arc::<TalosClient>::clone(&talos),
            recovery: talos,
            snapshots: Arc::new(snapshots),
            mesh: Arc::new(Netbird::new(self.client.clone(), Mirrors::default())),
            names: Arc::new(SystemResolver),
            workload: Arc::<WorkloadClients>::clone(&workload),
            charts: Arc::new(charts),
            objects: Arc::<WorkloadClients>::clone(&workload),
            git: Arc::new(GitRepositories::new(self.client.clone(), None)?),
            applications: workload,
            store,
            secrets: Arc::new(PkiMaker),
            clock,
        })
    }

    fn failed(&self, namespace: &str, name: &str, error: &kube::Error) -> CliError {
        let why = match error {
            kube::Error::Api(status) if status.code == 404 => {
                "the cluster does not know the kind: install the definitions with `kubectl apply -f crds/`".to_owned()
            }
            kube::Error::Api(status) => format!("the API server answered {}: {}", status.code, status.message),
            other => format!("the management cluster at {} does not answer: {}", self.endpoint, root_of(other)),
        };
        CliError::Cluster { namespace: namespace.to_owned(), name: name.to_owned(), why }
    }
}

/// What lies beneath an error: layers of a client say only that something failed.
fn root_of(error: &dyn Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}
