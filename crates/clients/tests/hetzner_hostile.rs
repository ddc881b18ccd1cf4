//! What the Hetzner client makes of peers that are no Hetzner: silent, cut off, garbled, endless, or not there.
//!
//! The peer is a bare TCP listener that says the same bytes to everyone; what is asked of it does not matter. What a
//! real API answers is tested against the simulator.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use helix_clients::hetzner::{Connection, HetznerProject, Projects};
use helix_engine::seams::{Clock, Cloud as _, CloudError};
use helix_plan::observed::Tags;
use helix_plan::secrets::Secret;
use helix_plan::step::{Lane, ResourceKind};
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const TOKEN: &str = "a-token-that-nobody-must-see";
/// Long enough for a loaded machine to answer on loopback, short enough to wait for.
const TIMEOUT: Duration = Duration::from_millis(1_500);

/// Stands still, so that budgets do.
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }
}

/// Listens until it is dropped.
struct Peer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    /// Answers every request with `bytes` and closes; with none, never answers.
    async fn saying(bytes: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    // Until the end of a head, or the beginning of a TLS handshake.
                    while !request.windows(4).any(|end| end == b"\r\n\r\n") && !request.starts_with(&[0x16]) {
                        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    match bytes {
                        Some(bytes) => drop(stream.write_all(&bytes).await),
                        None => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, task }
    }

    async fn answering(status: &str, headers: &str, body: &str) -> Self {
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        Self::saying(Some(format!("{head}{body}").into_bytes())).await
    }

    fn project(&self) -> Arc<HetznerProject> {
        project(&format!("http://{}/v1", self.address))
    }
}

fn project(endpoint: &str) -> Arc<HetznerProject> {
    let connection = Connection { endpoint: endpoint.to_owned(), token: Secret::new(TOKEN) };
    Projects::new(Arc::new(Standing)).with_timeout(TIMEOUT).connect(&connection).unwrap()
}

/// What a read meets; a creation and an action must meet the same.
async fn meets(project: &HetznerProject) -> CloudError {
    let read = project.servers(Lane::Drift).await.unwrap_err();
    let made = project.create_placement_group(Lane::Workers, "dev-cp-0", &Tags::new()).await.unwrap_err();
    let started = project.power_on(Lane::Workers, 42).await.unwrap_err();
    for error in [&made, &started] {
        assert_eq!((error.reason(), error.is_ambiguous()), (read.reason(), read.is_ambiguous()), "{error}");
        assert!(!error.to_string().contains(TOKEN), "{error}");
    }
    read
}

