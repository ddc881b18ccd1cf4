//! `/servers/{id}/actions/…`

use std::net::Ipv4Addr;

use axum::Router;
use axum::routing::post;
use serde::Deserialize;
use serde_json::Value;

use super::NameOrId;
use crate::hetzner::Caller;
use crate::hetzner::actions;
use crate::hetzner::body::{Id, Json};
use crate::hetzner::reply::{Answer, Reply};
use crate::world::servers::PowerAction;
use crate::world::{ApiError, NetworkId, PlacementGroupId, ResourceRef, ServerId};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/servers/{id}/actions/poweron", power(PowerAction::PowerOn))
        .route("/servers/{id}/actions/poweroff", power(PowerAction::PowerOff))
        .route("/servers/{id}/actions/shutdown", power(PowerAction::Shutdown))
        .route("/servers/{id}/actions/reboot", power(PowerAction::Reboot))
        .route("/servers/{id}/actions/reset", power(PowerAction::Reset))
        .route("/servers/{id}/actions/change_protection", post(protect))
        .route("/servers/{id}/actions/attach_to_network", post(attach))
        .route("/servers/{id}/actions/detach_from_network", post(detach))
        .route("/servers/{id}/actions/change_type", post(change_type))
        .route("/servers/{id}/actions/rebuild", post(rebuild))
        .route("/servers/{id}/actions/add_to_placement_group", post(join_group))
        .route("/servers/{id}/actions/remove_from_placement_group", post(leave_group))
}

/// A body without fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Protect {
    delete: Option<bool>,
    rebuild: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attach {
    network: NetworkId,
    ip: Option<Ipv4Addr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detach {
    network: NetworkId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeType {
    server_type: NameOrId,
    upgrade_disk: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rebuild {
    image: NameOrId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinGroup {
    placement_group: PlacementGroupId,
}

fn power(press: PowerAction) -> axum::routing::MethodRouter {
    post(async move |caller: Caller, Id(id): Id<ServerId>, Json(Nothing {}): Json<Nothing>| -> Answer {
        caller.with(|world, project, now| {
            let action = world.power(project, id, press, now)?;
            Ok(actions::started(world, project, action))
        })
    })
}

async fn protect(caller: Caller, Id(id): Id<ServerId>, Json(request): Json<Protect>) -> Answer {
    // Hetzner wants both to be the same.
    if request.delete.is_some() && request.rebuild.is_some() && request.delete != request.rebuild {
        return Err(ApiError::invalid("rebuild", "must be the same as delete"));
    }
    caller.with(|world, project, now| {
        let before = world.server(project, id)?.meta.delete_protected;
        let delete = request.delete.unwrap_or(before);
        let action = world.change_protection(project, ResourceRef::Server(id), delete, request.rebuild, now)?;
        Ok(actions::started(world, project, action))
    })
}

async fn attach(caller: Caller, Id(id): Id<ServerId>, Json(request): Json<Attach>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.attach_to_network(project, id, request.network, request.ip, now)?;
        Ok(actions::started(world, project, action))
    })
}

async fn detach(caller: Caller, Id(id): Id<ServerId>, Json(request): Json<Detach>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.detach_from_network(project, id, request.network, now)?;
        Ok(actions::started(world, project, action))
    })
}

async fn change_type(caller: Caller, Id(id): Id<ServerId>, Json(request): Json<ChangeType>) -> Answer {
    caller.with(|world, project, now| {
        let to = String::from(request.server_type);
        let action = world.change_server_type(project, id, &to, request.upgrade_disk, now)?;
        Ok(actions::started(world, project, action))
    })
}

async fn rebuild(caller: Caller, Id(id): Id<ServerId>, Json(request): Json<Rebuild>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.rebuild_server(project, id, &String::from(request.image), now)?;
        let mut body = actions::view_of(world, project, action);
        body = serde_json::json!({"action": body, "root_password": Value::Null});
        Ok(Reply::Created(body))
    })
}

async fn join_group(caller: Caller, Id(id): Id<ServerId>, Json(request): Json<JoinGroup>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.add_to_placement_group(project, id, request.placement_group, now)?;
        Ok(actions::started(world, project, action))
    })
}

async fn leave_group(caller: Caller, Id(id): Id<ServerId>, Json(Nothing {}): Json<Nothing>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.remove_from_placement_group(project, id, now)?;
        Ok(actions::started(world, project, action))
    })
}
