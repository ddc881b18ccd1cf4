//! Hetzner's HTTP API on a socket: routes that translate to the world's calls and back, and the gate that every request
//! passes (`gate.rs`). There is one file per resource, with its own wire types.
//!
//! Requests are read strictly: a field or parameter that the document doesn't have is `invalid_input`, since it is a bug
//! of the client. Answers follow Hetzner's published document with the changes made since (see README.md).

mod actions;
mod body;
mod catalogue;
mod firewalls;
mod gate;
mod images;
mod list;
mod load_balancers;
mod networks;
mod placement_groups;
mod primary_ips;
mod reply;
mod servers;
mod ssh_keys;
mod volumes;
mod zones;

use axum::Router;
use axum::routing::any;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedWorld;
use crate::http_server;
use crate::world::{ApiError, ErrorCode, ProjectId, World};

/// The path under which everything is served; an endpoint given to a client ends in it.
pub const BASE_PATH: &str = "/v1";

/// Serves the API until it is told to stop. Open connections are dropped then.
pub async fn serve(listener: TcpListener, world: SharedWorld, stop: CancellationToken) {
    let gate = gate::Gate::new(world, routes());
    let handle = move |request| {
        let gate = gate.clone();
        async move { gate.handle(request).await }
    };
    http_server::serve(listener, "the Hetzner API", handle, stop).await;
}

fn routes() -> Router {
    Router::new()
        .merge(actions::routes())
        .merge(catalogue::routes())
        .merge(firewalls::routes())
        .merge(images::routes())
        .merge(load_balancers::routes())
        .merge(networks::routes())
        .merge(placement_groups::routes())
        .merge(primary_ips::routes())
        .merge(servers::routes())
        .merge(ssh_keys::routes())
        .merge(volumes::routes())
        .merge(zones::routes())
        .fallback(any(async || ApiError::new(ErrorCode::NotFound, "the requested path does not exist")))
        .method_not_allowed_fallback(async || {
            ApiError::new(ErrorCode::MethodNotAllowed, "the request method is not allowed")
        })
}

/// Who calls: a project, and the world that it is in.
#[derive(Clone, Debug)]
struct Caller {
    world: SharedWorld,
    project: ProjectId,
}

impl Caller {
    fn with<T>(&self, act: impl FnOnce(&mut World, ProjectId, Timestamp) -> T) -> T {
        self.world.with(|world, now| act(world, self.project, now))
    }
}
