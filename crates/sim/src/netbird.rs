//! NetBird's management service, as far as an administrator's token reaches: `/api/peers`, `/groups`, `/setup-keys`,
//! `/networks` with routers and resources, `/policies`, `/dns/zones`. What it holds is `world::mesh`.
//!
//! Source of the wire format: NetBird's published API description. Callers send `Authorization: Token …`. The faults of
//! [`crate::faults`] strike here, too; paths begin with `/netbird`. Users, routes, the records and
//! settings of DNS, posture checks and events are left out, and peers come from the stand-in of NetBird's operator, not by the protocol of its clients.

mod answer;
mod networks;
mod resources;
mod zones;

use axum::response::{IntoResponse as _, Response};
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::answer::{Answer, Refusal};
use crate::clock::SharedWorld;
use crate::http_faults::{self, Refused};
use crate::http_server::{self, Cut};
use crate::world::mesh::Mesh;

/// What the paths of calls begin with, as faults name them.
pub const FAULT_PATH: &str = "/netbird";
/// No body is longer.
const MAX_BODY: usize = 1 << 20;

/// One call by somebody who may.
struct Call<'a> {
    method: &'a Method,
    query: &'a str,
    body: &'a [u8],
    now: Timestamp,
}

impl Call<'_> {
    fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(self.body)
            .map_err(|error| Refusal::new(400, format!("couldn't parse JSON request: {error}")))
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// Serves the API until it is told to stop. Open connections are dropped then.
pub async fn serve(listener: TcpListener, world: SharedWorld, stop: CancellationToken) {
    let handle = move |request| handle(world.clone(), request);
    http_server::serve(listener, "NetBird's management service", handle, stop).await;
}

async fn handle(world: SharedWorld, request: Request<Incoming>) -> Result<Response, Cut> {
    let (parts, body) = request.into_parts();
    let body: Bytes = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(Refusal::new(400, "the body cannot be read").into_response()),
    };
    let path = parts.uri.path();
    let faults = world.with(|world, _| world.strike_call(parts.method.as_str(), &format!("{FAULT_PATH}{path}")));
    let token = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Token "));
    let answered = || {
        world.with(|world, now| {
            let mesh = world.mesh();
            if !token.is_some_and(|token| mesh.is_token(token)) {
                return Refusal::new(401, "token invalid").into_response();
            }
            let query = parts.uri.query().unwrap_or_default();
            let call = Call { method: &parts.method, query, body: &body, now };
            route(mesh, path, &call)
                .map_or_else(|refusal| refusal.into_response(), axum::response::IntoResponse::into_response)
        })
    };
    http_faults::answer(faults, refused, answered).await
}

fn refused(why: Refused<'_>) -> Response {
    let status = match why {
        Refused::Code("unauthorized") => 401,
        Refused::Code("forbidden") => 403,
        Refused::Code("not_found") => 404,
        Refused::Code(_) => 500,
        Refused::RateLimited { .. } => 429,
    };
    Refusal::new(status, "an injected fault refuses this request").into_response()
}

fn route(mesh: &mut Mesh, path: &str, call: &Call<'_>) -> Answer {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["api", "peers", rest @ ..] => resources::peers(mesh, rest, call),
        ["api", "groups", rest @ ..] => resources::groups(mesh, rest, call),
        ["api", "setup-keys", rest @ ..] => resources::setup_keys(mesh, rest, call),
        ["api", "policies", rest @ ..] => resources::policies(mesh, rest, call),
        ["api", "networks"] => networks::networks(mesh, call),
        ["api", "networks", "routers"] => networks::all_routers(mesh, call),
        ["api", "networks", id] => networks::network(mesh, id, call),
        ["api", "networks", id, "routers", rest @ ..] => networks::routers(mesh, id, rest, call),
        ["api", "networks", id, "resources", rest @ ..] => networks::resources(mesh, id, rest, call),
        ["api", "dns", "zones", rest @ ..] => zones::zones(mesh, rest, call),
        _ => Err(Refusal::not_found("path", path)),
    }
}
