//! Traefik: the one way in, and the only component whose Service may be of type LoadBalancer.
//!
//! It reads routes of its own namespace alone, which only Helix writes: nobody else can publish anything by a route in
//! another namespace.

mod routes;

use helix_crds::{IngressAuth, PhaseName};
use ipnet::IpNet;
use serde_json::{Value, json};

use super::entry::{no_secrets, no_version};
use super::{Chart, Component, Entry, Home, PodSecurity, Probe, Source, Supports};
use crate::policy::{Flow, Pods, Ports, Ranges, Target};
use crate::validated::Layers;

/// Where it and all routes are.
pub(super) const NAMESPACE: &str = "traefik";
/// The port of its pods for plain HTTP.
pub(super) const WEB: u16 = 8000;
/// The port of its pods for HTTPS.
pub(super) const WEB_SECURE: u16 = 8443;

pub(super) static ENTRY: Entry = Entry {
    name: "traefik",
    phase: PhaseName::SecurityWeave,
    home: Home::Own { namespace: NAMESPACE, level: PodSecurity::Restricted },
    source: Source::Chart(Chart::new("https://traefik.github.io/charts", "traefik", "41.3.0")),
    needs: &[Component::CertManager],
    after: &[Component::HcloudCcm],
    health: &[Probe::Deployment("traefik")],
    host_network: None,
    talos_extensions: &[],
    metrics: &[9100],
    supports: Supports::ALL,
    asked_by: "securityWeave.ingress",
    asked: |layers| layers.domains.is_some() || !layers.own_hosts().is_empty(),
    version: no_version,
    open_values: &["service.spec"],
    fixed_values: &[
        "/providers/kubernetesCRD/namespaces",
        "/providers/kubernetesIngress/namespaces",
        "/service/spec/type",
    ],
    values,
    resources: routes::routes,
    flows,
    secrets: no_secrets,
};

/// Its pods.
pub(super) fn pods() -> Pods {
    Pods::of(NAMESPACE).with("app.kubernetes.io/name", "traefik")
}

fn values(layers: &Layers) -> Value {
    let trusted = json!([layers.network.subnet.to_string()]);
    json!({
        "deployment": {"replicas": layers.spare_replicas()},
        "podDisruptionBudget": {"enabled": layers.spare_replicas() > 1, "maxUnavailable": 1},
        "ingressClass": {"isDefaultClass": false},
        "providers": {
            // Routes are here, what they lead to is elsewhere.
            "kubernetesCRD": {"allowCrossNamespace": true, "namespaces": [NAMESPACE]},
            "kubernetesIngress": {"namespaces": [NAMESPACE], "publishedService": {"enabled": true}},
        },
        "ports": {
            "web": {
                "http": {"redirections": {"entryPoint": {"to": "websecure", "scheme": "https", "permanent": true}}},
                "allowACMEByPass": true,
                "proxyProtocol": {"trustedIPs": trusted},
            },
            "websecure": {"proxyProtocol": {"trustedIPs": trusted}},
        },
        "service": {
            "annotations": {
                "load-balancer.hetzner.cloud/name": format!("{}-ingress", layers.identity.name),
                "load-balancer.hetzner.cloud/location": layers.location,
                "load-balancer.hetzner.cloud/use-private-ip": "true",
                "load-balancer.hetzner.cloud/uses-proxyprotocol": "true",
            },
            // The load balancer is then the one who calls, and not the machine that it called first.
            "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
        },
        "api": {"dashboard": false},
        "ingressRoute": {"dashboard": {"enabled": false}},
        "global": {"checkNewVersion": false, "sendAnonymousUsage": false},
    })
}

fn flows(layers: &Layers) -> Vec<Flow> {
    let mut flows = vec![Flow::new(pods(), Target::ApiServer, Ports::tcp([6443]), "Traefik watches its routes")];
    let subnet = Ranges::new(IpNet::V4(layers.network.subnet), []);
    flows.extend(subnet.ok().map(|subnet| {
        let because = "the load balancer passes on what the world sends";
        Flow::new(subnet, pods(), Ports::tcp([WEB, WEB_SECURE]), because)
    }));
    flows
}

/// From here to the services of the user's domains. The port on which their pods listen is nobody's to know before
/// they are there, so every port of their namespaces is open to Traefik, and to Traefik alone.
pub(super) fn to_domains(layers: &Layers) -> Vec<Flow> {
    let domains = || layers.domains.iter().flatten();
    let mut flows: Vec<Flow> = domains()
        .map(|domain| {
            let because = format!("{} is published", domain.host);
            Flow::new(pods(), Pods::of(&domain.service.namespace), Ports::Any, because)
        })
        .collect();
    if domains().any(|domain| domain.auth == IngressAuth::ForwardAuth) {
        let because = "Traefik asks Authentik who is signed on";
        flows.push(Flow::new(pods(), super::authentik::server(), Ports::tcp([super::authentik::HTTP]), because));
    }
    flows
}
