//! Installing another Talos beside the running one: the installer's image is pulled, then it writes the next system.
//!
//! That takes minutes, and no turn of a platform is held up for so long: an installation goes on in a task of its own,
//! and whoever asks for the same one again hears what came of it. A process that ends in between loses only the word of
//! it: Talos installs to the end, says meanwhile that it is busy, and takes the same image a second time.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use helix_engine::seams::{TalosError, TalosRoute};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use super::failure::Failure;
use super::wire::common::{ContainerDriver, ContainerdInstance, ContainerdNamespace};
use super::wire::machine::image_service_client::ImageServiceClient;
use super::wire::machine::image_service_pull_response::Response as Pulled;
use super::wire::machine::lifecycle_service_client::LifecycleServiceClient;
use super::wire::machine::lifecycle_service_install_progress::Response as Progress;
use super::wire::machine::{ImageServicePullRequest, InstallArtifactsSource, LifecycleServiceUpgradeRequest};
use super::{MESSAGE_LIMIT, Machine};

/// Bound of a whole installation, download and all.
const INSTALLATION: Duration = Duration::from_secs(600);
/// How long a turn may be held up by one.
const PATIENCE: Duration = Duration::from_secs(20);
/// Word of an installation that nobody has asked for in this long is forgotten.
const KEPT: Duration = Duration::from_secs(1_800);
/// How much of the installer's last message is told, in characters.
const LAST_WORDS: usize = 500;

/// A machine as an installation knows it: by its platform's authority and its own address, whichever way leads there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Installed {
    authority: [u8; 32],
    address: Ipv4Addr,
}

impl Installed {
    /// The machine at the end of this route.
    pub(super) fn on(route: &TalosRoute) -> Self {
        let authority = Sha256::digest(&route.credentials.ca_pem).into();
        Self { authority, address: route.node.unwrap_or(route.endpoint) }
    }
}

/// An installation that was begun and whose end nobody has heard of yet.
struct Begun {
    image: String,
    at: Instant,
    task: JoinHandle<Result<(), TalosError>>,
}

/// All of them.
pub(super) struct Installations {
    by_machine: Mutex<HashMap<Installed, Begun>>,
    /// How long a call waits for one to end before it answers that it is under way.
    patience: Duration,
}

impl std::fmt::Debug for Installations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Installations({})", self.begun().len())
    }
}

impl Default for Installations {
    fn default() -> Self {
        Self::waiting(PATIENCE)
    }
}

impl Installations {
    /// None begun yet.
    pub(super) fn waiting(patience: Duration) -> Self {
        Self { by_machine: Mutex::default(), patience }
    }

    /// Begins an installation, or goes on waiting for the one that was begun.
    ///
    /// # Errors
    /// [`TalosError::NotReady`] as long as it, or that of another image, is under way; then whatever ended it.
    pub(super) async fn install(&self, machine: Machine, on: Installed, image: &str) -> Result<(), TalosError> {
        let address = on.address;
        let mut begun = self.take(machine, &on, image);
        let Ok(ended) = tokio::time::timeout(self.patience, &mut begun.task).await else {
            let why = format!("the installer {} is at work", begun.image);
            self.begun().insert(on, begun);
            return Err(TalosError::NotReady { address, why });
        };
        if begun.image != image {
            return Err(TalosError::NotReady { address, why: format!("the installer {} was at work", begun.image) });
        }
        ended.unwrap_or_else(|_| Err(TalosError::NotReady { address, why: "the installation was cut off".to_owned() }))
    }

    /// Takes the installation out, beginning it where none is under way.
    fn take(&self, machine: Machine, on: &Installed, image: &str) -> Begun {
        let mut all = self.begun();
        all.retain(|_, begun| begun.at.elapsed() < KEPT);
        let found = all.remove(on).filter(|begun| begun.image == image || !begun.task.is_finished());
        found.unwrap_or_else(|| {
            let wanted = image.to_owned();
            let task = tokio::spawn(async move { machine.install(&wanted).await });
            Begun { image: image.to_owned(), at: Instant::now(), task }
        })
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, HashMap<Installed, Begun>> {
        self.by_machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where Talos keeps the images of its own programs.
fn containerd() -> ContainerdInstance {
    ContainerdInstance { driver: ContainerDriver::Cri.into(), namespace: ContainerdNamespace::NsSystem.into() }
}

fn image_service(line: Channel) -> ImageServiceClient<Channel> {
    ImageServiceClient::new(line).max_decoding_message_size(MESSAGE_LIMIT)
}

fn lifecycle_service(line: Channel) -> LifecycleServiceClient<Channel> {
    LifecycleServiceClient::new(line).max_decoding_message_size(MESSAGE_LIMIT)
}

impl Machine {
    /// Pulls and installs, within the bound.
    async fn install(self, image: &str) -> Result<(), TalosError> {
        let steps = async {
            let name = self.pull(image).await?;
            self.upgrade(name).await
        };
        match tokio::time::timeout(INSTALLATION, steps).await {
            Ok(outcome) => outcome,
            Err(_) => self.judge(Err(Failure::TimedOut(INSTALLATION))),
        }
    }

    /// Answers with the name under which the machine has the image then.
    async fn pull(&self, image: &str) -> Result<String, TalosError> {
        let request = ImageServicePullRequest { containerd: Some(containerd()), image_ref: image.to_owned() };
        let outcome =
            self.send(INSTALLATION, request, |line, request| async { image_service(line).pull(request).await }).await;
        let mut told = self.judge(outcome)?;
        let mut pulled = None;
        while let Some(message) = self.judge(told.message().await.map_err(Failure::Status))? {
            if let Some(Pulled::Name(name)) = message.response {
                pulled = Some(name);
            }
        }
        pulled.ok_or_else(|| self.incomplete("no name of the image that was pulled"))
    }

    async fn upgrade(&self, image_name: String) -> Result<(), TalosError> {
        let source = Some(InstallArtifactsSource { image_name });
        let request = LifecycleServiceUpgradeRequest { containerd: Some(containerd()), source };
        let outcome = self
            .send(INSTALLATION, request, |line, request| async { lifecycle_service(line).upgrade(request).await })
            .await;
        let mut told = self.judge(outcome)?;
        let mut last_words = String::new();
        while let Some(message) = self.judge(told.message().await.map_err(Failure::Status))? {
            match message.progress.and_then(|progress| progress.response) {
                Some(Progress::Message(said)) => last_words = said,
                Some(Progress::ExitCode(0)) => return Ok(()),
                Some(Progress::ExitCode(code)) => {
                    let said: String = last_words.trim().chars().take(LAST_WORDS).collect();
                    let why = format!("{said} (exit code {code})");
                    return Err(TalosError::InstallerFailed { address: self.meant(), why });
                }
                None => {}
            }
        }
        Err(self.incomplete("no exit code of the installer"))
    }
}
