//! Nodes of a workload cluster: the facts that they tell, and how they are changed. No I/O.

use helix_crds::labels::{CONFIG, CONTROL_PLANE, DISRUPTION, OWNED};
use helix_plan::observed::{NodeFacts, NodeTaint, Readiness};
use helix_plan::step::NodePatch;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use serde_json::{Value, json};

/// The merge patch. `current` is there where taints are to be replaced: those that stay keep the time at which they were
/// added (evictions count from it), and a node that changes meanwhile is refused instead of overwritten.
pub(super) fn body(patch: &NodePatch, current: Option<&Node>) -> Value {
    let set = patch.labels.iter().map(|(key, value)| (key.clone(), json!(value)));
    let removed = patch.remove_labels.iter().map(|key| (key.clone(), Value::Null));
    let labels: serde_json::Map<String, Value> = set.chain(removed).collect();
    let mut body = json!({"metadata": {"labels": labels}});
    if !patch.annotations.is_empty() {
        body["metadata"]["annotations"] = json!(patch.annotations);
    }
    if let Some(unschedulable) = patch.unschedulable {
        body["spec"]["unschedulable"] = json!(unschedulable);
    }
    if let Some(wanted) = &patch.taints {
        let existing = current.and_then(|node| node.spec.as_ref()?.taints.as_deref()).unwrap_or_default();
        let taints: Vec<Taint> = wanted.iter().map(|taint| with_its_time(taint, existing)).collect();
        body["spec"]["taints"] = json!(taints);
    }
    if let Some(version) = current.and_then(|node| node.metadata.resource_version.as_ref()) {
        body["metadata"]["resourceVersion"] = json!(version);
    }
    body
}

fn with_its_time(wanted: &NodeTaint, existing: &[Taint]) -> Taint {
    let same = existing.iter().find(|taint| node_taint(taint) == *wanted);
    same.cloned().unwrap_or_else(|| Taint {
        key: wanted.key.clone(),
        value: (!wanted.value.is_empty()).then(|| wanted.value.clone()),
        effect: wanted.effect.clone(),
        time_added: None,
    })
}

fn node_taint(taint: &Taint) -> NodeTaint {
    let value = taint.value.clone().unwrap_or_default();
    NodeTaint { key: taint.key.clone(), value, effect: taint.effect.clone() }
}

pub(super) fn facts(node: Node) -> NodeFacts {
    let spec = node.spec.unwrap_or_default();
    let status = node.status.unwrap_or_default();
    let annotations = node.metadata.annotations.unwrap_or_default();
    let mut internal = status.addresses.iter().flatten().filter(|address| address.type_ == "InternalIP");
    NodeFacts {
        internal_ip: internal.find_map(|address| address.address.parse().ok()),
        name: node.metadata.name.unwrap_or_default(),
        provider_id: spec.provider_id.filter(|id| !id.is_empty()),
        readiness: readiness(status.conditions.as_deref().unwrap_or_default()),
        unschedulable: spec.unschedulable.unwrap_or_default(),
        mark: annotations.get(DISRUPTION).and_then(|text| text.parse().ok()),
        labels: node.metadata.labels.unwrap_or_default(),
        config_digest: annotations.get(CONFIG).cloned(),
        control_plane: annotations.get(CONTROL_PLANE).and_then(|text| text.parse().ok()),
        owned: annotations.get(OWNED).and_then(|text| text.parse().ok()).unwrap_or_default(),
        taints: spec.taints.iter().flatten().map(node_taint).collect(),
        kubelet_version: status.node_info.map(|info| info.kubelet_version).unwrap_or_default(),
    }
}

/// `Unknown` is what Kubernetes itself writes when a kubelet does not renew its lease; a node that is new has no condition
/// yet.
fn readiness(conditions: &[NodeCondition]) -> Readiness {
    let Some(ready) = conditions.iter().find(|condition| condition.type_ == "Ready") else {
        return Readiness::NotReady { since: None };
    };
    let since = ready.last_transition_time.as_ref().map(|time| time.0);
    match ready.status.as_str() {
        "True" => Readiness::Ready,
        "Unknown" => Readiness::Silent { since },
        _ => Readiness::NotReady { since },
    }
}

#[cfg(test)]
mod tests {
    use helix_plan::disruption::Mark;

