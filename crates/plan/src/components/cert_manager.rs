//! cert-manager: certificates for the platform's domains, and for webhooks.

use helix_crds::PhaseName;
use serde_json::{Value, json};

use super::entry::{no_secrets, no_version};
use super::{Chart, Component, Entry, Home, PodSecurity, Probe, Source, Supports, traefik};
use crate::policy::{Flow, NamePattern, Pods, Ports, Source as From, Target};
use crate::validated::Layers;

/// The issuer that is made of `spec.acme`.
pub(super) const ISSUER: &str = "letsencrypt";

pub(super) static ENTRY: Entry = Entry {
    name: "cert-manager",
    phase: PhaseName::SecurityWeave,
    home: Home::Own { namespace: "cert-manager", level: PodSecurity::Restricted },
    source: Source::Chart(Chart::new("https://charts.jetstack.io", "cert-manager", "1.21.1")),
    needs: &[],
    after: &[Component::HcloudCcm],
    health: &[
        Probe::Deployment("cert-manager"),
        Probe::Deployment("cert-manager-webhook"),
        Probe::Deployment("cert-manager-cainjector"),
    ],
    host_network: None,
    talos_extensions: &[],
    metrics: &[9402],
    // Source: cert-manager's table of supported releases.
    supports: Supports::between(33, 36),
    asked_by: "securityWeave.ingress",
    asked: |layers| layers.asks_for(Component::Traefik),
    version: no_version,
    open_values: &[],
    fixed_values: &[],
    values,
    resources,
    flows,
    secrets: no_secrets,
};

fn values(layers: &Layers) -> Value {
    json!({
        "crds": {"enabled": true, "keep": true},
        "global": {"leaderElection": {"namespace": "cert-manager"}},
        // Its job would only ask what the probes ask.
        "startupapicheck": {"enabled": false},
        "prometheus": {"enabled": layers.asks_for(Component::KubePrometheusStack)},
    })
}

/// The issuer `letsencrypt`. Challenges are answered by way of Traefik, in whose namespace all certificates are.
fn resources(layers: &Layers, _: &Value) -> Vec<Value> {
    let issuer = layers.acme.as_ref().map(|acme| {
        json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "ClusterIssuer",
            "metadata": {"name": ISSUER},
            "spec": {"acme": {
                "email": acme.email,
                "server": acme.server,
                "privateKeySecretRef": {"name": "letsencrypt-account"},
                "solvers": [{"http01": {"ingress": {"ingressClassName": "traefik"}}}],
            }},
        })
    });
    issuer.into_iter().collect()
}

fn flows(layers: &Layers) -> Vec<Flow> {
    let here = || ENTRY.pods();
    let controller = || here().with("app.kubernetes.io/name", "cert-manager");
    let webhook = here().with("app.kubernetes.io/name", "webhook");
    let mut flows = vec![
        Flow::new(here(), Target::ApiServer, Ports::tcp([6443]), "cert-manager watches certificates"),
        Flow::new(From::Nodes, webhook, Ports::tcp([10250]), "API servers ask cert-manager's webhook"),
    ];
    let authority = layers.acme.as_ref().and_then(|acme| NamePattern::of_url(&acme.server));
    flows.extend(authority.map(|name| {
        Flow::new(controller(), name, Ports::tcp([443]), "cert-manager orders certificates at the authority")
    }));
    if !layers.asks_for(Component::Traefik) {
        return flows;
    }
    let domains = layers.domains.iter().flatten().map(|domain| domain.host.as_str());
    let hosts = domains.chain(layers.own_hosts().into_iter().map(|(_, host)| host));
    let hosts: std::collections::BTreeSet<_> = hosts.filter_map(NamePattern::parse).collect();
    let because = "cert-manager tries a challenge itself before the authority does";
    if !hosts.is_empty() {
        flows.push(Flow::new(controller(), Target::Names(hosts), Ports::tcp([80]), because));
    }
    let solver = || Pods::of(traefik::NAMESPACE).with("acme.cert-manager.io/http01-solver", "true");
    // Cilium sends a call of a load balancer's own address straight to the pods behind it.
    flows.push(Flow::new(controller(), traefik::pods(), Ports::tcp([traefik::WEB]), because));
    flows.push(Flow::new(traefik::pods(), solver(), Ports::tcp([8089]), "the authority's challenge is passed on"));
    flows
}
