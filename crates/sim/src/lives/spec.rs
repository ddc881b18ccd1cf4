//! Random platforms that may be asked for, and random changes of them.

use helix_crds::HelixPlatform;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::world::Rng;

/// The name of every platform here.
pub const NAME: &str = "life";

/// Its UID.
pub const UID: &str = "0b1f6a52-6a0e-4c0e-9d7e-000000000001";

/// The Secret with the token that is for the cluster.
pub const CLUSTER_TOKEN: &str = "hcloud-cluster";

/// The schematic of images with the extensions that storage needs.
const SCHEMATIC_WITH_STORAGE: &str = "613e1592b2da41ae5e265e8789429f22e121aab91cb4deb6bc3c0b6262961245";

/// The Talos and the Kubernetes that a life may begin with, and what they may become, step by step.
const VERSIONS: [(&str, &str); 3] = [("v1.13.9", "v1.36.3"), ("v1.14.4", "v1.36.3"), ("v1.14.4", "v1.37.1")];

/// One of some.
pub(super) fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    let index = usize::try_from(rng.below(of.len() as u64)).unwrap_or_default();
    &of[index]
}

fn number(rng: &mut Rng, from: u64, to: u64) -> u32 {
    u32::try_from(from + rng.below(to - from + 1)).unwrap_or_default()
}

fn placements(rng: &mut Rng) -> Value {
    let types = ["cx23", "cx33", "cpx32", "ccx13", "cax11", "cax21"];
    let locations = ["fsn1", "nbg1", "hel1"];
    let number = 1 + rng.below(3);
    let one = |rng: &mut Rng| json!({"serverType": pick(rng, &types), "location": pick(rng, &locations)});
    (0..number).map(|_| one(rng)).collect()
}

fn labels(rng: &mut Rng) -> Value {
    let choices =
        [json!({}), json!({"workload": "general"}), json!({"workload": "batch", "node-role.kubernetes.io/worker": ""})];
    pick(rng, &choices).clone()
}

fn taints(rng: &mut Rng) -> Value {
    let choices = [
        json!([]),
        json!([]),
        json!([{"key": "example.com/dedicated", "value": "batch", "effect": "NoSchedule"}]),
        json!([{"key": "a", "effect": "NoExecute"}, {"key": "b", "effect": "PreferNoSchedule"}]),
    ];
    pick(rng, &choices).clone()
}

fn storage(rng: &mut Rng) -> Value {
    let choices = [json!({}), json!({}), json!({"storage": {"systemDisk": "10Gi"}})];
    pick(rng, &choices).clone()
}

/// When machines may be disturbed; mostly always.
fn window(rng: &mut Rng) -> Option<String> {
    let span = *pick(rng, &["00:00-04:00", "03:00-08:00", "12:00-18:00", "22:00-02:00"]);
    rng.happens(150).then(|| format!("Daily {span} UTC"))
}

fn pool(rng: &mut Rng, name: &str) -> Value {
    let mut pool = json!({
        "name": name, "replicas": number(rng, 0, 4), "placements": placements(rng), "labels": labels(rng),
        "taints": taints(rng),
    });
    merge(&mut pool, &storage(rng));
    pool
}

/// Random platforms of a thousand that are of all phases: each takes as long as many others.
const OF_ALL_PHASES: u16 = 10;

/// A platform of at most 17 machines; a few are of all phases.
///
/// # Errors
/// Where what is written here is no platform.
pub fn random(rng: &mut Rng) -> Result<HelixPlatform, serde_json::Error> {
    if rng.happens(OF_ALL_PHASES) {
        return of_all_phases();
    }
    let endpoints = [
        json!({"type": "LoadBalancer", "public": true}),
        json!({"type": "LoadBalancer", "public": true}),
        json!({"type": "LoadBalancer", "public": false}),
    ];
    let pools = rng.below(4);
    let pools: Vec<Value> = (0..pools).map(|index| pool(rng, &format!("pool{index}"))).collect();
    let (talos, kubernetes) = *pick(rng, &VERSIONS);
    let approval = if rng.happens(600) { "Automatic" } else { "ManualForDestructive" };
    let replicas = *pick(rng, &[1, 3, 3, 3, 5]);
    build(&json!({
        "versions": {"talos": talos, "kubernetes": kubernetes},
        "approval": approval,
        "endpoint": pick(rng, &endpoints),
        "controlPlane": {
            "replicas": replicas, "spread": pick(rng, &["Location", "Host", "None"]), "placements": placements(rng),
        },
        "workerPools": pools,
        "upgrade": window(rng).map_or(json!({}), |window| json!({"window": window})),
        "remediation": {"maxUnhealthy": pick(rng, &["40%", "100%"])},
    }))
}

/// Three control planes and two workers, as plain as can be, with these fields of the specification written over.
///
/// # Errors
/// Where that makes no platform.
pub fn plain(over: &Value) -> Result<HelixPlatform, serde_json::Error> {
    let placement = json!([{"serverType": "cx33", "location": "fsn1"}]);
    let mut spec = json!({
        "approval": "Automatic",
        "controlPlane": {"replicas": 3, "placements": placement},
        "workerPools": [{"name": "general", "replicas": 2, "placements": placement}],
    });
    merge(&mut spec, over);
    build(&spec)
}

