//! Everything of a sandbox but its platforms: the management cluster, the simulators, and what the operator needs there.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::repository::Repository;
use crate::sandbox::directory::Directory;
use crate::sandbox::kubectl::Kubectl;
use crate::sandbox::management::Management;
use crate::sandbox::operator;
use crate::sandbox::platform::Platform;
use crate::sandbox::programs::Programs;
use crate::sandbox::repositories;
use crate::sandbox::simulator::Simulator;
use crate::sandbox::supervisor::Supervisor;

/// A stage that platforms can be put on.
pub(crate) struct Stage<'tools> {
    kubectl: Kubectl<'tools>,
    simulator: Simulator,
    credentials: PathBuf,
    directory: Directory,
}

impl<'tools> Stage<'tools> {
    /// Starts all that is not the operator, and waits until it answers.
    ///
    /// # Errors
    /// When something can't be started, ends or is not ready in time, or when interrupted.
    pub(crate) fn set(
        supervisor: &mut Supervisor,
        repository: &Repository,
        programs: &'tools Programs,
        time_scale: f64,
    ) -> Result<Self, Error> {
        let directory = supervisor.directory().clone();
        eprintln!("==> management API server, logs in {}", directory.path("logs").display());
        let (management, kubectl) = Management::start(supervisor, programs.kube())?;
        eprintln!("==> simulators, {time_scale} times as fast");
        let simulator = Simulator::start(supervisor, programs, time_scale)?;
        operator::install(supervisor, repository, &kubectl)?;
        let credentials = operator::kubeconfig(&directory, &management, &kubectl)?;
        Ok(Self { kubectl, simulator, credentials, directory })
    }

    /// Starts the operator.
    ///
    /// # Errors
    /// As [`Supervisor::start`].
    pub(crate) fn start_operator(&self, supervisor: &mut Supervisor, programs: &Programs) -> Result<(), Error> {
        eprintln!("==> operator");
        let mut command = self.operator(programs);
        supervisor.start(operator::PROCESS, &mut command)
    }

    /// The command that runs the operator.
    pub(crate) fn operator(&self, programs: &Programs) -> Command {
        operator::command(programs, &self.credentials, &self.simulator, &self.directory)
    }

    /// Reads a platform, made to mean this stage's simulator.
    ///
    /// # Errors
    /// As [`Platform::read`].
    pub(crate) fn read(&self, file: &Path) -> Result<Platform, Error> {
        Platform::read(file, self.simulator.endpoint(), self.simulator.object_storage())
    }

    /// Applies a platform with what it refers to.
    ///
    /// # Errors
    /// When kubectl fails.
    pub(crate) fn apply(&self, platform: &Platform) -> Result<(), Error> {
        operator::namespace(&self.kubectl, platform.namespace())?;
        for secret in platform.token_secrets(self.simulator.token()) {
            self.kubectl.apply(&secret)?;
        }
        if let Some(secret) = platform.bucket_secret(self.simulator.object_storage()) {
            self.kubectl.apply(&secret)?;
        }
        for secret in platform.users_secrets(self.simulator.mesh_key(), self.simulator.object_storage()) {
            self.kubectl.apply(&secret)?;
        }
        if let Some((url, branch)) = platform.repository() {
            repositories::make(&self.directory, url, branch)?;
        }
        if let Some(secret) = platform.repository_secret() {
            self.kubectl.apply(&secret)?;
        }
        self.kubectl.apply(platform.document())
    }

    /// The administrator's kubectl.
    pub(crate) fn kubectl(&self) -> &Kubectl<'tools> {
        &self.kubectl
    }
}
