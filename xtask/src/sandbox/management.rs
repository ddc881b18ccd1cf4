//! The management cluster of a sandbox: a real etcd and a real kube-apiserver, nothing that would run pods.
//!
//! etcd listens on a Unix socket in a directory that only its owner may enter: no port to be found free, no certificate
//! to be made, nobody else on the machine who could read Secrets from it. The API server makes its own certificate,
//! whose key also signs service account tokens; its administrator has a token that is made here.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::error::Error;
use crate::sandbox::directory::Directory;
use crate::sandbox::kubectl::Kubectl;
use crate::sandbox::supervisor::Supervisor;
use crate::tools::{KubeTools, Program};

/// Where etcd listens, relative to its working directory: the name of a Unix socket must be short, and that of the
/// sandbox's directory may be long. The `:0` is part of the file's name; etcd insists on something like a port.
const ETCD: &str = "unix://etcd.sock:0";
const ETCD_PEERS: &str = "unix://peers.sock:0";

/// etcd insists on host and port of an address that is told to others; there are no others.
const ADVERTISED: &str = "http://localhost:1";

/// The certificate that the API server makes, with that of its one-time authority.
const CERTIFICATE: &str = "management/certificates/apiserver.crt";

/// As long as an API server with its etcd may take on a machine that is busy building.
const LONGEST_START: Duration = Duration::from_secs(90);

/// A running management cluster.
pub(crate) struct Management {
    server: String,
    authority: String,
}

impl Management {
    /// Starts it and waits until it is ready. `management.kubeconfig` is its administrator's.
    ///
    /// # Errors
    /// When a program can't be started or ends, when it is not ready in time, or when interrupted.
    pub(crate) fn start<'tools>(
        supervisor: &mut Supervisor,
        kube: &'tools KubeTools,
    ) -> Result<(Self, Kubectl<'tools>), Error> {
        let directory = supervisor.directory().clone();
        let folder = directory.path("management");
        supervisor.start("etcd", &mut etcd(kube, &folder))?;
        let token = token()?;
        directory.write("management/tokens.csv", &format!("{token},admin,admin,system:masters\n"))?;
        let port = free_port()?;
        supervisor.start("kube-apiserver", &mut api_server(kube, &folder, port))?;

        let certificate = directory.path(CERTIFICATE);
        supervisor.wait("the management API server's certificate", LONGEST_START, || certificate.is_file())?;
        let authority = fs::read(&certificate).map_err(Error::file("read", &certificate))?;
        let management =
            Self { server: format!("https://{}:{port}", Ipv4Addr::LOCALHOST), authority: STANDARD.encode(authority) };
        let kubeconfig = management.write_kubeconfig(&directory, "management.kubeconfig", "admin", &token)?;
        let kubectl = Kubectl::new(kube, kubeconfig, folder.join("kubectl"));
        supervisor.wait("the management API server", LONGEST_START, || kubectl.is_ready())?;
        Ok((management, kubectl))
    }

    /// Writes a kubeconfig for a user of this cluster who has a token.
    ///
    /// # Errors
    /// [`Error::File`] when it can't be written.
    pub(crate) fn write_kubeconfig(
        &self,
        directory: &Directory,
        relative: &str,
        user: &str,
        token: &str,
    ) -> Result<PathBuf, Error> {
        let config = self.kubeconfig(user, token);
        directory.write(relative, &format!("{config:#}\n"))
    }

    /// JSON is YAML, and kubectl reads it as such.
    fn kubeconfig(&self, user: &str, token: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "sandbox", "cluster": {
                "server": self.server,
                "certificate-authority-data": self.authority,
            }}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": user}}],
            "current-context": "sandbox",
        })
    }
}

fn etcd(kube: &KubeTools, folder: &Path) -> Command {
    let mut command = kube.command(Program::Etcd);
    command.current_dir(folder).args([
        "--name=management",
        "--data-dir=etcd",
        &format!("--listen-client-urls={ETCD}"),
        &format!("--advertise-client-urls={ADVERTISED}"),
        &format!("--listen-peer-urls={ETCD_PEERS}"),
        &format!("--initial-advertise-peer-urls={ADVERTISED}"),
        &format!("--initial-cluster=management={ADVERTISED}"),
        // A sandbox does not outlive a power cut, and its disk may be slow.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]);
    command
}

fn api_server(kube: &KubeTools, folder: &Path, port: u16) -> Command {
    let mut command = kube.command(Program::KubeApiserver);
    let loopback = Ipv4Addr::LOCALHOST;
    command.current_dir(folder).args([
        format!("--etcd-servers={ETCD}"),
        format!("--bind-address={loopback}"),
        format!("--advertise-address={loopback}"),
        format!("--secure-port={port}"),
        "--cert-dir=certificates".to_owned(),
        "--token-auth-file=tokens.csv".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        // Made with the certificate, before it is read.
        "--service-account-key-file=certificates/apiserver.key".to_owned(),
        "--service-account-signing-key-file=certificates/apiserver.key".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        // An endpoint may not have a loopback address.
        "--endpoint-reconciler-type=none".to_owned(),
    ]);
    command
}

/// A port that was free a moment ago. That somebody takes it in between is unlikely, and then the API server says so.
///
/// # Errors
/// [`Error::File`] when there is none.
pub(crate) fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    Ok(listener.map_err(Error::file("find a free port of", "127.0.0.1"))?.port())
}

/// 256 random bits, in hexadecimal.
fn token() -> Result<String, Error> {
    let mut bytes = [0; 32];
    let random = "/dev/urandom";
    let mut file = fs::File::open(random).map_err(Error::file("open", random))?;
    file.read_exact(&mut bytes).map_err(Error::file("read", random))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
