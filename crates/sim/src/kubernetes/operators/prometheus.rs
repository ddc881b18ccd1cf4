//! Prometheus' operator: a StatefulSet and a Service for each Prometheus and Alertmanager. Nothing is scraped, and what
//! monitors and rules ask for is not read.

use serde_json::{Value, json};

use super::OperatorError;
use super::objects::{Kind, number, pod_spec, service, stateful_set, text};
use super::scene::Scene;

/// Its Deployment, as the catalogue names it and as the chart does when nobody names it.
const OPERATORS: [&str; 2] = ["monitoring-operator", "kube-prometheus-stack-operator"];
const OPERATOR: &str = "prometheus-operator";
const PROMETHEUS: Kind = Kind::new("monitoring.coreos.com", "v1", "Prometheus", "prometheuses");
const ALERTMANAGER: Kind = Kind::new("monitoring.coreos.com", "v1", "Alertmanager", "alertmanagers");

pub(super) async fn look(scene: &Scene<'_>) -> Result<(), OperatorError> {
    if !OPERATORS.iter().any(|name| scene.available(name).is_some()) {
        return Ok(());
    }
    let (mut sets, mut services, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, program, port) in [(PROMETHEUS, "prometheus", 9090), (ALERTMANAGER, "alertmanager", 9093)] {
        for owner in scene.list(&kind).await? {
            let name = text(&owner, "/metadata/name");
            let set = format!("{program}-{name}");
            let volume = format!("{set}-db");
            let labels = json!({"app.kubernetes.io/name": program, "app.kubernetes.io/instance": name});
            let claim = owner.pointer("/spec/storage/volumeClaimTemplate/spec").unwrap_or(&Value::Null);
            let replicas = number(&owner, "/spec/replicas").unwrap_or(1);
            sets.push(stateful_set(&owner, &set, replicas, &labels, &pod_spec(program, &[port]), (&volume, claim)));
            services.push(service(&owner, &format!("{program}-{name}-web"), &labels, &[port]));
            owners.push((kind, set, owner));
        }
    }
    let found = scene.keep(OPERATOR, &Kind::STATEFUL_SET, sets).await?;
    scene.keep(OPERATOR, &Kind::SERVICE, services).await?;
    for (kind, set, owner) in owners {
        let is_its = |it: &&Value| {
            it["metadata"]["name"] == set.as_str() && it["metadata"]["namespace"] == owner["metadata"]["namespace"]
        };
        let ready = found.iter().find(is_its).and_then(|set| number(set, "/status/readyReplicas")).unwrap_or_default();
        let wanted = number(&owner, "/spec/replicas").unwrap_or(1);
        let available = scene.condition(&owner, "Available", ready >= wanted, ("", ""));
        let status = json!({"replicas": wanted, "availableReplicas": ready, "conditions": available});
        scene.tell(&kind, &owner, status).await?;
    }
    Ok(())
}
