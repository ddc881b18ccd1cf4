//! The names of fields in Talos' `v1alpha1` document, as far down as Talos closes its structs.
//!
//! Talos decodes strictly, and would refuse a misspelt field only when a server already waits for its configuration.
//! What is not in these tables is left to Talos: free-form maps (labels, arguments, the kubelet's own configuration),
//! the deprecated `bond`, `bridge`, `wireguard`, `vip`, `kubespan` and `systemDiskEncryption`, which describe what a
//! server at Hetzner has not or Helix decides, and every document that has a `kind`. Values are left to it, too.

use serde_json::Value;

use super::{Found, PatchProblem, below};
use crate::components::distance;

/// The fields below each path in Talos 1.13, as its JSON schema has them. A list has the path of its items.
#[rustfmt::skip] // One row, one struct.
const DESCRIBED: [(&str, &str); 54] = [
    ("", "cluster debug machine version"),
    (
        "cluster",
        "acceptedCAs adminKubeconfig aescbcEncryptionSecret aggregatorCA allowSchedulingOnControlPlanes apiServer \
         ca clusterName controllerManager controlPlane coreDNS discovery etcd externalCloudProvider \
         extraManifestHeaders extraManifests id inlineManifests network proxy scheduler secret \
         secretboxEncryptionSecret serviceAccount token",
    ),
    ("cluster.acceptedCAs", "crt"),
    ("cluster.adminKubeconfig", "certLifetime"),
    ("cluster.aggregatorCA", "crt key"),
    (
        "cluster.apiServer",
        "admissionControl auditPolicy authorizationConfig certSANs env extraArgs extraVolumes image resources",
    ),
    ("cluster.apiServer.admissionControl", "configuration name"),
    ("cluster.apiServer.authorizationConfig", "name type webhook"),
    ("cluster.apiServer.extraVolumes", "hostPath mountPath readonly"),
    ("cluster.ca", "crt key"),
    ("cluster.controlPlane", "endpoint localAPIServerPort"),
    ("cluster.controllerManager", "env extraArgs extraVolumes image resources"),
    ("cluster.controllerManager.extraVolumes", "hostPath mountPath readonly"),
    ("cluster.coreDNS", "disabled image"),
    ("cluster.discovery", "enabled registries"),
    ("cluster.discovery.registries", "kubernetes service"),
    ("cluster.discovery.registries.kubernetes", "disabled"),
    ("cluster.discovery.registries.service", "disabled endpoint"),
    ("cluster.etcd", "advertisedSubnets ca extraArgs image listenSubnets"),
    ("cluster.etcd.ca", "crt key"),
    ("cluster.externalCloudProvider", "enabled manifests"),
    ("cluster.inlineManifests", "contents name"),
    ("cluster.network", "cni dnsDomain podSubnets serviceSubnets"),
    ("cluster.network.cni", "flannel name urls"),
    ("cluster.network.cni.flannel", "extraArgs kubeNetworkPoliciesEnabled"),
    ("cluster.proxy", "disabled extraArgs image mode"),
    ("cluster.scheduler", "config env extraArgs extraVolumes image resources"),
    ("cluster.scheduler.extraVolumes", "hostPath mountPath readonly"),
    ("cluster.serviceAccount", "key"),
    (
        "machine",
        "acceptedCAs baseRuntimeSpecOverrides ca certSANs controlPlane features files install kernel kubelet \
         logging nodeAnnotations nodeLabels nodeTaints pods seccompProfiles sysctls sysfs token type udev",
    ),
    ("machine.acceptedCAs", "crt"),
    ("machine.ca", "crt key"),
    ("machine.controlPlane", "controllerManager scheduler"),
    ("machine.controlPlane.controllerManager", "disabled"),
    ("machine.controlPlane.scheduler", "disabled"),
    (
        "machine.features",
        "diskQuotaSupport hostDNS imageCache kubePrism kubernetesTalosAPIAccess nodeAddressSortAlgorithm",
    ),
    ("machine.features.hostDNS", "enabled forwardKubeDNSToHost resolveMemberNames"),
    ("machine.features.imageCache", "localEnabled"),
    ("machine.features.kubePrism", "enabled port"),
    ("machine.features.kubernetesTalosAPIAccess", "allowedKubernetesNamespaces allowedRoles enabled"),
    ("machine.files", "content op path permissions"),
    ("machine.install", "disk diskSelector grubUseUKICmdline image legacyBIOSSupport wipe"),
    ("machine.install.diskSelector", "busPath modalias model name serial size type uuid wwid"),
    ("machine.kernel", "modules"),
    ("machine.kernel.modules", "name parameters"),
    (
        "machine.kubelet",
        "clusterDNS credentialProviderConfig defaultRuntimeSeccompProfileEnabled disableManifestsDirectory \
         extraArgs extraConfig extraMounts image nodeIP registerWithFQDN skipNodeRegistration",
    ),
    ("machine.kubelet.extraMounts", "destination gidMappings options source type uidMappings"),
    ("machine.kubelet.extraMounts.gidMappings", "containerID hostID size"),
    ("machine.kubelet.extraMounts.uidMappings", "containerID hostID size"),
    ("machine.kubelet.nodeIP", "validSubnets"),
    ("machine.logging", "destinations"),
    ("machine.logging.destinations", "endpoint extraTags format"),
    ("machine.seccompProfiles", "name value"),
    ("machine.udev", "rules"),
];

