//! Pods of a workload cluster: which of them a drain has to see off. No I/O.

use helix_plan::observed::PodFacts;
use k8s_openapi::api::core::v1::Pod;

/// What the kubelet writes on the pods that it runs from files: they cannot be evicted.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Whether a drain waits for it. A `DaemonSet` would make its pod anew at once, a static pod is the machine's own, and what
/// has finished is disturbed by nothing.
pub(super) fn holds_up_a_drain(pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    let of_daemon_set = owners.into_iter().any(|owner| owner.kind == "DaemonSet" && owner.controller == Some(true));
    let is_static = pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR));
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !of_daemon_set && !is_static && !matches!(phase, Some("Succeeded" | "Failed"))
}

pub(super) fn facts(pod: Pod) -> PodFacts {
    PodFacts {
        namespace: pod.metadata.namespace.unwrap_or_default(),
        name: pod.metadata.name.unwrap_or_default(),
        leaving: pod.metadata.deletion_timestamp.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(metadata: Value, phase: &str) -> Pod {
        serde_json::from_value(json!({"metadata": metadata, "status": {"phase": phase}})).unwrap()
    }

    fn owned_by(kind: &str) -> Value {
        let owner = json!({"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": "u", "controller": true});
        json!({"name": "x-1", "namespace": "shop", "ownerReferences": [owner]})
    }

    #[test]
    fn a_drain_waits_for_what_can_go_elsewhere() {
        assert!(holds_up_a_drain(&pod(owned_by("ReplicaSet"), "Running")));
        assert!(holds_up_a_drain(&pod(json!({"name": "bare"}), "Pending")));
        assert!(!holds_up_a_drain(&pod(owned_by("DaemonSet"), "Running")));
        assert!(!holds_up_a_drain(&pod(json!({"name": "etcd", "annotations": {MIRROR: "d"}}), "Running")));
        for finished in ["Succeeded", "Failed"] {
            assert!(!holds_up_a_drain(&pod(owned_by("Job"), finished)), "{finished}");
        }
    }

    #[test]
    fn a_pod_that_ends_says_so() {
        let mut ending = pod(owned_by("ReplicaSet"), "Running");
        assert!(!facts(ending.clone()).leaving);
        ending.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-11-21T12:00:00Z")).unwrap());
        let told = facts(ending);
        assert_eq!((told.namespace.as_str(), told.name.as_str(), told.leaving), ("shop", "x-1", true));
    }
}
