//! The world as JSON, for people and assertions. It holds no token, key or user data.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::load_balancers::LoadBalancer;
use crate::world::object_storage::Objects;
use crate::world::{Project, Server, World};

/// Everything.
pub(super) fn world(world: &World) -> Value {
    let projects: Vec<Value> = world.projects().map(|(_, it)| project(world, it)).collect();
    json!({
        "now": world.now(),
        "next_due": world.next_due(),
        "projects": projects,
        "buckets": world.buckets().map(|(name, objects)| bucket(name, objects)).collect::<Vec<_>>(),
    })
}

fn bucket(name: &str, objects: &Objects) -> Value {
    let objects = objects.iter().map(|(key, it)| json!({"key": key, "bytes": it.content.len(), "put": it.modified}));
    json!({"name": name, "objects": objects.collect::<Vec<_>>()})
}

fn project(world: &World, project: &Project) -> Value {
    let networks: Vec<Value> = project
        .networks
        .values()
        .map(|it| {
            let subnets: Vec<String> = it.subnets.iter().map(|subnet| subnet.range.to_string()).collect();
            json!({"id": it.id, "name": it.meta.name, "range": it.range, "subnets": subnets, "labels": it.meta.labels})
        })
        .collect();
    let firewalls: Vec<Value> = project
        .firewalls
        .values()
        .map(|it| {
            let guards: Vec<_> = project.servers.keys().filter(|server| it.guards(**server)).collect();
            json!({"id": it.id, "name": it.meta.name, "rules": it.rules.len(), "guards": guards,
                "departed": it.departed, "labels": it.meta.labels})
        })
        .collect();
    let groups: Vec<Value> = project
        .placement_groups
        .values()
        .map(|it| json!({"id": it.id, "name": it.meta.name, "servers": it.servers, "departed": it.departed}))
        .collect();
    let named = |name: &str, id: u64| json!({"id": id, "name": name});
    json!({
        "name": project.name,
        "is_empty": project.is_empty(),
        "servers": project.servers.values().map(|it| server(world, it)).collect::<Vec<_>>(),
        "networks": networks,
        "firewalls": firewalls,
        "placement_groups": groups,
        "load_balancers": project.load_balancers.values().map(|it| balancer(project, it)).collect::<Vec<_>>(),
        "ssh_keys": project.ssh_keys.values().map(|it| named(&it.meta.name, it.id.0)).collect::<Vec<_>>(),
        "volumes": project.volumes.values().map(|it| named(&it.meta.name, it.id.0)).collect::<Vec<_>>(),
        "primary_ips": project.primary_ips.values().map(|it| named(&it.meta.name, it.id.0)).collect::<Vec<_>>(),
        "images": project.images.values().map(|it| named(&it.meta.name, it.id.0)).collect::<Vec<_>>(),
        "cost": cost(project, world.now()),
    })
}

/// A server and how far its machine is.
pub(super) fn server(world: &World, server: &Server) -> Value {
    let machine = world.guests().get(server.id).filter(|_| server.hardware.powered).map(|guest| {
        let (stage, ready) = guest.status(world.now());
        json!({"stage": format!("{stage:?}"), "ready": ready, "talos": guest.version()})
    });
    let private: Vec<String> = server.private_net.iter().map(|net| net.ip.to_string()).collect();
    json!({
        "id": server.id,
        "name": server.meta.name,
        "status": server.status.as_str(),
        "locked": server.locked(),
        "type": server.server_type.name,
        "location": server.location.name,
        "address": server.address,
        "private_ips": private,
        "boots": server.hardware.boots,
        "machine": machine,
        "labels": server.meta.labels,
    })
}

/// What a project costs.
pub(super) fn cost(project: &Project, now: Timestamp) -> Value {
    let items: Vec<Value> = project
        .ledger
        .items()
        .iter()
        .map(|item| {
            let (kind, id) = item.resource.parts();
            json!({
                "kind": kind,
                "id": id,
                "name": item.name,
                "monthly_eur_net": item.monthly.to_string(),
                "from": item.from,
                "until": item.until,
                "cost_eur_net": item.cost(now).to_string(),
            })
        })
        .collect();
    json!({
        "name": project.name,
        "monthly_eur_net": project.ledger.monthly().to_string(),
        "accrued_eur_net": project.ledger.accrued(now).to_string(),
        "items": items,
    })
}

fn balancer(project: &Project, balancer: &LoadBalancer) -> Value {
    let mut health = Vec::new();
    for port in balancer.services.keys() {
        for server in balancer.targets.iter().flat_map(|target| target.servers()) {
            let found = balancer.health(server, *port);
            let name = project.servers.get(&server).map(|it| &it.meta.name);
            health.push(json!({"server": server, "name": name, "listen_port": port, "healthy": found.healthy,
                "http_status": found.http_status}));
        }
    }
    json!({
        "id": balancer.id,
        "name": balancer.meta.name,
        "address": balancer.address,
        "public": balancer.public,
        "private_ip": balancer.private_net.map(|(_, ip)| ip),
        "health": health,
        "labels": balancer.meta.labels,
    })
}
