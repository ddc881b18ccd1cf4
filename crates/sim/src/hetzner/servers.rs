//! `/servers`. The actions on a server are in `change.rs`.

mod change;

use axum::Router;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Id, Json, Params};
use super::list::ListQuery;
use super::reply::{Answer, Reply, time};
use super::ssh_keys::Rename;
use super::{Caller, actions, catalogue, images, placement_groups};
use crate::world::catalogue::INCLUDED_TRAFFIC_BYTES;
use crate::world::servers::{PrivateNet, PublicNet};
use crate::world::{
    ApiError, CreateServer, FirewallId, Labels, NetworkId, PlacementGroupId, PrimaryIpId, Project, ProjectId, Server,
    ServerId, VolumeId, World,
};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/servers", get(list).post(create))
        .route("/servers/{id}", get(one).put(update).delete(delete))
        .merge(change::routes())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    server_type: NameOrId,
    image: NameOrId,
    location: Option<String>,
    #[serde(default = "yes")]
    start_after_create: bool,
    placement_group: Option<PlacementGroupId>,
    #[serde(default)]
    ssh_keys: Vec<NameOrId>,
    #[serde(default)]
    volumes: Vec<VolumeId>,
    #[serde(default)]
    networks: Vec<NetworkId>,
    #[serde(default)]
    firewalls: Vec<FirewallRef>,
    user_data: Option<String>,
    #[serde(default)]
    labels: Labels,
    #[serde(default, rename = "automount")]
    _automount: bool,
    public_net: Option<CreatePublicNet>,
}

/// Hetzner takes numbers as JSON strings and as JSON numbers.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum NameOrId {
    Name(String),
    Id(u64),
}

impl From<NameOrId> for String {
    fn from(name_or_id: NameOrId) -> Self {
        match name_or_id {
            NameOrId::Name(name) => name,
            NameOrId::Id(id) => id.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FirewallRef {
    firewall: FirewallId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreatePublicNet {
    #[serde(default = "yes")]
    enable_ipv4: bool,
    #[serde(default = "yes")]
    enable_ipv6: bool,
    ipv4: Option<PrimaryIpId>,
    ipv6: Option<PrimaryIpId>,
}

const fn yes() -> bool {
    true
}

impl From<Create> for CreateServer {
    fn from(request: Create) -> Self {
        let public_net = request.public_net.map_or_else(PublicNet::default, |net| PublicNet {
            enable_ipv4: net.enable_ipv4,
            enable_ipv6: net.enable_ipv6,
            ipv4: net.ipv4,
            ipv6: net.ipv6,
        });
        Self {
            name: request.name,
            server_type: request.server_type.into(),
            image: request.image.into(),
            location: request.location,
            stay_off: !request.start_after_create,
            placement_group: request.placement_group,
            ssh_keys: request.ssh_keys.into_iter().map(String::from).collect(),
            volumes: request.volumes,
            networks: request.networks,
            firewalls: request.firewalls.into_iter().map(|it| it.firewall).collect(),
            user_data: request.user_data,
            labels: request.labels,
            public_net,
        }
    }
}

async fn list(caller: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &["status"])?;
    caller.with(|world, project, _| {
        let servers = world.project(project).servers.values();
        let wanted = servers.filter(|server| query.wants("status", server.status.as_str()));
        query.answer("servers", wanted, |it| &it.meta, |server| view(world, project, server))
    })
}

async fn create(caller: Caller, Json(request): Json<Create>) -> Answer {
    caller.with(|world, project, now| {
        let made = world.create_server(project, request.into(), now)?;
        let next: Vec<Value> = made.next_actions.iter().map(|id| actions::view_of(world, project, *id)).collect();
        Ok(Reply::Created(json!({
            "server": view(world, project, world.server(project, made.id)?),
            "action": actions::view_of(world, project, made.action),
            "next_actions": next,
            "root_password": made.root_password,
        })))
    })
}

async fn one(caller: Caller, Id(id): Id<ServerId>) -> Answer {
    caller.with(|world, project, _| Ok(Reply::Ok(wrapped(world, project, id)?)))
}

async fn update(caller: Caller, Id(id): Id<ServerId>, Json(request): Json<Rename>) -> Answer {
    caller.with(|world, project, now| {
        world.update_server(project, id, request.into(), now)?;
        Ok(Reply::Ok(wrapped(world, project, id)?))
    })
}

async fn delete(caller: Caller, Id(id): Id<ServerId>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.delete_server(project, id, now)?;
        Ok(Reply::Ok(json!({"action": actions::view_of(world, project, action)})))
    })
}

fn wrapped(world: &World, project: ProjectId, id: ServerId) -> Result<Value, ApiError> {
    Ok(json!({"server": view(world, project, world.server(project, id)?)}))
}

fn view(world: &World, project: ProjectId, server: &Server) -> Value {
    let all = world.project(project);
    let group = server.placement_group.and_then(|id| all.placement_groups.get(&id));
    let volumes: Vec<VolumeId> =
        all.volumes.values().filter(|volume| volume.server == Some(server.id)).map(|volume| volume.id).collect();
    let balancers: Vec<_> = all
        .load_balancers
        .values()
        .filter(|balancer| balancer.targets.iter().any(|target| target.servers().contains(&server.id)))
        .map(|balancer| balancer.id)
        .collect();
    json!({
        "id": server.id,
        "name": server.meta.name,
        "status": server.status.as_str(),
        "created": time(server.meta.created),
        "public_net": public_net(all, server),
        "private_net": server.private_net.iter().map(|net| private_net(server, net)).collect::<Vec<_>>(),
        "server_type": catalogue::server_type_view(world, server.server_type),
        "location": catalogue::location_view(server.location),
        "image": all.images.get(&server.image).map(images::view),
        "iso": null,
        "rescue_enabled": false,
        "locked": server.locked(),
        "backup_window": null,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": INCLUDED_TRAFFIC_BYTES,
        "protection": {"delete": server.meta.delete_protected, "rebuild": server.rebuild_protected},
        "labels": server.meta.labels,
        "volumes": volumes,
        "load_balancers": balancers,
        "primary_disk_size": server.primary_disk_gb,
        "placement_group": group.map(placement_groups::view),
    })
}

fn public_net(all: &Project, server: &Server) -> Value {
    let ipv4 = server
        .ipv4
        .and_then(|id| all.primary_ips.get(&id))
        .map(|ip| json!({"id": ip.id, "ip": ip.text(), "blocked": false, "dns_ptr": ""}));
    let ipv6 = server
        .ipv6
        .and_then(|id| all.primary_ips.get(&id))
        .map(|ip| json!({"id": ip.id, "ip": ip.text(), "blocked": false, "dns_ptr": []}));
    let firewalls: Vec<Value> = all
        .firewalls
        .values()
        .filter(|firewall| firewall.guards(server.id))
        .map(|firewall| json!({"id": firewall.id, "status": "applied"}))
        .collect();
    json!({"ipv4": ipv4, "ipv6": ipv6, "floating_ips": [], "firewalls": firewalls})
}

fn private_net(server: &Server, net: &PrivateNet) -> Value {
    let [_, b, c, d] = net.ip.octets();
    let [.., low] = server.id.0.to_be_bytes();
    json!({
        "network": net.network,
        "ip": net.ip,
        "alias_ips": net.alias_ips,
        // Locally administered; unique within the network by the address.
        "mac_address": format!("86:00:{low:02x}:{b:02x}:{c:02x}:{d:02x}"),
    })
}
