//! Cilium: the pod network, in place of kube-proxy, and what enforces the policies.
//!
//! Hubble's certificates are made by Helix and named here: the chart would make new ones at every rendering, and
//! cert-manager cannot run before the network that it runs on.

use helix_crds::{PhaseName, PodEncryption};
use serde_json::{Value, json};

use super::{Chart, Component, Entry, Home, Probe, SecretKey, SecretValue, SecretWanted, Source, Supports};
use crate::policy::{Flow, Pods, Ports, Target};
use crate::validated::Layers;

/// The Secret with the certificate of Hubble on every machine.
const SERVER_SECRET: &str = "hubble-server-certs";
/// The Secret with the certificate by which Hubble's relay asks them.
const RELAY_SECRET: &str = "hubble-relay-client-certs";
/// The port on which Hubble answers on every machine.
const HUBBLE_PORT: u16 = 4244;
/// Where KubePrism answers for the API on every machine: it is there before any pod network is.
const KUBE_PRISM: (&str, &str) = ("localhost", "7445");

pub(super) static ENTRY: Entry = Entry {
    name: "cilium",
    phase: PhaseName::SecurityWeave,
    home: Home::KubeSystem,
    source: Source::Chart(Chart::new("https://helm.cilium.io", "cilium", "1.20.0")),
    needs: &[],
    after: &[],
    health: &[Probe::DaemonSet("cilium"), Probe::Deployment("cilium-operator"), Probe::NodesReady],
    host_network: Some("it makes the pod network, and cannot run on what is not there yet"),
    talos_extensions: &[],
    metrics: &[],
    supports: Supports::ALL,
    asked_by: "untilPhase: SecurityWeave or later",
    asked: |_| true,
    version: |layers| Some(&layers.cilium.version),
    open_values: &[],
    fixed_values: &[
        "/ipam",
        "/k8sNetworkPolicy",
        "/k8sServiceHost",
        "/k8sServicePort",
        "/kubeProxyReplacement",
        "/policyEnforcementMode",
    ],
    values,
    resources: super::entry::no_resources,
    flows,
    secrets,
};

fn values(layers: &Layers) -> Value {
    let values = json!({
        "ipam": {"mode": "kubernetes"},
        "kubeProxyReplacement": "true",
        "k8sServiceHost": KUBE_PRISM.0,
        "k8sServicePort": KUBE_PRISM.1,
        "routingMode": "tunnel",
        "tunnelProtocol": "vxlan",
        "bpf": {"masquerade": true},
        "encryption": {"enabled": layers.cilium.encryption == PodEncryption::WireGuard, "type": "wireguard"},
        // Talos loads kernel modules itself and mounts the control groups; it denies a pod both.
        "securityContext": {"capabilities": {
            "ciliumAgent": [
                "CHOWN", "KILL", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "SYS_ADMIN", "SYS_RESOURCE", "DAC_OVERRIDE",
                "FOWNER", "SETGID", "SETUID",
            ],
            "cleanCiliumState": ["NET_ADMIN", "SYS_ADMIN", "SYS_RESOURCE"],
        }},
        "cgroup": {"autoMount": {"enabled": false}, "hostRoot": "/sys/fs/cgroup"},
        // The matrix of flows is the whole truth only if nothing but its policies allows anything.
        "k8sNetworkPolicy": {"enabled": false},
        "policyEnforcementMode": "default",
        "envoy": {"enabled": false},
        "tls": {"secretsNamespace": {"create": false}},
        "operator": {"replicas": layers.spare_replicas(), "rollOutPods": true},
        "rollOutCiliumPods": true,
        "hubble": hubble(layers.cilium.hubble),
    });
    if layers.asks_for(Component::KubePrometheusStack) {
        let metrics = json!({"prometheus": {"enabled": true}, "operator": {"prometheus": {"enabled": true}}});
        return super::values::merged(values, &metrics);
    }
    values
}

fn hubble(enabled: bool) -> Value {
    if !enabled {
        return json!({"enabled": false});
    }
    json!({
        "enabled": true,
        "tls": {"enabled": true, "auto": {"enabled": false}, "server": {"existingSecret": SERVER_SECRET}},
        "relay": {"enabled": true, "tls": {"client": {"existingSecret": RELAY_SECRET}}},
        "ui": {"enabled": false},
    })
}

fn flows(layers: &Layers) -> Vec<Flow> {
    if !layers.cilium.hubble {
        return Vec::new();
    }
    let relay = Pods::of("kube-system").with("k8s-app", "hubble-relay");
    vec![Flow::new(relay, Target::Nodes, Ports::tcp([HUBBLE_PORT]), "Hubble's relay collects flows from every machine")]
}

fn secrets(layers: &Layers) -> Vec<SecretWanted> {
    if !layers.cilium.hubble {
        return Vec::new();
    }
    let certificate = |name: &str, client| SecretValue::HubbleCertificate { names: vec![name.to_owned()], client };
    let secret = |name: &str, certificate| {
        let keys = vec![
            SecretKey::new("ca.crt", SecretValue::HubbleAuthority),
            SecretKey::new("tls.crt", certificate),
            SecretKey::new("tls.key", SecretValue::HubbleKey),
        ];
        SecretWanted::new("kube-system", name, keys)
    };
    vec![
        secret(SERVER_SECRET, certificate("*.default.hubble-grpc.cilium.io", false)),
        secret(RELAY_SECRET, certificate("*.hubble-relay.cilium.io", true)),
    ]
}
