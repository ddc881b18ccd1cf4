//! `/firewalls`

use axum::Router;
use axum::routing::{get, post};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Caller;
use super::actions;
use super::body::{Id, Json, Params};
use super::list::ListQuery;
use super::reply::{Answer, Reply, time};
use super::ssh_keys::Rename;
use crate::world::firewalls::{CreateFirewall, Direction, Firewall, FirewallTarget, Protocol, Rule};
use crate::world::{ApiError, FirewallId, Labels, ProjectId, ServerId, World};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/firewalls", get(list).post(create))
        .route("/firewalls/{id}", get(one).put(update).delete(delete))
        .route("/firewalls/{id}/actions/set_rules", post(set_rules))
        .route("/firewalls/{id}/actions/apply_to_resources", post(apply))
        .route("/firewalls/{id}/actions/remove_from_resources", post(remove))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    rules: Vec<RuleOnWire>,
    #[serde(default)]
    apply_to: Vec<TargetOnWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetRules {
    rules: Vec<RuleOnWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Apply {
    apply_to: Vec<TargetOnWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    remove_from: Vec<TargetOnWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleOnWire {
    description: Option<String>,
    direction: DirectionOnWire,
    #[serde(default)]
    source_ips: Vec<IpNet>,
    #[serde(default)]
    destination_ips: Vec<IpNet>,
    protocol: ProtocolOnWire,
    port: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DirectionOnWire {
    In,
    Out,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProtocolOnWire {
    Tcp,
    Udp,
    Icmp,
    Esp,
    Gre,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetOnWire {
    #[serde(rename = "type")]
    kind: TargetKind,
    server: Option<ServerOnWire>,
    label_selector: Option<SelectorOnWire>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TargetKind {
    Server,
    LabelSelector,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerOnWire {
    id: ServerId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectorOnWire {
    selector: String,
}

impl From<RuleOnWire> for Rule {
    fn from(rule: RuleOnWire) -> Self {
        Self {
            description: rule.description,
            direction: match rule.direction {
                DirectionOnWire::In => Direction::In,
                DirectionOnWire::Out => Direction::Out,
            },
            source_ips: rule.source_ips,
            destination_ips: rule.destination_ips,
            protocol: match rule.protocol {
                ProtocolOnWire::Tcp => Protocol::Tcp,
                ProtocolOnWire::Udp => Protocol::Udp,
                ProtocolOnWire::Icmp => Protocol::Icmp,
                ProtocolOnWire::Esp => Protocol::Esp,
                ProtocolOnWire::Gre => Protocol::Gre,
            },
            port: rule.port,
        }
    }
}

impl TryFrom<TargetOnWire> for FirewallTarget {
    type Error = ApiError;

    fn try_from(target: TargetOnWire) -> Result<Self, ApiError> {
        match (target.kind, target.server, target.label_selector) {
            (TargetKind::Server, Some(server), None) => Ok(Self::Server(server.id)),
            (TargetKind::LabelSelector, None, Some(selector)) => Ok(Self::LabelSelector(selector.selector)),
            (TargetKind::Server | TargetKind::LabelSelector, _, _) => {
                Err(ApiError::invalid("type", "must go with the one object that it names"))
            }
        }
    }
}

fn targets(wire: Vec<TargetOnWire>) -> Result<Vec<FirewallTarget>, ApiError> {
    wire.into_iter().map(FirewallTarget::try_from).collect()
}

async fn list(caller: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &[])?;
    caller.with(|world, project, _| {
        query.answer("firewalls", world.project(project).firewalls.values(), |it| &it.meta, view)
    })
}

async fn create(caller: Caller, Json(request): Json<Create>) -> Answer {
    let order = CreateFirewall {
        name: request.name,
        rules: request.rules.into_iter().map(Rule::from).collect(),
        apply_to: targets(request.apply_to)?,
        labels: request.labels,
    };
    caller.with(|world, project, now| {
        let (id, started) = world.create_firewall(project, order, now)?;
        let started: Vec<Value> = started.iter().map(|id| actions::view_of(world, project, *id)).collect();
        let mut body = wrapped(world, project, id)?;
        body["actions"] = Value::Array(started);
        Ok(Reply::Created(body))
    })
}

async fn one(caller: Caller, Id(id): Id<FirewallId>) -> Answer {
    caller.with(|world, project, _| Ok(Reply::Ok(wrapped(world, project, id)?)))
}

async fn update(caller: Caller, Id(id): Id<FirewallId>, Json(request): Json<Rename>) -> Answer {
    caller.with(|world, project, now| {
        world.update_firewall(project, id, request.into(), now)?;
        Ok(Reply::Ok(wrapped(world, project, id)?))
    })
}

async fn delete(caller: Caller, Id(id): Id<FirewallId>) -> Answer {
    caller.with(|world, project, now| world.delete_firewall(project, id, now).map(|()| Reply::NoContent))
}

async fn set_rules(caller: Caller, Id(id): Id<FirewallId>, Json(request): Json<SetRules>) -> Answer {
    let rules = request.rules.into_iter().map(Rule::from).collect();
    caller.with(|world, project, now| {
        let started = world.set_rules(project, id, rules, now)?;
        Ok(actions::all_started(world, project, &started))
    })
}

async fn apply(caller: Caller, Id(id): Id<FirewallId>, Json(request): Json<Apply>) -> Answer {
    let to = targets(request.apply_to)?;
    caller.with(|world, project, now| {
        let started = world.apply_firewall(project, id, &to, now)?;
        Ok(actions::all_started(world, project, &started))
    })
}

async fn remove(caller: Caller, Id(id): Id<FirewallId>, Json(request): Json<Remove>) -> Answer {
    let from = targets(request.remove_from)?;
    caller.with(|world, project, now| {
        let started = world.remove_firewall(project, id, &from, now)?;
        Ok(actions::all_started(world, project, &started))
    })
}

fn wrapped(world: &World, project: ProjectId, id: FirewallId) -> Result<Value, ApiError> {
    let all = &world.project(project).firewalls;
    Ok(json!({"firewall": view(all.get(&id).ok_or_else(|| ApiError::not_found("firewall", id))?)}))
}

fn view(firewall: &Firewall) -> Value {
    let server = |id: &ServerId| json!({"type": "server", "server": {"id": id}});
    let mut applied_to: Vec<Value> = firewall.direct.iter().map(server).collect();
    applied_to.extend(firewall.selected.iter().map(|(selector, selected)| {
        json!({
            "type": "label_selector",
            "label_selector": {"selector": selector},
            "applied_to_resources": selected.iter().map(server).collect::<Vec<_>>(),
        })
    }));
    json!({
        "id": firewall.id,
        "name": firewall.meta.name,
        "labels": firewall.meta.labels,
        "created": time(firewall.meta.created),
        "rules": firewall.rules.iter().map(rule_view).collect::<Vec<_>>(),
        "applied_to": applied_to,
    })
}

fn rule_view(rule: &Rule) -> Value {
    json!({
        "description": rule.description,
        "direction": match rule.direction { Direction::In => "in", Direction::Out => "out" },
        "source_ips": rule.source_ips,
        "destination_ips": rule.destination_ips,
        "protocol": rule.protocol.as_str(),
        "port": rule.port,
    })
}
