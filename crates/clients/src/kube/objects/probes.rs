//! How healthy a component is: what its entry in the catalogue asks, looked up in the cluster. No I/O beyond the lists that
//! a probe needs.

use helix_engine::seams::WorkloadError;
use helix_plan::components::Probe;
use helix_plan::observed::Health;
use serde_json::Value;

use super::cluster::Cluster;
use super::compare::name_of;

/// Resources that are named when several are not healthy.
const MOST_NAMED: usize = 3;

impl Cluster {
    pub(super) async fn health(&self, namespace: &str, probe: &Probe) -> Result<Health, WorkloadError> {
        match *probe {
            Probe::Deployment(name) => self.workload(namespace, "Deployment", name, deployment).await,
            Probe::DaemonSet(name) => self.workload(namespace, "DaemonSet", name, daemon_set).await,
            Probe::StatefulSet(name) => self.workload(namespace, "StatefulSet", name, stateful_set).await,
            Probe::StatefulSets => self.every("apps/v1", "StatefulSet", Some(namespace), stateful_set).await,
            Probe::Condition { api, kind, condition } => {
                self.every(api, kind, Some(namespace), |object| has_condition(object, condition)).await
            }
            Probe::Told { api, kind, pointer } => {
                self.every(api, kind, Some(namespace), |object| tells(object, pointer)).await
            }
            Probe::Status { api, kind, pointer, value } => {
                self.every(api, kind, Some(namespace), |object| tells_value(object, pointer, value)).await
            }
            Probe::NodesReady => self.every("v1", "Node", None, |node| has_condition(node, "Ready")).await,
            Probe::NodesWithoutTaint(taint) => self.every("v1", "Node", None, |node| lacks_taint(node, taint)).await,
            Probe::Answers(question) | Probe::Models(question) => {
                Ok(self.ask(namespace, &question).await?.health(namespace, &question))
            }
        }
    }

    async fn workload(
        &self,
        namespace: &str,
        kind: &str,
        name: &str,
        healthy: fn(&Value) -> Result<String, String>,
    ) -> Result<Health, WorkloadError> {
        let title = format!("{kind} {namespace}/{name}");
        let served = self.known_kind("apps/v1", kind).await?;
        let found = self.get(&served, Some(namespace), name).await?;
        Ok(match found.as_ref().map(healthy) {
            Some(Ok(evidence)) => Health::Healthy { evidence: format!("{title} {evidence}") },
            Some(Err(why)) => Health::Unhealthy { why: format!("{title}: {why}") },
            None => Health::Unhealthy { why: format!("{title} is not there") },
        })
    }

    /// Looks at every object of a kind; there must be one.
    async fn every(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        healthy: impl Fn(&Value) -> Result<String, String>,
    ) -> Result<Health, WorkloadError> {
        let place = namespace.map(|namespace| format!(" in {namespace}")).unwrap_or_default();
        let Some(served) = self.kind(api_version, kind).await? else {
            return Ok(Health::Unhealthy { why: format!("the cluster does not know {api_version} {kind} yet") });
        };
        let objects = self.list(&served, namespace, "").await?.unwrap_or_default();
        let judged = objects.iter().map(|object| healthy(object).map_err(|why| format!("{}: {why}", name_of(object))));
        let (good, bad): (Vec<_>, Vec<_>) = judged.partition(Result::is_ok);
        let bad: Vec<String> = bad.into_iter().filter_map(Result::err).collect();
        if let Some((named, more)) =
            bad.split_at_checked(MOST_NAMED.min(bad.len())).filter(|(named, _)| !named.is_empty())
        {
            let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
            return Ok(Health::Unhealthy { why: format!("{kind}{place} {}{more}", named.join(", ")) });
        }
        Ok(match good.into_iter().find_map(Result::ok) {
            Some(evidence) => Health::Healthy { evidence: format!("every {kind}{place} {evidence}") },
            None => Health::Unhealthy { why: format!("there is no {kind}{place} yet") },
        })
    }
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// Its controller has seen what is wanted now: before that, its status is of something else.
fn is_current(object: &Value) -> Result<(), String> {
    let seen = number(object, "/status/observedGeneration") >= number(object, "/metadata/generation");
    if seen { Ok(()) } else { Err("its newest form is not looked at yet".to_owned()) }
}

fn deployment(object: &Value) -> Result<String, String> {
    is_current(object)?;
    if condition(object, "Available").is_some_and(|condition| condition["status"] == "True") {
        return Ok("is available".to_owned());
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    Err(format!("{} of {wanted} replicas are available", number(object, "/status/availableReplicas")))
}

fn daemon_set(object: &Value) -> Result<String, String> {
    is_current(object)?;
    let wanted = number(object, "/status/desiredNumberScheduled");
    let (ready, updated) = (number(object, "/status/numberReady"), number(object, "/status/updatedNumberScheduled"));
    in_newest_form(wanted, ready, updated, "nodes")
}

fn stateful_set(object: &Value) -> Result<String, String> {
    is_current(object)?;
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let status = &object["status"];
    // Once all are of the newest form, only that form is counted.
    let newest = status["updateRevision"] == status["currentRevision"];
    let updated = if newest { wanted } else { number(object, "/status/updatedReplicas") };
    in_newest_form(wanted, number(object, "/status/readyReplicas"), updated, "replicas")
}

fn in_newest_form(wanted: i64, ready: i64, updated: i64, what: &str) -> Result<String, String> {
    if ready < wanted {
        Err(format!("{ready} of {wanted} {what} are ready"))
    } else if updated < wanted {
        Err(format!("{updated} of {wanted} {what} have its newest form"))
    } else {
        Ok(format!("is ready on {wanted} {what}"))
    }
}

fn condition<'a>(object: &'a Value, named: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|condition| condition["type"] == named)
}

