//! The world of the API's tests with real processes behind its machines.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use helix_sim::kubernetes::{self, Api, Setting};
use helix_sim::talos::pki::{Leaf, Signer, Usage};
use helix_sim::talos::tls::{self, Protocol};
use helix_sim::talos::wire::machine::BootstrapRequest;
use helix_sim::world::machine::config::{Grammar, MachineConfig};
use helix_sim::world::{ServerId, TimeScale};
use tonic::Status;

use crate::lab::Lab;

/// The program `kube`: in the directory that `HELIX_TOOLS_DIR` names, or where `cargo xtask` builds it.
fn kube() -> Option<PathBuf> {
    let tools = std::env::var_os("HELIX_TOOLS_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools"), PathBuf::from);
    let built = std::fs::read_dir(&tools).into_iter().flatten().flatten().map(|entry| entry.path().join("kube"));
    let found = [tools.join("kube")].into_iter().chain(built).filter(|it| it.is_file()).max();
    assert!(found.is_some() || std::env::var("CI").as_deref() != Ok("true"), "the tool kube is missing in CI");
    if found.is_none() {
        eprintln!("this test needs the tool kube and did not run");
    }
    found
}

/// The program of the minor version before, and that version.
fn previous_kube() -> Option<(PathBuf, String)> {
    let Some(directory) = std::env::var_os("HELIX_PREVIOUS_TOOLS_DIR").map(PathBuf::from) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must set HELIX_PREVIOUS_TOOLS_DIR");
        eprintln!("this test needs HELIX_PREVIOUS_TOOLS_DIR (`cargo xtask test` sets it) and did not run");
        return None;
    };
    let name = directory.file_name().unwrap().to_str().unwrap();
    let version = name.strip_prefix("kube-").and_then(|rest| rest.split('-').next()).unwrap().to_owned();
    Some((directory.join("kube"), version))
}

impl Lab {
    /// With real etcd members and API servers; `None` where the tool for that is absent, too.
    pub(crate) fn with_processes() -> Option<Self> {
        Self::with_kubes(vec![kube()?])
    }

    /// The same with two versions of Kubernetes, and the earlier of these.
    pub(crate) fn with_two_versions() -> Option<(Self, String)> {
        let (previous, version) = previous_kube()?;
        Some((Self::with_kubes(vec![kube()?, previous])?, version))
    }

    fn with_kubes(kube: Vec<PathBuf>) -> Option<Self> {
        let mut lab = Self::new()?;
        let dir = tempfile::tempdir().unwrap();
        let setting = Setting {
            machines: lab.machines.clone(),
            kube: Arc::from(kube),
            root: Arc::from(dir.path()),
            scale: TimeScale::new(100.0).unwrap(),
        };
        let stop = lab.stop.clone();
        lab.tasks.push(tokio::spawn(async move { kubernetes::run(setting, stop).await.unwrap() }));
        lab.dir = Some(dir);
        Some(lab)
    }

    pub(crate) async fn delete(&self, server: ServerId) {
        self.world(|world, project, now| world.delete_server(project, server, now).map(drop)).unwrap();
        let gone = || self.world(|world, project, _| world.server(project, server).is_err());
        self.eventually("deletion", || async { gone().then_some(()).ok_or_else(|| Status::unavailable("there")) })
            .await;
    }

    /// Founds the etcd cluster.
    pub(crate) async fn bootstrap(&self, server: ServerId) {
        self.eventually("bootstrap", || async {
            self.client(server, "os:admin").machine.bootstrap(BootstrapRequest::default()).await
        })
        .await;
    }

    /// The API on an address, as the cluster's administrator.
    pub(crate) fn admin(&self, address: Ipv4Addr) -> Api {
        let config = MachineConfig::parse(&self.sample("controlplane", "any"), Grammar::V1_13).unwrap();
        let signer = Signer::load(&config.cluster().unwrap().ca, "cluster.ca").unwrap();
        let leaf = Leaf {
            common_name: "admin",
            organization: "system:masters",
            names: &[],
            usage: Usage::Client,
            lifetime: Duration::from_secs(3600),
        };
        let tls = tls::client(signer.certificate_pem(), &signer.issue(&leaf).unwrap(), Protocol::Http1).unwrap();
        Api::new(address, tls)
    }
}
