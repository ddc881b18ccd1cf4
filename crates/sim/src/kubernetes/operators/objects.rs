//! Kinds of objects, and the objects that several operators make: pods, workloads, Services, disruption budgets.

use serde_json::{Value, json};

/// A kind, and where its objects are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Empty for Kubernetes' oldest.
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) namespaced: bool,
}

impl Kind {
    pub(super) const CLAIM: Self = Self::new("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");
    pub(super) const CONFIG_MAP: Self = Self::new("", "v1", "ConfigMap", "configmaps");
    pub(super) const CSI_DRIVER: Self = Self::new("storage.k8s.io", "v1", "CSIDriver", "csidrivers").of_cluster();
    pub(super) const DAEMON_SET: Self = Self::new("apps", "v1", "DaemonSet", "daemonsets");
    pub(super) const DEFINITION: Self =
        Self::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions").of_cluster();
    pub(super) const DEPLOYMENT: Self = Self::new("apps", "v1", "Deployment", "deployments");
    pub(super) const DISRUPTION_BUDGET: Self = Self::new("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets");
    pub(super) const NODE: Self = Self::new("", "v1", "Node", "nodes").of_cluster();
    pub(super) const POD: Self = Self::new("", "v1", "Pod", "pods");
    pub(super) const SECRET: Self = Self::new("", "v1", "Secret", "secrets");
    pub(super) const SERVICE: Self = Self::new("", "v1", "Service", "services");
    pub(super) const STATEFUL_SET: Self = Self::new("apps", "v1", "StatefulSet", "statefulsets");
    pub(super) const STORAGE_CLASS: Self =
        Self::new("storage.k8s.io", "v1", "StorageClass", "storageclasses").of_cluster();
    pub(super) const VOLUME: Self = Self::new("", "v1", "PersistentVolume", "persistentvolumes").of_cluster();

    pub(super) const fn new(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self { group, version, kind, plural, namespaced: true }
    }

    pub(super) const fn of_cluster(self) -> Self {
        Self { namespaced: false, ..self }
    }

    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    fn root(&self) -> String {
        let at = if self.group.is_empty() { "api" } else { "apis" };
        format!("/{at}/{}", self.api_version())
    }

    /// The path of all objects.
    pub(super) fn all(&self) -> String {
        format!("{}/{}", self.root(), self.plural)
    }

    /// The path of one object.
    pub(super) fn one(&self, namespace: &str, name: &str) -> String {
        let within = if self.namespaced { format!("namespaces/{namespace}/") } else { String::new() };
        format!("{}/{within}{}/{name}", self.root(), self.plural)
    }
}

/// The text at a place, or none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a place.
pub(super) fn number(object: &Value, pointer: &str) -> Option<u32> {
    object.pointer(pointer).and_then(Value::as_u64).and_then(|it| it.try_into().ok())
}

/// Metadata of an object that goes with its owner.
pub(super) fn metadata_of(owner: &Value, name: &str, labels: &Value) -> Value {
    json!({
        "name": name,
        "namespace": owner["metadata"]["namespace"],
        "labels": labels,
        "ownerReferences": [{
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": true,
        }],
    })
}

/// The spec of a pod that may be in any namespace, whatever its Pod Security level.
pub(super) fn pod_spec(container: &str, ports: &[u16]) -> Value {
    let ports: Vec<Value> = ports.iter().map(|port| json!({"containerPort": port})).collect();
    json!({
        "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": container,
            "image": format!("stand-in.invalid/{container}:stand-in"),
            "ports": ports,
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        }],
    })
}

/// A StatefulSet whose pods have a volume each, where `claim` is name and spec of one.
pub(super) fn stateful_set(
    owner: &Value,
    name: &str,
    replicas: u32,
    labels: &Value,
    pod: &Value,
    claim: (&str, &Value),
) -> Value {
    let (volume, claim) = claim;
    let mut pod = pod.clone();
    let mut spec = json!({
        "replicas": replicas,
        "serviceName": name,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": labels},
    });
    if !claim.is_null() {
        pod["containers"][0]["volumeMounts"] = json!([{"name": volume, "mountPath": "/data"}]);
        spec["volumeClaimTemplates"] = json!([{"metadata": {"name": volume}, "spec": claim}]);
    }
    spec["template"] = json!({"metadata": {"labels": labels}, "spec": pod});
    json!({"metadata": metadata_of(owner, name, labels), "spec": spec})
}

/// A Service for these pods.
pub(super) fn service(owner: &Value, name: &str, selector: &Value, ports: &[u16]) -> Value {
    let ports: Vec<Value> = ports.iter().map(|port| json!({"name": format!("tcp-{port}"), "port": port})).collect();
    let metadata = metadata_of(owner, name, &json!({}));
    json!({"metadata": metadata, "spec": {"selector": selector, "ports": ports}})
}

/// A budget by which at most one of these pods leaves at a time.
pub(super) fn disruption_budget(owner: &Value, name: &str, selector: &Value, available: Option<u32>) -> Value {
    let mut spec = json!({"selector": {"matchLabels": selector}});
    match available {
        Some(least) => spec["minAvailable"] = json!(least),
        None => spec["maxUnavailable"] = json!(1),
    }
    json!({"metadata": metadata_of(owner, name, &json!({})), "spec": spec})
}

/// Whether a pod is ready and stays.
pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True");
    ready && pod["metadata"]["deletionTimestamp"].is_null()
}