    use super::*;

    fn node(text: &str) -> Node {
        serde_json::from_str(text).unwrap()
    }

    const NODE: &str = r#"{"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "dev-cp-0", "resourceVersion": "7", "labels": {"a": "b"},
                     "annotations": {"helix.dev/config": "d1", "helix.dev/disruption": "leave 2026-11-21T12:00:00Z",
                                     "helix.dev/control-plane": "1.36.3 1.35.4"}},
        "spec": {"providerID": "hcloud://42", "unschedulable": true, "taints": [
            {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-11-21T09:00:00Z"},
            {"key": "old", "value": "x", "effect": "NoSchedule"}]},
        "status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T11:00:00Z"}],
                   "addresses": [{"type": "Hostname", "address": "dev-cp-0"}, {"type": "InternalIP", "address": "fd00::1"},
                                 {"type": "InternalIP", "address": "10.0.1.2"}]}}"#;

    #[test]
    fn a_node_is_told_as_it_is() {
        let found = facts(node(NODE));
        assert_eq!(found.provider_id.as_deref(), Some("hcloud://42"));
        assert_eq!(found.internal_ip, Some([10, 0, 1, 2].into()));
        assert_eq!(found.config_digest.as_deref(), Some("d1"));
        assert_eq!((found.unschedulable, found.taints.len()), (true, 2));
        assert_eq!(found.mark.map(|mark| mark.to_string()).as_deref(), Some("leave 2026-11-21T12:00:00Z"));
        assert_eq!(found.control_plane.map(|versions| versions.to_string()).as_deref(), Some("1.36.3 1.35.4"));
        let since = Some("2026-11-21T11:00:00Z".parse().unwrap());
        assert_eq!(found.readiness, Readiness::NotReady { since });
        let told = |status: &str| facts(node(&NODE.replace(r#""status": "False""#, status))).readiness;
        assert_eq!(told(r#""status": "Unknown""#), Readiness::Silent { since });
        assert_eq!(told(r#""status": "True""#), Readiness::Ready);
        let bare = facts(node(r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "new"}}"#));
        assert_eq!((bare.provider_id, bare.mark), (None, None));
        assert_eq!(bare.readiness, Readiness::NotReady { since: None });
    }

    #[test]
    fn a_cordon_is_one_change_without_a_look_at_the_node() {
        let mark: Mark = "reboot 2026-11-21T12:00:00Z".parse().unwrap();
        let expected = json!({
            "metadata": {"labels": {}, "annotations": {"helix.dev/disruption": "reboot 2026-11-21T12:00:00Z"}},
            "spec": {"unschedulable": true},
        });
        assert_eq!(body(&NodePatch::mark(&mark), None), expected);
        let expected = json!({
            "metadata": {"labels": {}, "annotations": {"helix.dev/disruption": null}},
            "spec": {"unschedulable": false},
        });
        assert_eq!(body(&NodePatch::unmark(false), None), expected);
        assert_eq!(body(&NodePatch::unmark(true), None)["spec"], Value::Null, "others have cordoned it");
    }

    #[test]
    fn labels_change_without_a_look_at_the_node() {
        let patch = NodePatch {
            labels: [("a".to_owned(), "1".to_owned())].into(),
            remove_labels: vec!["b".to_owned()],
            ..NodePatch::default()
        };
        assert_eq!(body(&patch, None), json!({"metadata": {"labels": {"a": "1", "b": null}}}));
    }

    #[test]
    fn a_taint_that_stays_keeps_its_time() {
        let unreachable = NodeTaint {
            key: "node.kubernetes.io/unreachable".into(),
            value: String::new(),
            effect: "NoExecute".into(),
        };
        let new = NodeTaint { key: "gpu".into(), value: "yes".into(), effect: "NoSchedule".into() };
        let patch = NodePatch { taints: Some(vec![unreachable, new]), ..NodePatch::default() };
        let expected = json!({
            "metadata": {"labels": {}, "resourceVersion": "7"},
            "spec": {"taints": [
                {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-11-21T09:00:00Z"},
                {"key": "gpu", "value": "yes", "effect": "NoSchedule"},
            ]},
        });
        assert_eq!(body(&patch, Some(&node(NODE))), expected);
    }
}
