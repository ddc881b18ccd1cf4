//! One machine's apid with its state: self-signed until it has a configuration, mutual TLS from then on.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use helix_plan::secrets::SecretBundle;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ED25519};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::talos::wire::{cosi, enums, machine, runtime};

/// A member of etcd.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) id: u64,
    pub(super) hostname: String,
    pub(super) learner: bool,
}

/// What is so on the machine.
#[derive(Clone, Default)]
pub(super) struct Machine {
    pub(super) config: Option<String>,
    pub(super) ready_for_bootstrap: bool,
    pub(super) bootstraps: u32,
    pub(super) members: Vec<Member>,
    /// Values of the metadata `node`.
    pub(super) asked_for: BTreeSet<String>,
    /// How often an image was pulled.
    pub(super) pulls: u32,
    /// Lets the installer come to its end.
    pub(super) installer: Arc<Notify>,
    /// Connections that were accepted.
    pub(super) connections: u32,
}

type Shared = Arc<Mutex<Machine>>;

/// The stand-in; its tasks end with it.
pub(super) struct Apid {
    port: u16,
    machine: Shared,
    maintenance: Arc<ServerConfig>,
    mutual: Arc<ServerConfig>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Apid {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Apid {
    pub(super) async fn start(bundle: &SecretBundle) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut apid = Self {
            port: listener.local_addr().unwrap().port(),
            machine: Shared::default(),
            maintenance: maintenance_config(),
            mutual: mutual_config(bundle),
            task: None,
        };
        apid.serve(listener);
        apid
    }

    pub(super) async fn configured(bundle: &SecretBundle) -> Self {
        let apid = Self::start(bundle).await;
        apid.change(|machine| {
            machine.config = Some("machine: {}".into());
            machine.ready_for_bootstrap = true;
            machine.members = vec![Member { id: 1, hostname: "p-cp-0".into(), learner: false }];
        });
        apid
    }

    fn serve(&mut self, listener: TcpListener) {
        let (machine, maintenance, mutual) = (self.machine.clone(), self.maintenance.clone(), self.mutual.clone());
        self.task = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let configured = {
                    let mut machine = machine.lock().unwrap();
                    machine.connections += 1;
                    machine.config.is_some()
                };
                let tls = if configured { mutual.clone() } else { maintenance.clone() };
                connections.spawn(connection(stream, tls, machine.clone(), configured));
            }
        }));
    }

    /// Closes the port and every connection.
    pub(super) async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
    }

    pub(super) async fn restart(&mut self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await.unwrap();
        self.serve(listener);
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn machine(&self) -> Machine {
        self.machine.lock().unwrap().clone()
    }

    pub(super) fn config(&self) -> Option<String> {
        self.machine().config
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Machine)) {
        change(&mut self.machine.lock().unwrap());
    }
}

fn maintenance_config() -> Arc<ServerConfig> {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let certificate = CertificateParams::new(["maintenance".to_owned()]).unwrap().self_signed(&key).unwrap();
    let config = server_builder().with_no_client_auth();
    with_h2(config.with_single_cert(vec![certificate.der().clone()], private(&key)).unwrap())
}

fn mutual_config(bundle: &SecretBundle) -> Arc<ServerConfig> {
    let authority_key = pem::parse(bundle.os_ca.key.expose()).unwrap().into_contents();
    let authority_key = KeyPair::from_pkcs8_der_and_sign_algo(&authority_key.into(), &PKCS_ED25519).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&bundle.os_ca.certificate, authority_key).unwrap();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(pem::parse(&bundle.os_ca.certificate).unwrap().into_contents())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let config = server_builder().with_client_cert_verifier(verifier);
    with_h2(config.with_single_cert(vec![certificate.der().clone()], private(&key)).unwrap())
}

fn server_builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
}

fn private(key: &KeyPair) -> rustls::pki_types::PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

