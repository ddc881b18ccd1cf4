//! The field names that Talos 1.13 knows in its main document, by section, and the kinds of the further documents.
//!
//! Facts of the format, those it calls deprecated included. A section that is not listed is open: maps that users
//! fill, and pass-through configuration.

use serde_json::Value;

use super::ConfigError;

/// Fields of `machine`.
pub(super) const MACHINE: &[&str] = &[
    "type",
    "token",
    "ca",
    "acceptedCAs",
    "certSANs",
    "controlPlane",
    "kubelet",
    "pods",
    "network",
    "disks",
    "install",
    "files",
    "env",
    "time",
    "sysctls",
    "sysfs",
    "registries",
    "systemDiskEncryption",
    "features",
    "udev",
    "logging",
    "kernel",
    "seccompProfiles",
    "baseRuntimeSpecOverrides",
    "nodeLabels",
    "nodeAnnotations",
    "nodeTaints",
];

/// Fields of `machine` whose change takes effect at once.
pub(super) const CHANGED_WITHOUT_REBOOT: &[&str] = &[
    "ca",
    "acceptedCAs",
    "certSANs",
    "install",
    "network",
    "sysctls",
    "sysfs",
    "logging",
    "kubelet",
    "kernel",
    "registries",
    "pods",
    "nodeLabels",
    "nodeAnnotations",
    "nodeTaints",
    "features",
    "controlPlane",
    "time",
    "seccompProfiles",
];

/// Sections with a closed set of fields; `*` stands for each item of a list.
const SECTIONS: &[(&str, &[&str])] = &[
    ("", &["version", "debug", "persist", "machine", "cluster"]),
    ("machine", MACHINE),
    ("machine.ca", &["crt", "key"]),
    ("machine.controlPlane", &["controllerManager", "scheduler"]),
    ("machine.controlPlane.controllerManager", &["disabled"]),
    ("machine.controlPlane.scheduler", &["disabled"]),
    (
        "machine.kubelet",
        &[
            "image",
            "clusterDNS",
            "extraArgs",
            "extraMounts",
            "extraConfig",
            "credentialProviderConfig",
            "defaultRuntimeSeccompProfileEnabled",
            "registerWithFQDN",
            "nodeIP",
            "skipNodeRegistration",
            "disableManifestsDirectory",
        ],
    ),
    ("machine.kubelet.nodeIP", &["validSubnets"]),
    ("machine.kubelet.extraMounts.*", &["destination", "type", "source", "options", "uidMappings", "gidMappings"]),
    (
        "machine.install",
        &[
            "disk",
            "diskSelector",
            "extraKernelArgs",
            "image",
            "extensions",
            "bootloader",
            "wipe",
            "legacyBIOSSupport",
            "grubUseUKICmdline",
        ],
    ),
    (
        "machine.network",
        &[
            "hostname",
            "interfaces",
            "nameservers",
            "searchDomains",
            "extraHostEntries",
            "kubespan",
            "disableSearchDomain",
        ],
    ),
    ("machine.files.*", &["content", "permissions", "path", "op"]),
    ("machine.time", &["disabled", "servers", "bootTimeout"]),
    (
        "machine.features",
        &[
            "rbac",
            "stableHostname",
            "kubernetesTalosAPIAccess",
            "apidCheckExtKeyUsage",
            "diskQuotaSupport",
            "kubePrism",
            "hostDNS",
            "imageCache",
            "nodeAddressSortAlgorithm",
        ],
    ),
    ("machine.features.kubePrism", &["enabled", "port"]),
    ("machine.features.hostDNS", &["enabled", "forwardKubeDNSToHost", "resolveMemberNames"]),
    ("machine.kernel", &["modules"]),
    ("machine.kernel.modules.*", &["name", "parameters"]),
    ("machine.udev", &["rules"]),
    ("machine.logging", &["destinations"]),
    (
        "cluster",
        &[
            "id",
            "secret",
            "controlPlane",
            "clusterName",
            "network",
            "token",
            "aescbcEncryptionSecret",
            "secretboxEncryptionSecret",
            "ca",
            "acceptedCAs",
            "aggregatorCA",
            "serviceAccount",
            "apiServer",
            "controllerManager",
            "proxy",
            "scheduler",
            "discovery",
            "etcd",
            "coreDNS",
            "externalCloudProvider",
            "extraManifests",
            "extraManifestHeaders",
            "inlineManifests",
            "adminKubeconfig",
            "allowSchedulingOnControlPlanes",
            "allowSchedulingOnMasters",
        ],
    ),
    ("cluster.controlPlane", &["endpoint", "localAPIServerPort"]),
    ("cluster.ca", &["crt", "key"]),
    ("cluster.aggregatorCA", &["crt", "key"]),
    ("cluster.serviceAccount", &["key"]),
    ("cluster.network", &["cni", "dnsDomain", "podSubnets", "serviceSubnets"]),
    ("cluster.network.cni", &["name", "urls", "flannel"]),
    (
        "cluster.apiServer",
        &[
            "image",
            "extraArgs",
            "extraVolumes",
            "env",
            "certSANs",
            "disablePodSecurityPolicy",
            "admissionControl",
            "auditPolicy",
            "resources",
            "authorizationConfig",
        ],
    ),
    ("cluster.apiServer.admissionControl.*", &["name", "configuration"]),
    ("cluster.controllerManager", &["image", "extraArgs", "extraVolumes", "env", "resources"]),
    ("cluster.scheduler", &["image", "extraArgs", "extraVolumes", "env", "resources", "config"]),
    ("cluster.proxy", &["disabled", "image", "mode", "extraArgs"]),
    ("cluster.discovery", &["enabled", "registries"]),
    ("cluster.discovery.registries", &["kubernetes", "service"]),
    ("cluster.discovery.registries.kubernetes", &["disabled"]),
    ("cluster.discovery.registries.service", &["disabled", "endpoint"]),
    ("cluster.etcd", &["image", "ca", "extraArgs", "subnet", "advertisedSubnets", "listenSubnets"]),
    ("cluster.etcd.ca", &["crt", "key"]),
    ("cluster.coreDNS", &["disabled", "image"]),
    ("cluster.externalCloudProvider", &["enabled", "manifests"]),
    ("cluster.inlineManifests.*", &["name", "contents"]),
    ("cluster.adminKubeconfig", &["certLifetime"]),
];

/// Kinds of documents besides the main one, all of `apiVersion: v1alpha1`.
pub(super) const DOCUMENTS: &[&str] = &[
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

/// Refuses a main document with a field that its section does not have.
pub(super) fn check(document: &Value) -> Result<(), ConfigError> {
    SECTIONS.iter().try_for_each(|(path, known)| check_section(document, path, known))
}

fn check_section(document: &Value, path: &str, known: &[&str]) -> Result<(), ConfigError> {
    let mut sections = vec![document];
    for part in path.split('.').filter(|part| !part.is_empty()) {
        sections = match part {
            "*" => sections.into_iter().filter_map(Value::as_array).flatten().collect(),
            key => sections.into_iter().filter_map(|section| section.get(key)).collect(),
        };
    }
    for section in sections.into_iter().filter(|section| !section.is_null()) {
        let fields = section.as_object().ok_or_else(|| ConfigError::Malformed(format!("{path} is no mapping")))?;
        if let Some(unknown) = fields.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(ConfigError::UnknownField(format!("{path}.{unknown}").trim_start_matches('.').to_owned()));
        }
    }
    Ok(())
}
