//! Pods on a node without containers: what is scheduled there counts as running and ready while its machine runs, and what
//! is deleted goes. Images are never pulled, probes never run, and nothing ever completes.

use std::net::Ipv4Addr;

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::api::{Api, ApiError, Body};

/// Looks at the node's pods once and moves each on, whatever becomes of the others.
///
/// Without a pod network only those start that use the node's own.
pub(super) async fn run(api: &Api, node: &str, address: Ipv4Addr, network: bool) -> Result<(), ApiError> {
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
        } else if starts(pod, network) {
            let status = json!({"status": running(pod, address)});
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

/// Whether a pod is to be started, or to be ready again: nodes that were silent for long have theirs marked as not ready.
fn starts(pod: &Value, network: bool) -> bool {
    if pod.pointer("/spec/hostNetwork") != Some(&Value::Bool(true)) && !network {
        return false;
    }
    match pod.pointer("/status/phase").and_then(Value::as_str) {
        None | Some("Pending") => true,
        Some("Running") => !is_ready(pod),
        Some(_) => false,
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

fn running(pod: &Value, address: Ipv4Addr) -> Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now});
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let statuses: Vec<Value> = containers
        .into_iter()
        .flatten()
        .map(|container| {
            json!({
                "name": container["name"], "image": container["image"], "imageID": container["image"],
                "ready": true, "started": true, "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            })
        })
        .collect();
    json!({
        "phase": "Running",
        "startTime": now,
        "hostIP": address,
        "podIP": address,
        // Not beside the address that a machine of the same name had before.
        "podIPs": [{"$patch": "replace"}, {"ip": address}],
        "containerStatuses": statuses,
        "conditions": conditions,
    })
}
