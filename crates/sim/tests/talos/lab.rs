//! Servers of a world whose machines have their API ports, and clients of them.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use helix_sim::clock::SharedWorld;
use helix_sim::lease::Lease;
use helix_sim::talos::machines::Machines;
use helix_sim::talos::pki::{Issued, Leaf, Signer, Usage};
use helix_sim::talos::tls::{self, Protocol};
use helix_sim::talos::wire::cosi::resource::state_client::StateClient;
use helix_sim::talos::wire::machine::image_service_client::ImageServiceClient;
use helix_sim::talos::wire::machine::lifecycle_service_client::LifecycleServiceClient;
use helix_sim::talos::wire::machine::machine_service_client::MachineServiceClient;
use helix_sim::talos::wire::machine::{ApplyConfigurationRequest, apply_configuration_request::Mode};
use helix_sim::talos::{PORT, serve};
use helix_sim::world::machine::config::{Grammar, MachineConfig};
use helix_sim::world::machine::{Apid, Guest};
use helix_sim::world::networks::{CreateNetwork, NewSubnet, SubnetKind};
use helix_sim::world::{CreateServer, FirewallId, NetworkId, ProjectId, ServerId, TimeScale, World, WorldConfig};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Talos' reference data beside the repository; `None`, with a word, where it is absent outside CI.
pub(crate) fn reference() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference");
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "the reference data is missing in CI");
    eprintln!("this test needs the reference data at ../shared and did not run");
    None
}

/// A world on sockets.
pub(crate) struct Lab {
    pub(crate) world: SharedWorld,
    pub(crate) machines: Machines,
    project: ProjectId,
    pub(crate) network: NetworkId,
    samples: PathBuf,
    /// What every sample says instead of something else.
    pub(crate) replaced: Option<(String, String)>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: Vec<JoinHandle<()>>,
    lease: Option<Lease>,
    pub(crate) dir: Option<TempDir>,
}

/// A client of one machine.
pub(crate) struct Client {
    pub(crate) machine: MachineServiceClient<Channel>,
    pub(crate) lifecycle: LifecycleServiceClient<Channel>,
    pub(crate) images: ImageServiceClient<Channel>,
    pub(crate) state: StateClient<Channel>,
}

impl Lab {
    /// `None` where there are no samples to configure machines with.
    pub(crate) fn new() -> Option<Self> {
        let samples = reference()?.join("talos/v1.13.9/generated");
        let lease = Lease::take().unwrap();
        let scale = TimeScale::new(100.0).unwrap();
        let config = WorldConfig { block: lease.block(), time_scale: scale, ..WorldConfig::default() };
        let now = Timestamp::now();
        let mut world = World::new(config, now);
        let project = world.add_project("test");
        let range = "10.0.0.0/16".parse().unwrap();
        let subnet = NewSubnet {
            kind: SubnetKind::Cloud,
            range: Some("10.0.1.0/24".parse().unwrap()),
            network_zone: "eu-central".to_owned(),
        };
        let order = CreateNetwork {
            name: "net".to_owned(),
            range,
            subnets: vec![subnet],
            routes: Vec::new(),
            labels: Default::default(),
        };
        let network = world.create_network(project, order, now).unwrap();
        let world = SharedWorld::new(world);
        let machines = Machines::of(world.clone());
        let stop = CancellationToken::new();
        let (driver, driven) = (world.clone(), stop.clone());
        let tasks = vec![
            tokio::spawn(async move { driver.drive(driven).await }),
            tokio::spawn(serve(machines.clone(), stop.clone())),
        ];
        Some(Self {
            world,
            machines,
            project,
            network,
            samples,
            replaced: None,
            stop,
            tasks,
            lease: Some(lease),
            dir: None,
        })
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        drop((self.dir, self.lease));
    }

    pub(crate) fn world<R>(&self, act: impl FnOnce(&mut World, ProjectId, Timestamp) -> R) -> R {
        self.world.with(|world, now| act(world, self.project, now))
    }

    pub(crate) fn server(&self, name: &str, user_data: Option<String>, firewalls: Vec<FirewallId>) -> ServerId {
        self.world(|world, project, now| {
            let image = world.project(project).images.values().next().unwrap().id.to_string();
            let order = CreateServer {
                name: name.to_owned(),
                server_type: "cx23".to_owned(),
                image,
                location: Some("fsn1".to_owned()),
                networks: vec![self.network],
                user_data,
                firewalls,
                ..CreateServer::default()
            };
            world.create_server(project, order, now).unwrap().id
        })
    }

    pub(crate) fn address(&self, server: ServerId) -> Ipv4Addr {
        self.world(|world, project, _| world.server(project, server).unwrap().address)
    }

