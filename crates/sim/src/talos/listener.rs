//! The API port of one machine for as long as it demands the same: accepting, the firewall, TLS, and the services.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use jiff::{SignedDuration, Timestamp};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::ServiceExt as _;

use super::caller::Caller;
use super::machine_service::Service;
use super::machines::Machines;
use super::pki::{Leaf, PkiError, Signer, Usage, local_names, pem_texts};
use super::tls;
use super::wire::cosi::resource::state_server::StateServer;
use super::wire::machine::image_service_server::ImageServiceServer;
use super::wire::machine::lifecycle_service_server::LifecycleServiceServer;
use super::wire::machine::machine_service_server::MachineServiceServer;
use crate::world::ServerId;
use crate::world::machine::config::Role;
use crate::world::machine::{Apid, Guest, Guests};

/// The port of Talos' API.
pub const PORT: u16 = 50000;
/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long answers may still be under way once a port closes.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// Talos' limit for one message.
const MESSAGE_BYTES: usize = 32 << 20;
/// How long a server certificate counts, and when it is renewed.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
const RENEWED_AFTER: SignedDuration = SignedDuration::from_hours(12);

/// Why a port cannot be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListenError {
    #[error("cannot listen on {address}:{PORT}: {source}")]
    Bind { address: Ipv4Addr, source: std::io::Error },
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error("no machine of the cluster can issue certificates")]
    NoIssuer,
}

/// A server certificate in use, since when, and the authorities that it goes by.
struct Certificate {
    config: Arc<ServerConfig>,
    since: Timestamp,
    authorities: Vec<String>,
}

/// One machine's open port.
pub(super) struct Listener {
    machines: Machines,
    server: ServerId,
    address: Ipv4Addr,
    apid: Apid,
    socket: TcpListener,
    certificate: Certificate,
    routes: Routes,
}

impl Listener {
    pub(super) async fn open(
        machines: Machines,
        server: ServerId,
        address: Ipv4Addr,
        apid: Apid,
    ) -> Result<Self, ListenError> {
        let certificate = certificate(&machines, server, apid)?;
        let socket =
            TcpListener::bind((address, PORT)).await.map_err(|source| ListenError::Bind { address, source })?;
        let service = Service { machines: machines.clone(), server };
        let routes = Routes::new(MachineServiceServer::new(service.clone()).max_decoding_message_size(MESSAGE_BYTES))
            .add_service(LifecycleServiceServer::new(service.clone()))
            .add_service(ImageServiceServer::new(service.clone()))
            .add_service(StateServer::new(service));
        Ok(Self { machines, server, address, apid, socket, certificate, routes })
    }

    /// Serves until it is dropped, and with it every connection; or until it is told to close: then what was asked is
    /// still answered, for a moment, while the port is free already.
    pub(super) async fn run(mut self, closing: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = closing.cancelled() => break,
                accepted = self.socket.accept() => {
                    if let Ok((stream, SocketAddr::V4(source))) = accepted
                        && self.machines.admits(*source.ip(), self.address, PORT)
                    {
                        self.renew_certificate();
                        let acceptor = TlsAcceptor::from(Arc::clone(&self.certificate.config));
                        let serving = connection(stream, acceptor, self.apid, self.routes.clone(), closing.clone());
                        connections.spawn(serving);
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.socket);
        tokio::spawn(timeout(LAST_WORDS, async move { while connections.join_next().await.is_some() {} }));
    }

    /// Certificates are renewed long before they end, and when the configuration names other authorities; connections that
    /// stand keep theirs.
    fn renew_certificate(&mut self) {
        let (age, authorities) = self.machines.look(|guests, now| {
            let authorities = guests.get(self.server).map(authorities).unwrap_or_default();
            (now.duration_since(self.certificate.since), authorities)
        });
        if age < RENEWED_AFTER && authorities == self.certificate.authorities {
            return;
        }
        match certificate(&self.machines, self.server, self.apid) {
            Ok(renewed) => self.certificate = renewed,
            Err(error) => tracing::warn!(server = %self.server, %error, "the server certificate is not renewed"),
        }
    }
}

fn certificate(machines: &Machines, server: ServerId, apid: Apid) -> Result<Certificate, ListenError> {
    let (issuer, names, authorities, since) = machines.look(|guests, now| {
        let guest = guests.get(server);
        let issuer = guest.and_then(|guest| issuer(guests, guest));
        (issuer, guest.map(names).unwrap_or_default(), guest.map(authorities).unwrap_or_default(), now)
    });
    let leaf = Leaf { common_name: "", organization: "", names: &names, usage: Usage::Server, lifetime: LIFETIME };
    let config = match apid {
        Apid::Serving => {
            let authority = issuer.ok_or(ListenError::NoIssuer)?;
            let signer = Signer::load(&authority, "machine.ca")?;
            let known = pem_texts(&authorities, "machine.acceptedCAs")?;
            tls::mutual_server(&known, &signer.issue(&leaf)?)?
        }
        Apid::Maintenance | Apid::Closed => tls::maintenance_server(&Signer::throw_away()?.issue(&leaf)?)?,
    };
    Ok(Certificate { config, since, authorities })
}

/// Every authority whose clients the machine lets in.
fn authorities(guest: &Guest) -> Vec<String> {
    guest.config().and_then(|config| config.machine()).map(|machine| machine.known_authorities()).unwrap_or_default()
}

/// The authority with its key: the machine's own on a control plane, on a worker that of one whose trustd answers.
fn issuer(guests: &Guests, own: &Guest) -> Option<crate::world::machine::config::Authority> {
    let authority = |guest: &Guest| Some(guest.config()?.machine()?.ca.clone());
    let known = authorities(own);
    let mut able = guests.iter().filter(|guest| guest.role() == Some(Role::ControlPlane));
    if own.role() == Some(Role::ControlPlane) {
        return authority(own);
    }
    able.find_map(|guest| authority(guest).filter(|it| guest.is_up() && known.contains(&it.crt)))
}

/// The names of a server certificate: addresses, host name and what the configuration adds.
fn names(guest: &Guest) -> Vec<String> {
    let host = guest.host();
    let mut names = local_names(&[Some(host.address), host.public_ipv4, host.private_ipv4]);
    names.push(guest.hostname().to_owned());
    if let Some(machine) = guest.config().and_then(|config| config.machine()) {
        names.extend(machine.cert_sans.iter().cloned());
    }
    names.sort();
    names.dedup();
    names
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, apid: Apid, routes: Routes, closing: CancellationToken) {
    // gRPC's small frames wait for one another otherwise; without it they are only slower.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
    let caller = match apid {
        Apid::Serving => Caller { roles: roles(&stream), maintenance: false },
        Apid::Maintenance | Apid::Closed => Caller::of_maintenance(),
    };
    let router = routes.into_axum_router();
    let service = tower::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(caller.clone());
        router.clone().oneshot(request)
    });
    let http2 = Builder::new(TokioExecutor::new()).http2_only();
    let serving = http2.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(serving);
    // A connection that breaks is its client's business.
    tokio::select! {
        _ = serving.as_mut() => {}
        () = closing.cancelled() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

fn roles(stream: &TlsStream<TcpStream>) -> Vec<String> {
    let (_, session) = stream.get_ref();
    session.peer_certificates().and_then(|chain| chain.first()).map(tls::roles).unwrap_or_default()
}
