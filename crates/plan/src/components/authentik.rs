//! Authentik: single sign-on by ForwardAuth and OpenID Connect, with a PostgreSQL cluster of its own.
//!
//! Its outpost is the one within its server, so that it needs no right to make pods, and no access to the API.

mod blueprint;

use helix_crds::PhaseName;
use serde_json::{Value, json};

pub(super) use blueprint::{ADMINS, ARGOCD_SECRET, GRAFANA_SECRET, VIEWERS};

use super::entry::no_version;
use super::{
    Chart, Component, Entry, Home, PodSecurity, Probe, Question, SecretKey, SecretValue, SecretWanted, Source,
    Supports, cloudnative_pg, traefik,
};
use crate::policy::{Flow, Pods, Ports, Source as From};
use crate::render::machine_config::{SIGNED_ON, TrustedIssuer};
use crate::validated::Layers;

/// Where it is.
pub(super) const NAMESPACE: &str = "authentik";
/// The Secret with what Authentik signs by and its first administrator.
pub(super) const SECRET: &str = "authentik";
/// The ConfigMap with providers, outpost and groups.
const BLUEPRINTS: &str = "authentik-blueprints";
/// Its PostgreSQL cluster.
pub(super) const DATABASE: &str = "authentik-db";
/// The port of its server's pods for HTTP.
pub(super) const HTTP: u16 = 9000;

pub(super) static ENTRY: Entry = Entry {
    name: "authentik",
    phase: PhaseName::SecurityWeave,
    home: Home::Own { namespace: NAMESPACE, level: PodSecurity::Baseline },
    source: Source::Chart(Chart::new("https://charts.goauthentik.io", "authentik", "2026.8.0")),
    needs: &[Component::CloudNativePg, Component::Traefik],
    after: &[],
    health: &[
        Probe::Status {
            api: "postgresql.cnpg.io/v1",
            kind: "Cluster",
            pointer: "/status/phase",
            value: "Cluster in healthy state",
        },
        Probe::Deployment("authentik-server"),
        Probe::Deployment("authentik-worker"),
        Probe::Answers(Question { service: "authentik-server", port: 80, path: "/-/health/ready/" }),
    ],
    host_network: None,
    talos_extensions: &[],
    metrics: &[9300],
    supports: Supports::ALL,
    asked_by: "securityWeave.authentik",
    asked: |layers| layers.authentik.is_some(),
    version: no_version,
    open_values: &[],
    fixed_values: &["/authentik/existingSecret", "/serviceAccount/create"],
    values,
    resources,
    flows,
    secrets,
};

/// The pods of its server.
pub(super) fn server() -> Pods {
    Pods::of(NAMESPACE).with("app.kubernetes.io/name", "authentik").with("app.kubernetes.io/component", "server")
}

fn values(layers: &Layers) -> Value {
    let from = |name: &str, secret: &str, key: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}});
    let plain = |name: &str, value: &str| json!({"name": name, "value": value});
    let app = format!("{DATABASE}-app");
    json!({
        "fullnameOverride": "authentik",
        "global": {"env": [
            plain("AUTHENTIK_POSTGRESQL__HOST", &format!("{DATABASE}-rw")),
            from("AUTHENTIK_POSTGRESQL__NAME", &app, "dbname"),
            from("AUTHENTIK_POSTGRESQL__USER", &app, "username"),
            from("AUTHENTIK_POSTGRESQL__PASSWORD", &app, "password"),
            plain("AUTHENTIK_DISABLE_UPDATE_CHECK", "true"),
            plain("AUTHENTIK_ERROR_REPORTING__ENABLED", "false"),
            plain("AUTHENTIK_DISABLE_STARTUP_ANALYTICS", "true"),
        ]},
        // With a Secret named the chart renders none; its keys become variables.
        "authentik": {"existingSecret": {"secretName": SECRET}},
        "blueprints": {"configMaps": [BLUEPRINTS]},
        "serviceAccount": {"create": false},
        "postgresql": {"enabled": false},
        "server": {
            "replicas": layers.spare_replicas(),
            "metrics": {"enabled": layers.asks_for(Component::KubePrometheusStack)},
        },
        "worker": {"replicas": layers.spare_replicas()},
    })
}

/// Its database, and what it is told. What the database holds is users and sessions, so a few gigabytes are plenty.
fn resources(layers: &Layers, _: &Value) -> Vec<Value> {
    let instances = cloudnative_pg::Instances {
        namespace: NAMESPACE,
        name: DATABASE,
        database: "authentik",
        count: layers.spare_replicas(),
        storage: "10Gi",
        backup: None,
        recover_from: None,
    };
    let cluster = cloudnative_pg::cluster(&instances, layers);
    let roles = layers.authentik.as_ref().is_some_and(|authentik| authentik.oidc.kubernetes).then(roles);
    [cluster].into_iter().chain(blueprint::config_map(layers)).chain(roles.into_iter().flatten()).collect()
}

/// What the sign-on's groups may do in the cluster.
fn roles() -> [Value; 2] {
    [(blueprint::ADMINS, "cluster-admin"), (blueprint::VIEWERS, "view")].map(|(group, role)| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": group},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Group",
                "name": format!("{SIGNED_ON}{group}"),
            }],
        })
    })
}

/// The sign-on's provider for the Kubernetes API, as its tokens name it.
#[must_use]
pub fn kubernetes_issuer(host: &str) -> TrustedIssuer {
    let client_id = blueprint::KUBERNETES.to_owned();
    TrustedIssuer { url: format!("https://{host}/application/o/{client_id}/"), client_id }
}

fn flows(_: &Layers) -> Vec<Flow> {
    let here = || Pods::of(NAMESPACE).with("app.kubernetes.io/name", "authentik");
    let database = Pods::of(NAMESPACE).with("cnpg.io/cluster", DATABASE);
    let mut flows = vec![
        Flow::new(
            here(),
            database,
            Ports::tcp([cloudnative_pg::POSTGRES]),
            "Authentik keeps its users in its database",
        ),
        Flow::new(traefik::pods(), server(), Ports::tcp([HTTP]), "the sign-on's pages are published"),
        Flow::new(From::Nodes, server(), Ports::tcp([HTTP]), "API servers ask for Helix whether the sign-on answers"),
    ];
    flows.extend(cloudnative_pg::cluster_flows(NAMESPACE, DATABASE, None));
    flows
}

fn secrets(layers: &Layers) -> Vec<SecretWanted> {
    let Some(authentik) = &layers.authentik else { return Vec::new() };
    let first = |variable: &'static str, key: &str, characters| {
        let value = match &authentik.bootstrap_secret_ref {
            Some(users) => SecretValue::Users {
                name: users.name.clone(),
                key: key.to_owned(),
                purpose: "the first administrator of the sign-on",
            },
            None => SecretValue::Random { characters },
        };
        SecretKey::new(variable, value)
    };
    let secret_key = SecretKey::new("AUTHENTIK_SECRET_KEY", SecretValue::Random { characters: 64 });
    let keys = vec![
        secret_key,
        first("AUTHENTIK_BOOTSTRAP_PASSWORD", "password", 24),
        first("AUTHENTIK_BOOTSTRAP_TOKEN", "token", 60),
        // Made here, where they are first needed; each client has a copy.
        SecretKey::new(ARGOCD_SECRET, SecretValue::Random { characters: 64 }),
        SecretKey::new(GRAFANA_SECRET, SecretValue::Random { characters: 64 }),
    ];
    vec![SecretWanted::new(NAMESPACE, SECRET, keys)]
}
