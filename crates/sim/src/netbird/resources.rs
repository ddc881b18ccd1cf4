//! Peers, groups, setup keys and policies on the wire.

use std::time::Duration;

use axum::Json;
use http::Method;
use jiff::Timestamp;
use rand::distr::{Alphanumeric, SampleString as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Call;
use super::answer::{Answer, Refusal, check_groups, check_name, group_minimum, group_minimums, resources_of};
use crate::world::mesh::{ALL, Group, Mesh, SetupKey};

/// Setup keys are so long.
const KEY_LENGTH: usize = 36;

pub(super) fn peers(mesh: &mut Mesh, rest: &[&str], call: &Call<'_>) -> Answer {
    match (call.method, rest) {
        (&Method::GET, []) => {
            let wanted = |name: &str| call.parameter("name").is_none_or(|it| it == name);
            let found = mesh.peers.iter().filter(|(_, peer)| wanted(&peer.name));
            Ok(Json(found.filter_map(|(id, _)| peer(mesh, id)).collect()))
        }
        (&Method::GET, [id]) => peer(mesh, id).map(Json).ok_or_else(|| Refusal::not_found("peer", id)),
        (&Method::DELETE, [id]) => {
            if mesh.remove_peer(id) {
                Ok(Json(json!({})))
            } else {
                Err(Refusal::not_found("peer", id))
            }
        }
        _ => Err(Refusal::no_such_method()),
    }
}

fn peer(mesh: &Mesh, id: &str) -> Option<Value> {
    let it = mesh.peers.get(id)?;
    let groups = mesh.groups.iter().filter(|(_, group)| group.peers.iter().any(|peer| peer == id));
    Some(json!({
        "id": id,
        "name": it.name,
        "hostname": it.name,
        "dns_label": format!("{}.netbird.cloud", it.name),
        "extra_dns_labels": [],
        "ip": it.ip,
        "connection_ip": it.connection_ip,
        "connected": it.connected,
        "created_at": it.created,
        "last_seen": it.last_seen,
        "last_login": it.created,
        "groups": groups.filter_map(|(id, _)| group_minimum(mesh, id)).collect::<Vec<Value>>(),
        "os": "Linux",
        "kernel_version": "6.18",
        "version": "0.60.0",
        "ui_version": "",
        "user_id": "",
        "serial_number": "",
        "geoname_id": 0,
        "country_code": "",
        "city_name": "",
        "ssh_enabled": false,
        "login_expiration_enabled": false,
        "login_expired": false,
        "inactivity_expiration_enabled": false,
        "approval_required": false,
        "ephemeral": it.ephemeral,
    }))
}

#[derive(Deserialize)]
struct GroupRequest {
    name: String,
    #[serde(default)]
    peers: Option<Vec<String>>,
}

pub(super) fn groups(mesh: &mut Mesh, rest: &[&str], call: &Call<'_>) -> Answer {
    match (call.method, rest) {
        (&Method::GET, []) => {
            let wanted = |name: &str| call.parameter("name").is_none_or(|it| it == name);
            let found = mesh.groups.iter().filter(|(_, group)| wanted(&group.name));
            Ok(Json(found.filter_map(|(id, _)| group(mesh, id)).collect()))
        }
        (&Method::POST, []) => {
            let wanted: GroupRequest = call.read()?;
            let peers = check_group(mesh, &wanted, None)?;
            let id = mesh.next_id();
            mesh.groups.insert(id.clone(), Group { name: wanted.name, peers });
            Ok(Json(group(mesh, &id).unwrap_or_default()))
        }
        (_, [id]) if !mesh.groups.contains_key(*id) => Err(Refusal::not_found("group", id)),
        (&Method::PUT, [id]) => {
            let wanted: GroupRequest = call.read()?;
            let peers = check_group(mesh, &wanted, Some(id))?;
            mesh.groups.insert((*id).to_owned(), Group { name: wanted.name, peers });
            Ok(Json(group(mesh, id).unwrap_or_default()))
        }
        (&Method::GET, [id]) => Ok(Json(group(mesh, id).unwrap_or_default())),
        (&Method::DELETE, [id]) => {
            if mesh.groups.get(*id).is_some_and(|group| group.name == ALL) {
                return Err(Refusal::new(400, "deleting group ALL is not allowed"));
            }
            if let Some(user) = user_of(mesh, id) {
                return Err(Refusal::new(400, format!("group has been linked to {user}")));
            }
            mesh.groups.remove(*id);
            Ok(Json(json!({})))
        }
        _ => Err(Refusal::no_such_method()),
    }
}

/// The peers of a group that may be made or changed so.
fn check_group(mesh: &Mesh, wanted: &GroupRequest, own: Option<&str>) -> Result<Vec<String>, Refusal> {
    check_name(&wanted.name)?;
    let taken = |(id, group): (&String, &Group)| group.name == wanted.name && Some(id.as_str()) != own;
    if mesh.groups.iter().any(taken) {
        return Err(Refusal::new(409, format!("group with name {} already exists", wanted.name)));
    }
    let peers = wanted.peers.clone().unwrap_or_default();
    match peers.iter().find(|id| !mesh.peers.contains_key(*id)) {
        Some(missing) => Err(Refusal::not_found("peer", missing)),
        None => Ok(peers),
    }
}

/// What keeps a group from being deleted.
fn user_of(mesh: &Mesh, id: &str) -> Option<&'static str> {
    let names = |ids: &[String]| ids.iter().any(|it| it == id);
    let networks = || mesh.networks.values();
    if networks().any(|it| it.routers.values().any(|router| names(&router.peer_groups))) {
        return Some("network router");
    }
    if networks().any(|it| it.resources.values().any(|resource| names(&resource.groups))) {
        return Some("network resource");
    }
    if mesh.setup_keys.values().any(|key| !key.revoked && names(&key.auto_groups)) {
        return Some("setup key");
    }
    mesh.policies.values().any(|policy| policy.to_string().contains(&format!("\"{id}\""))).then_some("policy")
}

