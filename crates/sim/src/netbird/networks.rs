//! Networks, the peers that lead into them, and what can be reached there.

use axum::Json;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Call;
use super::answer::{Answer, Refusal, check_groups, check_name, group_minimums};
use crate::world::mesh::{Mesh, Network, Resource, Router};

#[derive(Deserialize)]
struct NetworkRequest {
    name: String,
    #[serde(default)]
    description: String,
}

pub(super) fn networks(mesh: &mut Mesh, call: &Call<'_>) -> Answer {
    match *call.method {
        Method::GET => Ok(Json(mesh.networks.iter().map(|(id, it)| shown(mesh, id, it)).collect())),
        Method::POST => {
            let wanted: NetworkRequest = call.read()?;
            check_name(&wanted.name)?;
            let id = mesh.next_id();
            let network = Network { name: wanted.name, description: wanted.description, ..Network::default() };
            let told = shown(mesh, &id, &network);
            mesh.networks.insert(id, network);
            Ok(Json(told))
        }
        _ => Err(Refusal::no_such_method()),
    }
}

pub(super) fn network(mesh: &mut Mesh, id: &str, call: &Call<'_>) -> Answer {
    let Some(network) = mesh.networks.get_mut(id) else { return Err(Refusal::not_found("network", id)) };
    match *call.method {
        Method::GET => {}
        Method::PUT => {
            let wanted: NetworkRequest = call.read()?;
            check_name(&wanted.name)?;
            (network.name, network.description) = (wanted.name, wanted.description);
        }
        Method::DELETE => {
            mesh.networks.remove(id);
            return Ok(Json(json!({})));
        }
        _ => return Err(Refusal::no_such_method()),
    }
    Ok(Json(mesh.networks.get(id).map(|network| shown(mesh, id, network)).unwrap_or_default()))
}

fn shown(mesh: &Mesh, id: &str, network: &Network) -> Value {
    let in_groups = |router: &Router| {
        let groups = router.peer_groups.iter().filter_map(|id| mesh.groups.get(id));
        groups.map(|group| group.peers.len()).sum::<usize>() + usize::from(router.peer.is_some())
    };
    let policies = mesh.policies.iter().filter(|(_, policy)| {
        let text = policy.to_string();
        let groups = network.resources.values().flat_map(|resource| &resource.groups);
        network.resources.keys().chain(groups).any(|id| text.contains(&format!("\"{id}\"")))
    });
    json!({
        "id": id,
        "name": network.name,
        "description": network.description,
        "routers": network.routers.keys().collect::<Vec<_>>(),
        "routing_peers_count": network.routers.values().map(in_groups).sum::<usize>(),
        "resources": network.resources.keys().collect::<Vec<_>>(),
        "policies": policies.map(|(id, _)| id).collect::<Vec<_>>(),
    })
}

#[derive(Deserialize)]
struct RouterRequest {
    #[serde(default)]
    peer: Option<String>,
    #[serde(default)]
    peer_groups: Option<Vec<String>>,
    metric: u32,
    masquerade: bool,
    enabled: bool,
}

pub(super) fn all_routers(mesh: &mut Mesh, call: &Call<'_>) -> Answer {
    match *call.method {
        Method::GET => {
            let all = mesh.networks.values().flat_map(|network| &network.routers);
            Ok(Json(all.map(|(id, router)| shown_router(id, router)).collect()))
        }
        _ => Err(Refusal::no_such_method()),
    }
}

pub(super) fn routers(mesh: &mut Mesh, network: &str, rest: &[&str], call: &Call<'_>) -> Answer {
    let wanted = match *call.method {
        Method::POST | Method::PUT => Some(read_router(mesh, call)?),
        _ => None,
    };
    let new_id = mesh.next_id();
    let Some(found) = mesh.networks.get_mut(network) else { return Err(Refusal::not_found("network", network)) };
    let told = match (call.method, rest, wanted) {
        (&Method::GET, [], _) => return Ok(Json(found.routers.iter().map(|(id, it)| shown_router(id, it)).collect())),
        (&Method::POST, [], Some(router)) => {
            let told = shown_router(&new_id, &router);
            found.routers.insert(new_id, router);
            told
        }
        (_, [id], _) if !found.routers.contains_key(*id) => return Err(Refusal::not_found("network router", id)),
        (&Method::PUT, [id], Some(router)) => {
            let told = shown_router(id, &router);
            found.routers.insert((*id).to_owned(), router);
            told
        }
        (&Method::GET, [id], _) => found.routers.get(*id).map(|it| shown_router(id, it)).unwrap_or_default(),
        (&Method::DELETE, [id], _) => {
            found.routers.remove(*id);
            json!({})
        }
        _ => return Err(Refusal::no_such_method()),
    };
    Ok(Json(told))
}

