//! Pods on a node without containers: what is scheduled there counts as running and ready while its machine runs, and what
//! is deleted goes. Images are never pulled and probes never run; pods of Jobs complete at once, those that lack a Secret or
//! ConfigMap wait for it, and those that a fault names crash for as long as it is in force.

use std::net::Ipv4Addr;

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::api::{Api, ApiError, Body};
use super::references::missing;

/// Looks at the node's pods once and moves each on, whatever becomes of the others.
///
/// Without a pod network only those start that use the node's own. `crashes` says of a namespace and a name whether that pod's
/// containers end as soon as they start.
pub(super) async fn run(
    api: &Api,
    node: &str,
    address: Ipv4Addr,
    network: bool,
    crashes: impl Fn(&str, &str) -> bool,
) -> Result<(), ApiError> {
    let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{node}");
    let pods = api.call(Method::GET, &path, Body::Empty).await?;
    let mut refused = None;
    for pod in pods.get("items").and_then(Value::as_array).into_iter().flatten() {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str);
        let (Some(namespace), Some(name)) = (text("/metadata/namespace"), text("/metadata/name")) else { continue };
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let moved = if text("/metadata/deletionTimestamp").is_some() {
            let at_once = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": text("/metadata/uid")}});
            api.call(Method::DELETE, &path, Body::Object(&at_once)).await
        } else if let Some(mut status) = next(pod, network, crashes(namespace, name), address) {
            if text("/status/phase").is_none_or(|phase| phase == "Pending")
                && let Some(lack) = missing(api, namespace, pod).await?
            {
                if text("/status/containerStatuses/0/state/waiting/message") == Some(&lack) {
                    continue;
                }
                status = self::status(pod, address, State::Lacking(&lack));
            }
            let status = json!({"status": status});
            api.call(Method::PATCH, &format!("{path}/status"), Body::Strategic(&status)).await
        } else {
            continue;
        };
        match moved {
            Err(error) if !error.is(StatusCode::NOT_FOUND) && !error.is(StatusCode::CONFLICT) => refused = Some(error),
            Ok(_) | Err(_) => {}
        }
    }
    refused.map_or(Ok(()), Err)
}

/// The status that a pod comes to, if that is another one: it is started, or ready again (nodes that were silent for long
/// have theirs marked as not ready), or crashes.
fn next(pod: &Value, network: bool, crashes: bool, address: Ipv4Addr) -> Option<Value> {
    if pod.pointer("/spec/hostNetwork") != Some(&Value::Bool(true)) && !network {
        return None;
    }
    let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or("Pending");
    if !matches!(phase, "Pending" | "Running") {
        return None;
    }
    let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    if crashes {
        let waits = pod.pointer("/status/containerStatuses/0/state/waiting").is_some();
        return (!waits || is_ready(pod)).then(|| status(pod, address, State::Crashing));
    }
    if owners.into_iter().flatten().any(|owner| owner["kind"] == "Job") {
        return Some(status(pod, address, State::Succeeded));
    }
    (phase == "Pending" || !is_ready(pod)).then(|| status(pod, address, State::Running))
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

/// How a pod's containers are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State<'a> {
    Running,
    Succeeded,
    Crashing,
    /// They cannot be made, for this reason.
    Lacking(&'a str),
}

fn status(pod: &Value, address: Ipv4Addr, state: State<'_>) -> Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let ready = state == State::Running;
    let condition = |(kind, holds): (&str, bool)| json!({"type": kind, "status": if holds { "True" } else { "False" }, "lastTransitionTime": now});
    let conditions = [("PodScheduled", true), ("Initialized", true), ("ContainersReady", ready), ("Ready", ready)];
    let of_container = match state {
        // What a strategic merge patch does not name stays, and a container is in one state only.
        State::Running => json!({"running": {"startedAt": now}, "waiting": null, "terminated": null}),
        State::Succeeded => json!({"running": null, "waiting": null, "terminated": {
            "exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now,
        }}),
        State::Crashing => json!({"running": null, "terminated": null, "waiting": {
            "reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container",
        }}),
        State::Lacking(why) => json!({"running": null, "terminated": null, "waiting": {
            "reason": "CreateContainerConfigError", "message": why,
        }}),
    };
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let statuses: Vec<Value> = containers
        .into_iter()
        .flatten()
        .map(|container| {
            json!({
                "name": container["name"], "image": container["image"], "imageID": container["image"],
                "ready": ready, "started": ready, "restartCount": u8::from(state == State::Crashing),
                "state": of_container,
            })
        })
        .collect();
    json!({
        "phase": match state {
            State::Succeeded => "Succeeded",
            State::Lacking(_) => "Pending",
            State::Running | State::Crashing => "Running",
        },
        "startTime": now,
        "hostIP": address,
        "podIP": address,
        // Not beside the address that a machine of the same name had before.
        "podIPs": [{"$patch": "replace"}, {"ip": address}],
        "containerStatuses": statuses,
        "conditions": conditions.map(condition),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(pod: &Value, network: bool, crashes: bool) -> Option<(String, bool)> {
        let status = next(pod, network, crashes, Ipv4Addr::LOCALHOST)?;
        let after = json!({"status": status});
        Some((after["status"]["phase"].as_str()?.to_owned(), is_ready(&after)))
    }

    #[test]
    fn pods_run_once_there_is_a_network_for_them() {
        let pod = json!({"spec": {"containers": [{"name": "a"}]}});
        assert_eq!(phase(&pod, false, false), None);
        assert_eq!(phase(&pod, true, false), Some(("Running".to_owned(), true)));
        let on_node = json!({"spec": {"hostNetwork": true}});
        assert_eq!(phase(&on_node, false, false), Some(("Running".to_owned(), true)));
    }

    #[test]
    fn pods_of_jobs_complete_and_stay_so() {
        let mut pod = json!({"metadata": {"ownerReferences": [{"kind": "Job"}]}});
        assert_eq!(phase(&pod, true, false), Some(("Succeeded".to_owned(), false)));
        pod["status"] = json!({"phase": "Succeeded"});
        assert_eq!(phase(&pod, true, false), None);
    }

    #[test]
    fn a_pod_crashes_and_recovers() {
        let mut pod = json!({"spec": {"containers": [{"name": "a"}]}});
        pod["status"] = next(&pod, true, false, Ipv4Addr::LOCALHOST).unwrap();
        assert_eq!(phase(&pod, true, false), None);
        assert_eq!(phase(&pod, true, true), Some(("Running".to_owned(), false)));
        pod["status"] = next(&pod, true, true, Ipv4Addr::LOCALHOST).unwrap();
        assert_eq!(phase(&pod, true, true), None, "it is told once");
        assert_eq!(phase(&pod, true, false), Some(("Running".to_owned(), true)));
    }
}