    /// Talos' own sample with another host name, and a provider id made of it.
    pub(crate) fn sample(&self, role: &str, hostname: &str) -> String {
        let text = std::fs::read_to_string(self.samples.join(format!("{role}-hetzner-cilium.yaml"))).unwrap();
        let old = if role == "worker" { "sample-storage-1" } else { "sample-cp-1" };
        let kubelet = "        defaultRuntimeSeccompProfileEnabled";
        let provider_id = format!("        extraConfig:\n            providerID: hcloud://{hostname}\n{kubelet}");
        let text = text.replace(&format!("hostname: {old}"), &format!("hostname: {hostname}"));
        let text = text.replacen(kubelet, &provider_id, 1);
        match &self.replaced {
            Some((from, to)) => text.replace(from, to),
            None => text,
        }
    }

    /// Looks again and again until something holds of a machine.
    pub(crate) async fn until(&self, what: &str, server: ServerId, holds: impl Fn(&Guest) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.machines.look_at(server, |guest, _| holds(guest)) != Some(true) {
            assert!(Instant::now() < deadline, "in vain: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Calls again and again until there is an answer.
    pub(crate) async fn eventually<R, F: Future<Output = Result<R, Status>>>(
        &self,
        what: &str,
        call: impl Fn() -> F,
    ) -> R {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match call().await {
                Ok(answer) => return answer,
                Err(error) => assert!(Instant::now() < deadline, "in vain: {what}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A server whose machine has been configured over its API.
    pub(crate) async fn machine(&self, role: &str, hostname: &str) -> ServerId {
        let server = self.server(hostname, None, Vec::new());
        let address = self.address(server);
        let text = self.sample(role, hostname);
        self.eventually("apply", || async {
            let mut client = client(address, insecure(None));
            client.machine.apply_configuration(configuration(&text, Mode::Auto)).await
        })
        .await;
        self.until("a configured machine", server, Guest::is_up).await;
        server
    }

    /// A configured control plane whose API answers.
    pub(crate) async fn control_plane(&self, hostname: &str) -> ServerId {
        let server = self.machine("controlplane", hostname).await;
        self.until("an open port", server, |guest| guest.apid() == Apid::Serving).await;
        let mut admin = self.client(server, "os:admin");
        self.eventually("version", async || admin_version(&mut admin.machine.clone()).await).await;
        drop(admin.machine.version(()).await.unwrap());
        server
    }

    /// A client with a certificate of the samples' authority.
    pub(crate) fn client(&self, server: ServerId, role: &str) -> Client {
        client(self.address(server), self.trusting(&self.issue(role, Usage::Client)))
    }

    pub(crate) fn issue(&self, role: &str, usage: Usage) -> Issued {
        let lifetime = Duration::from_secs(3600);
        self.signer().issue(&Leaf { common_name: "", organization: role, names: &[], usage, lifetime }).unwrap()
    }

    pub(crate) fn trusting(&self, issued: &Issued) -> Arc<ClientConfig> {
        tls::client(self.signer().certificate_pem(), issued, Protocol::Http2).unwrap()
    }

    fn signer(&self) -> Signer {
        let config = MachineConfig::parse(&self.sample("controlplane", "any"), Grammar::V1_13).unwrap();
        Signer::load(&config.machine().unwrap().ca, "machine.ca").unwrap()
    }
}

async fn admin_version(client: &mut MachineServiceClient<Channel>) -> Result<(), Status> {
    client.version(()).await.map(drop)
}

pub(crate) fn configuration(text: &str, mode: Mode) -> ApplyConfigurationRequest {
    ApplyConfigurationRequest { data: text.as_bytes().to_vec(), mode: mode.into(), ..Default::default() }
}

/// A request with the metadata `node` or `nodes`.
pub(crate) fn to<T>(message: T, key: &'static str, names: &[&str]) -> Request<T> {
    let mut request = Request::new(message);
    for name in names {
        request.metadata_mut().append(key, name.parse().unwrap());
    }
    request
}

pub(crate) fn client(address: Ipv4Addr, tls: Arc<ClientConfig>) -> Client {
    let connect = tower::service_fn(move |_| {
        let tls = Arc::clone(&tls);
        async move {
            let stream = TcpStream::connect((address, PORT)).await?;
            let name = ServerName::IpAddress(IpAddr::from(address).into());
            TlsConnector::from(tls).connect(name, stream).await.map(TokioIo::new)
        }
    });
    let channel = Endpoint::from_static("http://talos").connect_with_connector_lazy(connect);
    Client {
        machine: MachineServiceClient::new(channel.clone()),
        lifecycle: LifecycleServiceClient::new(channel.clone()),
        images: ImageServiceClient::new(channel.clone()),
        state: StateClient::new(channel),
    }
}

/// Trusts any server, as one does in maintenance, perhaps with a client certificate.
pub(crate) fn insecure(issued: Option<&Issued>) -> Arc<ClientConfig> {
    use rustls::pki_types::pem::PemObject as _;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer));
    let mut config = match issued {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let chain = vec![CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap()];
            let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