/// What Talos 1.13 reads although its JSON schema leaves it out: deprecated fields, and structs that the schema calls
/// free-form. `*` stands for the names of a map.
#[rustfmt::skip] // One row, one struct.
const UNDESCRIBED: [(&str, &str); 26] = [
    ("", "persist"),
    ("machine", "disks env network registries systemDiskEncryption time"),
    ("machine.disks", "device partitions"),
    ("machine.disks.partitions", "mountpoint size"),
    ("machine.features", "apidCheckExtKeyUsage rbac stableHostname"),
    ("machine.install", "bootloader extensions extraKernelArgs"),
    ("machine.install.extensions", "image"),
    (
        "machine.network",
        "disableSearchDomain extraHostEntries hostname interfaces kubespan nameservers searchDomains",
    ),
    ("machine.network.extraHostEntries", "aliases ip"),
    (
        "machine.network.interfaces",
        "addresses bond bridge bridgePort cidr deviceSelector dhcp dhcpOptions dummy ignore interface mtu routes \
         vip vlans wireguard",
    ),
    ("machine.network.interfaces.deviceSelector", "busPath driver hardwareAddr pciID permanentAddr physical"),
    ("machine.network.interfaces.dhcpOptions", "duidv6 ipv4 ipv6 routeMetric"),
    ("machine.network.interfaces.routes", "gateway metric mtu network source"),
    ("machine.network.interfaces.vlans", "addresses cidr dhcp dhcpOptions mtu routes vip vlanId"),
    ("machine.network.interfaces.vlans.routes", "gateway metric mtu network source"),
    ("machine.registries", "config mirrors"),
    ("machine.registries.config.*", "auth tls"),
    ("machine.registries.config.*.auth", "auth identityToken password username"),
    ("machine.registries.config.*.tls", "ca clientIdentity insecureSkipVerify"),
    ("machine.registries.mirrors.*", "endpoints overridePath skipFallback"),
    ("machine.time", "bootTimeout disabled servers"),
    ("cluster.apiServer", "disablePodSecurityPolicy"),
    ("cluster.apiServer.resources", "limits requests"),
    ("cluster.controllerManager.resources", "limits requests"),
    ("cluster.etcd", "subnet"),
    ("cluster.scheduler.resources", "limits requests"),
];

/// The fields of the struct at `path`, or `None` where anything may be named.
fn names(path: &str) -> Option<Vec<&'static str>> {
    let rows = DESCRIBED.iter().chain(&UNDESCRIBED).filter(|(at, _)| *at == path);
    let names: Vec<_> = rows.flat_map(|(_, names)| names.split_whitespace()).collect();
    (!names.is_empty()).then_some(names)
}

/// Whether the names of the map at `path` are the user's, and its values structs.
fn is_map_of_structs(path: &str) -> bool {
    let everything = format!("{path}.*");
    UNDESCRIBED.iter().any(|(at, _)| *at == everything)
}

/// Refuses the first field of a patch for the `v1alpha1` document that Talos does not know.
pub(super) fn check(patch: &Value) -> Result<(), Found> {
    check_below(patch, "", "")
}

