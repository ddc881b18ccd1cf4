//! NetBird's operator: groups, a network with its router and the router's pods, and the resources behind it, all at the
//! management service's stand-in. Pods that are ready are connected peers. What it made goes when nothing asks for it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::OperatorError;
use super::objects::{Kind, is_ready, metadata_of, number, pod_spec, text};
use super::scene::Scene;
use crate::world::mesh::{Mesh, Resource, Router};

const OPERATOR: &str = "netbird-operator";
const GROUP: Kind = Kind::new("netbird.io", "v1alpha1", "Group", "groups");
const ROUTER: Kind = Kind::new("netbird.io", "v1alpha1", "NetworkRouter", "networkrouters");
const RESOURCE: Kind = Kind::new("netbird.io", "v1alpha1", "NetworkResource", "networkresources");
/// Holds the cluster's name, which the operator notes on what it makes and finds it by.
const CLUSTER: &str = "CLUSTER_NAME";
/// The label of a router's pods.
const ROUTER_LABEL: &str = "netbird.io/networkrouter";
/// The least preferred.
const METRIC: u32 = 9999;

pub(super) async fn look(scene: &Scene<'_>) -> Result<(), OperatorError> {
    let Some(operator) = scene.available(OPERATOR) else { return Ok(()) };
    let made_by = format!("Created by netbird-operator in {}", cluster_of(operator));
    for group in scene.list(&GROUP).await? {
        let name = text(&group, "/spec/name").to_owned();
        let id = scene.setting.machines.with_world(|world, _| world.mesh().group_named(&name));
        scene.tell(&GROUP, &group, told(scene, &group, &json!({"groupID": id}))).await?;
    }
    let routers = scene.list(&ROUTER).await?;
    let deployments = scene.keep(OPERATOR, &Kind::DEPLOYMENT, routers.iter().map(deployment).collect()).await?;
    let pods = scene.list(&Kind::POD).await?;
    let mut networks = BTreeSet::new();
    for router in &routers {
        let (network, id) = route(scene, router, &pods, &made_by);
        let is_its = |it: &&Value| it["metadata"]["name"] == pod_name(router).as_str();
        let runs = deployments.iter().find(is_its).and_then(|it| number(it, "/status/readyReplicas"));
        let why = if runs.is_some() { ("Ready", "") } else { ("WorkloadNotReady", "no pod of the router is ready") };
        let ready = scene.condition(router, "Ready", runs.is_some(), why);
        let status = json!({"networkID": network, "routingPeerID": id, "conditions": ready});
        scene.tell(&ROUTER, router, status).await?;
        networks.insert(network);
    }
    resources(scene, &routers, &made_by).await?;
    let live: BTreeSet<String> = pods.iter().map(|pod| text(pod, "/metadata/name").to_owned()).collect();
    scene.setting.machines.with_world(|world, _| forget(world.mesh(), &made_by, &networks, &live));
    Ok(())
}

fn cluster_of(operator: &Value) -> &str {
    let containers = operator.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let mut variables = containers.into_iter().flatten().filter_map(|it| it["env"].as_array()).flatten();
    variables.find(|variable| variable["name"] == CLUSTER).map_or("", |variable| text(variable, "/value"))
}

/// Name of the group of a router's peers.
fn group_of(router: &str) -> String {
    format!("{router}-routers")
}

/// Its status, and that it is ready.
fn told(scene: &Scene<'_>, object: &Value, status: &Value) -> Value {
    let mut status = status.clone();
    status["conditions"] = scene.condition(object, "Ready", true, ("Ready", ""));
    status
}

fn pod_name(router: &Value) -> String {
    format!("networkrouter-{}", text(router, "/metadata/name"))
}

fn deployment(router: &Value) -> Value {
    let labels = json!({"app.kubernetes.io/name": "netbird-router", ROUTER_LABEL: router["metadata"]["name"]});
    json!({
        "metadata": metadata_of(router, &pod_name(router), &labels),
        "spec": {
            "replicas": number(router, "/spec/workloadOverride/replicas").unwrap_or(3),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec("netbird", &[])},
        },
    })
}

/// The network of a router and the router in it, with its pods as peers; their ids.
fn route(scene: &Scene<'_>, router: &Value, pods: &[Value], made_by: &str) -> (String, String) {
    let name = text(router, "/metadata/name");
    let own = pods.iter().filter(|pod| pod["metadata"]["labels"][ROUTER_LABEL] == name);
    let peers: Vec<(&str, bool, Ipv4Addr)> = own
        .map(|pod| {
            let from = text(pod, "/status/podIP").parse().unwrap_or(Ipv4Addr::LOCALHOST);
            (text(pod, "/metadata/name"), is_ready(pod), from)
        })
        .collect();
    scene.setting.machines.with_world(|world, now| {
        let mesh = world.mesh();
        let network = mesh.network_named(name);
        let group = mesh.group_named(&group_of(name));
        for (peer, ready, from) in peers {
            if ready {
                mesh.join(peer, from, std::slice::from_ref(&group), now);
            } else if let Some(known) = mesh.peers.values_mut().find(|known| known.name == peer) {
                known.connected = false;
            }
        }
        let new_id = mesh.next_id();
        let Some(found) = mesh.networks.get_mut(&network) else { return (network, new_id) };
        made_by.clone_into(&mut found.description);
        let own = found.routers.iter().find(|(_, router)| router.peer_groups == [group.clone()]);
        let id = own.map_or(new_id, |(id, _)| id.clone());
        let router = Router { peer: None, peer_groups: vec![group], metric: METRIC, masquerade: true, enabled: true };
        found.routers.insert(id.clone(), router);
        (network, id)
    })
}

