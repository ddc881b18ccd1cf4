//! The health of an object, by the rules that Argo CD has for its kind; what it has no rule for, has no health.

use serde_json::Value;

/// From best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Health {
    Healthy,
    Progressing,
    Degraded,
    Missing,
}

impl Health {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
            Self::Missing => "Missing",
        }
    }
}

pub(super) fn health(kind: &str, live: &Value) -> Option<Health> {
    let number = |pointer: &str| live.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let ready = |enough: bool| if enough { Health::Healthy } else { Health::Progressing };
    let observed = number("/status/observedGeneration") >= number("/metadata/generation");
    let replicas = live.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    match kind {
        "Deployment" => {
            let stuck = condition(live, "Progressing").is_some_and(|it| it["reason"] == "ProgressDeadlineExceeded");
            let enough = observed
                && number("/status/updatedReplicas") >= replicas
                && number("/status/availableReplicas") >= replicas;
            Some(if stuck { Health::Degraded } else { ready(enough) })
        }
        "StatefulSet" => Some(ready(observed && number("/status/readyReplicas") >= replicas)),
        "DaemonSet" => {
            Some(ready(observed && number("/status/numberAvailable") >= number("/status/desiredNumberScheduled")))
        }
        "PersistentVolumeClaim" => Some(ready(live["status"]["phase"] == "Bound")),
        "Job" => match condition(live, "Failed") {
            Some(_) => Some(Health::Degraded),
            None => Some(ready(condition(live, "Complete").is_some())),
        },
        "Cluster" if live["apiVersion"].as_str().is_some_and(|api| api.starts_with("postgresql.cnpg.io/")) => {
            Some(ready(condition(live, "Ready").is_some_and(|it| it["status"] == "True")))
        }
        _ => None,
    }
}

fn condition<'a>(live: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = live.pointer("/status/conditions").and_then(Value::as_array)?;
    conditions.iter().find(|condition| condition["type"] == kind && condition["status"] != "False")
}
