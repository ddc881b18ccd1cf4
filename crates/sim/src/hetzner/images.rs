//! `/images`

use axum::Router;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Caller;
use super::actions;
use super::body::{Id, Json, Params};
use super::list::ListQuery;
use super::reply::{Answer, Reply, time};
use crate::world::images::Image;
use crate::world::{ApiError, ImageId, Labels, ProjectId, ResourceRef, World};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/images", get(list))
        .route("/images/{id}", get(one).put(update).delete(delete))
        .route("/images/{id}/actions/change_protection", post(protect))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    description: Option<String>,
    #[serde(rename = "type")]
    _kind: Option<Kind>,
    labels: Option<Labels>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Snapshot,
}

/// A change of protection, the same for all but servers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Protect {
    pub(super) delete: bool,
}

async fn list(caller: Caller, params: Params) -> Answer {
    let filters = ["type", "status", "architecture", "bound_to", "include_deprecated"];
    let query = ListQuery::read(params, &filters)?;
    caller.with(|world, project, _| {
        let wanted = |image: &&Image| {
            query.wants("type", "snapshot")
                && query.wants("status", "available")
                && query.wants("architecture", image.architecture.as_str())
                && query.values("bound_to").next().is_none()
        };
        query.answer("images", world.project(project).images.values().filter(wanted), |it| &it.meta, view)
    })
}

async fn one(caller: Caller, Id(id): Id<ImageId>) -> Answer {
    caller.with(|world, project, _| Ok(Reply::Ok(wrapped(world, project, id)?)))
}

async fn update(caller: Caller, Id(id): Id<ImageId>, Json(request): Json<Change>) -> Answer {
    caller.with(|world, project, now| {
        world.update_image(project, id, request.description, request.labels, now)?;
        Ok(Reply::Ok(wrapped(world, project, id)?))
    })
}

async fn delete(caller: Caller, Id(id): Id<ImageId>) -> Answer {
    caller.with(|world, project, now| world.delete_image(project, id, now).map(|()| Reply::NoContent))
}

async fn protect(caller: Caller, Id(id): Id<ImageId>, Json(request): Json<Protect>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.change_protection(project, ResourceRef::Image(id), request.delete, None, now)?;
        Ok(actions::started(world, project, action))
    })
}

fn wrapped(world: &World, project: ProjectId, id: ImageId) -> Result<Value, ApiError> {
    let image = world.project(project).images.get(&id).ok_or_else(|| ApiError::not_found("image", id))?;
    Ok(json!({"image": view(image)}))
}

pub(super) fn view(image: &Image) -> Value {
    json!({
        "id": image.id,
        "type": "snapshot",
        "status": "available",
        "name": null,
        "description": image.meta.name,
        "image_size": f64::from(image.size_centi_gb) / 100.0,
        "disk_size": image.disk_gb,
        "created": time(image.meta.created),
        "created_from": null,
        "bound_to": null,
        "os_flavor": "unknown",
        "os_version": null,
        "rapid_deploy": false,
        "protection": {"delete": image.meta.delete_protected},
        "deprecated": null,
        "deleted": null,
        "labels": image.meta.labels,
        "architecture": image.architecture.as_str(),
    })
}
