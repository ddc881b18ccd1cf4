//! Chart repositories and an OCI registry on a socket: the project's own stand-ins for the charts of the catalogue.
//!
//! Each repository is at `/HOST/PATH`, as in `/charts.jetstack.io/index.yaml` for `https://charts.jetstack.io`, with
//! the archives beside its index. A repository `oci://HOST/PATH` is the registry's, below `/v2/HOST/PATH/CHART`, where
//! a caller fetches an anonymous token first, as public registries want it. Archives are the same to the byte each time.
//!
//! The faults of [`crate::faults`] strike here as at Hetzner's API: paths begin with `/charts`. A chart may also be
//! withdrawn, or published anew under the version that it had. Pushing, searching and provenance are left out.

mod archive;
mod digest;
mod registry;
mod repository;
mod stored;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::stored::{Chart, charts};
use crate::clock::SharedWorld;
use crate::http_faults::{self, Refused};
use crate::http_server::{self, Cut};

/// What the paths of calls begin with, as faults name them.
pub const FAULT_PATH: &str = "/charts";

/// What befell the charts, by faults that stand.
struct Fates<'a> {
    world: &'a SharedWorld,
}

impl Fates<'_> {
    /// Whether its repository has it no more.
    fn is_withdrawn(&self, chart: &str) -> bool {
        self.world.with(|world, _| world.faults().is_chart_withdrawn(chart))
    }

    /// Whether its archives are others than they were.
    fn is_republished(&self, chart: &str) -> bool {
        self.world.with(|world, _| world.faults().is_chart_republished(chart))
    }
}

/// One call.
struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
}

/// Serves the charts until it is told to stop. Open connections are dropped then.
pub async fn serve(listener: TcpListener, world: SharedWorld, stop: CancellationToken) {
    let handle = move |request| handle(world.clone(), request);
    http_server::serve(listener, "the chart source", handle, stop).await;
}

async fn handle(world: SharedWorld, request: Request<Incoming>) -> Result<Response, Cut> {
    let (parts, _) = request.into_parts();
    let call = Call { method: parts.method, path: parts.uri.path().to_owned(), headers: parts.headers };
    let faults = world.with(|world, _| world.strike_call(call.method.as_str(), &format!("{FAULT_PATH}{}", call.path)));
    http_faults::answer(faults, refused, || answer(&world, &call)).await
}

fn refused(why: Refused<'_>) -> Response {
    let status = match why {
        Refused::Code("not_found") => StatusCode::NOT_FOUND,
        Refused::Code("unauthorized") => StatusCode::UNAUTHORIZED,
        Refused::Code("forbidden") => StatusCode::FORBIDDEN,
        Refused::Code(_) => StatusCode::SERVICE_UNAVAILABLE,
        Refused::RateLimited { reset_seconds } => {
            let after = [(header::RETRY_AFTER, reset_seconds.to_string())];
            return (StatusCode::TOO_MANY_REQUESTS, after, "an injected fault\n").into_response();
        }
    };
    (status, "an injected fault refuses this request\n").into_response()
}

fn answer(world: &SharedWorld, call: &Call) -> Response {
    let mut response = if matches!(call.method, Method::GET | Method::HEAD) {
        let fates = Fates { world };
        let registry = registry::answer(call, &fates);
        registry.unwrap_or_else(|| repository::answer(&call.path, &fates))
    } else {
        (StatusCode::METHOD_NOT_ALLOWED, "charts are only read here\n").into_response()
    };
    if call.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

fn not_found(path: &str) -> Response {
    (StatusCode::NOT_FOUND, format!("nothing is at {path}\n")).into_response()
}
