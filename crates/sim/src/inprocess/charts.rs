//! Charts without archives: what one renders to is made of what its component's probes look at, so that it is sound and
//! always the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use helix_engine::seams::{ChartError, ChartRequest, Charts, Rendering};
use helix_plan::components::{Component, Probe, Source, digest};
use serde_json::{Value, json};

use super::{Inner, Universe};
use crate::world::machine::MODELS;

/// Where charts come from, and what was rendered: both outlive the engine.
#[derive(Debug, Default)]
pub struct ChartSource {
    /// Whether no repository answers.
    pub is_down: bool,
    /// Charts, by name, whose archive was put in another's place.
    pub republished: BTreeSet<String>,
    /// Charts, by name, that are not there any more.
    pub withdrawn: BTreeSet<String>,
    rendered: Vec<(ChartRequest, Arc<Rendering>)>,
    /// How often something was rendered.
    pub renderings: u64,
}

/// Groups whose kinds a chart defines.
const DEFINES: [(Component, &str); 8] = [
    (Component::ArgoCd, "argoproj.io"),
    (Component::CertManager, "cert-manager.io"),
    (Component::CloudNativePg, "postgresql.cnpg.io"),
    (Component::KubePrometheusStack, "monitoring.coreos.com"),
    (Component::Longhorn, "longhorn.io"),
    (Component::NetbirdOperator, "netbird.io"),
    (Component::RedisOperator, "redis.redis.opstreelabs.in"),
    (Component::Traefik, "traefik.io"),
];

fn component_of(request: &ChartRequest) -> Option<Component> {
    let named = |component: &Component| match &component.entry().source {
        Source::Chart(chart) => chart.name == request.chart.name,
        Source::Manifests => false,
    };
    Component::ALL.iter().copied().find(named)
}

fn object(api_version: &str, kind: &str, namespace: Option<&str>, name: &str, spec: Value) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
}

/// What a chart renders to: its definitions, an account, its values, a Service, what its probes look at, and Ollama's claim
/// to a volume for its models.
fn manifests(component: Component, request: &ChartRequest) -> Vec<Value> {
    let (release, namespace) = (request.release.as_str(), Some(request.namespace.as_str()));
    let mut all = Vec::new();
    for (_, group) in DEFINES.iter().filter(|(definer, _)| *definer == component) {
        let name = format!("things.{group}");
        all.push(object("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, &name, json!({"group": group})));
    }
    let config = json!({"values": digest(&request.values), "kubernetes": request.kubernetes});
    all.push(object("v1", "ServiceAccount", namespace, release, json!({})));
    all.push(object("v1", "ConfigMap", namespace, release, config));
    let exposure = if component == Component::Traefik { "LoadBalancer" } else { "ClusterIP" };
    all.push(object("v1", "Service", namespace, release, json!({"type": exposure})));
    if component == Component::Ollama {
        all.push(object("v1", "PersistentVolumeClaim", namespace, release, json!({})));
    }
    let image = format!("registry.example/{}:{}", request.chart.name, request.chart.version);
    let pulled = request.values.pointer("/ollama/models/pull").and_then(Value::as_array).into_iter().flatten();
    let pulled: Vec<&str> = pulled.filter_map(Value::as_str).collect();
    let env = json!([{"name": MODELS, "value": pulled.join(",")}]);
    let pods = json!({"template": {"spec": {"containers": [{"name": "main", "image": image, "env": env}]}}});
    for (kind, name) in component.entry().health.iter().filter_map(Probe::workload) {
        all.push(object("apps/v1", kind, namespace, name, pods.clone()));
    }
    all
}

impl Inner {
    fn render(&mut self, request: &ChartRequest) -> Result<Arc<Rendering>, ChartError> {
        let (repository, chart) = (request.chart.repository.to_owned(), request.chart.name.to_owned());
        let version = request.chart.version.clone();
        if self.charts.is_down {
            return Err(ChartError::Unreachable { repository, why: "connection refused".to_owned() });
        }
        let component = component_of(request).filter(|_| !self.charts.withdrawn.contains(&chart));
        let Some(component) = component else {
            return Err(ChartError::NotFound { repository, chart, version, nearest: None });
        };
        if self.charts.republished.contains(&chart) {
            let (wanted, found) = ("0".repeat(64), "1".repeat(64));
            return Err(ChartError::OtherDigest { chart, version, wanted, found });
        }
        let chart_digest = digest(&json!([repository, chart, version]));
        let manifests = manifests(component, request);
        let rendering = Arc::new(Rendering { chart_digest, unknown_values: Vec::new(), manifests });
        self.charts.renderings += 1;
        self.charts.rendered.push((request.clone(), Arc::clone(&rendering)));
        Ok(rendering)
    }

    fn rendered(&self, request: &ChartRequest) -> Option<Arc<Rendering>> {
        let found = self.charts.rendered.iter().find(|(known, _)| known == request);
        found.map(|(_, rendering)| Arc::clone(rendering))
    }
}

#[async_trait]
impl Charts for Universe {
    async fn rendered(&self, request: &ChartRequest) -> Option<Arc<Rendering>> {
        // The cache is the engine's own: to look there is no call.
        self.lock().rendered(request)
    }

    async fn render(&self, request: &ChartRequest) -> Result<Arc<Rendering>, ChartError> {
        self.tell("render chart", |inner| match inner.rendered(request) {
            Some(rendering) => Ok(rendering),
            None => inner.render(request),
        })
        .await
    }
}
