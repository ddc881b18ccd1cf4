//! Which labels a node may be born with.
//!
//! A kubelet speaks with its own credentials, and the API server's NodeRestriction admission refuses most labels under
//! `kubernetes.io` and `k8s.io` from it. One refused label makes Talos' whole node update fail, so such labels must
//! never be in a machine configuration. The rule is the one of Kubernetes 1.36,
//! <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction>.

use std::collections::BTreeMap;

/// Labels by the way that they can reach a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplitLabels {
    /// In the machine configuration: the kubelet may set them.
    pub at_birth: BTreeMap<String, String>,
    /// Through the Kubernetes API, once the node is registered: only an administrator may set them.
    pub by_api: BTreeMap<String, String>,
}

/// The labels under `kubernetes.io` that a kubelet may set of itself.
const KUBELET_LABELS: [&str; 11] = [
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];

/// Splits a pool's labels by the way that they can reach a node.
#[must_use]
pub fn split_labels(labels: &BTreeMap<String, String>) -> SplitLabels {
    let (at_birth, by_api) = labels
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .partition(|(key, _): &(String, String)| kubelet_may_set(key));
    SplitLabels { at_birth, by_api }
}

/// Whether NodeRestriction lets a kubelet set this label on its own node.
pub(super) fn kubelet_may_set(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else {
        return true;
    };
    let within = |parent: &str| {
        domain == parent || domain.strip_suffix(parent).is_some_and(|subdomain| subdomain.ends_with('.'))
    };
    if !within("kubernetes.io") && !within("k8s.io") {
        return true;
    }
    within("kubelet.kubernetes.io") || within("node.kubernetes.io") || KUBELET_LABELS.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_restriction_is_followed() {
        for allowed in [
            "workload",
            "example.com/pool",
            "notkubernetes.io/x",
            "node.kubernetes.io/exclude-from-external-load-balancers",
            "kubelet.kubernetes.io/x",
            "a.node.kubernetes.io/x",
            "topology.kubernetes.io/zone",
        ] {
            assert!(kubelet_may_set(allowed), "{allowed}");
        }
        for forbidden in [
            "node-role.kubernetes.io/worker",
            "node-restriction.kubernetes.io/tier",
            "a.node-restriction.kubernetes.io/tier",
            "kubernetes.io/role",
            "k8s.io/x",
            "x.k8s.io/y",
            "app.kubernetes.io/name",
        ] {
            assert!(!kubelet_may_set(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn no_label_is_lost() {
        let labels = BTreeMap::from(
            [("workload", "general"), ("node-role.kubernetes.io/worker", "")].map(|(k, v)| (k.into(), v.into())),
        );
        let split = split_labels(&labels);
        assert_eq!(split.at_birth.keys().collect::<Vec<_>>(), ["workload"]);
        assert_eq!(split.by_api.keys().collect::<Vec<_>>(), ["node-role.kubernetes.io/worker"]);
    }
}
