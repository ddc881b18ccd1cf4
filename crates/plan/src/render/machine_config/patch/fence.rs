//! What a patch may not touch, and which documents it may name. What it may name in them is in [`fields`].
//!
//! A field is owned where Helix derives it from the platform's specification or the secret bundle and relies on it
//! afterwards; each row says what to write instead.

use helix_crds::labels;
use serde_json::{Map, Value};

use super::super::MachineRole;
use super::super::labels::kubelet_may_set;
use super::{Found, PatchProblem, below, fields};

const BY_BUNDLE: &str = "it comes from the platform's secret bundle and cannot be changed; remove it from the patch";
const BY_NETWORK: &str = "set it by spec.provider.hetzner.network, before the platform is made";
const BY_CILIUM: &str = "Cilium depends on it; remove it from the patch";
const BY_NAME: &str = "machines are named for platform, pool and slot; remove it from the patch";
const BY_VERSIONS: &str = "set spec.versions";
const BY_TAINTS: &str = "set `taints` of the worker pool";
const BY_LABELS: &str = "a kubelet may not set this label of itself; set `labels` of the worker pool";

/// Owned paths with what to write instead. An owned path owns everything below it.
const OWNED: [(&str, &str); 35] = [
    ("version", "remove it from the patch"),
    ("machine.type", "a machine's role follows from its pool; remove it from the patch"),
    ("machine.token", BY_BUNDLE),
    ("machine.ca", BY_BUNDLE),
    ("machine.acceptedCAs", BY_BUNDLE),
    ("machine.install.image", "set spec.versions.talos and spec.provider.hetzner.image.schematic"),
    ("machine.kubelet.image", BY_VERSIONS),
    ("machine.kubelet.extraConfig.providerID", "it follows from the server's id; remove it from the patch"),
    ("machine.kubelet.extraConfig.registerWithTaints", BY_TAINTS),
    ("machine.kubelet.nodeIP", BY_NETWORK),
    ("machine.kubelet.skipNodeRegistration", "Helix waits for every node; remove it from the patch"),
    ("machine.nodeTaints", BY_TAINTS),
    ("machine.network.hostname", BY_NAME),
    ("machine.features.kubePrism", BY_CILIUM),
    ("cluster.id", BY_BUNDLE),
    ("cluster.secret", BY_BUNDLE),
    ("cluster.token", BY_BUNDLE),
    ("cluster.ca", BY_BUNDLE),
    ("cluster.acceptedCAs", BY_BUNDLE),
    ("cluster.aggregatorCA", BY_BUNDLE),
    ("cluster.serviceAccount", BY_BUNDLE),
    ("cluster.secretboxEncryptionSecret", BY_BUNDLE),
    ("cluster.aescbcEncryptionSecret", BY_BUNDLE),
    ("cluster.etcd.ca", BY_BUNDLE),
    ("cluster.etcd.advertisedSubnets", BY_NETWORK),
    ("cluster.controlPlane.endpoint", "set spec.endpoint"),
    ("cluster.clusterName", "it is the platform's name; remove it from the patch"),
    ("cluster.network", BY_NETWORK),
    ("cluster.proxy", BY_CILIUM),
    ("cluster.externalCloudProvider", "the cloud controller manager needs it; remove it from the patch"),
    ("cluster.apiServer.image", BY_VERSIONS),
    ("cluster.controllerManager.image", BY_VERSIONS),
    ("cluster.scheduler.image", BY_VERSIONS),
    ("cluster.allowSchedulingOnControlPlanes", "it is on where there are no worker pools; remove it from the patch"),
    ("HostnameConfig", BY_NAME),
];

/// Kinds of documents in Talos 1.13.
const KINDS: [&str; 45] = [
    "BlackholeRouteConfig",
    "BondConfig",
    "BridgeConfig",
    "DHCPv4Config",
    "DHCPv6Config",
    "DummyLinkConfig",
    "EnvironmentConfig",
    "EthernetConfig",
    "EventSinkConfig",
    "ExistingVolumeConfig",
    "ExtensionServiceConfig",
    "ExternalVolumeConfig",
    "HCloudVIPConfig",
    "HostnameConfig",
    "ImageVerificationConfig",
    "KmsgLogConfig",
    "KubeSpanConfig",
    "KubeSpanEndpoints",
    "KubeSpanEndpointsConfig",
    "Layer2VIPConfig",
    "LinkAliasConfig",
    "LinkConfig",
    "NetworkDefaultActionConfig",
    "NetworkRuleConfig",
    "OOMConfig",
    "PCIDriverRebindConfig",
    "RawVolumeConfig",
    "RegistryAuthConfig",
    "RegistryMirrorConfig",
    "RegistryTLSConfig",
    "ResolverConfig",
    "RoutingRuleConfig",
    "SideroLinkConfig",
    "StaticHostConfig",
    "SwapVolumeConfig",
    "TCPProbeConfig",
    "TimeSyncConfig",
    "TrustedRootsConfig",
    "UserVolumeConfig",
    "VLANConfig",
    "VRFConfig",
    "VolumeConfig",
    "WatchdogTimerConfig",
    "WireguardConfig",
    "ZswapConfig",
];

