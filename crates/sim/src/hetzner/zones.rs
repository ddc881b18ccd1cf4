//! `/zones`, and the sets of records in them.

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Caller;
use super::actions::{started, view_of};
use super::body::{Json, Params};
use super::list::ListQuery;
use super::reply::{Answer, Reply, time};
use crate::world::zones::{RrSet, Zone};
use crate::world::{ApiError, Labels, ProjectId, World};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/zones", get(list).post(create))
        .route("/zones/{zone}", get(one).delete(delete))
        .route("/zones/{zone}/rrsets", get(rrsets).post(create_rrset))
        .route("/zones/{zone}/rrsets/{name}/{kind}", get(rrset).put(label_rrset).delete(delete_rrset))
        .route("/zones/{zone}/rrsets/{name}/{kind}/actions/set_records", post(set_records))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    mode: String,
    #[serde(default)]
    labels: Labels,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateRrSet {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    ttl: Option<u32>,
    records: Vec<Record>,
    #[serde(default)]
    labels: Labels,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    value: String,
    #[serde(rename = "comment")]
    _comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Relabel {
    labels: Option<Labels>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetRecords {
    records: Vec<Record>,
}

fn values(records: Vec<Record>) -> Vec<String> {
    records.into_iter().map(|record| record.value).collect()
}

async fn list(caller: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &["mode"])?;
    caller.with(|world, project, _| {
        let zones = world.project(project).zones.values().filter(|_| query.wants("mode", "primary"));
        query.answer("zones", zones, |it| &it.meta, view)
    })
}

async fn create(caller: Caller, Json(request): Json<Create>) -> Answer {
    if request.mode != "primary" {
        return Err(ApiError::invalid("mode", "only zones in primary mode are simulated"));
    }
    caller.with(|world, project, now| {
        let (id, action) = world.create_zone(project, &request.name, request.labels, now)?;
        let zone = view(world.project(project).zone(&id.to_string())?);
        Ok(Reply::Created(json!({"zone": zone, "action": view_of(world, project, action)})))
    })
}

async fn one(caller: Caller, Path(zone): Path<String>) -> Answer {
    caller.with(|world, project, _| Ok(Reply::Ok(json!({"zone": view(world.project(project).zone(&zone)?)}))))
}

async fn delete(caller: Caller, Path(zone): Path<String>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.delete_zone(project, &zone, now)?;
        Ok(started(world, project, action))
    })
}

async fn rrsets(caller: Caller, Path(zone): Path<String>, params: Params) -> Answer {
    let query = ListQuery::read(params, &["type"])?;
    caller.with(|world, project, _| {
        let zone = world.project(project).zone(&zone)?;
        let found: Vec<&RrSet> = zone
            .rrsets
            .values()
            .filter(|it| query.wants("type", &it.kind) && query.names(&it.name) && query.selects_labels(&it.labels))
            .collect();
        Ok(query.page_of("rrsets", &found, |it| rrset_view(zone, it)))
    })
}

async fn create_rrset(caller: Caller, Path(zone): Path<String>, Json(request): Json<CreateRrSet>) -> Answer {
    caller.with(|world, project, now| {
        let (name, kind) = (request.name, request.kind);
        let records = values(request.records);
        let new = RrSet { name, kind, ttl_seconds: request.ttl, labels: request.labels, records };
        let (name, kind) = (new.name.clone(), new.kind.clone());
        let action = world.create_rrset(project, &zone, new, now)?;
        let rrset = wrapped(world, project, (&zone, &name, &kind))?;
        Ok(Reply::Created(json!({"rrset": rrset, "action": view_of(world, project, action)})))
    })
}

type Place = Path<(String, String, String)>;

async fn rrset(caller: Caller, Path((zone, name, kind)): Place) -> Answer {
    caller.with(|world, project, _| Ok(Reply::Ok(json!({"rrset": wrapped(world, project, (&zone, &name, &kind))?}))))
}

async fn label_rrset(caller: Caller, Path((zone, name, kind)): Place, Json(request): Json<Relabel>) -> Answer {
    caller.with(|world, project, now| {
        if let Some(labels) = request.labels {
            world.label_rrset(project, (&zone, &name, &kind), labels, now)?;
        }
        Ok(Reply::Ok(json!({"rrset": wrapped(world, project, (&zone, &name, &kind))?})))
    })
}

async fn set_records(caller: Caller, Path((zone, name, kind)): Place, Json(request): Json<SetRecords>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.set_records(project, (&zone, &name, &kind), values(request.records), now)?;
        Ok(started(world, project, action))
    })
}

async fn delete_rrset(caller: Caller, Path((zone, name, kind)): Place) -> Answer {
    caller.with(|world, project, now| {
        let action = world.delete_rrset(project, (&zone, &name, &kind), now)?;
        Ok(started(world, project, action))
    })
}

fn wrapped(world: &World, project: ProjectId, (zone, name, kind): (&str, &str, &str)) -> Result<Value, ApiError> {
    let project = world.project(project);
    Ok(rrset_view(project.zone(zone)?, project.rrset(zone, name, kind)?))
}

fn view(zone: &Zone) -> Value {
    let nameservers = json!(["hydrogen.ns.hetzner.com.", "oxygen.ns.hetzner.com.", "helium.ns.hetzner.de."]);
    json!({
        "id": zone.id,
        "name": zone.meta.name,
        "created": time(zone.meta.created),
        "mode": "primary",
        "primary_nameservers": [],
        "labels": zone.meta.labels,
        "protection": {"delete": zone.meta.delete_protected},
        "ttl": zone.ttl_seconds,
        "status": "ok",
        "record_count": zone.rrsets.values().map(|it| it.records.len()).sum::<usize>(),
        "authoritative_nameservers": {
            "assigned": nameservers,
            "delegated": nameservers,
            "delegation_last_check": time(zone.meta.created),
            "delegation_status": "valid",
        },
        "registrar": "other",
    })
}

fn rrset_view(zone: &Zone, it: &RrSet) -> Value {
    let records: Vec<Value> = it.records.iter().map(|value| json!({"value": value})).collect();
    json!({
        "id": format!("{}/{}", it.name, it.kind),
        "name": it.name,
        "type": it.kind,
        "ttl": it.ttl_seconds,
        "labels": it.labels,
        "protection": {"change": false},
        "records": records,
        "zone": zone.id,
    })
}
