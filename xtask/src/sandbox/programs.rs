//! The programs that a sandbox runs, built before anything is started.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::process;
use crate::repository::Repository;
use crate::tools::{self, KubeTools, Program};

/// Names a directory of the project's own programs, built already. `cargo xtask test` sets it.
const BIN_DIR: &str = "HELIX_BIN_DIR";

/// Names a directory with the program `kube`, built already. `cargo xtask test` sets it.
const TOOLS_DIR: &str = "HELIX_TOOLS_DIR";

/// Names a directory with the program `kube` of another version of Kubernetes, which machines may then run, too. `cargo
/// xtask test` sets it; by hand it is what `cargo xtask tools --previous` prints.
const PREVIOUS_TOOLS_DIR: &str = "HELIX_PREVIOUS_TOOLS_DIR";

/// Names the program `helm`, built already. `cargo xtask test` sets it.
const HELM: &str = "HELIX_HELM";

/// A path that a variable names.
fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

/// Everything that a sandbox runs.
pub(crate) struct Programs {
    kube: KubeTools,
    previous: Option<KubeTools>,
    helm: PathBuf,
    own: PathBuf,
}

impl Programs {
    /// Builds what was not named as built.
    ///
    /// # Errors
    /// Without Rust or Go, or with a failing build.
    pub(crate) fn build(repository: &Repository) -> Result<Self, Error> {
        let kube = match named(TOOLS_DIR) {
            Some(directory) => KubeTools::at(directory),
            None => tools::kube(repository)?,
        };
        let helm = match named(HELM) {
            Some(program) => program,
            None => tools::helm(repository)?,
        };
        let own = match named(BIN_DIR) {
            Some(directory) => directory,
            None => own(repository)?,
        };
        Ok(Self { kube, previous: named(PREVIOUS_TOOLS_DIR).map(KubeTools::at), helm, own })
    }

    /// Those of a directory, with the Kubernetes programs and Helm, which are built where they are missing.
    ///
    /// # Errors
    /// As [`tools::kube`].
    pub(crate) fn of(repository: &Repository, own: PathBuf) -> Result<Self, Error> {
        Ok(Self { kube: tools::kube(repository)?, previous: None, helm: tools::helm(repository)?, own })
    }

    /// The Kubernetes programs.
    pub(crate) fn kube(&self) -> &KubeTools {
        &self.kube
    }

    /// The program `helm`.
    pub(crate) fn helm(&self) -> &Path {
        &self.helm
    }

    /// One of the project's own programs.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        self.own.join(name)
    }

    /// The program `kube`, for what starts it by itself.
    pub(crate) fn kube_program(&self) -> PathBuf {
        self.kube.directory().join("kube")
    }

    /// The program `kube` in every version that machines may run.
    pub(crate) fn kube_programs(&self) -> impl Iterator<Item = PathBuf> {
        self.versions().map(|kube| kube.directory().join("kube"))
    }

    fn versions(&self) -> impl Iterator<Item = &KubeTools> {
        std::iter::once(&self.kube).chain(&self.previous)
    }

    /// What to tell of a version of Kubernetes that none of the programs is.
    ///
    /// # Errors
    /// When a program does not tell its version.
    pub(crate) fn lack(&self, kubernetes: &str) -> Result<Option<String>, Error> {
        let mut there = Vec::new();
        for kube in self.versions() {
            let mut kubectl = kube.command(Program::Kubectl);
            let told = process::json(kubectl.args(["version", "--client", "--output=json"]))?;
            there.push(told["clientVersion"]["gitVersion"].as_str().unwrap_or("an unknown version").to_owned());
        }
        let is_there = there.iter().any(|version| version == kubernetes);
        let told = || {
            format!(
                "no program here is Kubernetes {kubernetes}: machines run the nearest of {} instead",
                there.join(", ")
            )
        };
        Ok((!is_there).then(told))
    }
}

/// All of the workspace's programs in one go: with the same features on, nothing is compiled twice.
fn own(repository: &Repository) -> Result<PathBuf, Error> {
    let mut cargo = repository.cargo();
    cargo.args(["build", "--workspace", "--exclude=xtask", "--bins", "--locked"]);
    process::step(&mut cargo)?;
    Ok(repository.metadata()?.target_directory()?.join("debug"))
}