fn read_router(mesh: &Mesh, call: &Call<'_>) -> Result<Router, Refusal> {
    let RouterRequest { peer, peer_groups, metric, masquerade, enabled } = call.read()?;
    let (peer, peer_groups) = (peer.filter(|it| !it.is_empty()), peer_groups.unwrap_or_default());
    if peer.is_some() != peer_groups.is_empty() {
        return Err(Refusal::new(422, "either peer or peer_groups must be set, and not both"));
    }
    if let Some(missing) = peer.as_ref().filter(|id| !mesh.peers.contains_key(*id)) {
        return Err(Refusal::not_found("peer", missing));
    }
    if !(1..=9999).contains(&metric) {
        return Err(Refusal::new(422, "metric should be between 1 and 9999"));
    }
    check_groups(mesh, &peer_groups)?;
    Ok(Router { peer, peer_groups, metric, masquerade, enabled })
}

fn shown_router(id: &str, router: &Router) -> Value {
    json!({
        "id": id,
        "peer": router.peer,
        "peer_groups": router.peer_groups,
        "metric": router.metric,
        "masquerade": router.masquerade,
        "enabled": router.enabled,
    })
}

#[derive(Deserialize)]
struct ResourceRequest {
    name: String,
    #[serde(default)]
    description: String,
    address: String,
    enabled: bool,
    groups: Vec<String>,
}

pub(super) fn resources(mesh: &mut Mesh, network: &str, rest: &[&str], call: &Call<'_>) -> Answer {
    let wanted = match *call.method {
        Method::POST | Method::PUT => Some(read_resource(mesh, call)?),
        _ => None,
    };
    let new_id = mesh.next_id();
    let Some(found) = mesh.networks.get_mut(network) else { return Err(Refusal::not_found("network", network)) };
    let id = match (call.method, rest, wanted) {
        (&Method::GET, [], _) => {
            let found = mesh.networks.get(network);
            let all = found.into_iter().flat_map(|network| &network.resources);
            return Ok(Json(all.map(|(id, it)| shown_resource(mesh, id, it)).collect()));
        }
        (&Method::POST, [], Some(resource)) => {
            if found.resources.values().any(|it| it.name == resource.name) {
                return Err(Refusal::new(409, format!("resource with name {} already exists", resource.name)));
            }
            found.resources.insert(new_id.clone(), resource);
            new_id
        }
        (_, [id], _) if !found.resources.contains_key(*id) => return Err(Refusal::not_found("network resource", id)),
        (&Method::PUT, [id], Some(resource)) => {
            found.resources.insert((*id).to_owned(), resource);
            (*id).to_owned()
        }
        (&Method::GET, [id], _) => (*id).to_owned(),
        (&Method::DELETE, [id], _) => {
            found.resources.remove(*id);
            return Ok(Json(json!({})));
        }
        _ => return Err(Refusal::no_such_method()),
    };
    let found = mesh.networks.get(network).and_then(|network| network.resources.get(&id));
    Ok(Json(found.map(|resource| shown_resource(mesh, &id, resource)).unwrap_or_default()))
}

fn read_resource(mesh: &Mesh, call: &Call<'_>) -> Result<Resource, Refusal> {
    let ResourceRequest { name, description, address, enabled, groups } = call.read()?;
    check_name(&name)?;
    check_groups(mesh, &groups)?;
    if address.is_empty() {
        return Err(Refusal::new(422, "address should not be empty"));
    }
    Ok(Resource { name, description, address, enabled, groups })
}

fn shown_resource(mesh: &Mesh, id: &str, resource: &Resource) -> Value {
    json!({
        "id": id,
        "type": resource.kind(),
        "name": resource.name,
        "description": resource.description,
        "address": resource.address,
        "enabled": resource.enabled,
        "groups": group_minimums(mesh, &resource.groups),
    })
}
