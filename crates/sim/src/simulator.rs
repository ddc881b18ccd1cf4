//! The whole simulator in one process: world, Hetzner's API, an object store, a chart source, NetBird's management
//! service, load balancers, machines and the control
//! port, from start to stop. `helix-sim` is this and a command line; tests start it directly.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rand::distr::{Alphanumeric, SampleString as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedWorld;
use crate::lease::{Lease, LeaseError};
use crate::talos::machines::Machines;
use crate::world::{Permission, ProjectId, World, WorldConfig};
use crate::{charts, control, hetzner, kubernetes, load_balancer, netbird, s3, talos};

/// Holds endpoint and token, as other tools read them.
pub const ENVIRONMENT_FILE: &str = "hetzner.env";
/// Holds endpoint, bucket and key pair of the object store.
pub const OBJECT_STORAGE_FILE: &str = "object-storage.env";
/// Says where everything is.
pub const CONTROL_FILE: &str = "control.json";

/// Length of Hetzner's tokens.
const TOKEN_LENGTH: usize = 64;
/// Length of NetBird's personal access tokens, after their prefix.
const NETBIRD_TOKEN_LENGTH: usize = 36;
/// Lengths of the two parts of a key pair at Hetzner Object Storage.
const PAIR_LENGTHS: [usize; 2] = [20, 40];
/// The bucket that is there from the start.
const BUCKET: &str = "sandbox-backups";

/// The object store, and a bucket in it with what opens it.
#[derive(Clone)]
pub struct ObjectStore {
    /// Where it listens.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// The pair's name.
    pub access_key_id: String,
    secret_access_key: String,
}

impl fmt::Debug for ObjectStore {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectStore({}/{})", self.endpoint, self.bucket)
    }
}

impl ObjectStore {
    /// A new bucket and pair in the world, for a store that listens on this address.
    fn found(world: &mut World, address: &str) -> Self {
        let [access_key_id, secret_access_key] =
            PAIR_LENGTHS.map(|length| Alphanumeric.sample_string(&mut rand::rng(), length));
        world.object_storage().add_pair(&access_key_id, &secret_access_key);
        world.object_storage().add_bucket(BUCKET);
        Self { endpoint: format!("http://{address}"), bucket: BUCKET.to_owned(), access_key_id, secret_access_key }
    }

    /// The pair's secret.
    #[must_use]
    pub fn secret_access_key(&self) -> &str {
        &self.secret_access_key
    }
}

/// How a simulator is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The world. Its loopback block is replaced by the leased one.
    pub world: WorldConfig,
    /// Where Hetzner's API listens.
    pub listen: SocketAddr,
    /// Where machines and their processes write; without it machines have no sockets (Hetzner's side only).
    pub machines: Option<MachineOptions>,
}

/// What machines need to come to life.
#[derive(Clone, Debug)]
pub struct MachineOptions {
    /// Everything is written below this directory.
    pub dir: PathBuf,
    /// The programs that are etcd and Kubernetes by their first argument, one for each version.
    pub kube: Vec<PathBuf>,
}

