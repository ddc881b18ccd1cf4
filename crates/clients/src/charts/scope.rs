//! Which objects have a namespace: what a chart leaves to Helm is said here, so that an object is named in full before any
//! cluster is asked.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Kinds without a namespace, with their group. Of Kubernetes itself, and of what the catalogue's charts bring; what a
/// rendering defines itself tells its own scope, and everything else has a namespace. An object that is given one though
/// its kind has none comes to no harm: the API server takes it away.
const CLUSTER_WIDE: &[(&str, &[&str])] = &[
    ("", &["ComponentStatus", "Namespace", "Node", "PersistentVolume"]),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("cert-manager.io", &["ClusterIssuer"]),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle"]),
    (
        "cilium.io",
        &[
            "CiliumBGPAdvertisement",
            "CiliumBGPClusterConfig",
            "CiliumBGPNodeConfig",
            "CiliumBGPPeerConfig",
            "CiliumCIDRGroup",
            "CiliumClusterwideEnvoyConfig",
            "CiliumClusterwideNetworkPolicy",
            "CiliumEgressGatewayPolicy",
            "CiliumIdentity",
            "CiliumL2AnnouncementPolicy",
            "CiliumLoadBalancerIPPool",
            "CiliumNode",
            "CiliumPodIPPool",
        ],
    ),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("gateway.networking.k8s.io", &["GatewayClass"]),
    ("networking.k8s.io", &["IPAddress", "IngressClass", "ServiceCIDR"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("postgresql.cnpg.io", &["ClusterImageCatalog"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    ("resource.k8s.io", &["DeviceClass", "ResourceSlice"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
    ("snapshot.storage.k8s.io", &["VolumeSnapshotClass", "VolumeSnapshotContent"]),
    ("storage.k8s.io", &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"]),
];

/// Names the namespace of every object that has one and does not say so.
pub(super) fn name_namespaces(manifests: &mut [Value], namespace: &str) {
    let defined = defined(manifests);
    for manifest in manifests {
        let group = group(manifest).to_owned();
        let kind = manifest["kind"].as_str().unwrap_or_default();
        let listed = CLUSTER_WIDE.iter().find(|(of, _)| *of == group).is_some_and(|(_, kinds)| kinds.contains(&kind));
        let namespaced = defined.get(&(group, kind.to_owned())).copied().unwrap_or(!listed);
        if let (true, Some(metadata)) = (namespaced, manifest["metadata"].as_object_mut()) {
            let named = metadata.get("namespace").and_then(Value::as_str).is_some_and(|named| !named.is_empty());
            if !named {
                metadata.insert("namespace".to_owned(), json!(namespace));
            }
        }
    }
}

/// The kinds that the manifests themselves define, and whether they have a namespace.
fn defined(manifests: &[Value]) -> BTreeMap<(String, String), bool> {
    let definitions = manifests.iter().filter(|manifest| manifest["kind"] == "CustomResourceDefinition");
    let scope = |definition: &Value| {
        let spec = &definition["spec"];
        let name = (spec["group"].as_str()?.to_owned(), spec["names"]["kind"].as_str()?.to_owned());
        Some((name, spec["scope"] != "Cluster"))
    };
    definitions.filter_map(scope).collect()
}

fn group(manifest: &Value) -> &str {
    manifest["apiVersion"].as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_namespace_names_it() {
        let definition = |kind: &str, scope: &str| {
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": kind},
                "spec": {"group": "example.com", "names": {"kind": kind}, "scope": scope}})
        };
        let object = |api: &str, kind: &str| json!({"apiVersion": api, "kind": kind, "metadata": {"name": "x"}});
        let mut manifests = vec![
            definition("Wide", "Cluster"),
            definition("Narrow", "Namespaced"),
            object("example.com/v1", "Wide"),
            object("example.com/v1", "Narrow"),
            object("v1", "Service"),
            object("rbac.authorization.k8s.io/v1", "ClusterRole"),
            object("other.example/v1", "Unknown"),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "there"}}),
        ];
        name_namespaces(&mut manifests, "here");
        let told: Vec<_> = manifests.iter().map(|it| it["metadata"]["namespace"].as_str()).collect();
        let here = Some("here");
        assert_eq!(told, [None, None, None, here, here, None, here, Some("there")]);
    }
}
