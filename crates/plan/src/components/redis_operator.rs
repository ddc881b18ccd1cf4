//! The operator of Redis: makes replications and Sentinels of what the component `caches` asks for.

use helix_crds::PhaseName;
use serde_json::{Value, json};

use super::entry::{never_asked, no_secrets, no_version};
use super::{Chart, Component, Entry, Home, PodSecurity, Probe, Source, Supports, caches};
use crate::policy::{Flow, Pods, Ports, Target};
use crate::validated::Layers;

pub(super) static ENTRY: Entry = Entry {
    name: "redis-operator",
    phase: PhaseName::StateAndDataHa,
    home: Home::Own { namespace: "redis-operator", level: PodSecurity::Baseline },
    source: Source::Chart(Chart::new("https://ot-container-kit.github.io/helm-charts", "redis-operator", "0.26.0")),
    needs: &[],
    after: &[Component::Authentik],
    health: &[Probe::Deployment("redis-operator")],
    host_network: None,
    talos_extensions: &[],
    metrics: &[8080],
    supports: Supports::ALL,
    asked_by: "data.redis",
    asked: never_asked,
    version: no_version,
    open_values: &[],
    fixed_values: &[],
    values,
    resources: super::entry::no_resources,
    flows,
    secrets: no_secrets,
};

fn values(_: &Layers) -> Value {
    // Without a webhook it needs no certificate, which its chart would make anew at every rendering.
    json!({"redisOperator": {"watchNamespace": caches::NAMESPACE, "webhook": false}, "certmanager": {"enabled": false}})
}

fn flows(_: &Layers) -> Vec<Flow> {
    let redis = Pods::of(caches::NAMESPACE);
    vec![
        Flow::new(ENTRY.pods(), Target::ApiServer, Ports::tcp([6443]), "the Redis operator watches its instances"),
        Flow::new(
            ENTRY.pods(),
            redis,
            Ports::tcp([caches::REDIS, caches::SENTINEL]),
            "the Redis operator tells instances whom to follow",
        ),
    ]
}
