//! The simulators of a sandbox: starting `helix-sim`, and how to reach what it simulates.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::error::Error;
use crate::sandbox::programs::Programs;
use crate::sandbox::repositories;
use crate::sandbox::supervisor::Supervisor;

/// As long as the simulators may take to listen.
const LONGEST_START: Duration = Duration::from_secs(30);

/// What `helix-sim` says of itself in `control.json` once it listens.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Simulator {
    /// URL of the simulated Hetzner API; ends in `/v1`.
    hetzner_endpoint: String,
    /// The token of the simulated project.
    token: String,
    object_storage: ObjectStorage,
    /// URL below which every chart repository is, by its host.
    charts: String,
    netbird: Mesh,
}

/// The simulated management service of NetBird, and what opens it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mesh {
    management_url: String,
    api_key: String,
}

/// A bucket of the simulated object store, and what opens it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectStorage {
    /// URL of the store.
    pub(crate) endpoint: String,
    /// The bucket's name.
    pub(crate) bucket: String,
    /// The key pair's name.
    pub(crate) access_key_id: String,
    /// The key pair's secret.
    pub(crate) secret_access_key: String,
}

impl Simulator {
    /// Starts it, waits until it listens, and writes `hetzner.env`, `object-storage.env` and `control.json`.
    ///
    /// # Errors
    /// When it can't be started, ends, does not listen in time or says something unreadable, or when interrupted.
    pub(crate) fn start(supervisor: &mut Supervisor, programs: &Programs, time_scale: f64) -> Result<Self, Error> {
        let directory = supervisor.directory().clone();
        let mut command = Command::new(programs.own("helix-sim"));
        command.arg("--dir").arg(directory.path("sim"));
        command.arg("--time-scale").arg(time_scale.to_string());
        for kube in programs.kube_programs() {
            command.arg("--kube").arg(kube);
        }
        // The stand-in of Argo CD reads repositories.
        command.envs(repositories::environment(&directory));
        supervisor.start("helix-sim", &mut command)?;

        let control = directory.path("sim/control.json");
        supervisor.wait("the simulators", LONGEST_START, || control.is_file())?;
        let text = fs::read_to_string(&control).map_err(Error::file("read", &control))?;
        let simulator = Self::parse(&text, &control)?;
        directory.write("control.json", &text)?;
        let variables = [("HCLOUD_ENDPOINT", &simulator.hetzner_endpoint), ("HCLOUD_TOKEN", &simulator.token)];
        directory.write("hetzner.env", &variables.map(|(name, value)| format!("{name}={value}\n")).concat())?;
        let store = &simulator.object_storage;
        let variables = [
            ("S3_ENDPOINT", &store.endpoint),
            ("S3_BUCKET", &store.bucket),
            ("S3_ACCESS_KEY_ID", &store.access_key_id),
            ("S3_SECRET_ACCESS_KEY", &store.secret_access_key),
        ];
        directory.write("object-storage.env", &variables.map(|(name, value)| format!("{name}={value}\n")).concat())?;
        Ok(simulator)
    }

    /// What the simulators of a sandbox that runs said of themselves.
    ///
    /// # Errors
    /// When it cannot be read, or is something else.
    pub(crate) fn read(control: &Path) -> Result<Self, Error> {
        Self::parse(&fs::read_to_string(control).map_err(Error::file("read", control))?, control)
    }

    fn parse(text: &str, control: &Path) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|error| Error::Content {
            path: control.to_owned(),
            problem: format!("it is not what helix-sim writes ({error}); build both from one checkout"),
        })
    }

    /// URL of the simulated Hetzner API; ends in `/v1`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.hetzner_endpoint
    }

    /// URL below which every chart repository is, by its host.
    pub(crate) fn charts(&self) -> &str {
        &self.charts
    }

    /// URL of the simulated management service of NetBird.
    pub(crate) fn mesh(&self) -> &str {
        &self.netbird.management_url
    }

    /// What opens the simulated management service of NetBird.
    pub(crate) fn mesh_key(&self) -> &str {
        &self.netbird.api_key
    }

    /// The bucket of the simulated object store.
    pub(crate) fn object_storage(&self) -> &ObjectStorage {
        &self.object_storage
    }

    /// The token of the simulated project.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}
