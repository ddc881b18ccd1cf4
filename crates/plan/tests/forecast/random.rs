//! Random platforms that validate, and random losses.

use helix_crds::HelixPlatform;
use helix_plan::catalogue::dated_table;
use helix_plan::observed::Observed;
use helix_plan::validated::ValidatedPlatform;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::loss::Loss;

pub(crate) fn now() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().expect("a time")
}

fn placements() -> impl Strategy<Value = Vec<Value>> {
    let server_type = prop::sample::select(vec!["cx23", "cx33", "cpx32", "ccx13", "cax11", "cax21"]);
    let location = prop::sample::select(vec!["fsn1", "nbg1", "hel1"]);
    let placement = (server_type, location)
        .prop_map(|(server_type, location)| json!({"serverType": server_type, "location": location}));
    prop::collection::vec(placement, 1..4)
}

fn labels() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({}),
        json!({"workload": "general"}),
        json!({"workload": "batch", "node-role.kubernetes.io/worker": ""}),
    ])
}

fn taints() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!([]),
        json!([{"key": "example.com/dedicated", "value": "batch", "effect": "NoSchedule"}]),
        json!([{"key": "a", "effect": "NoExecute"}, {"key": "b", "effect": "PreferNoSchedule"}]),
    ])
}

fn pool(index: usize) -> impl Strategy<Value = Value> {
    let name = format!("pool{index}");
    let storage = prop::sample::select(vec![json!(null), json!({"systemDisk": "10Gi"})]);
    (0..14_u32, placements(), labels(), taints(), storage).prop_map(
        move |(replicas, placements, labels, taints, storage)| {
            let mut pool = json!({
                "name": name, "replicas": replicas, "placements": placements, "labels": labels, "taints": taints,
            });
            if !storage.is_null() {
                pool["storage"] = storage;
            }
            pool
        },
    )
}

fn endpoint() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({"type": "LoadBalancer", "public": true}),
        json!({"type": "LoadBalancer", "public": false}),
        json!({"type": "Dns", "host": "api.example.com"}),
    ])
}

/// Platforms of up to 47 machines that validate.
pub(crate) fn platforms() -> impl Strategy<Value = ValidatedPlatform> {
    let replicas = prop::sample::select(vec![1, 3, 5]);
    let spread = prop::sample::select(vec!["Location", "Host", "None"]);
    let until = prop::sample::select(vec!["HardenedCore", "ImmutableSubstrate", "AiAgentic"]);
    let pools = (pool(0), pool(1), pool(2)).prop_map(|(a, b, c)| vec![a, b, c]);
    let pools = (0..4_usize, pools).prop_map(|(number, pools)| pools.into_iter().take(number).collect::<Vec<_>>());
    (replicas, spread, until, endpoint(), placements(), pools).prop_map(
        |(replicas, spread, until, endpoint, placements, pools)| {
            let platform = json!({
                "apiVersion": "helix.dev/v1alpha1",
                "kind": "HelixPlatform",
                "metadata": {"name": "random", "namespace": "helix-system", "uid": "u1"},
                "spec": {
                    "untilPhase": until,
                    "provider": {"hetzner": {
                        "tokenSecretRef": {"name": "hcloud"}, "apiAllowlist": ["203.0.113.7/32"],
                    }},
                    "endpoint": endpoint,
                    "controlPlane": {"replicas": replicas, "spread": spread, "placements": placements},
                    "workerPools": pools,
                },
            });
            let platform: HelixPlatform = serde_json::from_value(platform).expect("a platform");
            ValidatedPlatform::new(&platform, &dated_table(), now()).unwrap_or_else(|rejections| panic!("{rejections}"))
        },
    )
}

/// Everything that can get lost of a world, in a fixed order.
pub(crate) fn losses(world: &Observed) -> Vec<Loss> {
    let cloud = world.cloud.value().expect("Hetzner is known");
    let mut losses = vec![
        Loss::Kubeconfig,
        Loss::Talosconfig,
        Loss::Network,
        Loss::Subnet,
        Loss::Firewall,
        Loss::FirewallRules,
        Loss::SshKey,
        Loss::LoadBalancer,
        Loss::LoadBalancerService,
        Loss::Bundle,
        Loss::BootstrapRecord,
    ];
    losses.extend(cloud.placement_groups.iter().map(|group| Loss::PlacementGroup(group.name.clone())));
    for server in &cloud.servers {
        let name = &server.name;
        losses.extend([Loss::Server(name.clone()), Loss::Power(name.clone()), Loss::Node(name.clone())]);
    }
    losses
}
