//! The shapes of Talos 1.14's documents that every machine has, and what all documents have in common.
//!
//! They borrow from inputs and bundle. Certificates and keys are PEM as it is in the documents, base64 of it in what is
//! left of `v1alpha1`.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::Serialize;

use super::super::shapes::{AcceptedCa, CaPair, Enabled, Etcd, HostDns, HostnameConfig, KubeletConfiguration, NodeIp};
use super::super::volumes::{UserVolumeConfig, VolumeConfig};
use super::control_plane::{
    AdmissionControl, ApiServer, AuditPolicyConfig, Authentication, Authorizer, EtcdEncryption, ImageAlone, IssuingCa,
    Proxy, Scheduler, ServiceAccount,
};
use crate::secrets::CertificateAuthority;

/// Label and taint of control planes.
pub(super) const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// One document of a configuration.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Document<'a> {
    Main(Box<V1Alpha1<'a>>),
    Hostname(HostnameConfig),
    Volume(VolumeConfig),
    UserVolume(UserVolumeConfig),
    Other(Box<OfKind<'a>>),
}

impl<'a> Document<'a> {
    pub(super) fn of(kind: Kind<'a>) -> Self {
        Self::Other(Box::new(OfKind { api_version: "v1alpha1", kind }))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfKind<'a> {
    api_version: &'static str,
    #[serde(flatten)]
    kind: Kind<'a>,
}

/// The kinds of documents with their content; a variant's name is the kind.
#[derive(Serialize)]
#[serde(tag = "kind")]
#[expect(clippy::enum_variant_names, reason = "the names are Talos' own")]
pub(super) enum Kind<'a> {
    DiscoveryServiceConfig(DiscoveryService),
    DiscoveryIdentityConfig(ClusterIdentity<'a>),
    ResolverConfig(Resolver),
    FilesystemTrimConfig(FilesystemTrim),
    SecurityProfileConfig(SecurityProfile),
    KernelModuleConfig { name: &'static str },
    KubeClusterConfig(KubeCluster<'a>),
    KubeNodeConfig(KubeNode<'a>),
    KubeletConfig(Kubelet<'a>),
    KubeNetworkConfig(KubeNetwork),
    KubeAPIServerCAConfig(ApiServerCa<'a>),
    KubePrismConfig(KubePrism),
    KubeAggregatorCAConfig(IssuingCa<'a>),
    KubeAdmissionControlConfig(AdmissionControl),
    KubeAuditPolicyConfig(AuditPolicyConfig),
    KubeAuthenticationConfig(Authentication<'a>),
    KubeAuthorizerConfig(Authorizer),
    KubeEtcdEncryptionConfig(EtcdEncryption<'a>),
    KubeServiceAccountConfig(ServiceAccount<'a>),
    KubeAPIServerConfig(ApiServer<'a>),
    KubeControllerManagerConfig(ImageAlone),
    KubeSchedulerConfig(Scheduler),
    KubeProxyConfig(Proxy),
    KubeCoreDNSConfig(Enabled),
}

#[derive(Serialize)]
pub(super) struct V1Alpha1<'a> {
    pub(super) version: &'static str,
    pub(super) machine: Machine<'a>,
    pub(super) cluster: Cluster<'a>,
}

#[derive(Serialize)]
pub(super) struct Machine<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) token: &'a str,
    pub(super) ca: CaPair,
    #[serde(rename = "acceptedCAs", skip_serializing_if = "Vec::is_empty")]
    pub(super) accepted_cas: Vec<AcceptedCa>,
    #[serde(rename = "certSANs")]
    pub(super) cert_sans: &'a [String],
    pub(super) features: Features,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Features {
    pub(super) disk_quota_support: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cluster<'a> {
    pub(super) token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) etcd: Option<Etcd>,
    pub(super) external_cloud_provider: Enabled,
}

#[derive(Serialize)]
pub(super) struct DiscoveryService {
    name: &'static str,
    endpoint: &'static str,
}

impl DiscoveryService {
    /// The one that Talos uses where nothing else is said.
    pub(super) fn of_talos() -> Self {
        Self { name: "default", endpoint: "https://discovery.talos.dev/" }
    }
}

#[derive(Serialize)]
pub(super) struct ClusterIdentity<'a> {
    #[serde(rename = "clusterID")]
    pub(super) cluster_id: &'a str,
    #[serde(rename = "clusterSecret")]
    pub(super) cluster_secret: &'a str,
}

#[derive(Serialize)]
pub(super) struct Resolver {
    #[serde(rename = "hostDNS")]
    pub(super) host_dns: HostDns,
}

#[derive(Serialize)]
pub(super) struct FilesystemTrim {
    pub(super) interval: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecurityProfile {
    pub(super) workload_isolation: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KubeCluster<'a> {
    pub(super) cluster_name: &'a str,
    pub(super) endpoint: &'a str,
}

#[derive(Serialize)]
pub(super) struct KubeNode<'a> {
    #[serde(rename = "nodeIP")]
    pub(super) node_ip: NodeIp,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) labels: BTreeMap<&'a str, &'a str>,
    pub(super) annotations: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) taints: Option<ControlPlaneTaint>,
}

#[derive(Serialize)]
pub(super) struct ControlPlaneTaint {
    #[serde(rename = "node-role.kubernetes.io/control-plane")]
    effect: &'static str,
}

impl ControlPlaneTaint {
    pub(super) fn no_schedule() -> Self {
        Self { effect: "NoSchedule" }
    }
}

/// There are no mounts as in 1.13: this kubelet sees what is below `/var/mnt` by itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kubelet<'a> {
    pub(super) image: String,
    pub(super) config: KubeletConfiguration<'a>,
    pub(super) default_runtime_seccomp_profile_enabled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KubeNetwork {
    pub(super) dns_domain: &'static str,
    pub(super) pod_subnets: [Ipv4Net; 1],
    pub(super) service_subnets: [Ipv4Net; 1],
}

#[derive(Serialize)]
pub(super) struct ApiServerCa<'a> {
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    issuing: Option<IssuingCa<'a>>,
    #[serde(rename = "acceptedCAs", skip_serializing_if = "Vec::is_empty")]
    accepted: Vec<&'a str>,
}

impl<'a> ApiServerCa<'a> {
    pub(super) fn issuing(authority: &'a CertificateAuthority, others: &'a [String]) -> Self {
        Self { issuing: Some(IssuingCa::of(authority)), accepted: others.iter().map(String::as_str).collect() }
    }

    /// A worker may trust the authority, not sign for it.
    pub(super) fn accepted(authority: &'a CertificateAuthority, others: &'a [String]) -> Self {
        let accepted = std::iter::once(&authority.certificate).chain(others).map(String::as_str).collect();
        Self { issuing: None, accepted }
    }
}

#[derive(Serialize)]
pub(super) struct KubePrism {
    pub(super) port: u16,
}
