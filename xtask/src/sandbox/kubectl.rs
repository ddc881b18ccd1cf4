//! The built kubectl against one cluster. Input goes through its standard input, so that no secret is an argument.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::error::Error;
use crate::process;
use crate::tools::{KubeTools, Program};

/// The built kubectl with a kubeconfig.
pub(crate) struct Kubectl<'tools> {
    kube: &'tools KubeTools,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl<'tools> Kubectl<'tools> {
    /// For the cluster of `kubeconfig`; what kubectl remembers of its API goes to `cache`, away from the user's own.
    pub(crate) fn new(kube: &'tools KubeTools, kubeconfig: PathBuf, cache: PathBuf) -> Self {
        Self { kube, kubeconfig, cache }
    }

    /// A command; add the verb and its arguments.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.kube.command(Program::Kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command.arg("--cache-dir").arg(&self.cache);
        command
    }

    /// Applies one object. Server-side, because the other way would copy a Secret into an annotation.
    ///
    /// # Errors
    /// As [`process::feed`].
    pub(crate) fn apply(&self, object: &Value) -> Result<(), Error> {
        let mut command = self.command();
        command.args(["apply", "--server-side", "--filename=-"]);
        process::feed(&mut command, &object.to_string())
    }

    /// Applies what is in a file.
    ///
    /// # Errors
    /// As [`process::answer`].
    pub(crate) fn apply_file(&self, path: &Path) -> Result<(), Error> {
        let mut command = self.command();
        command.args(["apply", "--server-side", "--filename"]).arg(path);
        process::answer(&mut command).map(drop)
    }

    /// Whether the API server says that it is ready. That it does not answer yet is no error.
    pub(crate) fn is_ready(&self) -> bool {
        let mut command = self.command();
        command.args(["get", "--raw=/readyz", "--request-timeout=2s"]);
        process::succeeds(&mut command)
    }

    /// What the API server answers to a verb with `--output=json`.
    ///
    /// # Errors
    /// As [`process::json`].
    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Value, Error> {
        let mut command = self.command();
        command.args(arguments).arg("--output=json");
        process::json(&mut command)
    }
}
