//! A real etcd and kube-apiserver on a loopback address, from the program `kube` in `HELIX_TOOLS_DIR`.
//!
//! It trusts clients of a real bundle's authority; its own certificate is of an authority that is made here. It starts
//! in a few seconds and ends when it is dropped.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helix_engine::seams::{KubernetesCredentials, WorkloadRoute};
use helix_engine::secrets::{ClientIdentity, PkiMaker, SecretMaker as _};
use helix_plan::secrets::SecretBundle;
use jiff::Timestamp;
use kube::{Client, Config};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::process::{Child, Command};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const CLIENT_VALIDITY: Duration = Duration::from_secs(3_600);

pub(crate) struct ApiServer {
    /// Whose Kubernetes authority signs the clients.
    pub(crate) bundle: SecretBundle,
    pub(crate) endpoint: String,
    /// The authority of the server's own certificate, PEM.
    pub(crate) serving_ca: String,
    /// Killed with this.
    _processes: [Child; 2],
    dir: TempDir,
}

/// Where `kube` is, or `None` (with a word about it) where it has not been built.
fn program() -> Option<PathBuf> {
    match std::env::var_os("HELIX_TOOLS_DIR") {
        Some(dir) => Some(Path::new(&dir).join("kube")),
        None if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("CI must set HELIX_TOOLS_DIR"),
        None => {
            eprintln!("this test needs HELIX_TOOLS_DIR (`cargo xtask test` sets it) and has checked nothing");
            None
        }
    }
}

impl ApiServer {
    pub(crate) async fn start() -> Option<Self> {
        let program = program()?;
        let bundle = PkiMaker.make_bundle(Timestamp::now()).await.unwrap();
        let dir = TempDir::with_prefix("helix-api-server-").unwrap();
        // An address of this process's own, so that ports cannot be anybody else's.
        let [_, b, c, d] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 64 | (b & 0x3f), c, d.clamp(1, 254));
        let serving_ca = write_pki(dir.path(), address, &bundle);
        let etcd = spawn(&program, dir.path(), "etcd", &etcd_arguments(dir.path(), address));
        let api = spawn(&program, dir.path(), "kube-apiserver", &api_arguments(dir.path(), address));
        let endpoint = format!("https://{address}:6443");
        let server = Self { bundle, endpoint, serving_ca, _processes: [api, etcd], dir };
        server.wait_until_ready().await;
        Some(server)
    }

    async fn wait_until_ready(&self) {
        let client = self.client(&self.route(&self.bundle));
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
            match client.request_text(request).await {
                Ok(_) => return,
                Err(error) if Instant::now() > deadline => panic!("{}: {error}\n{}", self.endpoint, self.logs()),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn logs(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        let logs = read("etcd.log") + &read("kube-apiserver.log");
        logs.lines().rev().take(30).collect::<Vec<_>>().join("\n")
    }

    /// How an administrator of `bundle` reaches this server.
    pub(crate) fn route(&self, bundle: &SecretBundle) -> WorkloadRoute {
        let identity = ClientIdentity::KubernetesAdmin { user: "helix".to_owned() };
        let issued = PkiMaker.issue_client_certificate(bundle, &identity, CLIENT_VALIDITY, Timestamp::now()).unwrap();
        let credentials = KubernetesCredentials {
            ca_pem: self.serving_ca.clone(),
            certificate_pem: issued.certificate,
            key_pem: issued.key,
        };
        WorkloadRoute { endpoint: self.endpoint.clone(), credentials: Arc::new(credentials) }
    }

    /// A client of that route, as an operator would have one of its own cluster.
    pub(crate) fn client(&self, route: &WorkloadRoute) -> Client {
        Client::try_from(self.config(route)).unwrap()
    }

    /// The administrator's client, acting as a user who may do nothing.
    pub(crate) fn powerless_client(&self) -> Client {
        let mut config = self.config(&self.route(&self.bundle));
        config.auth_info.impersonate = Some("nobody".to_owned());
        Client::try_from(config).unwrap()
    }

    fn config(&self, route: &WorkloadRoute) -> Config {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = Config::new(route.endpoint.parse().unwrap());
        let authority = pem::parse(&self.serving_ca).unwrap();
        config.root_cert = Some(vec![authority.into_contents()]);
        config.auth_info.client_certificate_data = Some(STANDARD.encode(&route.credentials.certificate_pem));
        config.auth_info.client_key_data = Some(STANDARD.encode(route.credentials.key_pem.expose()).into());
        config
    }
}

/// An authority of the test's own.
pub(crate) fn new_authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn write_pki(dir: &Path, address: Ipv4Addr, bundle: &SecretBundle) -> String {
    let authority = new_authority("serving");
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![address.to_string()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    write("serving.crt", &certificate.pem());
    write("serving.key", &key.serialize_pem());
    write("client-ca.crt", &bundle.kubernetes_ca.certificate);
    write("service-account.key", bundle.service_account_key.expose());
    authority.pem()
}

fn spawn(program: &Path, dir: &Path, name: &str, arguments: &[String]) -> Child {
    let log = std::fs::File::create(dir.join(format!("{name}.log"))).unwrap();
    let mut command = Command::new(program);
    command.arg(name).args(arguments).stdin(std::process::Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true).spawn().unwrap()
}

fn etcd_arguments(dir: &Path, address: Ipv4Addr) -> Vec<String> {
    let (client, peer) = (format!("http://{address}:2379"), format!("http://{address}:2380"));
    vec![
        "--name=e1".to_owned(),
        format!("--data-dir={}", dir.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=e1={peer}"),
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn api_arguments(dir: &Path, address: Ipv4Addr) -> Vec<String> {
    let file = |name: &str| dir.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://{address}:2379"),
        format!("--bind-address={address}"),
        "--secure-port=6443".to_owned(),
        format!("--tls-cert-file={}", file("serving.crt")),
        format!("--tls-private-key-file={}", file("serving.key")),
        format!("--client-ca-file={}", file("client-ca.crt")),
        format!("--service-account-key-file={}", file("service-account.key")),
        format!("--service-account-signing-key-file={}", file("service-account.key")),
        "--service-account-issuer=https://helix.test".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--anonymous-auth=false".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
    ]
}