/// All phases, with storage, databases, caches and models on four workers.
///
/// # Errors
/// Where that makes no platform.
pub fn of_all_phases() -> Result<HelixPlatform, serde_json::Error> {
    plain(&json!({
        "untilPhase": "AiAgentic",
        "provider": {"hetzner": {
            "clusterTokenSecretRef": {"name": CLUSTER_TOKEN, "key": "token"},
            "image": {"schematic": SCHEMATIC_WITH_STORAGE},
        }},
        "workerPools": [{
            "name": "general", "replicas": 4, "placements": [{"serverType": "cx33", "location": "fsn1"}],
            "storage": {"systemDisk": "40Gi"},
        }],
        "data": {
            "longhorn": {"replicas": 2},
            "postgres": [{"name": "main", "instances": 3, "storage": "20Gi"}],
            "redis": [{"name": "cache", "replicas": 3, "sentinel": true}],
        },
        "ai": {"ollama": {"models": ["llama3.2:3b"], "storage": "50Gi"}},
    }))
}

fn merge(into: &mut Value, over: &Value) {
    match (into, over) {
        (Value::Object(into), Value::Object(over)) => {
            for (key, value) in over {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, over) => *into = over.clone(),
    }
}

fn build(over: &Value) -> Result<HelixPlatform, serde_json::Error> {
    let mut whole = json!({
        "apiVersion": "helix.dev/v1alpha1",
        "kind": "HelixPlatform",
        "metadata": {"name": NAME, "namespace": "helix-system", "uid": UID, "generation": 1},
        "spec": {
            "untilPhase": "ImmutableSubstrate",
            "provider": {"hetzner": {"tokenSecretRef": {"name": "hcloud"}, "apiAllowlist": ["127.0.0.0/8"]}},
        },
    });
    if let Some(spec) = whole.get_mut("spec") {
        merge(spec, over);
    }
    serde_json::from_value(whole)
}

/// Changes something that a user may change; what, in words.
pub fn change(rng: &mut Rng, platform: &mut HelixPlatform) -> String {
    let spec = &mut platform.spec;
    let pools = spec.worker_pools.len();
    match rng.below(13) {
        0 | 1 => {
            let replicas = *pick(rng, &[1, 3, 5]);
            spec.control_plane.replicas = replicas;
            format!("{replicas} control planes")
        }
        2 | 3 if pools > 0 => {
            let replicas = number(rng, 0, 4);
            let pool = &mut spec.worker_pools[usize::try_from(rng.below(pools as u64)).unwrap_or_default()];
            pool.replicas = Some(replicas);
            format!("{replicas} machines in {}", pool.name)
        }
        4 if pools > 0 => {
            let removed = spec.worker_pools.pop();
            format!("without {}", removed.map(|pool| pool.name).unwrap_or_default())
        }
        5 if pools < 3 => {
            let name =
                ["pool0", "pool1", "pool2"].iter().find(|name| spec.worker_pools.iter().all(|it| it.name != **name));
            let value = pool(rng, name.copied().unwrap_or("extra"));
            spec.worker_pools.extend(serde_json::from_value(value));
            format!("with {}", name.copied().unwrap_or("extra"))
        }
        6 if pools > 0 => {
            let value = labels(rng);
            spec.worker_pools[0].labels = serde_json::from_value(value).unwrap_or_default();
            format!("labels {:?}", spec.worker_pools[0].labels)
        }
        7 if pools > 0 => {
            let value = placements(rng);
            spec.worker_pools[0].placements = serde_json::from_value(value).unwrap_or_default();
            format!("placements {:?}", spec.worker_pools[0].placements)
        }
        8 => {
            let value = placements(rng);
            spec.control_plane.placements = serde_json::from_value(value).unwrap_or_default();
            format!("control planes on {:?}", spec.control_plane.placements)
        }
        9 => {
            spec.upgrade.max_unavailable = IntOrString::Int(i32::try_from(number(rng, 1, 3)).unwrap_or(1));
            spec.upgrade.drain_timeout_seconds = *pick(rng, &[60, 300, 900]);
            spec.remediation.unhealthy_after_seconds = *pick(rng, &[120, 300, 600]);
            "another pace".to_owned()
        }
        10 if pools > 0 => {
            let value = storage(rng);
            let pool = &mut spec.worker_pools[usize::try_from(rng.below(pools as u64)).unwrap_or_default()];
            pool.storage = value.get("storage").cloned().and_then(|value| serde_json::from_value(value).ok());
            format!("storage {:?} in {}", pool.storage, pool.name)
        }
        11 => {
            spec.upgrade.window = window(rng);
            format!("the window {:?}", spec.upgrade.window)
        }
        _ => upgrade(platform),
    }
}

/// The next versions on the way.
fn upgrade(platform: &mut HelixPlatform) -> String {
    let versions = &mut platform.spec.versions;
    let now =
        VERSIONS.iter().position(|(talos, kubernetes)| *talos == versions.talos && *kubernetes == versions.kubernetes);
    let (talos, kubernetes) = VERSIONS[now.map_or(0, |now| (now + 1).min(VERSIONS.len() - 1))];
    (versions.talos, versions.kubernetes) = (talos.to_owned(), kubernetes.to_owned());
    format!("Talos {talos} and Kubernetes {kubernetes}")
}
