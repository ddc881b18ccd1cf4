//! NetBird's operator: joins the mesh from within the cluster, so that administrators reach machines and API by it.

use std::collections::BTreeSet;

use helix_crds::PhaseName;
use serde_json::{Value, json};

use super::entry::no_version;
use super::{
    Chart, Component, Entry, Home, PodSecurity, Probe, SecretKey, SecretValue, SecretWanted, Source, Supports,
};
use crate::policy::{Flow, NamePattern, Ports, Source as From, Target};
use crate::validated::Layers;

const NAMESPACE: &str = "netbird";
const SECRET: &str = "netbird-mgmt-api-key";
const SECRET_KEY: &str = "NB_API_KEY";

pub(super) static ENTRY: Entry = Entry {
    name: "netbird-operator",
    phase: PhaseName::SecurityWeave,
    // A routing peer makes a WireGuard interface in its pod.
    home: Home::Own { namespace: NAMESPACE, level: PodSecurity::Privileged },
    source: Source::Chart(Chart::new("oci://ghcr.io/netbirdio/helm-charts", "netbird-operator", "0.8.0")),
    needs: &[Component::CertManager],
    after: &[],
    health: &[
        Probe::Deployment("netbird-operator"),
        Probe::Condition { api: "netbird.io/v1alpha1", kind: "NetworkRouter", condition: "Ready" },
    ],
    host_network: None,
    talos_extensions: &[],
    metrics: &[8080],
    supports: Supports::ALL,
    asked_by: "securityWeave.netbird",
    asked: |layers| layers.netbird.is_some(),
    version: no_version,
    open_values: &[],
    fixed_values: &[],
    values,
    resources,
    flows,
    secrets,
};

fn values(layers: &Layers) -> Value {
    json!({
        "netbirdAPI": {"keyFromSecret": {"name": SECRET, "key": SECRET_KEY}},
        "webhook": {"enableCertManager": true},
        "cluster": {"name": layers.identity.name},
        "ingress": {"enabled": false},
        "gatewayAPI": {"enabled": false},
        "operator": {"metrics": {"enabled": layers.asks_for(Component::KubePrometheusStack)}},
    })
}

/// The way from the mesh to the Kubernetes API. The machines' own subnet is no Service, and a resource of this operator
/// leads to a Service only: that way is told to the management service itself.
fn resources(layers: &Layers, _: &Value) -> Vec<Value> {
    let router = format!("{}-router", layers.identity.name);
    let admins = format!("{}-admins", layers.identity.name);
    let resource = |kind: &str, name: &str, namespace: &str, spec: Value| {
        let metadata = json!({"name": name, "namespace": namespace});
        json!({"apiVersion": "netbird.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
    };
    let way = json!({
        "networkRouterRef": {"name": router, "namespace": NAMESPACE},
        "serviceRef": {"name": "kubernetes"},
        "groups": [{"localRef": {"name": admins}}],
    });
    vec![
        resource(
            "NetworkRouter",
            &router,
            NAMESPACE,
            json!({
                "dnsZoneRef": {"name": format!("{}.internal", layers.identity.name)},
                "workloadOverride": {"replicas": layers.spare_replicas()},
            }),
        ),
        // What leads to a Service is in the Service's namespace.
        resource("Group", &admins, "default", json!({"name": admins})),
        resource("NetworkResource", "kubernetes-api", "default", way),
    ]
}

fn flows(layers: &Layers) -> Vec<Flow> {
    let here = || ENTRY.pods();
    let mut flows = vec![
        Flow::new(
            here(),
            Target::ApiServer,
            Ports::tcp([6443]),
            "NetBird's operator watches routers, and administrators reach the API by the mesh",
        ),
        Flow::new(
            here(),
            Target::Nodes,
            Ports::tcp([50000]),
            "administrators reach the machines' Talos API by the mesh",
        ),
        Flow::new(From::Nodes, here(), Ports::tcp([9443]), "API servers ask NetBird's webhook"),
    ];
    let host = layers.netbird.as_ref().and_then(|netbird| NamePattern::of_url(&netbird.management_url));
    if let Some(host) = host {
        // Signal, relays and the servers that tell a peer its outer address are beside the management service.
        let mut names: BTreeSet<NamePattern> =
            ["*.netbird.io", "*.relay.netbird.io"].into_iter().filter_map(NamePattern::parse).collect();
        if !names.iter().any(|name| name.covers(host.as_str())) {
            names.insert(host);
        }
        let names = Target::Names(names);
        flows.push(Flow::new(
            here(),
            names.clone(),
            Ports::tcp([443]),
            "peers of the mesh meet at its management service and relays",
        ));
        flows.push(Flow::new(here(), names, Ports::udp([3478]), "a peer of the mesh learns its outer address"));
    }
    flows
}

fn secrets(layers: &Layers) -> Vec<SecretWanted> {
    let key = |netbird: &helix_crds::Netbird| {
        let helix_crds::SecretKeyRef { name, key } = netbird.api_key_secret_ref.clone();
        let purpose = "NetBird's management service, to register the cluster's peers";
        SecretKey::new(SECRET_KEY, SecretValue::Users { name, key, purpose })
    };
    layers.netbird.iter().map(|netbird| SecretWanted::new(NAMESPACE, SECRET, vec![key(netbird)])).collect()
}
