//! Steel Browser: a browser for agents that reaches exactly the names it is allowed, and none where none is listed.
//!
//! There is no chart, so its manifests are ours. It may not even ask the cluster's DNS for another name: no data leaves
//! by way of a question.

use helix_crds::PhaseName;
use serde_json::{Value, json};

use super::entry::{no_secrets, no_version};
use super::{Entry, Home, PodSecurity, Probe, Source, Supports};
use crate::policy::{Flow, Lookups, Ports, Target};
use crate::validated::Layers;

const NAME: &str = "steel-browser";
const NAMESPACE: &str = "steel-browser";
/// The port of its API.
pub(super) const API: u16 = 3000;
/// The port of Chrome's own protocol.
pub(super) const DEVTOOLS: u16 = 9223;

pub(super) static ENTRY: Entry = Entry {
    name: NAME,
    phase: PhaseName::AiAgentic,
    home: Home::Own { namespace: NAMESPACE, level: PodSecurity::Baseline },
    source: Source::Manifests,
    needs: &[],
    after: &[],
    health: &[Probe::Deployment("steel-browser")],
    host_network: None,
    talos_extensions: &[],
    metrics: &[],
    supports: Supports::ALL,
    asked_by: "ai.steelBrowser",
    asked: |layers| layers.browser.is_some(),
    version: no_version,
    open_values: &[],
    fixed_values: &[],
    values,
    resources,
    flows,
    secrets: no_secrets,
};

/// There is no chart, so this is all that can be overridden: with a digest the image is pinned.
fn values(_: &Layers) -> Value {
    json!({"image": "ghcr.io/steel-dev/steel-browser-api:latest"})
}

fn resources(_: &Layers, values: &Value) -> Vec<Value> {
    let metadata = |name: &str| json!({"name": name, "namespace": NAMESPACE, "labels": labels()});
    let ports = [("api", API), ("devtools", DEVTOOLS)];
    let service_ports: Vec<Value> =
        ports.iter().map(|(name, port)| json!({"name": name, "port": port, "targetPort": name})).collect();
    vec![
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata(NAME),
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels()},
                "strategy": {"type": "Recreate"},
                "template": {"metadata": {"labels": labels()}, "spec": pod(values, &ports)},
            },
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(NAME),
            "spec": {"type": "ClusterIP", "selector": labels(), "ports": service_ports},
        }),
    ]
}

fn labels() -> Value {
    json!({"app.kubernetes.io/name": NAME, "app.kubernetes.io/managed-by": "helix"})
}

fn pod(values: &Value, ports: &[(&str, u16)]) -> Value {
    let ports: Vec<Value> = ports.iter().map(|(name, port)| json!({"name": name, "containerPort": port})).collect();
    let service = format!("{NAME}.{NAMESPACE}.svc.cluster.local");
    let probe = json!({"httpGet": {"path": "/v1/health", "port": "api"}, "periodSeconds": 10});
    json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        // Names are asked for as they are: with the cluster's suffixes they would not be on the list.
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": NAME,
            "image": values["image"],
            "env": [
                {"name": "DOMAIN", "value": format!("{service}:{API}")},
                {"name": "CDP_DOMAIN", "value": format!("{service}:{DEVTOOLS}")},
            ],
            "ports": ports,
            "readinessProbe": probe,
            "livenessProbe": probe,
            "securityContext": {"allowPrivilegeEscalation": false},
            "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "4Gi"}},
            "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
        }],
        // Chrome shares memory between its processes, more than a container has by default.
        "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}],
    })
}

fn flows(layers: &Layers) -> Vec<Flow> {
    let names: std::collections::BTreeSet<_> = layers.browser.iter().flatten().cloned().collect();
    if names.is_empty() {
        return Vec::new();
    }
    let here = || ENTRY.pods();
    vec![
        Flow::new(
            here(),
            Target::Resolver(Lookups::Only(names.clone())),
            Ports::both(53),
            "the agents' browser looks up the names it may reach",
        ),
        Flow::new(here(), Target::Names(names), Ports::tcp([80, 443]), "the agents' browser may reach what is listed"),
    ]
}