fn with_h2(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

async fn connection(stream: TcpStream, tls: Arc<ServerConfig>, machine: Shared, configured: bool) {
    // A refused handshake is the client's to judge.
    let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else {
        return;
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let admin = chain.first().is_some_and(|der| {
        let certificate = X509Certificate::from_der(der).unwrap().1;
        certificate.subject().iter_organization().any(|o| o.as_str() == Ok("os:admin"))
    });
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let caller = Caller { machine: machine.clone(), configured, admin };
        async move { Ok::<_, std::convert::Infallible>(caller.route(request.map(Body::new)).await) }
    });
    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    // Whoever stops a connection in the middle is the test.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// Who calls, and what is asked of.
struct Caller {
    machine: Shared,
    configured: bool,
    admin: bool,
}

/// Answers one unary call.
async fn unary<Q, A>(
    request: http::Request<Body>,
    answer: impl FnOnce(Q) -> Result<A, Status> + Send,
) -> http::Response<Body>
where
    Q: Message + Default + Send + 'static,
    A: Message + Default + Send + 'static,
{
    let mut answer = Some(answer);
    let service = tower::service_fn(move |request: Request<Q>| {
        let answered = answer.take().unwrap()(request.into_inner()).map(Response::new);
        std::future::ready(answered)
    });
    Grpc::new(ProstCodec::<A, Q>::default()).unary(service, request).await
}

/// Answers one call with several messages.
async fn streamed<Q, A>(
    request: http::Request<Body>,
    answer: impl Future<Output = Vec<A>> + Send + 'static,
) -> http::Response<Body>
where
    Q: Message + Default + Send + 'static,
    A: Message + Default + Send + 'static,
{
    let mut answer = Some(answer);
    let service = tower::service_fn(move |_: Request<Q>| {
        let answer = answer.take().unwrap();
        async move { Ok(Response::new(futures::stream::iter(answer.await.into_iter().map(Ok::<A, Status>)))) }
    });
    Grpc::new(ProstCodec::<A, Q>::default()).server_streaming(service, request).await
}

impl Caller {
    async fn route(self, request: http::Request<Body>) -> http::Response<Body> {
        if let Some(node) = request.headers().get("node") {
            self.machine.lock().unwrap().asked_for.insert(node.to_str().unwrap().to_owned());
        }
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/machine.MachineService/Version" => unary(request, |()| Ok(version())).await,
            "/machine.MachineService/ServiceList" => unary(request, |()| Ok(services())).await,
            "/cosi.resource.State/Get" => unary(request, get).await,
            "/machine.MachineService/ApplyConfiguration" => unary(request, |q| self.apply(q)).await,
            "/machine.MachineService/Bootstrap" => unary(request, |q| self.bootstrap(q)).await,
            "/machine.MachineService/EtcdMemberList" => unary(request, |q| self.members(q)).await,
            "/machine.MachineService/EtcdRemoveMemberByID" => unary(request, |q| self.remove(q)).await,
            "/machine.ImageService/Pull" => streamed::<machine::ImageServicePullRequest, _>(request, self.pull()).await,
            "/machine.LifecycleService/Upgrade" => {
                streamed::<machine::LifecycleServiceUpgradeRequest, _>(request, self.upgrade()).await
            }
            _ => unary(request, |()| Err::<(), _>(Status::unimplemented("unknown method"))).await,
        }
    }

    fn apply(
        &self,
        request: machine::ApplyConfigurationRequest,
    ) -> Result<machine::ApplyConfigurationResponse, Status> {
        use machine::apply_configuration_request::Mode;
        let expected = if self.configured { [Mode::NoReboot, Mode::Staged] } else { [Mode::Auto; 2] };
        assert!(expected.contains(&request.mode()), "{:?}", request.mode());
        let text = String::from_utf8(request.data).unwrap();
        if !text.starts_with("machine:") {
            return Err(Status::invalid_argument("unknown keys found"));
        }
        self.machine.lock().unwrap().config = Some(text);
        Ok(machine::ApplyConfigurationResponse {})
    }

    async fn pull(self) -> Vec<machine::ImageServicePullResponse> {
        self.machine.lock().unwrap().pulls += 1;
        let name = machine::image_service_pull_response::Response::Name("pulled:v1".into());
        vec![machine::ImageServicePullResponse::default(), machine::ImageServicePullResponse { response: Some(name) }]
    }

    async fn upgrade(self) -> Vec<machine::LifecycleServiceUpgradeResponse> {
        let installer = Arc::clone(&self.machine.lock().unwrap().installer);
        installer.notified().await;
        let response = Some(machine::lifecycle_service_install_progress::Response::ExitCode(0));
        let progress = Some(machine::LifecycleServiceInstallProgress { response });
        vec![machine::LifecycleServiceUpgradeResponse { progress }]
    }

    fn bootstrap(&self, _: machine::BootstrapRequest) -> Result<machine::BootstrapResponse, Status> {
        if !self.admin {
            return Err(Status::permission_denied("not authorized"));
        }
        let mut machine = self.machine.lock().unwrap();
        if !machine.ready_for_bootstrap {
            return Err(Status::failed_precondition("time is not in sync yet"));
        }
        if machine.bootstraps > 0 {
            return Err(Status::already_exists("etcd data directory is not empty"));
        }
        machine.bootstraps += 1;
        Ok(machine::BootstrapResponse {})
    }

    fn members(&self, _: machine::EtcdMemberListRequest) -> Result<machine::EtcdMemberListResponse, Status> {
        let members = self.machine.lock().unwrap().members.clone();
        if members.is_empty() {
            return Err(Status::unavailable("etcdserver: no leader"));
        }
        let members = members
            .into_iter()
            .map(|m| machine::EtcdMember { id: m.id, hostname: m.hostname, is_learner: m.learner })
            .collect();
        Ok(machine::EtcdMemberListResponse { messages: vec![machine::EtcdMembers { members }] })
    }

    fn remove(
        &self,
        request: machine::EtcdRemoveMemberByIdRequest,
    ) -> Result<machine::EtcdRemoveMemberByIdResponse, Status> {
        let members = &mut self.machine.lock().unwrap().members;
        let before = members.len();
        members.retain(|member| member.id != request.member_id);
        if members.len() == before {
            return Err(Status::not_found("etcdserver: member not found"));
        }
        Ok(machine::EtcdRemoveMemberByIdResponse {})
    }
}

