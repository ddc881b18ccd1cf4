//! `/actions`, and the actions of each resource.

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};

use super::Caller;
use super::body::{Id, Params};
use super::list::ListQuery;
use super::reply::{Answer, Reply, time};
use crate::world::{Action, ActionId, ActionStatus, ApiError, ProjectId, ResourceRef, World};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/actions", get(list))
        .route("/actions/{id}", get(one))
        .route("/firewalls/{id}/actions", get(of_resource(ResourceRef::Firewall)))
        .route("/load_balancers/{id}/actions", get(of_resource(ResourceRef::LoadBalancer)))
        .route("/networks/{id}/actions", get(of_resource(ResourceRef::Network)))
        .route("/primary_ips/{id}/actions", get(of_resource(ResourceRef::PrimaryIp)))
        .route("/servers/{id}/actions", get(of_resource(ResourceRef::Server)))
        .route("/volumes/{id}/actions", get(of_resource(ResourceRef::Volume)))
}

/// The actions whose numbers are given; without any the call is refused (behaviour 22).
async fn list(caller: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &["id"])?;
    let wanted: Vec<u64> = query
        .values("id")
        .map(|id| id.parse().map_err(|_| ApiError::invalid("id", "is not a number")))
        .collect::<Result<_, _>>()?;
    if wanted.is_empty() {
        return Err(ApiError::invalid("id", "is required"));
    }
    caller.with(|world, project, now| {
        let found: Vec<Value> = wanted
            .iter()
            .filter_map(|id| world.action(project, ActionId(*id)).ok())
            .map(|action| view(action, now))
            .collect();
        Ok(query.page_of("actions", &found, Value::clone))
    })
}

async fn one(caller: Caller, Id(id): Id<ActionId>) -> Answer {
    caller.with(|world, project, now| Ok(Reply::Ok(json!({"action": view(world.action(project, id)?, now)}))))
}

fn of_resource<T>(
    kind: fn(T) -> ResourceRef,
) -> impl Fn(Caller, Id<T>, Params) -> std::future::Ready<Answer> + Clone + Send + Sync + 'static
where
    T: From<u64> + Send + 'static,
{
    move |caller: Caller, Id(id), params| {
        std::future::ready(ListQuery::read(params, &["status"]).and_then(|query| {
            caller.with(|world, project, now| {
                let resource = kind(id);
                if world.project(project).meta_of(resource).is_none() {
                    let (kind, number) = resource.parts();
                    return Err(ApiError::not_found(kind, number));
                }
                let found: Vec<Value> = world.actions_of(project, resource).map(|action| view(action, now)).collect();
                Ok(query.page_of("actions", &found, Value::clone))
            })
        }))
    }
}

/// An action on the wire.
pub(super) fn view(action: &Action, now: jiff::Timestamp) -> Value {
    let (status, error) = match &action.status {
        ActionStatus::Running => ("running", Value::Null),
        ActionStatus::Success => ("success", Value::Null),
        ActionStatus::Error { code, message } => ("error", json!({"code": code, "message": message})),
    };
    let resources: Vec<Value> = action
        .resources
        .iter()
        .map(|resource| {
            let (kind, id) = resource.parts();
            json!({"id": id, "type": kind})
        })
        .collect();
    json!({
        "id": action.id,
        "command": action.command,
        "status": status,
        "progress": action.progress(now),
        "started": time(action.started),
        "finished": action.finished.map(time),
        "resources": resources,
        "error": error,
    })
}

/// An action of the project by its number, on the wire.
pub(super) fn view_of(world: &World, project: ProjectId, id: ActionId) -> Value {
    world.action(project, id).map(|action| view(action, world.now())).unwrap_or_default()
}

/// The answer of a call that started one action.
pub(super) fn started(world: &World, project: ProjectId, id: ActionId) -> Reply {
    Reply::Created(json!({"action": view_of(world, project, id)}))
}

/// The answer of a call that started several.
pub(super) fn all_started(world: &World, project: ProjectId, ids: &[ActionId]) -> Reply {
    let actions: Vec<Value> = ids.iter().map(|id| view_of(world, project, *id)).collect();
    Reply::Created(json!({"actions": actions}))
}