#[tokio::test]
async fn garbage_is_malformed_and_leaves_the_outcome_open() {
    for body in
        ["", "<html>hello</html>", "null", "[]", "{}", r#"{"servers": 7, "placement_group": "x"}"#, "\u{0}\u{1}"]
    {
        let peer = Peer::answering("200 OK", "", body).await;
        let error = meets(&peer.project()).await;
        assert_eq!(error.reason(), "MalformedAnswer", "{body}: {error}");
        assert!(error.is_ambiguous());
    }
}

#[tokio::test]
async fn an_answer_is_never_quoted() {
    let peer = Peer::answering("200 OK", "", r#"{"server": "hunter2", "root_password": "hunter2"}"#).await;
    let error = meets(&peer.project()).await;
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn json_that_ends_too_early_is_malformed() {
    let peer = Peer::answering("200 OK", "", r#"{"servers": [{"id": 1, "na"#).await;
    let error = meets(&peer.project()).await;
    let CloudError::Malformed { why, .. } = error else { panic!("{error}") };
    assert!(why.contains("ends too early"), "{why}");
}

#[tokio::test]
async fn a_connection_that_breaks_in_an_answer_leaves_the_outcome_open() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"servers\": [".to_vec();
    for bytes in [cut, b"HTTP/1.1 200".to_vec(), Vec::new()] {
        let peer = Peer::saying(Some(bytes)).await;
        let error = meets(&peer.project()).await;
        assert!(matches!(error, CloudError::Unreachable { sent: true, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn silence_ends_in_time() {
    let peer = Peer::saying(None).await;
    let project = peer.project();
    let error = tokio::time::timeout(TIMEOUT * 4, project.servers(Lane::Drift)).await.unwrap().unwrap_err();
    let CloudError::Unreachable { sent: true, why, .. } = error else { panic!("{error:?}") };
    assert!(why.contains("1.5 s"), "{why}");
}

#[tokio::test]
async fn nobody_there_means_that_nothing_was_sent_or_spent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let project = project(&format!("http://{address}/v1"));
    let error = meets(&project).await;
    let CloudError::Unreachable { sent: false, why, endpoint } = error else { panic!("{error:?}") };
    assert!(why.contains("refused"), "{why}");
    assert!(endpoint.contains(&address.to_string()));
    assert_eq!(project.budget(Standing.now()).remaining, 3_600);
}

#[tokio::test]
async fn a_peer_without_tls_is_unreachable_by_https() {
    let peer = Peer::answering("200 OK", "", "{}").await;
    let error = meets(&project(&format!("https://{}/v1", peer.address))).await;
    assert!(matches!(error, CloudError::Unreachable { sent: false, .. }), "{error:?}");
}

#[tokio::test]
async fn a_peer_whose_certificate_nobody_vouches_for_is_not_told_the_token() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await.map(|_| ())
    });
    let error = project(&format!("https://{address}/v1")).servers(Lane::Drift).await.unwrap_err();
    let CloudError::Unreachable { sent: false, why, .. } = error else { panic!("{error:?}") };
    assert!(why.contains("certificate"), "{why}");
    assert!(peer.await.unwrap().is_err(), "the handshake must not have ended well");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n".to_vec();
    bytes.resize(bytes.len() + 9_000_000, b' ');
    let peer = Peer::saying(Some(bytes)).await;
    let error = peer.project().servers(Lane::Drift).await.unwrap_err();
    let CloudError::Malformed { why, .. } = error else { panic!("{error:?}") };
    assert!(why.contains("more than"), "{why}");
}

#[tokio::test]
async fn a_failing_backend_is_told_by_its_status() {
    for status in ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable"] {
        let peer = Peer::answering(status, "content-type: text/html\r\n", "<html>oops</html>").await;
        let error = meets(&peer.project()).await;
        assert!(matches!(error, CloudError::Other { status: 500.., .. }), "{error:?}");
        assert!(error.is_ambiguous());
    }
}

#[tokio::test]
async fn what_a_proxy_answers_does_not_pass_for_hetzner() {
    for status in ["404 Not Found", "403 Forbidden", "409 Conflict"] {
        let peer = Peer::answering(status, "", "no such route").await;
        let project = peer.project();
        assert_eq!(meets(&project).await.reason(), "MalformedAnswer", "{status}");
        let deleted = project.delete(Lane::Teardown, ResourceKind::Server, 42).await;
        assert!(deleted.is_err(), "{status} must not pass for a server that is gone");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Peer::answering("200 OK", "", r#"{"servers": [], "meta": {"pagination": {}}}"#).await;
    let location = format!("location: http://{}/v1/servers\r\n", elsewhere.address);
    let peer = Peer::answering("307 Temporary Redirect", &location, "").await;
    assert_eq!(meets(&peer.project()).await.reason(), "MalformedAnswer");
}

#[tokio::test]
async fn a_429_pauses_every_lane_until_the_reset_that_it_names() {
    let reset = Standing.now().as_second() + 90;
    let headers = format!("RateLimit-Limit: 3600\r\nRateLimit-Remaining: 0\r\nRateLimit-Reset: {reset}\r\n");
    let body = r#"{"error": {"code": "rate_limit_exceeded", "message": "limit exceeded"}}"#;
    let peer = Peer::answering("429 Too Many Requests", &headers, body).await;
    let project = peer.project();
    let resets_at = Timestamp::from_second(reset).unwrap();
    assert_eq!(meets(&project).await, CloudError::RateLimited { resets_at });
    drop(peer);
    // Nobody listens any more: had this been sent, it could not have met the same error.
    let error = project.delete(Lane::Teardown, ResourceKind::Server, 42).await.unwrap_err();
    assert_eq!(error, CloudError::RateLimited { resets_at });
    assert_eq!(project.budget(Standing.now()).resets_at, resets_at);
}

#[tokio::test]
async fn what_an_answer_tells_of_the_budget_counts() {
    let reset = Standing.now().as_second() + 3_590;
    let headers = format!("RateLimit-Limit: 3600\r\nRateLimit-Remaining: 10\r\nRateLimit-Reset: {reset}\r\n");
    let body = r#"{"servers": [], "meta": {"pagination": {"next_page": null, "total_entries": 0}}}"#;
    let peer = Peer::answering("200 OK", &headers, body).await;
    let project = peer.project();
    assert_eq!(project.servers(Lane::Drift).await, Ok(Vec::new()));
    assert_eq!(project.budget(Standing.now()).remaining, 10);
    let starved = project.servers(Lane::Drift).await.unwrap_err();
    assert_eq!(starved.reason(), "BudgetExhausted");
    assert_eq!(project.servers(Lane::Teardown).await, Ok(Vec::new()), "teardown gets through");
}
