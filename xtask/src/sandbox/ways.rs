//! The ways into a sandbox that runs, for commands that look at it: its files, and which platform is in it.

use std::path::PathBuf;

use serde_json::Value;

use crate::error::Error;
use crate::sandbox::directory::Directory;
use crate::sandbox::kubectl::Kubectl;
use crate::sandbox::operator;
use crate::sandbox::processes;
use crate::sandbox::programs::Programs;
use crate::sandbox::simulator::Simulator;

/// A sandbox that runs.
pub(crate) struct Ways<'tools> {
    directory: Directory,
    kubectl: Kubectl<'tools>,
}

impl<'tools> Ways<'tools> {
    /// Those into the sandbox of a directory.
    ///
    /// # Errors
    /// [`Error::NoSandbox`] where none runs there.
    pub(crate) fn into(path: PathBuf, programs: &'tools Programs) -> Result<Self, Error> {
        let found = Directory::find(&path).ok().filter(processes::any);
        let directory = found.ok_or(Error::NoSandbox { directory: path })?;
        let (kubeconfig, cache) = (directory.path("management.kubeconfig"), directory.path("management/kubectl"));
        Ok(Self { kubectl: Kubectl::new(programs.kube(), kubeconfig, cache), directory })
    }

    /// A file of the sandbox.
    pub(crate) fn file(&self, relative: &str) -> PathBuf {
        self.directory.path(relative)
    }

    /// Namespace and name of the platform of this name, or else of the only one.
    ///
    /// # Errors
    /// When kubectl fails, or it is not clear which platform is meant.
    pub(crate) fn platform(&self, wanted: Option<&str>) -> Result<(String, String), Error> {
        let list = self.kubectl.json(&["get", "helixplatforms", "--all-namespaces"])?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = list["items"].as_array().into_iter().flatten();
        let all = all.map(|it| (text(&it["metadata"]["namespace"]), text(&it["metadata"]["name"])));
        let mut meant: Vec<_> = all.filter(|(_, name)| wanted.is_none_or(|wanted| wanted == name)).collect();
        match (meant.pop(), meant.len()) {
            (Some(platform), 0) => Ok(platform),
            (_, others) => Err(Error::Answer {
                command: "kubectl get helixplatforms".to_owned(),
                problem: if others == 0 {
                    "no such platform is in the sandbox".to_owned()
                } else {
                    "several platforms are in the sandbox; choose one with --platform".to_owned()
                },
            }),
        }
    }

    /// Where NetBird's management service is reached, as a mirror of the real one.
    ///
    /// # Errors
    /// When the simulators' file cannot be read.
    pub(crate) fn mesh(&self) -> Result<String, Error> {
        let simulator = Simulator::read(&self.directory.path("control.json"))?;
        Ok(operator::mesh_mirror(&simulator))
    }
}