fn group(mesh: &Mesh, id: &str) -> Option<Value> {
    let mut group = group_minimum(mesh, id)?;
    let peers = mesh.groups.get(id)?.peers.iter();
    let peers = peers.filter_map(|id| Some(json!({"id": id, "name": mesh.peers.get(id)?.name})));
    group["peers"] = peers.collect();
    group["resources"] = resources_of(mesh, id).into();
    Some(group)
}

#[derive(Deserialize)]
struct SetupKeyRequest {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    expires_in: u64,
    auto_groups: Vec<String>,
    #[serde(default)]
    usage_limit: u32,
    #[serde(default)]
    ephemeral: bool,
}

#[derive(Deserialize)]
struct SetupKeyChange {
    revoked: bool,
    auto_groups: Vec<String>,
}

pub(super) fn setup_keys(mesh: &mut Mesh, rest: &[&str], call: &Call<'_>) -> Answer {
    match (call.method, rest) {
        (&Method::GET, []) => Ok(Json(mesh.setup_keys.iter().map(|(id, key)| setup_key(id, key, call.now)).collect())),
        (&Method::POST, []) => {
            let wanted: SetupKeyRequest = call.read()?;
            check_name(&wanted.name)?;
            check_groups(mesh, &wanted.auto_groups)?;
            let reusable = match wanted.kind.as_str() {
                "reusable" => true,
                "one-off" => false,
                _ => return Err(Refusal::new(422, "unknown setup key type, only one-off and reusable are allowed")),
            };
            let key = SetupKey {
                name: wanted.name,
                key: Alphanumeric.sample_string(&mut rand::rng(), KEY_LENGTH),
                reusable,
                expires: call.now + Duration::from_secs(wanted.expires_in),
                revoked: false,
                used_times: 0,
                usage_limit: wanted.usage_limit,
                last_used: None,
                updated: call.now,
                auto_groups: wanted.auto_groups,
                ephemeral: wanted.ephemeral,
            };
            let id = mesh.next_id();
            let mut told = setup_key(&id, &key, call.now);
            // Told once and never again.
            told["key"] = json!(key.key);
            mesh.setup_keys.insert(id, key);
            Ok(Json(told))
        }
        (_, [id]) if !mesh.setup_keys.contains_key(*id) => Err(Refusal::not_found("setup key", id)),
        (&Method::DELETE, [id]) => {
            mesh.setup_keys.remove(*id);
            Ok(Json(json!({})))
        }
        (&Method::PUT, [id]) => {
            let wanted: SetupKeyChange = call.read()?;
            check_groups(mesh, &wanted.auto_groups)?;
            let Some(key) = mesh.setup_keys.get_mut(*id) else { return Err(Refusal::not_found("setup key", id)) };
            (key.revoked, key.auto_groups, key.updated) = (wanted.revoked, wanted.auto_groups, call.now);
            Ok(Json(setup_key(id, key, call.now)))
        }
        (&Method::GET, [id]) => {
            Ok(Json(mesh.setup_keys.get(*id).map(|key| setup_key(id, key, call.now)).unwrap_or_default()))
        }
        _ => Err(Refusal::no_such_method()),
    }
}

