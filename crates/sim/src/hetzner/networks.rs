//! `/networks`

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use axum::Router;
use axum::routing::{get, post};
use ipnet::Ipv4Net;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Caller;
use super::actions;
use super::body::{Id, Json, Params};
use super::images::Protect;
use super::list::ListQuery;
use super::reply::{Answer, Reply, time};
use super::ssh_keys::Rename;
use crate::world::networks::{CreateNetwork, Network, NetworkChange, NewSubnet, Route, SubnetKind};
use crate::world::{ApiError, Labels, NetworkId, ProjectId, ResourceRef, World};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/networks", get(list).post(create))
        .route("/networks/{id}", get(one).put(update).delete(delete))
        .route("/networks/{id}/actions/add_subnet", change::<CreateSubnet>())
        .route("/networks/{id}/actions/delete_subnet", change::<DeleteSubnet>())
        .route("/networks/{id}/actions/add_route", change::<AddRoute>())
        .route("/networks/{id}/actions/delete_route", change::<DeleteRoute>())
        .route("/networks/{id}/actions/change_ip_range", change::<ChangeRange>())
        .route("/networks/{id}/actions/change_protection", post(protect))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    ip_range: Ipv4Net,
    #[serde(default)]
    subnets: Vec<CreateSubnet>,
    #[serde(default)]
    routes: Vec<AddRoute>,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    expose_routes_to_vswitch: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateSubnet {
    #[serde(rename = "type")]
    kind: Kind,
    ip_range: Option<Ipv4Net>,
    network_zone: String,
}

/// `vswitch` couples dedicated servers, which the simulator doesn't have.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Cloud,
    Server,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteSubnet {
    ip_range: Ipv4Net,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddRoute {
    destination: Ipv4Net,
    gateway: Ipv4Addr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteRoute {
    destination: Ipv4Net,
    gateway: Ipv4Addr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeRange {
    ip_range: Ipv4Net,
}

impl From<CreateSubnet> for NewSubnet {
    fn from(request: CreateSubnet) -> Self {
        let kind = match request.kind {
            Kind::Cloud => SubnetKind::Cloud,
            Kind::Server => SubnetKind::Server,
        };
        Self { kind, range: request.ip_range, network_zone: request.network_zone }
    }
}

impl From<AddRoute> for Route {
    fn from(request: AddRoute) -> Self {
        Self { destination: request.destination, gateway: request.gateway }
    }
}

impl From<CreateSubnet> for NetworkChange {
    fn from(request: CreateSubnet) -> Self {
        Self::AddSubnet(request.into())
    }
}

impl From<DeleteSubnet> for NetworkChange {
    fn from(request: DeleteSubnet) -> Self {
        Self::DeleteSubnet(request.ip_range)
    }
}

impl From<AddRoute> for NetworkChange {
    fn from(request: AddRoute) -> Self {
        Self::AddRoute(request.into())
    }
}

impl From<DeleteRoute> for NetworkChange {
    fn from(request: DeleteRoute) -> Self {
        Self::DeleteRoute(Route { destination: request.destination, gateway: request.gateway })
    }
}

impl From<ChangeRange> for NetworkChange {
    fn from(request: ChangeRange) -> Self {
        Self::ChangeRange(request.ip_range)
    }
}

async fn list(caller: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &[])?;
    caller.with(|world, project, _| {
        query.answer("networks", world.project(project).networks.values(), |it| &it.meta, view)
    })
}

async fn create(caller: Caller, Json(request): Json<Create>) -> Answer {
    if request.expose_routes_to_vswitch {
        return Err(ApiError::invalid("expose_routes_to_vswitch", "needs a vswitch subnet"));
    }
    let order = CreateNetwork {
        name: request.name,
        range: request.ip_range,
        subnets: request.subnets.into_iter().map(NewSubnet::from).collect(),
        routes: request.routes.into_iter().map(Route::from).collect(),
        labels: request.labels,
    };
    caller.with(|world, project, now| {
        let id = world.create_network(project, order, now)?;
        Ok(Reply::Created(wrapped(world, project, id)?))
    })
}

async fn one(caller: Caller, Id(id): Id<NetworkId>) -> Answer {
    caller.with(|world, project, _| Ok(Reply::Ok(wrapped(world, project, id)?)))
}

async fn update(caller: Caller, Id(id): Id<NetworkId>, Json(request): Json<Rename>) -> Answer {
    caller.with(|world, project, now| {
        world.update_network(project, id, request.into(), now)?;
        Ok(Reply::Ok(wrapped(world, project, id)?))
    })
}

async fn delete(caller: Caller, Id(id): Id<NetworkId>) -> Answer {
    caller.with(|world, project, now| world.delete_network(project, id, now).map(|()| Reply::NoContent))
}

async fn protect(caller: Caller, Id(id): Id<NetworkId>, Json(request): Json<Protect>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.change_protection(project, ResourceRef::Network(id), request.delete, None, now)?;
        Ok(actions::started(world, project, action))
    })
}

fn change<T>() -> axum::routing::MethodRouter
where
    T: serde::de::DeserializeOwned + Into<NetworkChange> + Send + 'static,
{
    post(async |caller: Caller, Id(id): Id<NetworkId>, Json(request): Json<T>| -> Answer {
        caller.with(|world, project, now| {
            let action = world.change_network(project, id, request.into(), now)?;
            Ok(actions::started(world, project, action))
        })
    })
}

fn wrapped(world: &World, project: ProjectId, id: NetworkId) -> Result<Value, ApiError> {
    let all = &world.project(project).networks;
    Ok(json!({"network": view(all.get(&id).ok_or_else(|| ApiError::not_found("network", id))?)}))
}

fn view(network: &Network) -> Value {
    let holders: BTreeSet<&ResourceRef> = network.addresses.values().collect();
    let of_kind = |wanted: &str| -> Vec<u64> {
        holders.iter().map(|holder| holder.parts()).filter(|(kind, _)| *kind == wanted).map(|(_, id)| id).collect()
    };
    let subnets: Vec<Value> = network
        .subnets
        .iter()
        .map(|subnet| {
            json!({
                "type": subnet.kind.as_str(),
                "ip_range": subnet.range,
                "network_zone": subnet.network_zone,
                "gateway": network.gateway(),
            })
        })
        .collect();
    let routes: Vec<Value> = network
        .routes
        .iter()
        .map(|route| json!({"destination": route.destination, "gateway": route.gateway}))
        .collect();
    json!({
        "id": network.id,
        "name": network.meta.name,
        "ip_range": network.range,
        "subnets": subnets,
        "routes": routes,
        "servers": of_kind("server"),
        "load_balancers": of_kind("load_balancer"),
        "protection": {"delete": network.meta.delete_protected},
        "labels": network.meta.labels,
        "created": time(network.meta.created),
        "expose_routes_to_vswitch": false,
    })
}
