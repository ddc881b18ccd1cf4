//! The control port: a small JSON API on loopback by which a test or a person looks into the world and disturbs it.
//!
//! | call | does |
//! |---|---|
//! | `GET /world` | everything, without tokens, keys and user data |
//! | `GET /servers` | the servers, with where they listen and how far their machines are |
//! | `GET /cost` | the bill |
//! | `POST /advance` `{"seconds": n}` | sets the clock forward; what was due happens at once |
//! | `GET /faults`, `POST /faults`, `DELETE /faults`, `DELETE /faults/{id}` | see [`crate::faults`] |

mod dump;

use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedWorld;
use crate::faults::Injection;

/// The clock is set forward by at most a year at a time.
const MAX_ADVANCE_SECONDS: u64 = 366 * 24 * 3600;

/// Serves the control port until it is told to stop.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, world: SharedWorld, stop: CancellationToken) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/world", get(whole_world))
        .route("/servers", get(servers))
        .route("/cost", get(cost))
        .route("/advance", post(advance))
        .route("/faults", get(faults).post(inject).delete(clear))
        .route("/faults/{id}", delete(withdraw))
        .with_state(world);
    axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

async fn whole_world(State(world): State<SharedWorld>) -> Json<Value> {
    Json(world.with(|world, _| dump::world(world)))
}

async fn servers(State(world): State<SharedWorld>) -> Json<Value> {
    Json(world.with(|world, _| {
        let all = world.projects().flat_map(|(_, project)| project.servers.values());
        json!({"servers": all.map(|server| dump::server(world, server)).collect::<Vec<_>>()})
    }))
}

async fn cost(State(world): State<SharedWorld>) -> Json<Value> {
    Json(world.with(|world, _| {
        json!({"projects": world.projects().map(|(_, project)| dump::cost(project, world.now())).collect::<Vec<_>>()})
    }))
}

async fn advance(State(world): State<SharedWorld>, Json(request): Json<Advance>) -> Result<Json<Value>, StatusCode> {
    if request.seconds > MAX_ADVANCE_SECONDS {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    }
    world.set_forward(Duration::from_secs(request.seconds));
    Ok(Json(json!({"now": world.now()})))
}

async fn faults(State(world): State<SharedWorld>) -> Json<Value> {
    Json(world.with(|world, _| {
        let in_force: Vec<Value> =
            world.faults().in_force().map(|(id, injection)| json!({"id": id, "injection": injection})).collect();
        json!({"faults": in_force})
    }))
}

async fn inject(State(world): State<SharedWorld>, Json(injection): Json<Injection>) -> (StatusCode, Json<Value>) {
    (StatusCode::CREATED, Json(json!({"id": world.with(|world, _| world.inject(injection))})))
}

async fn clear(State(world): State<SharedWorld>) -> StatusCode {
    world.with(|world, _| world.faults().clear());
    StatusCode::NO_CONTENT
}

async fn withdraw(State(world): State<SharedWorld>, Path(id): Path<u64>) -> StatusCode {
    let found = world.with(|world, _| world.faults().withdraw(id));
    if found { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}
