//! Argo CD: syncs what comes after it from the user's repository.
//!
//! Sign-on is Authentik's, so it has no Dex; its Secrets are made by Helix, so neither the chart nor a job of its makes
//! one.

pub(super) mod applications;

use helix_crds::PhaseName;
use serde_json::{Value, json};

use super::values::merged;
use super::{
    Chart, Component, Entry, Home, PodSecurity, Probe, SecretKey, SecretValue, SecretWanted, Source, Supports,
    authentik, traefik,
};
use crate::policy::{Flow, NamePattern, Pods, Ports, Target};
use crate::validated::Layers;

/// Where it is.
pub(super) const NAMESPACE: &str = "argocd";
/// The Secret by which it is known to Authentik.
const OIDC_SECRET: &str = "argocd-oidc";
/// The port of its server's pods.
const SERVER: u16 = 8080;

pub(super) static ENTRY: Entry = Entry {
    name: "argo-cd",
    phase: PhaseName::GitOpsControlPlane,
    home: Home::Own { namespace: NAMESPACE, level: PodSecurity::Baseline },
    source: Source::Chart(Chart::new("https://argoproj.github.io/argo-helm", "argo-cd", "10.1.1")),
    needs: &[],
    after: &[Component::Authentik, Component::Traefik],
    health: &[
        Probe::StatefulSet("argocd-application-controller"),
        Probe::Deployment("argocd-repo-server"),
        Probe::Deployment("argocd-server"),
        Probe::Deployment("argocd-redis"),
    ],
    host_network: None,
    talos_extensions: &[],
    metrics: &[8082, 8083, 8084],
    supports: Supports::ALL,
    asked_by: "gitops",
    asked: |layers| layers.gitops.is_some(),
    version: |layers| layers.argocd().map(|argocd| argocd.version.as_str()),
    open_values: &["configs.cm", "configs.params", "configs.rbac"],
    fixed_values: &["/configs/secret/createSecret", "/global/networkPolicy/create", "/redisSecretInit/enabled"],
    values,
    resources: |layers, _| applications::resources(layers),
    flows,
    secrets,
};

fn values(layers: &Layers) -> Value {
    let metrics = json!({"metrics": {"enabled": layers.asks_for(Component::KubePrometheusStack)}});
    let values = json!({
        "fullnameOverride": "argocd",
        "crds": {"install": true, "keep": true},
        // Policies of Cilium's are the only ones: see its entry.
        "global": {"networkPolicy": {"create": false}},
        "dex": {"enabled": false},
        "notifications": {"enabled": false},
        "applicationSet": {"replicas": 0},
        "redisSecretInit": {"enabled": false},
        "configs": {
            "secret": {"createSecret": false},
            // Traefik ends TLS.
            "params": {"server.insecure": true},
            "cm": {"statusbadge.enabled": true},
        },
        "server": merged(json!({"replicas": layers.spare_replicas(), "service": {"type": "ClusterIP"}}), &metrics),
        "repoServer": merged(json!({"replicas": layers.spare_replicas()}), &metrics),
        "controller": metrics,
    });
    let Some(host) = layers.argocd().and_then(|argocd| argocd.host.as_ref()) else { return values };
    let published = json!({
        "global": {"domain": host},
        "configs": {"cm": {"url": format!("https://{host}")}},
    });
    let values = merged(values, &published);
    match sign_on(layers) {
        Some(sso) => merged(values, &oidc(sso)),
        None => values,
    }
}

/// The host of the sign-on, where Argo CD is to trust it.
fn sign_on(layers: &Layers) -> Option<&str> {
    let authentik = layers.authentik.as_ref().filter(|authentik| authentik.oidc.argocd)?;
    Some(&authentik.host)
}

fn oidc(sso: &str) -> Value {
    // A string within the values, and JSON is YAML. `$` names a key of a Secret, so the text itself holds none.
    let config = json!({
        "name": "Authentik",
        "issuer": format!("https://{sso}/application/o/argocd/"),
        "clientID": "argocd",
        "clientSecret": format!("${OIDC_SECRET}:clientSecret"),
        "requestedScopes": ["openid", "profile", "email"],
    });
    json!({"configs": {
        "cm": {"oidc.config": config.to_string(), "admin.enabled": false},
        "rbac": {
            "policy.default": "",
            "policy.csv": format!("g, {}, role:admin\ng, {}, role:readonly\n", authentik::ADMINS, authentik::VIEWERS),
        },
    }})
}

fn flows(layers: &Layers) -> Vec<Flow> {
    let here = || ENTRY.pods();
    let named = |name: &str| here().with("app.kubernetes.io/name", name);
    let parts = || vec!["argocd-server", "argocd-application-controller", "argocd-repo-server"].into_iter();
    let mut flows: Vec<Flow> = parts()
        .map(|part| Flow::new(named(part), named("argocd-redis"), Ports::tcp([6379]), "Argo CD's parts share a cache"))
        .collect();
    for part in ["argocd-server", "argocd-application-controller"] {
        let because = "Argo CD has manifests rendered by its repo server";
        flows.push(Flow::new(named(part), named("argocd-repo-server"), Ports::tcp([8081]), because));
        flows.push(Flow::new(named(part), Target::ApiServer, Ports::tcp([6443]), "Argo CD applies and watches"));
    }
    let repository = layers.gitops.as_ref().and_then(|gitops| gitops.repository.as_ref());
    let is_ssh = |url: &str| url.starts_with("ssh://") || !url.contains("://");
    flows.extend(repository.and_then(|repository| {
        let host = NamePattern::of_url(&repository.url)?;
        let ports = if is_ssh(&repository.url) { Ports::tcp([22]) } else { Ports::tcp([443]) };
        Some(Flow::new(named("argocd-repo-server"), host, ports, "Argo CD reads the platform's repository"))
    }));
    let server = || named("argocd-server");
    if layers.argocd().is_some_and(|argocd| argocd.host.is_some()) {
        flows.push(Flow::new(traefik::pods(), server(), Ports::tcp([SERVER]), "Argo CD's pages are published"));
    }
    flows.extend(sign_on(layers).into_iter().flat_map(|sso| to_sign_on(&server(), sso, "Argo CD")));
    flows
}

/// Who trusts the sign-on asks it by its public name, which leads back to Traefik: by way of the internet, or straight,
/// for Cilium sends a call of a load balancer's own address to the pods behind it.
pub(super) fn to_sign_on(from: &Pods, sso: &str, who: &str) -> Vec<Flow> {
    let because = format!("{who} asks the sign-on for its keys");
    let name = NamePattern::parse(sso).map(|name| Flow::new(from.clone(), name, Ports::tcp([443]), because.clone()));
    let straight = Flow::new(from.clone(), traefik::pods(), Ports::tcp([traefik::WEB_SECURE]), because);
    name.into_iter().chain([straight]).collect()
}

fn secrets(layers: &Layers) -> Vec<SecretWanted> {
    let random = |key, characters| vec![SecretKey::new(key, SecretValue::Random { characters })];
    let mut secrets = vec![
        SecretWanted::new(NAMESPACE, "argocd-secret", random("server.secretkey", 64)),
        SecretWanted::new(NAMESPACE, "argocd-redis", random("auth", 32)),
    ];
    if sign_on(layers).is_some() {
        let (name, key) = (authentik::SECRET.to_owned(), authentik::ARGOCD_SECRET);
        let copied = SecretValue::Component { namespace: authentik::NAMESPACE, name, key };
        secrets.push(SecretWanted::new(NAMESPACE, OIDC_SECRET, vec![SecretKey::new("clientSecret", copied)]));
    }
    secrets
}
