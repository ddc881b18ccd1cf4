//! What is told of an Application: sync, health, the last operation and each resource.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::has_option;
use super::health::{Health, health};
use super::kinds::Key;
use super::source::SourceError;

/// One object that an Application is about.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) key: Key,
    pub(super) live: Option<Value>,
    /// Whether it is not as Git has it.
    pub(super) differs: bool,
    /// Whether Git has it no longer.
    pub(super) surplus: bool,
    pub(super) wave: i64,
}

impl Seen {
    /// Whether it is pruned, where anything is.
    pub(super) fn is_to_go(&self) -> bool {
        self.surplus && self.live.as_ref().is_some_and(|live| !has_option(live, "Prune=false"))
    }
}

/// What comparing found.
pub(super) struct Compared<'a> {
    pub(super) revision: &'a str,
    pub(super) seen: &'a [Seen],
    /// Whether it degrades, whatever its objects say.
    pub(super) is_degraded: bool,
}

/// A sync that was just made.
pub(super) struct Attempt {
    /// What went wrong, if something did.
    pub(super) failure: Option<String>,
}

pub(super) fn status(application: &Value, compared: &Compared<'_>, attempt: Option<&Attempt>) -> Value {
    let resources: Vec<Value> = compared.seen.iter().map(resource).collect();
    let worst = compared.seen.iter().filter_map(of).max().unwrap_or(Health::Healthy);
    let worst = if compared.is_degraded { worst.max(Health::Degraded) } else { worst };
    let synced = compared.seen.iter().all(|seen| !seen.differs && !seen.surplus);
    let spec = &application["spec"];
    let now = now();
    let mut status = json!({
        "sync": {
            "status": if synced { "Synced" } else { "OutOfSync" },
            "revision": compared.revision,
            "comparedTo": {"source": spec["source"], "destination": spec["destination"]},
        },
        "health": {"status": worst.as_str()},
        "resources": resources,
        "conditions": [],
        "sourceType": "Directory",
        "reconciledAt": now,
    });
    if let Some(Attempt { failure }) = attempt {
        status["operationState"] = json!({
            "phase": if failure.is_none() { "Succeeded" } else { "Failed" },
            "message": failure.as_deref().unwrap_or("successfully synced (all tasks run)"),
            "operation": {"initiatedBy": {"automated": true}, "sync": {"revision": compared.revision}},
            "syncResult": {"revision": compared.revision, "source": spec["source"]},
            "startedAt": now,
            "finishedAt": now,
        });
    }
    status
}

/// Of an Application whose manifests cannot be had.
pub(super) fn without_source(application: &Value, error: &SourceError) -> Value {
    let spec = &application["spec"];
    let message = error.to_string();
    let old = application.pointer("/status/conditions").and_then(Value::as_array);
    let known = old.into_iter().flatten().find(|condition| condition["message"] == message);
    let condition = json!({"type": "ComparisonError", "message": message, "lastTransitionTime": now()});
    json!({
        "sync": {"status": "Unknown", "comparedTo": {"source": spec["source"], "destination": spec["destination"]}},
        "conditions": [known.cloned().unwrap_or(condition)],
        "reconciledAt": now(),
    })
}

fn of(seen: &Seen) -> Option<Health> {
    match &seen.live {
        Some(live) => health(&seen.key.kind, live),
        None => Some(Health::Missing),
    }
}

fn resource(seen: &Seen) -> Value {
    let Key { group, version, kind, namespace, name } = &seen.key;
    let synced = if seen.differs || seen.surplus { "OutOfSync" } else { "Synced" };
    let mut told = json!({"version": version, "kind": kind, "name": name, "status": synced});
    let mut set = |key: &str, value: Value| told[key] = value;
    if !group.is_empty() {
        set("group", json!(group));
    }
    if !namespace.is_empty() {
        set("namespace", json!(namespace));
    }
    if seen.wave != 0 {
        set("syncWave", json!(seen.wave));
    }
    if seen.surplus {
        set("requiresPruning", json!(true));
    }
    if let Some(health) = of(seen) {
        set("health", json!({"status": health.as_str()}));
    }
    told
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
