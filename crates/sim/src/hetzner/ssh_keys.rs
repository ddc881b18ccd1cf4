//! `/ssh_keys`

use axum::Router;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Caller;
use super::body::{Id, Json, Params};
use super::list::ListQuery;
use super::reply::{Answer, Reply, time};
use crate::world::ssh_keys::SshKey;
use crate::world::{ApiError, Labels, ProjectId, SshKeyId, Update, World};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/ssh_keys", get(list).post(create))
        .route("/ssh_keys/{id}", get(one).put(update).delete(delete))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    public_key: String,
    #[serde(default)]
    labels: Labels,
}

/// A change of name and labels, the same for most resources.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    name: Option<String>,
    labels: Option<Labels>,
}

impl From<Rename> for Update {
    fn from(request: Rename) -> Self {
        Self { name: request.name, labels: request.labels }
    }
}

async fn list(caller: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &["fingerprint"])?;
    caller.with(|world, project, _| {
        let keys = world.project(project).ssh_keys.values();
        query.answer("ssh_keys", keys.filter(|key| query.wants("fingerprint", &key.fingerprint)), |it| &it.meta, view)
    })
}

async fn create(caller: Caller, Json(request): Json<Create>) -> Answer {
    caller.with(|world, project, now| {
        let id = world.create_ssh_key(project, &request.name, &request.public_key, request.labels, now)?;
        Ok(Reply::Created(wrapped(world, project, id)?))
    })
}

async fn one(caller: Caller, Id(id): Id<SshKeyId>) -> Answer {
    caller.with(|world, project, _| Ok(Reply::Ok(wrapped(world, project, id)?)))
}

async fn update(caller: Caller, Id(id): Id<SshKeyId>, Json(request): Json<Rename>) -> Answer {
    caller.with(|world, project, now| {
        world.update_ssh_key(project, id, request.into(), now)?;
        Ok(Reply::Ok(wrapped(world, project, id)?))
    })
}

async fn delete(caller: Caller, Id(id): Id<SshKeyId>) -> Answer {
    caller.with(|world, project, now| world.delete_ssh_key(project, id, now).map(|()| Reply::NoContent))
}

fn wrapped(world: &World, project: ProjectId, id: SshKeyId) -> Result<Value, ApiError> {
    let key = world.project(project).ssh_keys.get(&id).ok_or_else(|| ApiError::not_found("ssh_key", id))?;
    Ok(json!({"ssh_key": view(key)}))
}

fn view(key: &SshKey) -> Value {
    json!({
        "id": key.id,
        "name": key.meta.name,
        "fingerprint": key.fingerprint,
        "public_key": key.public_key,
        "labels": key.meta.labels,
        "created": time(key.meta.created),
    })
}