/// `row` is where the tables have what the patch has at `path`.
fn check_below(value: &Value, path: &str, row: &str) -> Result<(), Found> {
    match value {
        // An item has the place of its list: a patch says by a name of its own, not by a number, which item it means.
        Value::Array(items) => items.iter().try_for_each(|item| check_below(item, path, row)),
        Value::Object(map) if is_map_of_structs(row) => {
            map.iter().try_for_each(|(key, value)| check_below(value, &below(path, key), &below(row, "*")))
        }
        Value::Object(map) => {
            let Some(names) = names(row) else { return Ok(()) };
            map.iter().filter(|(key, _)| *key != "$patch").try_for_each(|(key, value)| {
                if names.contains(&key.as_str()) {
                    return check_below(value, &below(path, key), &below(row, key));
                }
                Err((below(path, key), PatchProblem::UnknownField { nearest: nearest(key, &names) }))
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// The name that was probably meant: one that differs in at most a third of its letters.
fn nearest(written: &str, names: &[&'static str]) -> Option<&'static str> {
    let written = written.to_lowercase();
    let scored = names.iter().map(|name| (distance(&written, &name.to_lowercase()), *name));
    let (distance, name) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= name.len()).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::json;

    use super::*;
    use crate::reference;

    type Structs = BTreeMap<String, BTreeSet<String>>;

    /// Every closed struct of the schema below a path, with its fields.
    fn closed_structs(schema: &Value, at: &Value, path: &str, found: &mut Structs) {
        let at = at.get("items").unwrap_or(at);
        let at = match at.get("$ref").and_then(Value::as_str) {
            Some(reference) => schema.pointer(reference.trim_start_matches('#')).unwrap(),
            None => at,
        };
        let Some(properties) = at.get("properties").and_then(Value::as_object) else { return };
        assert_eq!(at["additionalProperties"], false, "{path} has names and takes others");
        if properties.is_empty() {
            return;
        }
        found.insert(path.to_owned(), properties.keys().cloned().collect());
        for (key, value) in properties {
            closed_structs(schema, value, &below(path, key), found);
        }
    }

    fn structs(rows: &[(&str, &str)]) -> Structs {
        let names = |names: &str| names.split_whitespace().map(str::to_owned).collect();
        let structs: Structs = rows.iter().map(|(path, fields)| ((*path).to_owned(), names(fields))).collect();
        assert_eq!(structs.len(), rows.len(), "a path has two rows");
        structs
    }

    #[test]
    fn the_described_structs_are_those_of_talos_schema() {
        let Some(schema) = reference::talos("v1.13.9/config.schema.json") else {
            return;
        };
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let mut found = Structs::new();
        closed_structs(&schema, &schema["$defs"]["v1alpha1.Config"], "", &mut found);
        assert_eq!(structs(&DESCRIBED), found);
    }

    #[test]
    fn no_field_is_both_described_and_not() {
        let described = structs(&DESCRIBED);
        for (path, names) in structs(&UNDESCRIBED) {
            let both: Vec<_> = described.get(&path).into_iter().flat_map(|other| other & &names).collect();
            assert!(both.is_empty(), "{path}: {both:?}");
            let (above, last) = path.trim_end_matches(".*").rsplit_once('.').unwrap_or(("", &path));
            assert!(path.is_empty() || super::names(above).unwrap().contains(&last), "nothing leads to {path}");
        }
    }

    #[test]
    fn what_talos_has_not_is_refused_at_any_depth() {
        let cases = [
            (json!({"machin": {}}), "machin", Some("machine")),
            (json!({"machine": {"sysctl": {}}}), "machine.sysctl", Some("sysctls")),
            (json!({"machine": {"kubelet": {"extraArg": {}}}}), "machine.kubelet.extraArg", Some("extraArgs")),
            (json!({"machine": {"kubelet": {"ExtraArgs": {}}}}), "machine.kubelet.ExtraArgs", Some("extraArgs")),
            (json!({"machine": {"kubelet": {"maxPods": 1}}}), "machine.kubelet.maxPods", None),
            (json!({"machine": {"files": [{"contents": ""}]}}), "machine.files.contents", Some("content")),
            (
                json!({"machine": {"network": {"interfaces": [{"adresses": []}]}}}),
                { "machine.network.interfaces.adresses" },
                Some("addresses"),
            ),
            (
                json!({"machine": {"registries": {"mirrors": {"docker.io": {"endpoint": []}}}}}),
                { "machine.registries.mirrors.docker.io.endpoint" },
                Some("endpoints"),
            ),
            (json!({"cluster": {"apiServer": {"certSans": []}}}), "cluster.apiServer.certSans", Some("certSANs")),
            (
                json!({"cluster": {"discovery": {"registries": {"services": {}}}}}),
                { "cluster.discovery.registries.services" },
                Some("service"),
            ),
        ];
        for (patch, at, nearest) in cases {
            let wanted = (at.to_owned(), PatchProblem::UnknownField { nearest });
            assert_eq!(check(&patch), Err(wanted), "{patch}");
        }
    }

    #[test]
    fn what_is_the_users_to_name_is_left_alone() {
        let patches = [
            json!({"version": "v1alpha1", "debug": true, "machine": {"sysctls": {"vm.max_map_count": "1"}}}),
            json!({"machine": {"kubelet": {"extraConfig": {"maxPods": 1}, "extraArgs": {"v": "4"}}}}),
            json!({"machine": {"udev": {"$patch": "delete"}, "env": {"http_proxy": "x"}, "nodeLabels": {"a/b": "c"}}}),
            json!({"machine": {"registries": {"mirrors": {"docker.io": {"endpoints": []}}, "config": {"x": {"tls": {}}}}}}),
            json!({"machine": {"install": {"extraKernelArgs": []}, "pods": [{"kind": "Pod"}]}}),
            json!({"cluster": {"apiServer": {"auditPolicy": {"rules": []}, "resources": {"limits": {"cpu": 1}}}}}),
            json!({"cluster": {"scheduler": {"config": {"profiles": []}}, "inlineManifests": [{"name": "x"}]}}),
        ];
        for patch in patches {
            assert_eq!(check(&patch), Ok(()), "{patch}");
        }
    }
}