fn has_condition(object: &Value, named: &str) -> Result<String, String> {
    let Some(found) = condition(object, named) else { return Err(format!("it does not tell of {named}")) };
    if found["status"] == "True" {
        return Ok(format!("has {named}"));
    }
    let words = found["message"].as_str().or(found["reason"].as_str()).unwrap_or("it does not say why");
    Err(format!("not {named}: {words}"))
}

fn tells(object: &Value, pointer: &str) -> Result<String, String> {
    let nothing = |value: &Value| value.is_null() || value.as_str() == Some("");
    match object.pointer(pointer).filter(|value| !nothing(value)) {
        Some(_) => Ok(format!("tells of {pointer}")),
        None => Err(format!("nothing is at {pointer} yet")),
    }
}

fn tells_value(object: &Value, pointer: &str, value: &str) -> Result<String, String> {
    let found = object.pointer(pointer).map(|found| found.as_str().map_or_else(|| found.to_string(), str::to_owned));
    match found {
        Some(found) if found == value => Ok(format!("has {value} at {pointer}")),
        Some(found) => Err(format!("{found} instead of {value} is at {pointer}")),
        None => Err(format!("nothing is at {pointer} yet")),
    }
}

fn lacks_taint(node: &Value, taint: &str) -> Result<String, String> {
    let taints = node.pointer("/spec/taints").and_then(Value::as_array).into_iter().flatten();
    match taints.into_iter().any(|it| it["key"] == taint) {
        true => Err(format!("it has the taint {taint}")),
        false => Ok(format!("is free of the taint {taint}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_workload_is_healthy_in_its_newest_form() {
        let set = |generation: i64, ready: i64, revisions: (&str, &str), updated: i64| {
            json!({"metadata": {"generation": generation}, "spec": {"replicas": 2}, "status": {
                "observedGeneration": 2, "readyReplicas": ready, "updatedReplicas": updated,
                "currentRevision": revisions.0, "updateRevision": revisions.1,
            }})
        };
        assert_eq!(stateful_set(&set(2, 2, ("a", "a"), 0)).unwrap(), "is ready on 2 replicas");
        assert_eq!(stateful_set(&set(3, 2, ("a", "a"), 2)).unwrap_err(), "its newest form is not looked at yet");
        assert_eq!(stateful_set(&set(2, 1, ("a", "a"), 2)).unwrap_err(), "1 of 2 replicas are ready");
        assert_eq!(stateful_set(&set(2, 2, ("a", "b"), 1)).unwrap_err(), "1 of 2 replicas have its newest form");
    }

    #[test]
    fn a_deployment_says_how_much_of_it_is_available() {
        let of = |status: &str| {
            json!({"metadata": {"generation": 1}, "spec": {}, "status": {"observedGeneration": 1,
                "conditions": [{"type": "Available", "status": status}]}})
        };
        assert!(deployment(&of("True")).is_ok());
        assert_eq!(deployment(&of("False")).unwrap_err(), "0 of 1 replicas are available");
    }

    #[test]
    fn what_a_resource_tells_is_held_against_what_is_healthy() {
        let object = json!({"status": {"phase": "Up", "count": 3, "empty": "",
            "conditions": [{"type": "Ready", "status": "False", "message": "no disk"}]}});
        assert_eq!(has_condition(&object, "Ready").unwrap_err(), "not Ready: no disk");
        assert!(has_condition(&object, "Other").is_err());
        assert!(tells(&object, "/status/phase").is_ok() && tells(&object, "/status/empty").is_err());
        assert!(tells_value(&object, "/status/count", "3").is_ok());
        assert_eq!(
            tells_value(&object, "/status/phase", "Down").unwrap_err(),
            "Up instead of Down is at /status/phase"
        );
    }
}