/// Why the simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No loopback addresses.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// A port is taken.
    #[error("can't listen on {address}: stop what listens there, or choose another address")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nobody could tell it to stop.
    #[error("can't listen for SIGTERM and SIGINT")]
    Signals(#[source] io::Error),
    /// The files that say where everything is can't be written.
    #[error("can't write {path}: make its directory writable")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A running simulator.
pub struct Simulator {
    /// The world.
    pub world: SharedWorld,
    /// The project that the token belongs to.
    pub project: ProjectId,
    /// The API's endpoint, ending in `/v1`.
    pub endpoint: String,
    /// The object store.
    pub object_store: ObjectStore,
    /// Where charts come from.
    pub charts: String,
    /// NetBird's management service.
    pub netbird: String,
    /// The control port.
    pub control: String,
    token: String,
    netbird_token: String,
    lease: Lease,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Simulator {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Simulator {
    /// Starts everything; returns once it listens.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let lease = Lease::take()?;
        let listener = bind(options.listen).await?;
        let object_listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let chart_listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let netbird_listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let control_listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address =
            |listener: &TcpListener| listener.local_addr().map_or_else(|_| String::new(), |it| it.to_string());
        let endpoint = format!("http://{}{}", address(&listener), hetzner::BASE_PATH);
        let control = format!("http://{}", address(&control_listener));
        let charts = format!("http://{}", address(&chart_listener));
        let netbird = format!("http://{}", address(&netbird_listener));

        let config = WorldConfig { block: lease.block(), ..options.world };
        let mut world = World::new(config, Timestamp::now());
        let project = world.add_project("sandbox");
        let token = Alphanumeric.sample_string(&mut rand::rng(), TOKEN_LENGTH);
        world.add_token(&token, project, Permission::ReadWrite);
        let object_store = ObjectStore::found(&mut world, &address(&object_listener));
        let netbird_token = format!("nbp_{}", Alphanumeric.sample_string(&mut rand::rng(), NETBIRD_TOKEN_LENGTH));
        world.mesh().set_token(&netbird_token);
        let world = SharedWorld::new(world);

        let stop = CancellationToken::new();
        let mut tasks = vec![
            tokio::spawn(hetzner::serve(listener, world.clone(), stop.clone())),
            tokio::spawn(s3::serve(object_listener, world.clone(), stop.clone())),
            tokio::spawn(charts::serve(chart_listener, world.clone(), stop.clone())),
            tokio::spawn(netbird::serve(netbird_listener, world.clone(), stop.clone())),
            tokio::spawn(load_balancer::run(world.clone(), stop.clone())),
            tokio::spawn({
                let (world, stop) = (world.clone(), stop.clone());
                async move { world.drive(stop).await }
            }),
            tokio::spawn({
                let served = control::serve(control_listener, world.clone(), stop.clone());
                async move {
                    if let Err(error) = served.await {
                        tracing::error!(%error, "the control port stopped");
                    }
                }
            }),
        ];
        if let Some(machine_options) = options.machines {
            tasks.extend(start_machines(&world, machine_options, &stop));
        }
        Ok(Self {
            world,
            project,
            endpoint,
            object_store,
            charts,
            netbird,
            control,
            token,
            netbird_token,
            lease,
            stop,
            tasks,
        })
    }

    /// The token of the project.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// An administrator's token at NetBird.
    #[must_use]
    pub fn netbird_token(&self) -> &str {
        &self.netbird_token
    }

    /// Writes `hetzner.env`, `object-storage.env` and `control.json`, readable by nobody else, each at once.
    ///
    /// # Errors
    /// See [`StartError::Write`].
    pub fn write_files(&self, dir: &Path) -> Result<(), StartError> {
        let env = format!("HCLOUD_ENDPOINT={}\nHCLOUD_TOKEN={}\n", self.endpoint, self.token);
        write_private(&dir.join(ENVIRONMENT_FILE), &env)?;
        let store = &self.object_store;
        let (endpoint, bucket, id, secret) =
            (&store.endpoint, &store.bucket, &store.access_key_id, &store.secret_access_key);
        let env = format!(
            "S3_ENDPOINT={endpoint}\nS3_BUCKET={bucket}\nS3_ACCESS_KEY_ID={id}\nS3_SECRET_ACCESS_KEY={secret}\n"
        );
        write_private(&dir.join(OBJECT_STORAGE_FILE), &env)?;
        let control = serde_json::json!({
            "objectStorage": {
                "endpoint": endpoint, "bucket": bucket, "accessKeyId": id, "secretAccessKey": secret,
            },
            "charts": self.charts,
            "netbird": {"managementUrl": self.netbird, "apiKey": self.netbird_token},
            "hetznerEndpoint": self.endpoint,
            "token": self.token,
            "control": self.control,
            "pid": std::process::id(),
            "block": format!("127.{}.0.0/16", self.lease.block().second_octet()),
        });
        write_private(&dir.join(CONTROL_FILE), &format!("{control:#}\n"))
    }

    /// Stops everything that was started and gives the addresses back.
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the simulator ended badly");
            }
        }
    }
}

/// Gives the machines their sockets and processes.
fn start_machines(world: &SharedWorld, options: MachineOptions, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let machines = Machines::of(world.clone());
    let setting = kubernetes::Setting {
        machines: machines.clone(),
        kube: options.kube.into(),
        root: options.dir.into(),
        scale: world.with(|world, _| world.config().time_scale),
    };
    let ports = talos::serve(machines, stop.clone());
    let processes = kubernetes::run(setting, stop.clone());
    let processes = async move {
        if let Err(error) = processes.await {
            tracing::error!(%error, "the machines' processes could not be started");
        }
    };
    vec![tokio::spawn(ports), tokio::spawn(processes)]
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

/// Writes a file of mode 0600 under another name and then renames it, so that a reader never sees half of it.
fn write_private(path: &Path, text: &str) -> Result<(), StartError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let partial = path.with_extension("partial");
    let write = || {
        // A leftover could have another mode.
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|source| StartError::Write { path: path.to_owned(), source })
}
