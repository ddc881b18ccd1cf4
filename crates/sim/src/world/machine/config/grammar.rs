//! Which configurations a Talos can read: the documents that it knows, and what it refuses to be told twice.
//!
//! Facts of the formats of 1.13 and 1.14. Fields of the main document are [`super::fields`]' business; 1.14 still
//! knows all of them, as long as no document says the same.

use serde_json::Value;

use super::ConfigError;
use super::fields::DOCUMENTS;
use super::model::Role;

/// What a Talos can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// Talos 1.13 and older: Kubernetes is configured in the main document.
    V1_13,
    /// Talos 1.14 and newer: Kubernetes may be configured in documents of its own.
    V1_14,
}

impl Grammar {
    /// The grammar of a Talos by its version, as in `v1.14.4`.
    #[must_use]
    pub fn of(version: &str) -> Self {
        let minor = version.strip_prefix("v1.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        if minor.is_some_and(|minor| minor >= 14) { Self::V1_14 } else { Self::V1_13 }
    }

    /// Whether documents of that kind are known.
    pub(super) fn knows(self, kind: &str) -> bool {
        DOCUMENTS.contains(&kind)
            || self == Self::V1_14 && (SINCE_1_14.contains(&kind) || CONTROL_PLANE_ONLY.contains(&kind))
    }
}

/// Kinds that came with 1.14.
const SINCE_1_14: &[&str] = &[
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

/// Kinds that came with 1.14 and are refused on workers.
const CONTROL_PLANE_ONLY: &[&str] = &[
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

/// What must not be in the main document beside a document of the kind.
const CONFLICTS: &[(&str, &[&str])] = &[
    ("CRIBaseRuntimeSpecConfig", &["/machine/baseRuntimeSpecOverrides"]),
    ("DiscoveryIdentityConfig", &["/cluster/id", "/cluster/secret"]),
    ("DiscoveryServiceConfig", &["/cluster/discovery"]),
    ("HostnameConfig", &["/machine/network/hostname", "/machine/features/stableHostname"]),
    ("ImageCacheConfig", &["/machine/features/imageCache"]),
    ("KubeAPIServerCAConfig", &["/cluster/ca"]),
    ("KubeAPIServerConfig", &["/cluster/apiServer", "/cluster/controlPlane/localAPIServerPort"]),
    ("KubeAdmissionControlConfig", &["/cluster/apiServer/admissionControl"]),
    ("KubeAggregatorCAConfig", &["/cluster/aggregatorCA"]),
    ("KubeAuditPolicyConfig", &["/cluster/apiServer/auditPolicy"]),
    ("KubeClusterConfig", &["/cluster/clusterName", "/cluster/controlPlane/endpoint"]),
    ("KubeControllerManagerConfig", &["/cluster/controllerManager", "/machine/controlPlane/controllerManager"]),
    ("KubeCoreDNSConfig", &["/cluster/coreDNS"]),
    ("KubeCredentialProviderConfig", &["/machine/kubelet"]),
    ("KubeEtcdEncryptionConfig", &["/cluster/secretboxEncryptionSecret", "/cluster/aescbcEncryptionSecret"]),
    ("KubeFlannelCNIConfig", &["/cluster/network"]),
    ("KubeNetworkConfig", &["/cluster/network"]),
    (
        "KubeNodeConfig",
        &[
            "/cluster/allowSchedulingOnControlPlanes",
            "/cluster/allowSchedulingOnMasters",
            "/machine/kubelet/skipNodeRegistration",
            "/machine/kubelet/registerWithFQDN",
            "/machine/kubelet/nodeIP",
            "/machine/nodeLabels",
            "/machine/nodeAnnotations",
            "/machine/nodeTaints",
        ],
    ),
    ("KubePrismConfig", &["/machine/features/kubePrism"]),
    ("KubeProxyConfig", &["/cluster/proxy"]),
    ("KubeSchedulerConfig", &["/cluster/scheduler", "/machine/controlPlane/scheduler"]),
    ("KubeServiceAccountConfig", &["/cluster/serviceAccount"]),
    ("KubeTalosAPIAccessConfig", &["/machine/features/kubernetesTalosAPIAccess"]),
    ("KubeletConfig", &["/machine/kubelet"]),
    (
        "ResolverConfig",
        &["/machine/network/nameservers", "/machine/network/searchDomains", "/machine/network/disableSearchDomain"],
    ),
    ("UnattendedInstallConfig", &["/machine/install"]),
];

/// Refuses what is said in the main document and in a document, and what is not for this machine.
pub(super) fn check_together(main: &Value, role: Role, documents: &[Value]) -> Result<(), ConfigError> {
    for document in documents {
        let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
        if role == Role::Worker && CONTROL_PLANE_ONLY.contains(&kind) {
            let refusal = "the following document kinds are only allowed on control plane machines";
            return Err(ConfigError::Invalid(format!("{refusal}: [{kind}]")));
        }
        let in_resolver = document.get("hostDNS").map(|_| "/machine/features/hostDNS");
        let conflicts = CONFLICTS.iter().filter(|(of, _)| *of == kind).flat_map(|(_, fields)| fields.iter().copied());
        for field in conflicts.chain(in_resolver.filter(|_| kind == "ResolverConfig")) {
            if main.pointer(field).is_some_and(|value| !value.is_null()) {
                let field = field.replace('/', ".");
                return Err(ConfigError::Invalid(format!("{field} is already set in v1alpha1 config, beside {kind}")));
            }
        }
    }
    Ok(())
}
