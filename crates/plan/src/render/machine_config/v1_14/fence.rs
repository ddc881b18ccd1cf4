//! What a user's patch may name and touch in the configuration of Talos 1.14.
//!
//! What the `v1alpha1` document still has in 1.14, and every kind of document that 1.13 has, too, is judged by the fence
//! of 1.13. Here is what came with 1.14: kinds of documents, and the old fields that may no longer be used because a
//! document which Helix writes has taken their place.

use helix_crds::labels;
use serde_json::{Map, Value};

use super::super::MachineRole;
use super::super::labels::kubelet_may_set;
use super::super::patch::{Found, PatchProblem, check_style_1_13};

const BY_BUNDLE: &str = "it comes from the platform's secret bundle and cannot be changed; remove it from the patch";
const BY_NETWORK: &str = "set it by spec.provider.hetzner.network, before the platform is made";
const BY_CILIUM: &str = "Cilium depends on it; remove it from the patch";
const BY_VERSIONS: &str = "set spec.versions";
const BY_TAINTS: &str = "set `taints` of the worker pool";
const BY_LABELS: &str = "a kubelet may not set this label of itself; set `labels` of the worker pool";

/// Owned documents (without a field) and owned fields of documents, with what to write instead. An owned field owns
/// everything below it, and a document with one cannot be deleted.
const OWNED: [(&str, &str, &str); 20] = [
    ("DiscoveryIdentityConfig", "", BY_BUNDLE),
    ("KubeAPIServerCAConfig", "", BY_BUNDLE),
    ("KubeAggregatorCAConfig", "", BY_BUNDLE),
    ("KubeServiceAccountConfig", "", BY_BUNDLE),
    ("KubeEtcdEncryptionConfig", "", BY_BUNDLE),
    ("KubeClusterConfig", "", "set spec.endpoint; the cluster has the platform's name"),
    ("KubeNetworkConfig", "", BY_NETWORK),
    ("KubeFlannelCNIConfig", "", BY_CILIUM),
    ("KubePrismConfig", "", BY_CILIUM),
    ("KubeProxyConfig", "", BY_CILIUM),
    ("UnattendedInstallConfig", "", "set spec.versions.talos and spec.provider.hetzner.image.schematic"),
    ("KubeNodeConfig", "nodeIP", BY_NETWORK),
    ("KubeNodeConfig", "taints", BY_TAINTS),
    ("KubeNodeConfig", "skipNodeRegistration", "Helix waits for every node; remove it from the patch"),
    ("KubeletConfig", "image", BY_VERSIONS),
    ("KubeletConfig", "config.providerID", "it follows from the server's id; remove it from the patch"),
    ("KubeletConfig", "config.registerWithTaints", BY_TAINTS),
    ("KubeAPIServerConfig", "image", BY_VERSIONS),
    ("KubeControllerManagerConfig", "image", BY_VERSIONS),
    ("KubeSchedulerConfig", "image", BY_VERSIONS),
];

/// Fields of the old style whose place a document has taken that Helix writes: Talos refuses to read both.
const MOVED: [(&str, &str); 13] = [
    ("/machine/kubelet", "KubeletConfig` or `KubeNodeConfig"),
    ("/machine/nodeLabels", "KubeNodeConfig"),
    ("/machine/nodeAnnotations", "KubeNodeConfig"),
    ("/machine/controlPlane", "KubeControllerManagerConfig` or `KubeSchedulerConfig"),
    ("/machine/features/hostDNS", "ResolverConfig"),
    ("/machine/network/nameservers", "ResolverConfig"),
    ("/machine/network/searchDomains", "ResolverConfig"),
    ("/machine/network/disableSearchDomain", "ResolverConfig"),
    ("/cluster/apiServer", "KubeAPIServerConfig`, `KubeAdmissionControlConfig` or `KubeAuditPolicyConfig"),
    ("/cluster/controllerManager", "KubeControllerManagerConfig"),
    ("/cluster/scheduler", "KubeSchedulerConfig"),
    ("/cluster/coreDNS", "KubeCoreDNSConfig"),
    ("/cluster/discovery", "DiscoveryServiceConfig"),
];

/// Kinds of documents that came with Talos 1.14 and that every machine may have.
const KINDS: [&str; 31] = [
    "BGPInstanceConfig",
    "CRIBaseRuntimeSpecConfig",
    "CRICustomizationConfig",
    "ContainerConfig",
    "DiscoveryIdentityConfig",
    "DiscoveryServiceConfig",
    "EtcFileConfig",
    "FilesystemScrubConfig",
    "FilesystemTrimConfig",
    "HTTPProbeConfig",
    "ImageCacheConfig",
    "KernelModuleConfig",
    "KubeAPIServerCAConfig",
    "KubeClusterConfig",
    "KubeCredentialProviderConfig",
    "KubeExternalManifestConfig",
    "KubeInlineManifestConfig",
    "KubeNetworkConfig",
    "KubeNodeConfig",
    "KubePrismConfig",
    "KubeStaticPodConfig",
    "KubeletConfig",
    "LVMLogicalVolumeConfig",
    "LVMVolumeGroupConfig",
    "RAIDArrayConfig",
    "SecurityProfileConfig",
    "SysctlConfig",
    "SysfsConfig",
    "UdevRulesConfig",
    "UnattendedInstallConfig",
    "VethConfig",
];