/// The Services that can be reached by a router, as domains within its zone.
async fn resources(scene: &Scene<'_>, routers: &[Value], made_by: &str) -> Result<(), OperatorError> {
    for resource in scene.list(&RESOURCE).await? {
        let wanted = &resource["spec"]["networkRouterRef"];
        let is_its = |router: &&Value| {
            router["metadata"]["name"] == wanted["name"] && router["metadata"]["namespace"] == wanted["namespace"]
        };
        let service = text(&resource, "/spec/serviceRef/name");
        let namespace = text(&resource, "/metadata/namespace");
        let exists = scene.get(&Kind::SERVICE, namespace, service).await?.is_some();
        let Some(router) = routers.iter().find(is_its).filter(|_| exists) else {
            let missing = if exists { "its NetworkRouter does not exist" } else { "its Service does not exist" };
            let ready = scene.condition(&resource, "Ready", false, ("NotFound", missing));
            scene.tell(&RESOURCE, &resource, json!({"conditions": ready})).await?;
            continue;
        };
        let groups = resource["spec"]["groups"].as_array().into_iter().flatten();
        let mut ids = Vec::new();
        for group in groups {
            ids.extend(group_id(scene, namespace, group).await?);
        }
        let made = Resource {
            name: format!("{namespace}-{service}"),
            description: made_by.to_owned(),
            address: format!("{service}.{namespace}.{}", text(router, "/spec/dnsZoneRef/name")),
            enabled: true,
            groups: ids,
        };
        let (network, id) =
            scene.setting.machines.with_world(|world, _| put(world.mesh(), text(router, "/metadata/name"), made));
        let status = told(scene, &resource, &json!({"networkID": network, "resourceID": id}));
        scene.tell(&RESOURCE, &resource, status).await?;
    }
    Ok(())
}

/// The id of a group that is named by id, by name, or by a Group of the same namespace.
async fn group_id(scene: &Scene<'_>, namespace: &str, group: &Value) -> Result<Option<String>, OperatorError> {
    if let Some(id) = group["id"].as_str() {
        return Ok(Some(id.to_owned()));
    }
    let name = match group["localRef"]["name"].as_str() {
        Some(local) => {
            let found = scene.get(&GROUP, namespace, local).await?;
            found.as_ref().map(|found| text(found, "/spec/name").to_owned())
        }
        None => group["name"].as_str().map(str::to_owned),
    };
    Ok(name.map(|name| scene.setting.machines.with_world(|world, _| world.mesh().group_named(&name))))
}

/// A resource in the network of a router, in place of the one of its name; the ids of both.
fn put(mesh: &mut Mesh, router: &str, made: Resource) -> (String, String) {
    let network = mesh.network_named(router);
    let new_id = mesh.next_id();
    let Some(found) = mesh.networks.get_mut(&network) else { return (network, new_id) };
    let known = found.resources.iter().find(|(_, known)| known.name == made.name).map(|(id, _)| id.clone());
    let id = known.unwrap_or(new_id);
    found.resources.insert(id.clone(), made);
    (network, id)
}

/// Takes away networks of this operator's whose routers are gone, and peers whose pods are.
fn forget(mesh: &mut Mesh, made_by: &str, networks: &BTreeSet<String>, pods: &BTreeSet<String>) {
    let own = mesh.networks.iter().filter(|(_, network)| network.description == made_by);
    let groups: BTreeSet<String> = own.map(|(_, network)| group_of(&network.name)).collect();
    let peers = mesh.groups.values().filter(|group| groups.contains(&group.name)).flat_map(|group| &group.peers);
    let is_gone = |id: &&String| mesh.peers.get(*id).is_none_or(|peer| !pods.contains(&peer.name));
    let gone: Vec<String> = peers.filter(is_gone).cloned().collect();
    for id in gone {
        mesh.remove_peer(&id);
    }
    mesh.networks.retain(|id, network| network.description != made_by || networks.contains(id));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::mesh::Network;

    #[test]
    fn what_nothing_asks_for_goes_and_what_others_made_stays() {
        let mut mesh = Mesh::default();
        mesh.set_token("t");
        let now = jiff::Timestamp::UNIX_EPOCH;
        let network = |mesh: &mut Mesh, name: &str, description: &str| {
            let id = mesh.next_id();
            let network = Network { name: name.to_owned(), description: description.to_owned(), ..Network::default() };
            mesh.networks.insert(id.clone(), network);
            let group = mesh.group_named(&group_of(name));
            mesh.join(&format!("{name}-pod"), Ipv4Addr::LOCALHOST, &[group], now);
            id
        };
        let [kept, gone, others] =
            [("a", "me"), ("b", "me"), ("c", "another")].map(|(name, by)| network(&mut mesh, name, by));
        forget(&mut mesh, "me", &[kept.clone()].into(), &["a-pod".to_owned()].into());
        assert!(mesh.networks.contains_key(&kept) && mesh.networks.contains_key(&others));
        assert!(!mesh.networks.contains_key(&gone));
        let peers: Vec<&str> = mesh.peers.values().map(|peer| peer.name.as_str()).collect();
        assert_eq!(peers, ["a-pod", "c-pod"]);
    }
}