fn version() -> machine::VersionResponse {
    let version = machine::VersionInfo { tag: "v1.13.9".into() };
    machine::VersionResponse { messages: vec![machine::Version { version: Some(version) }] }
}

fn services() -> machine::ServiceListResponse {
    let service = |id: &str, state: &str, unknown| machine::ServiceInfo {
        id: id.into(),
        state: state.into(),
        health: Some(machine::ServiceHealth { unknown, healthy: !unknown }),
    };
    let services = vec![service("apid", "Running", false), service("etcd", "Preparing", true)];
    machine::ServiceListResponse { messages: vec![machine::ServiceList { services }] }
}

fn get(request: cosi::GetRequest) -> Result<cosi::GetResponse, Status> {
    let asked = (request.namespace.as_str(), request.r#type.as_str(), request.id.as_str());
    if asked != ("runtime", "MachineStatuses.runtime.talos.dev", "machine") {
        return Err(Status::permission_denied("not authorized"));
    }
    let unmet = runtime::UnmetCondition { name: "services".into(), reason: "etcd is not healthy".into() };
    let status = runtime::MachineStatusSpec {
        stage: enums::RuntimeMachineStage::MachineStageBooting.into(),
        status: Some(runtime::MachineStatusStatus { ready: false, unmet_conditions: vec![unmet] }),
    };
    let spec = cosi::Spec { proto_spec: status.encode_to_vec() };
    Ok(cosi::GetResponse { resource: Some(cosi::Resource { spec: Some(spec) }) })
}
