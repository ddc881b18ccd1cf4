//! The programs that a sandbox runs, built before anything is started.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::process;
use crate::repository::Repository;
use crate::tools::{self, KubeTools};

/// Names a directory of the project's own programs, built already. `cargo xtask test` sets it.
const BIN_DIR: &str = "HELIX_BIN_DIR";

/// Names a directory with the program `kube`, built already. `cargo xtask test` sets it.
const TOOLS_DIR: &str = "HELIX_TOOLS_DIR";

/// Everything that a sandbox runs.
pub(crate) struct Programs {
    kube: KubeTools,
    own: PathBuf,
}

impl Programs {
    /// Builds what was not named as built.
    ///
    /// # Errors
    /// Without Rust or Go, or with a failing build.
    pub(crate) fn build(repository: &Repository) -> Result<Self, Error> {
        let named = |variable| std::env::var_os(variable).map(PathBuf::from);
        let kube = match named(TOOLS_DIR) {
            Some(directory) => KubeTools::at(directory),
            None => tools::kube(repository)?,
        };
        let own = match named(BIN_DIR) {
            Some(directory) => directory,
            None => own(repository)?,
        };
        Ok(Self { kube, own })
    }

    /// Those of a directory, with the Kubernetes programs, which are built where they are missing.
    ///
    /// # Errors
    /// As [`tools::kube`].
    pub(crate) fn of(repository: &Repository, own: PathBuf) -> Result<Self, Error> {
        Ok(Self { kube: tools::kube(repository)?, own })
    }

    /// The Kubernetes programs.
    pub(crate) fn kube(&self) -> &KubeTools {
        &self.kube
    }

    /// One of the project's own programs.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        self.own.join(name)
    }

    /// The program `kube`, for what starts it by itself.
    pub(crate) fn kube_program(&self) -> PathBuf {
        Path::join(self.kube.directory(), "kube")
    }
}

/// All of the workspace's programs in one go: with the same features on, nothing is compiled twice.
fn own(repository: &Repository) -> Result<PathBuf, Error> {
    let mut cargo = repository.cargo();
    cargo.args(["build", "--workspace", "--exclude=xtask", "--bins", "--locked"]);
    process::step(&mut cargo)?;
    Ok(repository.metadata()?.target_directory()?.join("debug"))
}
