//! `/primary_ips`

use axum::Router;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Id, Json, Params};
use super::images::Protect;
use super::list::ListQuery;
use super::reply::{Answer, Reply, time};
use super::{Caller, actions, catalogue};
use crate::world::primary_ips::{CreatePrimaryIp, IpVersion, PrimaryIp};
use crate::world::{ApiError, Labels, PrimaryIpId, ProjectId, ResourceRef, ServerId, Update, World};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/primary_ips", get(list).post(create))
        .route("/primary_ips/{id}", get(one).put(update).delete(delete))
        .route("/primary_ips/{id}/actions/assign", post(assign))
        .route("/primary_ips/{id}/actions/unassign", post(unassign))
        .route("/primary_ips/{id}/actions/change_protection", post(protect))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    location: Option<String>,
    #[serde(rename = "assignee_type")]
    _assignee_type: Option<Assignee>,
    assignee_id: Option<ServerId>,
    #[serde(default)]
    auto_delete: bool,
    #[serde(default)]
    labels: Labels,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Ipv4,
    Ipv6,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Assignee {
    Server,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    labels: Option<Labels>,
    auto_delete: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assign {
    assignee_id: ServerId,
    #[serde(rename = "assignee_type")]
    _assignee_type: Assignee,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unassign {}

async fn list(caller: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &["ip"])?;
    caller.with(|world, project, _| {
        let wanted = world.project(project).primary_ips.values().filter(|ip| query.wants("ip", &ip.text()));
        query.answer("primary_ips", wanted, |it| &it.meta, view)
    })
}

async fn create(caller: Caller, Json(request): Json<Create>) -> Answer {
    caller.with(|world, project, now| {
        let location = match (request.location, request.assignee_id) {
            (Some(location), None) => location,
            (None, Some(server)) => world.server(project, server)?.location.name.to_owned(),
            (Some(_), Some(_)) | (None, None) => {
                return Err(ApiError::invalid("location", "either location or assignee_id must be given"));
            }
        };
        let order = CreatePrimaryIp {
            name: request.name,
            version: match request.kind {
                Kind::Ipv4 => IpVersion::V4,
                Kind::Ipv6 => IpVersion::V6,
            },
            location,
            assign_to: request.assignee_id,
            auto_delete: request.auto_delete,
            labels: request.labels,
        };
        let (id, action) = world.create_primary_ip(project, order, now)?;
        let mut body = wrapped(world, project, id)?;
        if let Some(action) = action {
            body["action"] = actions::view_of(world, project, action);
        }
        Ok(Reply::Created(body))
    })
}

async fn one(caller: Caller, Id(id): Id<PrimaryIpId>) -> Answer {
    caller.with(|world, project, _| Ok(Reply::Ok(wrapped(world, project, id)?)))
}

async fn update(caller: Caller, Id(id): Id<PrimaryIpId>, Json(request): Json<Change>) -> Answer {
    let update = Update { name: request.name, labels: request.labels };
    caller.with(|world, project, now| {
        world.update_primary_ip(project, id, update, request.auto_delete, now)?;
        Ok(Reply::Ok(wrapped(world, project, id)?))
    })
}

async fn delete(caller: Caller, Id(id): Id<PrimaryIpId>) -> Answer {
    caller.with(|world, project, now| world.delete_primary_ip(project, id, now).map(|()| Reply::NoContent))
}

async fn assign(caller: Caller, Id(id): Id<PrimaryIpId>, Json(request): Json<Assign>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.assign_primary_ip(project, id, request.assignee_id, now)?;
        Ok(actions::started(world, project, action))
    })
}

async fn unassign(caller: Caller, Id(id): Id<PrimaryIpId>, Json(Unassign {}): Json<Unassign>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.unassign_primary_ip(project, id, now)?;
        Ok(actions::started(world, project, action))
    })
}

async fn protect(caller: Caller, Id(id): Id<PrimaryIpId>, Json(request): Json<Protect>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.change_protection(project, ResourceRef::PrimaryIp(id), request.delete, None, now)?;
        Ok(actions::started(world, project, action))
    })
}

fn wrapped(world: &World, project: ProjectId, id: PrimaryIpId) -> Result<Value, ApiError> {
    let all = &world.project(project).primary_ips;
    Ok(json!({"primary_ip": view(all.get(&id).ok_or_else(|| ApiError::not_found("primary_ip", id))?)}))
}

fn view(ip: &PrimaryIp) -> Value {
    json!({
        "id": ip.id,
        "name": ip.meta.name,
        "labels": ip.meta.labels,
        "created": time(ip.meta.created),
        "blocked": false,
        "location": catalogue::location_view(ip.location),
        "ip": ip.text(),
        "dns_ptr": [],
        "protection": {"delete": ip.meta.delete_protected},
        "type": ip.version.as_str(),
        "auto_delete": ip.auto_delete,
        // Since 2026-08-01 an address of nobody says so (behaviour 23).
        "assignee_type": if ip.server.is_some() { "server" } else { "unassigned" },
        "assignee_id": ip.server,
    })
}
