//! Health checks: a TCP connection, or an HTTP request over it (with TLS whose certificate nobody verifies, as at
//! Hetzner). Whether a target is healthy the world decides, from the results.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::forward::connect;
use crate::clock::SharedWorld;
use crate::world::load_balancers::{CheckResult, HealthCheck, HttpCheck, Probe};

/// However short the time scale makes the interval, checks leave the processor to others.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(200);
/// No more of an answer is looked at.
const MAX_ANSWER: usize = 64 * 1024;

/// Makes checks.
pub(super) struct Checker {
    tls: Option<TlsConnector>,
}

/// Checks a target again and again. Intervals are scaled; timeouts aren't, since real servers answer.
pub(super) async fn keep_checking(world: SharedWorld, checker: Arc<Checker>, probe: Probe, stop: CancellationToken) {
    loop {
        let made = tokio::select! {
            () = stop.cancelled() => return,
            made = checker.check(&probe) => made,
        };
        let interval = world.with(|world, _| {
            world.report_health(&probe, made);
            world.check_interval(&probe.check)
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(interval.max(SHORTEST_INTERVAL)) => {}
        }
    }
}

impl Checker {
    pub(super) fn new() -> Self {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let tls = config.ok().map(|builder| {
            let verifier = Arc::new(NoVerifier(provider));
            let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
            TlsConnector::from(Arc::new(config))
        });
        Self { tls }
    }

    /// Makes one check.
    async fn check(&self, probe: &Probe) -> CheckResult {
        let timeout = Duration::from_secs(u64::from(probe.check.timeout_seconds));
        match tokio::time::timeout(timeout, self.ask(probe)).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => CheckResult { passed: false, http_status: None },
        }
    }

    async fn ask(&self, probe: &Probe) -> io::Result<CheckResult> {
        let HealthCheck { port, http, .. } = &probe.check;
        let target = SocketAddr::from((probe.backend.address, *port));
        let stream = connect(probe.balancer_address, target).await?;
        let Some(http) = http else { return Ok(CheckResult { passed: true, http_status: None }) };
        let host = http.domain.clone().unwrap_or_else(|| target.ip().to_string());
        if !http.tls {
            return request(stream, http, &host).await;
        }
        let tls = self.tls.as_ref().ok_or_else(|| io::Error::other("no TLS version is available"))?;
        let stream = tls.connect(ServerName::IpAddress(target.ip().into()), stream).await?;
        request(stream, http, &host).await
    }
}

async fn request<S>(stream: S, check: &HttpCheck, host: &str) -> io::Result<CheckResult>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let exchange = async {
        let request = Request::get(&check.path).header(HOST, host).body(Empty::<Bytes>::new());
        let response = sender.send_request(request.map_err(io::Error::other)?).await.map_err(io::Error::other)?;
        let status: StatusCode = response.status();
        let mut passed = check.accepts(status.as_u16());
        if let Some(expected) = check.response.as_ref().filter(|_| passed) {
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(io::Error::other)?;
            passed = String::from_utf8_lossy(&body.to_bytes()).contains(expected.as_str());
        }
        Ok(CheckResult { passed, http_status: Some(status.as_u16()) })
    };
    let mut exchange = pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // A server that closes after its answer ends the connection before the answer is looked at.
        ended = connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

/// Takes any certificate: the check asks whether somebody answers, not who.
#[derive(Debug)]
struct NoVerifier(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerifier {
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
