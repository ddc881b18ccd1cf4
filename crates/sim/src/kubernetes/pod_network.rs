//! The way from an API server to pods, by which its own proxy of Services leads: a socket to which it says `CONNECT`.
//!
//! What answers there are stand-ins of what components' pods answer over HTTP, each while such a pod is ready: Ollama's list
//! of models, and Authentik's readiness. Nothing else that a cluster runs listens. Pods share their node's address, so that
//! two that listen on one port of a node cannot be told apart: whichever of them has a stand-in answers.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddrV4;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use axum::body::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Setting;
use super::api::{Api, Body};
use super::control_plane::admin;
use super::files::Site;
use crate::world::machine::models;

/// The socket's name in the machine's directory.
pub(super) const SOCKET: &str = "pods.sock";
/// The longest head of a request to connect, in bytes.
const LONGEST_HEAD: usize = 4_096;
/// How long whoever connects may take to say so.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a model takes to be pulled.
const PULL: Duration = Duration::from_secs(60);

/// Serves as long as it is let: connections end with it.
pub(super) async fn serve(setting: Setting, site: Site) {
    let listener = match listen(&site) {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!(machine = %site.hostname, %error, "no way from the API server to pods"),
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connect(stream, setting.clone(), site.clone()));
                }
                Err(error) => tracing::warn!(%error, "an API server could not be let through to pods"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Listens where the API server connects to. The path of a socket may not be long, but for one that begins at an open file.
fn listen(site: &Site) -> io::Result<UnixListener> {
    std::fs::create_dir_all(&site.dir)?;
    match std::fs::remove_file(site.dir.join(SOCKET)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let dir = std::fs::File::open(&site.dir)?;
    UnixListener::bind(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()))
}

/// One connection: what it is to lead to, and then what is asked there.
async fn connect(mut stream: UnixStream, setting: Setting, site: Site) {
    let Ok(Ok(Some(target))) = timeout(PATIENCE, target(&mut stream)).await else { return };
    let listens = pod_at(&site, target).await.is_some();
    let told: &[u8] = if listens { b"HTTP/1.1 200 OK\r\n\r\n" } else { b"HTTP/1.1 502 Bad Gateway\r\n\r\n" };
    if stream.write_all(told).await.is_err() || !listens {
        return;
    }
    let answer = service_fn(|request: Request<Incoming>| {
        let (setting, site) = (&setting, &site);
        async move { Ok::<_, Infallible>(respond(setting, site, target, &request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
    if let Err(error) = served {
        tracing::debug!(%error, %target, "a connection to a pod ended");
    }
}

/// Reads to where a connection is to lead, and not a byte more; none where it says something else.
async fn target(stream: &mut UnixStream) -> io::Result<Option<SocketAddrV4>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > LONGEST_HEAD {
            return Ok(None);
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    Ok(target.and_then(|target| target.parse().ok()))
}

/// A ready pod with a stand-in that listens there, as the cluster tells.
async fn pod_at(site: &Site, target: SocketAddrV4) -> Option<Value> {
    let api: Api = admin(site, site).ok()?;
    let path = format!("/api/v1/pods?fieldSelector=status.podIP%3D{}", target.ip());
    let mut pods = api.call(Method::GET, &path, Body::Empty).await.ok()?;
    let pods = pods["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    pods.into_iter().find(|pod| StandIn::of(pod).is_some() && listens(pod, target.port()) && is_ready(pod))
}

fn listens(pod: &Value, port: u16) -> bool {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    containers.flat_map(|it| it["ports"].as_array().into_iter().flatten()).any(|it| it["containerPort"] == port)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

/// What is stood in for.
#[derive(Clone, Copy)]
enum StandIn {
    Authentik,
    Ollama,
}

impl StandIn {
    fn of(pod: &Value) -> Option<Self> {
        let label = |name: &str| pod["metadata"]["labels"][name].as_str().unwrap_or_default();
        match (label("app.kubernetes.io/name"), label("app.kubernetes.io/component")) {
            ("ollama", _) => Some(Self::Ollama),
            ("authentik", "server") => Some(Self::Authentik),
            _ => None,
        }
    }
}

async fn respond(
    setting: &Setting,
    site: &Site,
    target: SocketAddrV4,
    request: &Request<Incoming>,
) -> Response<Full<Bytes>> {
    let body = |status: StatusCode, body: String| {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response
    };
    let Some(pod) = pod_at(site, target).await else { return body(StatusCode::SERVICE_UNAVAILABLE, String::new()) };
    match (StandIn::of(&pod), request.method(), request.uri().path()) {
        (Some(StandIn::Ollama), &Method::GET, "/api/tags") => body(StatusCode::OK, tags(setting, &pod).to_string()),
        (Some(StandIn::Authentik), &Method::GET, "/-/health/ready/" | "/-/health/live/") => {
            body(StatusCode::OK, String::new())
        }
        _ => body(StatusCode::NOT_FOUND, "404 page not found".to_owned()),
    }
}

/// The models that Ollama has: those that its pod is told to pull, some time after it has started.
fn tags(setting: &Setting, pod: &Value) -> Value {
    let since: Option<Timestamp> = pod["status"]["startTime"].as_str().and_then(|at| at.parse().ok());
    let pull = SignedDuration::try_from(setting.scale.shorten(PULL)).unwrap_or_default();
    let is_pulled = since.is_some_and(|since| since + pull <= Timestamp::now());
    let wanted = models(&pod["spec"]).into_iter().filter(|_| is_pulled);
    let there = wanted.filter(|model| setting.machines.with_world(|world, _| !world.faults().is_model_missing(model)));
    let models: Vec<Value> = there.map(|name| json!({"name": name, "model": name})).collect();
    json!({"models": models})
}
