//! LangGraph: the user's agents on the platform's PostgreSQL and Redis.
//!
//! Its chart wants a licence and the user's own image. Without the licence it is blocked, and the rest goes on.

use helix_crds::PhaseName;
use serde_json::{Value, json};

use super::entry::no_version;
use super::{
    Chart, Component, Entry, Home, PodSecurity, Probe, SecretKey, SecretValue, SecretWanted, Source, Supports, caches,
    cloudnative_pg, databases, ollama, steel_browser,
};
use crate::policy::{Flow, NamePattern, Pods, Ports};
use crate::validated::Layers;

const NAMESPACE: &str = "langgraph";
const LICENSE_SECRET: &str = "langgraph-license";
const POSTGRES_SECRET: &str = "langgraph-postgres";
const REDIS_SECRET: &str = "langgraph-redis";
/// Where its server asks whether the licence holds.
const LICENSE_SERVER: &str = "beacon.langchain.com";

pub(super) static ENTRY: Entry = Entry {
    name: "langgraph",
    phase: PhaseName::AiAgentic,
    home: Home::Own { namespace: NAMESPACE, level: PodSecurity::Baseline },
    source: Source::Chart(Chart::new("https://langchain-ai.github.io/helm", "langgraph-cloud", "0.3.2")),
    needs: &[Component::Databases, Component::Caches],
    after: &[Component::Ollama, Component::SteelBrowser],
    health: &[Probe::Deployment("langgraph-api-server")],
    host_network: None,
    talos_extensions: &[],
    metrics: &[],
    supports: Supports::ALL,
    asked_by: "ai.langgraph",
    asked: |layers| layers.langgraph.is_some(),
    version: no_version,
    open_values: &[],
    fixed_values: &["/apiServer/service/type"],
    values,
    resources: super::entry::no_resources,
    flows,
    secrets,
};

fn values(layers: &Layers) -> Value {
    let Some(langgraph) = &layers.langgraph else { return json!({}) };
    let (repository, tag) = image(&langgraph.image);
    let at = |component: Component, port: u16| {
        let Entry { name, home, .. } = component.entry();
        format!("http://{name}.{}.svc.cluster.local:{port}", home.namespace())
    };
    let mut environment = Vec::new();
    if layers.asks_for(Component::Ollama) {
        environment.push(json!({"name": "OLLAMA_HOST", "value": at(Component::Ollama, ollama::PORT)}));
    }
    if layers.asks_for(Component::SteelBrowser) {
        environment.push(json!({"name": "STEEL_BASE_URL", "value": at(Component::SteelBrowser, steel_browser::API)}));
    }
    json!({
        "fullnameOverride": "langgraph",
        "images": {"apiServerImage": {"repository": repository, "tag": tag}},
        "config": {"existingSecretName": LICENSE_SECRET},
        "postgres": {"external": {"enabled": true, "existingSecretName": POSTGRES_SECRET}},
        "redis": {"external": {"enabled": true, "existingSecretName": REDIS_SECRET}},
        "apiServer": {"service": {"type": "ClusterIP"}, "deployment": {"extraEnv": environment}},
        "ingress": {"enabled": false},
        "mongo": {"enabled": false},
    })
}

/// The parts of an image's reference as the chart puts them together again, with a colon: repository and tag, or
/// repository with `@sha256` and the digits.
fn image(reference: &str) -> (&str, &str) {
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (reference, "latest"),
    }
}

fn flows(layers: &Layers) -> Vec<Flow> {
    let Some(langgraph) = &layers.langgraph else { return Vec::new() };
    let here = || ENTRY.pods();
    let postgres = Pods::of(databases::NAMESPACE).with("cnpg.io/cluster", &langgraph.postgres);
    let redis = Pods::of(caches::NAMESPACE).with("app", &langgraph.redis);
    let mut flows = vec![
        Flow::new(here(), postgres, Ports::tcp([cloudnative_pg::POSTGRES]), "agents keep their state in PostgreSQL"),
        Flow::new(here(), redis, Ports::tcp([caches::REDIS]), "agents' messages go through Redis"),
    ];
    flows.extend(
        NamePattern::parse(LICENSE_SERVER)
            .map(|name| Flow::new(here(), name, Ports::tcp([443]), "LangGraph has its licence confirmed")),
    );
    let ollama = Component::Ollama.entry().pods();
    flows.push(Flow::new(here(), ollama, Ports::tcp([ollama::PORT]), "agents ask models"));
    let browser = Component::SteelBrowser.entry().pods();
    let ports = Ports::tcp([steel_browser::API, steel_browser::DEVTOOLS]);
    flows.push(Flow::new(here(), browser, ports, "agents use the browser"));
    flows
}

fn secrets(layers: &Layers) -> Vec<SecretWanted> {
    let Some(langgraph) = &layers.langgraph else { return Vec::new() };
    let helix_crds::SecretKeyRef { name, key } = langgraph.license_secret_ref.clone();
    let license = SecretValue::Users { name, key, purpose: "LangGraph's licence" };
    let postgres = SecretValue::Component {
        namespace: databases::NAMESPACE,
        name: format!("{}-app", langgraph.postgres),
        key: "uri",
    };
    let redis = SecretValue::RedisUrl {
        address: format!("{}-master.{}.svc.cluster.local:{}", langgraph.redis, caches::NAMESPACE, caches::REDIS),
        namespace: caches::NAMESPACE,
        name: caches::password_secret(&langgraph.redis),
    };
    let license = vec![
        SecretKey::new("langgraph_cloud_license_key", license),
        // The chart reads it, too; agents that are not traced leave it empty.
        SecretKey::new("api_key", SecretValue::Plain(String::new())),
    ];
    vec![
        SecretWanted::new(NAMESPACE, LICENSE_SECRET, license),
        SecretWanted::new(NAMESPACE, POSTGRES_SECRET, vec![SecretKey::new("connection_url", postgres)]),
        SecretWanted::new(NAMESPACE, REDIS_SECRET, vec![SecretKey::new("redis_connection_url", redis)]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_comes_apart_where_the_chart_puts_it_together() {
        assert_eq!(image("ghcr.io/acme/agents:1.4.0"), ("ghcr.io/acme/agents", "1.4.0"));
        assert_eq!(image("ghcr.io/acme/agents@sha256:abc"), ("ghcr.io/acme/agents@sha256", "abc"));
        assert_eq!(image("registry:5000/agents"), ("registry:5000/agents", "latest"));
    }
}
