//! Longhorn's volumes and CloudNativePG's clusters, as far as a drain has to know them. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use helix_plan::data_gate::{DataFacts, DatabaseInstances, VolumeCopies};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DynamicObject;
use serde_json::Value;

/// The label of an instance's pod that names its cluster.
pub(super) const CLUSTER: &str = "cnpg.io/cluster";

fn text<'a>(object: &'a DynamicObject, pointer: &str) -> &'a str {
    object.data.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &DynamicObject, pointer: &str) -> u32 {
    object.data.pointer(pointer).and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok()).unwrap_or(1)
}

/// What they tell together.
pub(super) fn facts(
    volumes: &[DynamicObject],
    replicas: &[DynamicObject],
    clusters: &[DynamicObject],
    pods: &[Pod],
) -> DataFacts {
    let mut healthy: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for replica in replicas.iter().filter(|replica| is_healthy(replica)) {
        healthy.entry(text(replica, "/spec/volumeName")).or_default().insert(text(replica, "/spec/nodeID").to_owned());
    }
    let volume = |volume: &DynamicObject| {
        let name = volume.metadata.name.clone().unwrap_or_default();
        VolumeCopies {
            wanted: number(volume, "/spec/numberOfReplicas"),
            robustness: text(volume, "/status/robustness").to_owned(),
            healthy_on: healthy.get(name.as_str()).cloned().unwrap_or_default(),
            name,
        }
    };
    DataFacts {
        volumes: volumes.iter().map(volume).collect(),
        databases: clusters.iter().map(|cluster| database(cluster, pods)).collect(),
    }
}

/// A copy that was whole at some time, has not failed since, and runs (or rests with its volume).
fn is_healthy(replica: &DynamicObject) -> bool {
    let state = text(replica, "/status/currentState");
    let whole = !text(replica, "/spec/healthyAt").is_empty() && text(replica, "/spec/failedAt").is_empty();
    whole && matches!(state, "running" | "stopped")
}

fn database(cluster: &DynamicObject, pods: &[Pod]) -> DatabaseInstances {
    let (namespace, name) = (&cluster.metadata.namespace, &cluster.metadata.name);
    let ours = |pod: &&Pod| {
        let of = pod.metadata.labels.as_ref().and_then(|labels| labels.get(CLUSTER));
        pod.metadata.namespace == *namespace && of == name.as_ref()
    };
    let node = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let primary = text(cluster, "/status/currentPrimary");
    let is_primary = |pod: &&Pod| pod.metadata.name.as_deref() == Some(primary);
    DatabaseInstances {
        name: format!("{}/{}", namespace.as_deref().unwrap_or_default(), name.as_deref().unwrap_or_default()),
        wanted: number(cluster, "/spec/instances"),
        primary_on: pods.iter().filter(ours).find(is_primary).and_then(node),
        ready_on: pods.iter().filter(ours).filter(|pod| is_ready(pod)).filter_map(node).collect(),
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none() && conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn copies_and_instances_are_found_where_they_are_well() {
        let volume = object(json!({
            "apiVersion": "longhorn.io/v1beta2", "kind": "Volume",
            "metadata": {"name": "pvc-1", "namespace": "longhorn-system"},
            "spec": {"numberOfReplicas": 3}, "status": {"robustness": "degraded"},
        }));
        let replica = |node: &str, failed: &str, state: &str| {
            object(json!({
                "apiVersion": "longhorn.io/v1beta2", "kind": "Replica", "metadata": {"name": format!("r-{node}")},
                "spec": {"volumeName": "pvc-1", "nodeID": node, "healthyAt": "2026-11-21T00:00:00Z", "failedAt": failed},
                "status": {"currentState": state},
            }))
        };
        let replicas =
            [replica("a", "", "running"), replica("b", "2026-11-21T01:00:00Z", "stopped"), replica("c", "", "error")];
        let cluster = object(json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
            "metadata": {"name": "main", "namespace": "postgres"},
            "spec": {"instances": 3}, "status": {"currentPrimary": "main-2"},
        }));
        let pod = |name: &str, node: &str, ready: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "postgres", "labels": {CLUSTER: "main"}},
                "spec": {"nodeName": node, "containers": []},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            }))
            .unwrap()
        };
        let pods = [pod("main-1", "a", "False"), pod("main-2", "b", "True")];
        let facts = facts(&[volume], &replicas, &[cluster], &pods);
        assert_eq!(facts.volumes[0].healthy_on, BTreeSet::from(["a".to_owned()]));
        assert_eq!((facts.volumes[0].wanted, facts.volumes[0].robustness.as_str()), (3, "degraded"));
        let database = &facts.databases[0];
        assert_eq!((database.name.as_str(), database.wanted), ("postgres/main", 3));
        assert_eq!(database.ready_on, BTreeSet::from(["b".to_owned()]));
        assert_eq!(database.primary_on.as_deref(), Some("b"));
    }
}