/// Refuses a patch that names what does not exist or touches what is owned.
pub(super) fn check(role: MachineRole, patch: &Value) -> Result<(), Found> {
    let Value::Object(map) = patch else {
        return Err((String::new(), PatchProblem::NotAMap));
    };
    match map.get("kind") {
        Some(kind) => check_document(kind, map),
        None => check_main(role, patch, map),
    }
}

fn check_document(kind: &Value, map: &Map<String, Value>) -> Result<(), Found> {
    let known = kind.as_str().filter(|kind| KINDS.contains(kind));
    match known {
        Some(kind) if map.get("apiVersion").is_some_and(|version| version == "v1alpha1") => {
            check_owned(&Value::Object(map.clone()), kind)
        }
        _ => {
            let kind = kind.as_str().map_or_else(|| kind.to_string(), str::to_owned);
            Err((String::new(), PatchProblem::UnknownDocument { kind }))
        }
    }
}

fn check_main(role: MachineRole, patch: &Value, map: &Map<String, Value>) -> Result<(), Found> {
    fields::check(patch)?;
    for (key, value) in map {
        match key.as_str() {
            // Every patch may say which document it is for; it then says nothing more.
            "version" if value == "v1alpha1" => {}
            "$patch" => return Err((String::new(), PatchProblem::Owned { remedy: BY_BUNDLE })),
            _ => check_owned(value, key)?,
        }
    }
    check_node_metadata(role, map)
}

/// Walks down the patch along owned paths. What ends above an owned path but is no map (a deletion, a text) would take
/// the owned field with it.
fn check_owned(value: &Value, path: &str) -> Result<(), Found> {
    let mut above = None;
    for (owned, remedy) in OWNED {
        if path == owned {
            return Err((path.to_owned(), PatchProblem::Owned { remedy }));
        }
        if owned.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')) {
            above = Some(remedy);
        }
    }
    match (value, above) {
        (_, None) | (Value::Null, _) => Ok(()),
        (Value::Object(map), Some(remedy)) => {
            if map.contains_key("$patch") {
                return Err((path.to_owned(), PatchProblem::Owned { remedy }));
            }
            map.iter().try_for_each(|(key, value)| check_owned(value, &below(path, key)))
        }
        (_, Some(remedy)) => Err((path.to_owned(), PatchProblem::Owned { remedy })),
    }
}

/// Keys with dots in them, which a path cannot express: the config annotation, and labels that would break a worker.
fn check_node_metadata(role: MachineRole, map: &Map<String, Value>) -> Result<(), Found> {
    let section = |name: &str| map.get("machine").and_then(|machine| machine.get(name)).and_then(Value::as_object);
    let refuse =
        |name: &str, key: &str, remedy| Err((below(&below("machine", name), key), PatchProblem::Owned { remedy }));
    if let Some(annotations) = section("nodeAnnotations") {
        for key in [labels::CONFIG, labels::CONTROL_PLANE, "$patch"] {
            if annotations.contains_key(key) {
                return refuse("nodeAnnotations", key, "Helix writes it; remove it from the patch");
            }
        }
    }
    if role == MachineRole::Worker {
        let labels = section("nodeLabels").into_iter().flat_map(Map::keys);
        if let Some(key) = labels.into_iter().find(|key| !kubelet_may_set(key)) {
            return refuse("nodeLabels", key, BY_LABELS);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    #[test]
    fn every_kind_of_talos_schema_may_be_named() {
        let Some(schema) = reference::talos("v1.13.9/config.schema.json") else {
            return;
        };
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let definitions = schema["$defs"].as_object().unwrap().values();
        let kinds: Vec<_> =
            definitions.filter_map(|d| d.pointer("/properties/kind/enum")?.as_array()).flatten().collect();
        assert!(kinds.len() > 40);
        for kind in kinds {
            assert!(KINDS.contains(&kind.as_str().unwrap()), "{kind}");
        }
    }

    /// A path that Talos does not know guards nothing.
    #[test]
    fn owned_paths_are_what_talos_knows() {
        for (path, _) in OWNED {
            let patch = path.rsplit('.').fold(Value::Null, |inner, key| serde_json::json!({ key: inner }));
            assert!(KINDS.contains(&path) || fields::check(&patch) == Ok(()), "{path}");
        }
    }
}