fn setup_key(id: &str, key: &SetupKey, now: Timestamp) -> Value {
    let state = key.state(now);
    let shown: String = key.key.chars().take(5).collect();
    json!({
        "id": id,
        "key": format!("{shown}****"),
        "name": key.name,
        "type": if key.reusable { "reusable" } else { "one-off" },
        "expires": key.expires,
        "valid": state == "valid",
        "state": state,
        "revoked": key.revoked,
        "used_times": key.used_times,
        "usage_limit": key.usage_limit,
        "last_used": key.last_used.unwrap_or(Timestamp::UNIX_EPOCH),
        "updated_at": key.updated,
        "auto_groups": key.auto_groups,
        "ephemeral": key.ephemeral,
        "allow_extra_dns_labels": false,
    })
}

pub(super) fn policies(mesh: &mut Mesh, rest: &[&str], call: &Call<'_>) -> Answer {
    match (call.method, rest) {
        (&Method::GET, []) => {
            Ok(Json(mesh.policies.iter().map(|(id, policy)| shown_policy(mesh, id, policy)).collect()))
        }
        (&Method::POST, []) => {
            let policy = read_policy(mesh, call)?;
            let id = mesh.next_id();
            let shown = shown_policy(mesh, &id, &policy);
            mesh.policies.insert(id, policy);
            Ok(Json(shown))
        }
        (_, [id]) if !mesh.policies.contains_key(*id) => Err(Refusal::not_found("policy", id)),
        (&Method::GET, [id]) => {
            Ok(Json(mesh.policies.get(*id).map(|policy| shown_policy(mesh, id, policy)).unwrap_or_default()))
        }
        (&Method::PUT, [id]) => {
            let policy = read_policy(mesh, call)?;
            let shown = shown_policy(mesh, id, &policy);
            mesh.policies.insert((*id).to_owned(), policy);
            Ok(Json(shown))
        }
        (&Method::DELETE, [id]) => {
            mesh.policies.remove(*id);
            Ok(Json(json!({})))
        }
        _ => Err(Refusal::no_such_method()),
    }
}

/// Where the rules of a policy name groups.
const SIDES: [&str; 2] = ["sources", "destinations"];

fn ids(rule: &Value, side: &str) -> Vec<String> {
    let ids = rule[side].as_array().into_iter().flatten();
    ids.filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

fn read_policy(mesh: &Mesh, call: &Call<'_>) -> Result<Value, Refusal> {
    let policy: Value = call.read()?;
    check_name(policy["name"].as_str().unwrap_or_default())?;
    let rules = policy["rules"].as_array().filter(|rules| !rules.is_empty());
    for rule in rules.ok_or_else(|| Refusal::new(422, "policy rules shouldn't be empty"))? {
        for side in SIDES {
            check_groups(mesh, &ids(rule, side))?;
        }
    }
    Ok(policy)
}

/// Groups are asked for by id, and told with their names.
fn shown_policy(mesh: &Mesh, id: &str, policy: &Value) -> Value {
    let mut shown = policy.clone();
    shown["id"] = json!(id);
    for (index, rule) in shown["rules"].as_array_mut().into_iter().flatten().enumerate() {
        for side in SIDES {
            rule[side] = group_minimums(mesh, &ids(rule, side)).into();
        }
        rule["id"] = json!(format!("{id}-{index}"));
    }
    shown
}
