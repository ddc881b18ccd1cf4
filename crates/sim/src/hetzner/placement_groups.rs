//! `/placement_groups`

use axum::Router;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Caller;
use super::body::{Id, Json, Params};
use super::list::ListQuery;
use super::reply::{Answer, Reply, time};
use super::ssh_keys::Rename;
use crate::world::placement_groups::PlacementGroup;
use crate::world::{ApiError, Labels, PlacementGroupId, ProjectId, World};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/placement_groups", get(list).post(create))
        .route("/placement_groups/{id}", get(one).put(update).delete(delete))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    #[serde(rename = "type")]
    _kind: Kind,
    #[serde(default)]
    labels: Labels,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Spread,
}

async fn list(caller: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &["type"])?;
    caller.with(|world, project, _| {
        let groups = world.project(project).placement_groups.values().filter(|_| query.wants("type", "spread"));
        query.answer("placement_groups", groups, |it| &it.meta, view)
    })
}

async fn create(caller: Caller, Json(request): Json<Create>) -> Answer {
    caller.with(|world, project, now| {
        let id = world.create_placement_group(project, &request.name, request.labels, now)?;
        let mut body = wrapped(world, project, id)?;
        body["action"] = Value::Null;
        Ok(Reply::Created(body))
    })
}

async fn one(caller: Caller, Id(id): Id<PlacementGroupId>) -> Answer {
    caller.with(|world, project, _| Ok(Reply::Ok(wrapped(world, project, id)?)))
}

async fn update(caller: Caller, Id(id): Id<PlacementGroupId>, Json(request): Json<Rename>) -> Answer {
    caller.with(|world, project, now| {
        world.update_placement_group(project, id, request.into(), now)?;
        Ok(Reply::Ok(wrapped(world, project, id)?))
    })
}

async fn delete(caller: Caller, Id(id): Id<PlacementGroupId>) -> Answer {
    caller.with(|world, project, now| world.delete_placement_group(project, id, now).map(|()| Reply::NoContent))
}

fn wrapped(world: &World, project: ProjectId, id: PlacementGroupId) -> Result<Value, ApiError> {
    let groups = &world.project(project).placement_groups;
    let group = groups.get(&id).ok_or_else(|| ApiError::not_found("placement_group", id))?;
    Ok(json!({"placement_group": view(group)}))
}

pub(super) fn view(group: &PlacementGroup) -> Value {
    json!({
        "id": group.id,
        "name": group.meta.name,
        "labels": group.meta.labels,
        "type": "spread",
        "created": time(group.meta.created),
        "servers": group.servers,
    })
}