/// Kinds of documents that came with Talos 1.14 and that only control planes may have.
const CONTROL_PLANE_KINDS: [&str; 14] = [
    "KubeAPIServerConfig",
    "KubeAdmissionControlConfig",
    "KubeAggregatorCAConfig",
    "KubeAuditPolicyConfig",
    "KubeAuthenticationConfig",
    "KubeAuthorizerConfig",
    "KubeControllerManagerConfig",
    "KubeCoreDNSConfig",
    "KubeEtcdEncryptionConfig",
    "KubeFlannelCNIConfig",
    "KubeProxyConfig",
    "KubeSchedulerConfig",
    "KubeServiceAccountConfig",
    "KubeTalosAPIAccessConfig",
];

/// Refuses a patch that names what does not exist or touches what is owned.
pub(super) fn check(role: MachineRole, patch: &Value) -> Result<(), Found> {
    let Some(map) = patch.as_object() else {
        return check_style_1_13(role, patch);
    };
    match map.get("kind").and_then(Value::as_str) {
        Some(kind) if KINDS.contains(&kind) => check_document(role, kind, map),
        Some(kind) if CONTROL_PLANE_KINDS.contains(&kind) => match role {
            MachineRole::ControlPlane => check_document(role, kind, map),
            MachineRole::Worker => Err((kind.to_owned(), PatchProblem::ControlPlaneOnly)),
        },
        Some(_) => check_style_1_13(role, patch),
        None => {
            for (old, to) in MOVED {
                if patch.pointer(old).is_some_and(|value| !value.is_null()) {
                    return Err((old.trim_start_matches('/').replace('/', "."), PatchProblem::Moved { to }));
                }
            }
            check_style_1_13(role, patch)
        }
    }
}

fn check_document(role: MachineRole, kind: &str, map: &Map<String, Value>) -> Result<(), Found> {
    if map.get("apiVersion").is_none_or(|version| version != "v1alpha1") {
        return Err((String::new(), PatchProblem::UnknownDocument { kind: kind.to_owned() }));
    }
    for (_, field, remedy) in OWNED.iter().filter(|(owned, ..)| *owned == kind) {
        if map.contains_key("$patch") || field.is_empty() {
            return Err((kind.to_owned(), PatchProblem::Owned { remedy }));
        }
        if touches(map, field) {
            return Err((format!("{kind}.{field}"), PatchProblem::Owned { remedy }));
        }
    }
    if kind == "KubeNodeConfig" { check_node_metadata(role, map) } else { Ok(()) }
}

/// Whether a patch says something at a path, or takes away what is above it.
fn touches(map: &Map<String, Value>, path: &str) -> bool {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    match (map.get(key), rest) {
        (None | Some(Value::Null), _) => false,
        (Some(_), None) => true,
        (Some(Value::Object(inner)), Some(rest)) => inner.contains_key("$patch") || touches(inner, rest),
        (Some(_), Some(_)) => true,
    }
}

/// The config annotation, and labels that would break a worker.
fn check_node_metadata(role: MachineRole, map: &Map<String, Value>) -> Result<(), Found> {
    let section = |name: &str| map.get(name).and_then(Value::as_object).into_iter().flat_map(Map::keys);
    let refuse =
        |name: &str, key: &str, remedy| Err((format!("KubeNodeConfig.{name}.{key}"), PatchProblem::Owned { remedy }));
    let ours = [labels::CONFIG, labels::CONTROL_PLANE, "$patch"];
    if let Some(key) = section("annotations").find(|key| ours.contains(&key.as_str())) {
        return refuse("annotations", key, "Helix writes it; remove it from the patch");
    }
    match section("labels").find(|key| role == MachineRole::Worker && !kubelet_may_set(key)) {
        Some(key) => refuse("labels", key, BY_LABELS),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reference;

    #[test]
    fn every_kind_of_talos_schema_may_be_named() {
        let Some(schema) = reference::talos("v1.14.0-rc.1/config.schema.json") else {
            return;
        };
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let definitions = schema["$defs"].as_object().unwrap().values();
        let kinds: Vec<_> =
            definitions.filter_map(|d| d.pointer("/properties/kind/enum")?.as_array()).flatten().collect();
        assert!(kinds.len() > 80);
        // The schema calls the document by a name that Talos does not know.
        for kind in kinds.iter().filter(|kind| **kind != "UnattendedInstall") {
            let patch = json!({"apiVersion": "v1alpha1", "kind": kind});
            let found = check(MachineRole::ControlPlane, &patch);
            assert!(!matches!(found, Err((_, PatchProblem::UnknownDocument { .. }))), "{kind}");
        }
    }

    /// A name that Talos does not know guards nothing.
    #[test]
    fn owned_documents_exist() {
        for (kind, ..) in OWNED {
            assert!(KINDS.contains(&kind) || CONTROL_PLANE_KINDS.contains(&kind), "{kind}");
        }
    }
}
