//! `/volumes`

use axum::Router;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Id, Json, Params};
use super::images::Protect;
use super::list::ListQuery;
use super::reply::{Answer, Reply, time};
use super::ssh_keys::Rename;
use super::{Caller, actions, catalogue};
use crate::world::volumes::{CreateVolume, Volume};
use crate::world::{ApiError, Labels, ProjectId, ResourceRef, ServerId, VolumeId, World};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/volumes", get(list).post(create))
        .route("/volumes/{id}", get(one).put(update).delete(delete))
        .route("/volumes/{id}/actions/attach", post(attach))
        .route("/volumes/{id}/actions/detach", post(detach))
        .route("/volumes/{id}/actions/resize", post(resize))
        .route("/volumes/{id}/actions/change_protection", post(protect))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    size: u32,
    location: Option<String>,
    server: Option<ServerId>,
    format: Option<String>,
    #[serde(default)]
    labels: Labels,
    #[serde(default, rename = "automount")]
    _automount: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attach {
    server: ServerId,
    #[serde(default, rename = "automount")]
    _automount: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resize {
    size: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detach {}

async fn list(caller: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &["status"])?;
    caller.with(|world, project, _| {
        let wanted = world.project(project).volumes.values().filter(|it| query.wants("status", status(it)));
        query.answer("volumes", wanted, |it| &it.meta, view)
    })
}

async fn create(caller: Caller, Json(request): Json<Create>) -> Answer {
    let order = CreateVolume {
        name: request.name,
        size_gb: request.size,
        location: request.location,
        server: request.server,
        format: request.format,
        labels: request.labels,
    };
    caller.with(|world, project, now| {
        let (id, action, next) = world.create_volume(project, order, now)?;
        let mut body = wrapped(world, project, id)?;
        body["action"] = actions::view_of(world, project, action);
        body["next_actions"] = next.iter().map(|id| actions::view_of(world, project, *id)).collect();
        Ok(Reply::Created(body))
    })
}

async fn one(caller: Caller, Id(id): Id<VolumeId>) -> Answer {
    caller.with(|world, project, _| Ok(Reply::Ok(wrapped(world, project, id)?)))
}

async fn update(caller: Caller, Id(id): Id<VolumeId>, Json(request): Json<Rename>) -> Answer {
    caller.with(|world, project, now| {
        world.update_volume(project, id, request.into(), now)?;
        Ok(Reply::Ok(wrapped(world, project, id)?))
    })
}

async fn delete(caller: Caller, Id(id): Id<VolumeId>) -> Answer {
    caller.with(|world, project, now| world.delete_volume(project, id, now).map(|()| Reply::NoContent))
}

async fn attach(caller: Caller, Id(id): Id<VolumeId>, Json(request): Json<Attach>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.attach_volume(project, id, request.server, now)?;
        Ok(actions::started(world, project, action))
    })
}

async fn detach(caller: Caller, Id(id): Id<VolumeId>, Json(Detach {}): Json<Detach>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.detach_volume(project, id, now)?;
        Ok(actions::started(world, project, action))
    })
}

async fn resize(caller: Caller, Id(id): Id<VolumeId>, Json(request): Json<Resize>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.resize_volume(project, id, request.size, now)?;
        Ok(actions::started(world, project, action))
    })
}

async fn protect(caller: Caller, Id(id): Id<VolumeId>, Json(request): Json<Protect>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.change_protection(project, ResourceRef::Volume(id), request.delete, None, now)?;
        Ok(actions::started(world, project, action))
    })
}

fn wrapped(world: &World, project: ProjectId, id: VolumeId) -> Result<Value, ApiError> {
    let all = &world.project(project).volumes;
    Ok(json!({"volume": view(all.get(&id).ok_or_else(|| ApiError::not_found("volume", id))?)}))
}

fn status(volume: &Volume) -> &'static str {
    if volume.available { "available" } else { "creating" }
}

fn view(volume: &Volume) -> Value {
    json!({
        "id": volume.id,
        "created": time(volume.meta.created),
        "name": volume.meta.name,
        "server": volume.server,
        "location": catalogue::location_view(volume.location),
        "size": volume.size_gb,
        "linux_device": format!("/dev/disk/by-id/scsi-0HC_Volume_{}", volume.id),
        "protection": {"delete": volume.meta.delete_protected},
        "labels": volume.meta.labels,
        "status": status(volume),
        "format": volume.format,
    })
}
