//! The manifests of a component, complete: what Helix writes itself, its policies and what its chart renders, labelled so
//! that they are found again, in the order in which they are applied. Who applies them is [`writer`]'s to say.

use std::collections::BTreeSet;

use helix_crds::labels;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Component, Wanted, order};
use crate::observed::ObjectId;
use crate::validated::Layers;

/// Who writes the objects of a component into the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Helix itself.
    Helix,
    /// Argo CD, from what Helix has published: Helix makes namespace and Secrets alone.
    ArgoCd,
}

/// Who writes the objects of a component: Helix up to and including Argo CD, in the order of installation, so that Argo CD
/// never has to run to repair what it runs on; and all of them where there is no repository to sync from.
#[must_use]
pub fn writer(component: Component, layers: &Layers) -> Writer {
    let published = layers.gitops.as_ref().is_some_and(|gitops| gitops.repository.is_some());
    let ordered = order::ordered(&order::phases(layers));
    let at = |wanted: Component| ordered.iter().position(|found| *found == wanted);
    match (at(Component::ArgoCd), at(component)) {
        (Some(own), Some(at)) if published && at > own => Writer::ArgoCd,
        _ => Writer::Helix,
    }
}

/// When an object is applied among those of its component; a later stage waits for the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Definitions of kinds.
    Definitions,
    /// Namespaces.
    Namespaces,
    /// Whom pods may talk to, before there are pods.
    Policies,
    /// Accounts, roles, configuration, volumes: what pods refer to.
    Foundations,
    /// What makes pods.
    Workloads,
    /// Custom resources.
    Custom,
    /// Webhooks: whoever is asked has to be there.
    Webhooks,
}

/// When an object is applied.
#[must_use]
pub fn stage(object: &ObjectId) -> Stage {
    match object.kind.as_str() {
        "CustomResourceDefinition" => Stage::Definitions,
        "Namespace" => Stage::Namespaces,
        "CiliumNetworkPolicy" | "CiliumClusterwideNetworkPolicy" => Stage::Policies,
        "Deployment" | "DaemonSet" | "StatefulSet" | "Job" | "CronJob" | "Pod" | "ReplicaSet" => Stage::Workloads,
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => Stage::Webhooks,
        _ if is_built_in(&object.api_version) => Stage::Foundations,
        _ => Stage::Custom,
    }
}

/// Groups with a dot that Kubernetes itself serves; others of its domain are definitions that somebody installs.
const BUILT_IN: [&str; 10] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Whether Kubernetes itself knows the group.
fn is_built_in(api_version: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    !group.contains('.') || BUILT_IN.contains(&group)
}

impl ObjectId {
    /// Which object a manifest is of; none where it does not say.
    #[must_use]
    pub fn of(manifest: &Value) -> Option<Self> {
        let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            api_version: text("/apiVersion")?,
            kind: text("/kind")?,
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name")?,
        })
    }
}

/// Every manifest of a component, given what its chart renders to: each object once, labelled, in the order of application.
#[must_use]
pub fn manifests(wanted: &Wanted, chart: &[Value]) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let all = wanted.resources.iter().chain(&wanted.policies).chain(chart);
    let mut manifests: Vec<(Stage, Value)> = all
        .filter_map(|manifest| ObjectId::of(manifest).map(|id| (id, manifest)))
        .filter(|(id, _)| seen.insert(id.clone()))
        .map(|(id, manifest)| (stage(&id), labelled(manifest.clone(), wanted.component)))
        .collect();
    manifests.sort_by_key(|(stage, _)| *stage);
    manifests.into_iter().map(|(_, manifest)| manifest).collect()
}

fn labelled(mut manifest: Value, component: Component) -> Value {
    let Some(metadata) = manifest.get_mut("metadata").and_then(Value::as_object_mut) else { return manifest };
    let labels = metadata.entry("labels").or_insert_with(|| Value::Object(Map::new()));
    if !labels.is_object() {
        *labels = Value::Object(Map::new());
    }
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(labels::COMPONENT.to_owned(), component.name().into());
        labels.insert("app.kubernetes.io/managed-by".to_owned(), labels::FIELD_MANAGER.into());
    }
    manifest
}

/// SHA-256 of a value's JSON, in hex. Objects are written with their keys sorted, so that equal values have equal digests.
#[must_use]
pub fn digest(value: &Value) -> String {
    Sha256::digest(value.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the world can reach the Service that a manifest makes.
#[must_use]
pub fn is_exposed(manifest: &Value) -> bool {
    let kind = manifest.get("kind").and_then(Value::as_str);
    let exposure = manifest.pointer("/spec/type").and_then(Value::as_str);
    kind == Some("Service") && matches!(exposure, Some("LoadBalancer" | "NodePort"))
}

/// References of all images that manifests run, sorted.
#[must_use]
pub fn images<'a>(manifests: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let mut found = BTreeSet::new();
    manifests.into_iter().for_each(|manifest| images_in(manifest, &mut found));
    found.into_iter().collect()
}

/// Wherever pods are described, their containers are lists of objects with an image.
fn images_in(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if matches!(key.as_str(), "containers" | "initContainers" | "ephemeralContainers") {
                    let containers = value.as_array().into_iter().flatten();
                    found.extend(containers.filter_map(|it| it.get("image")?.as_str()).map(str::to_owned));
                }
                images_in(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| images_in(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_label_goes_to_what_says_which_object_it_is() {
        let wanted = Wanted {
            component: Component::Traefik,
            phase: helix_crds::PhaseName::SecurityWeave,
            chart: None,
            values: json!({}),
            secrets: Vec::new(),
            resources: vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "traefik"}})],
            policies: Vec::new(),
        };
        let container = json!({"spec": {"containers": [{"image": "b"}], "initContainers": [{"image": "a"}]}});
        let workload = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "traefik", "namespace": "traefik"}, "spec": {"template": container},
        });
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "middlewares.traefik.io", "labels": {"a": "b"}},
        });
        let manifests = manifests(&wanted, &[workload.clone(), definition, workload]);
        let kinds: Vec<&str> = manifests.iter().filter_map(|it| it["kind"].as_str()).collect();
        assert_eq!(kinds, ["CustomResourceDefinition", "Namespace", "Deployment"]);
        assert_eq!(
            manifests[0]["metadata"]["labels"],
            json!({"a": "b", "app.kubernetes.io/managed-by": "helix", "helix.dev/component": "traefik"})
        );
        assert_eq!(images(&manifests), ["a", "b"]);
    }

    #[test]
    fn kinds_of_kubernetes_come_before_those_of_others() {
        let stage = |api_version: &str, kind: &str| {
            let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
            stage(&ObjectId { api_version, kind, namespace: None, name: String::new() })
        };
        assert_eq!(stage("v1", "ConfigMap"), Stage::Foundations);
        assert_eq!(stage("rbac.authorization.k8s.io/v1", "ClusterRole"), Stage::Foundations);
        assert_eq!(stage("cert-manager.io/v1", "ClusterIssuer"), Stage::Custom);
        assert!(stage("cilium.io/v2", "CiliumNetworkPolicy") < stage("apps/v1", "Deployment"));
    }
}
