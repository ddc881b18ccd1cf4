//! What Authentik is told by a blueprint: groups, a provider for each domain that asks who is signed on, one for each part
//! of the platform that trusts the sign-on, and the outpost that answers Traefik.
//!
//! Blueprints refer to other objects by tags that are YAML's alone, so this is text. All that goes into it are host names
//! that were judged and names of our own; clients' secrets are variables.

use std::fmt::Write as _;

use helix_crds::IngressAuth;
use serde_json::{Value, json};

use super::{BLUEPRINTS, NAMESPACE};
use crate::components::{Component, kube_prometheus_stack};
use crate::validated::Layers;

/// Group of those who may change things, in every part of the platform.
pub(in crate::components) const ADMINS: &str = "helix-admins";
/// Group of those who may look.
pub(in crate::components) const VIEWERS: &str = "helix-viewers";
/// Client and provider of the Kubernetes API.
pub(super) const KUBERNETES: &str = "kubernetes";
/// Variable with Argo CD's secret.
pub(in crate::components) const ARGOCD_SECRET: &str = "ARGOCD_CLIENT_SECRET";
/// Variable with Grafana's secret.
pub(in crate::components) const GRAFANA_SECRET: &str = "GRAFANA_CLIENT_SECRET";

const AUTHORIZATION: &str = "!Find [authentik_flows.flow, [slug, default-provider-authorization-implicit-consent]]";
const INVALIDATION: &str = "!Find [authentik_flows.flow, [slug, default-provider-invalidation-flow]]";
const SIGNING_KEY: &str = "!Find [authentik_crypto.certificatekeypair, [name, authentik Self-signed Certificate]]";

/// A part of the platform that trusts the sign-on.
struct Client {
    name: &'static str,
    /// The variable with its secret; `None` for a program on somebody's own machine, which can keep none.
    secret: Option<&'static str>,
    redirects: Vec<String>,
}

/// The ConfigMap that the chart mounts.
pub(super) fn config_map(layers: &Layers) -> Option<Value> {
    let host = &layers.authentik.as_ref()?.host;
    Some(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": BLUEPRINTS, "namespace": NAMESPACE},
        "data": {"helix.yaml": text(host, layers)},
    }))
}

fn text(sso: &str, layers: &Layers) -> String {
    let mut text = "version: 1\nmetadata:\n  name: helix\nentries:\n".to_owned();
    for group in [ADMINS, VIEWERS] {
        entry(&mut text, "authentik_core.group", group, &format!("name: {group}"), &[]);
    }
    let guarded = layers.domains.iter().flatten().filter(|domain| domain.auth == IngressAuth::ForwardAuth);
    let hosts: Vec<&str> = guarded.map(|domain| domain.host.as_str()).collect();
    for host in &hosts {
        forward_auth(&mut text, host);
    }
    for client in clients(layers) {
        open_id(&mut text, &client);
    }
    let providers = hosts.iter().map(|host| format!("!KeyOf provider-{host}")).collect::<Vec<_>>().join(", ");
    let outpost = [format!("providers: [{providers}]"), format!("config: {{authentik_host: \"https://{sso}\"}}")];
    let embedded = "managed: goauthentik.io/outposts/embedded";
    entry(&mut text, "authentik_outposts.outpost", "outpost", embedded, &outpost);
    text
}

fn clients(layers: &Layers) -> Vec<Client> {
    let Some(authentik) = &layers.authentik else { return Vec::new() };
    let kubernetes = authentik.oidc.kubernetes.then(|| Client {
        name: KUBERNETES,
        secret: None,
        redirects: ["8000", "18000"].map(|port| format!("http://localhost:{port}")).into(),
    });
    let argocd = layers.argocd().and_then(|argocd| argocd.host.as_ref()).filter(|_| authentik.oidc.argocd);
    let argocd = argocd.map(|host| Client {
        name: "argocd",
        secret: Some(ARGOCD_SECRET),
        redirects: vec![format!("https://{host}/auth/callback")],
    });
    let grafana = layers.asks_for(Component::KubePrometheusStack).then(|| kube_prometheus_stack::sign_on(layers));
    let grafana = grafana.flatten().map(|(_, host)| Client {
        name: "grafana",
        secret: Some(GRAFANA_SECRET),
        redirects: vec![format!("https://{host}/login/generic_oauth")],
    });
    kubernetes.into_iter().chain(argocd).chain(grafana).collect()
}

fn forward_auth(text: &mut String, host: &str) {
    let provider = [
        "mode: forward_single".to_owned(),
        format!("external_host: \"https://{host}\""),
        format!("authorization_flow: {AUTHORIZATION}"),
        format!("invalidation_flow: {INVALIDATION}"),
    ];
    let id = format!("provider-{host}");
    entry(text, "authentik_providers_proxy.proxyprovider", &id, &format!("name: {host}"), &provider);
    application(text, &host.replace('.', "-"), host, &id);
}

fn open_id(text: &mut String, client: &Client) {
    let kind = if client.secret.is_some() { "confidential" } else { "public" };
    let redirects = client.redirects.iter().map(|url| format!("{{matching_mode: strict, url: \"{url}\"}}"));
    let scopes = ["openid", "email", "profile"]
        .map(|scope| format!("!Find [authentik_providers_oauth2.scopemapping, [scope_name, {scope}]]"));
    let mut provider = vec![
        format!("client_type: {kind}"),
        format!("client_id: {}", client.name),
        format!("authorization_flow: {AUTHORIZATION}"),
        format!("invalidation_flow: {INVALIDATION}"),
        format!("signing_key: {SIGNING_KEY}"),
        format!("redirect_uris: [{}]", redirects.collect::<Vec<_>>().join(", ")),
        format!("property_mappings: [{}]", scopes.join(", ")),
    ];
    provider.extend(client.secret.map(|variable| format!("client_secret: !Env {variable}")));
    let id = format!("provider-{}", client.name);
    entry(text, "authentik_providers_oauth2.oauth2provider", &id, &format!("name: {}", client.name), &provider);
    application(text, client.name, client.name, &id);
}

fn application(text: &mut String, slug: &str, name: &str, provider: &str) {
    let attributes = [format!("name: {name}"), format!("provider: !KeyOf {provider}")];
    entry(text, "authentik_core.application", &format!("application-{slug}"), &format!("slug: {slug}"), &attributes);
}

fn entry(text: &mut String, model: &str, id: &str, identifiers: &str, attributes: &[String]) {
    // Writing into a string cannot fail.
    let _ = write!(text, "  - model: {model}\n    id: {id}\n    identifiers: {{{identifiers}}}\n");
    if !attributes.is_empty() {
        text.push_str("    attrs:\n");
    }
    for attribute in attributes {
        let _ = writeln!(text, "      {attribute}");
    }
}
