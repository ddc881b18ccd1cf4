//! Hetzner's cloud controller manager: tells nodes what they are, and makes load balancers for Services.
//!
//! Nodes are tainted `uninitialized` until it has seen them, so it must run where nothing else does yet: it tolerates
//! that taint and a node that is not ready, and is on the host network. It makes no routes: Cilium's tunnel does.

use helix_crds::PhaseName;
use serde_json::{Value, json};

use super::{Chart, Component, Entry, Home, Probe, SecretKey, SecretValue, SecretWanted, Source, Supports};
use crate::validated::Layers;

/// The Secret with the token and the network's name, as both of Hetzner's charts expect it.
pub(super) const SECRET: &str = "hcloud";

pub(super) static ENTRY: Entry = Entry {
    name: "hcloud-cloud-controller-manager",
    phase: PhaseName::SecurityWeave,
    home: Home::KubeSystem,
    source: Source::Chart(Chart::new("https://charts.hetzner.cloud", "hcloud-cloud-controller-manager", "1.35.0")),
    needs: &[],
    after: &[Component::Cilium],
    health: &[
        Probe::Deployment("hcloud-cloud-controller-manager"),
        Probe::NodesWithoutTaint("node.cloudprovider.kubernetes.io/uninitialized"),
    ],
    host_network: Some("nodes take no other pods before it has initialised them"),
    talos_extensions: &[],
    metrics: &[],
    supports: Supports::ALL,
    asked_by: "untilPhase: SecurityWeave or later",
    asked: |_| true,
    version: super::entry::no_version,
    open_values: &["env"],
    fixed_values: &["/networking/enabled"],
    values,
    resources: super::entry::no_resources,
    flows: |_| Vec::new(),
    secrets,
};

fn values(layers: &Layers) -> Value {
    json!({
        "env": {
            "HCLOUD_ENDPOINT": {"value": layers.hetzner_api},
            "HCLOUD_NETWORK_ROUTES_ENABLED": {"value": "false"},
            "HCLOUD_LOAD_BALANCERS_LOCATION": {"value": layers.location},
            "HCLOUD_LOAD_BALANCERS_USE_PRIVATE_IP": {"value": "true"},
        },
        // This is also what puts it on the host network.
        "networking": {"enabled": true, "clusterCIDR": layers.network.pods.to_string()},
        "additionalTolerations": [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists"},
            {"key": "node.cilium.io/agent-not-ready", "operator": "Exists"},
        ],
        "monitoring": {"enabled": layers.asks_for(Component::KubePrometheusStack)},
    })
}

fn secrets(layers: &Layers) -> Vec<SecretWanted> {
    let (name, key) = layers.cluster_token.clone();
    let purpose = "the cluster's own token for Hetzner, for load balancers and volumes";
    let keys = vec![
        SecretKey::new("token", SecretValue::Users { name, key, purpose }),
        SecretKey::new("network", SecretValue::NetworkName),
    ];
    vec![SecretWanted::new("kube-system", SECRET, keys)]
}
