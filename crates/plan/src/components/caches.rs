//! The user's Redis instances with their Sentinels, as custom resources for the operator of Redis.

use helix_crds::{PhaseName, Redis};
use serde_json::{Value, json};

use super::entry::no_version;
use super::values::merged;
use super::{
    Component, Entry, Home, PodSecurity, Probe, SecretKey, SecretValue, SecretWanted, Source, Supports, hcloud_csi,
};
use crate::policy::{Flow, Pods, Ports};
use crate::validated::Layers;

/// Where they are.
pub(super) const NAMESPACE: &str = "caches";
const API: &str = "redis.redis.opstreelabs.in/v1beta2";
/// How many watch an instance: the fewest that can lose one and still elect.
const SENTINELS: u32 = 3;
/// Redis' port.
pub(super) const REDIS: u16 = 6379;
/// Sentinel's port.
pub(super) const SENTINEL: u16 = 26379;

pub(super) static ENTRY: Entry = Entry {
    name: "caches",
    phase: PhaseName::StateAndDataHa,
    home: Home::Own { namespace: NAMESPACE, level: PodSecurity::Baseline },
    source: Source::Manifests,
    needs: &[Component::RedisOperator, Component::HcloudCsi],
    after: &[Component::Longhorn],
    health: &[Probe::StatefulSets, Probe::Told { api: API, kind: "RedisReplication", pointer: "/status/masterNode" }],
    host_network: None,
    talos_extensions: &[],
    metrics: &[9121],
    supports: Supports::ALL,
    asked_by: "data.redis",
    asked: |layers| !layers.redis.is_empty(),
    version: no_version,
    open_values: &[],
    fixed_values: &[],
    values,
    resources,
    flows,
    secrets,
};

/// There is no chart, so these are all that can be overridden: an image by its digest, say.
fn values(_: &Layers) -> Value {
    json!({
        "image": "quay.io/opstree/redis:v8.6.2",
        "sentinelImage": "quay.io/opstree/redis-sentinel:v8.6.2",
        "exporterImage": "quay.io/opstree/redis-exporter:v1.83.0",
        "storage": "5Gi",
    })
}

fn resources(layers: &Layers, values: &Value) -> Vec<Value> {
    layers.redis.iter().map(|instance| replication(instance, layers, values)).collect()
}

fn replication(wanted: &Redis, layers: &Layers, values: &Value) -> Value {
    let password = json!({"name": password_secret(&wanted.name), "key": "password"});
    let apart = json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
        "weight": 100,
        "podAffinityTerm": {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"app": wanted.name}},
        },
    }]}});
    let user = json!({"runAsNonRoot": true, "runAsUser": 1000, "fsGroup": 1000});
    let claim = json!({"spec": {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": hcloud_csi::STORAGE_CLASS,
        "resources": {"requests": {"storage": values["storage"]}},
    }});
    let spec = json!({
        "clusterSize": wanted.replicas,
        "kubernetesConfig": {"image": values["image"], "imagePullPolicy": "IfNotPresent", "redisSecret": password},
        "storage": {"volumeClaimTemplate": claim},
        "podSecurityContext": user,
        "affinity": apart,
        "pdb": {"enabled": wanted.replicas > 1, "maxUnavailable": 1},
        "redisExporter": {
            "enabled": layers.asks_for(Component::KubePrometheusStack),
            "image": values["exporterImage"],
        },
    });
    let sentinel = json!({"sentinel": {
        "size": SENTINELS,
        "image": values["sentinelImage"],
        "quorum": (SENTINELS / 2 + 1).to_string(),
        "redisSecret": password,
        "podSecurityContext": user,
    }});
    let spec = if wanted.sentinel { merged(spec, &sentinel) } else { spec };
    json!({
        "apiVersion": API,
        "kind": "RedisReplication",
        "metadata": {"name": wanted.name, "namespace": NAMESPACE},
        "spec": spec,
    })
}

/// Name of the Secret with an instance's password.
pub(super) fn password_secret(instance: &str) -> String {
    format!("{instance}-password")
}

fn flows(_: &Layers) -> Vec<Flow> {
    let here = || Pods::of(NAMESPACE);
    vec![Flow::new(here(), here(), Ports::tcp([REDIS, SENTINEL]), "Redis replicates, and Sentinels watch it")]
}

fn secrets(layers: &Layers) -> Vec<SecretWanted> {
    let secret = |name: &str| {
        let password = SecretKey::new("password", SecretValue::Random { characters: 48 });
        SecretWanted::new(NAMESPACE, password_secret(name), vec![password])
    };
    layers.redis.iter().map(|instance| secret(&instance.name)).collect()
}
