//! The shapes of Talos 1.13's documents, as far as Helix writes them, each with its fixed content where it has one.
//!
//! They borrow from inputs and bundle; [`super::super::shapes`] has what other styles say, too.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::Serialize;

use super::super::api_server::{AuditPolicy, POD_SECURITY, PodSecurityConfiguration};
use super::super::shapes::{
    AcceptedCa, CaPair, Enabled, Encoded, Etcd, HostDns, HostnameConfig, KUBE_PRISM_PORT, KubeletConfiguration, NodeIp,
};
use super::super::volumes::{UserVolumeConfig, VolumeConfig};

/// One document of a configuration.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Document<'a> {
    Main(Box<V1Alpha1<'a>>),
    Hostname(HostnameConfig),
    Volume(VolumeConfig),
    UserVolume(UserVolumeConfig),
}

#[derive(Serialize)]
pub(super) struct V1Alpha1<'a> {
    pub(super) version: &'static str,
    pub(super) machine: Machine<'a>,
    pub(super) cluster: Cluster<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) token: &'a str,
    pub(super) ca: CaPair,
    #[serde(rename = "acceptedCAs", skip_serializing_if = "Vec::is_empty")]
    pub(super) accepted_cas: Vec<AcceptedCa>,
    #[serde(rename = "certSANs")]
    pub(super) cert_sans: &'a [String],
    pub(super) kubelet: Kubelet<'a>,
    pub(super) install: Install,
    pub(super) features: Features,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kernel: Option<Kernel>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) node_labels: BTreeMap<&'a str, &'a str>,
    pub(super) node_annotations: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
pub(super) struct KeyOnly {
    pub(super) key: Encoded,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kubelet<'a> {
    pub(super) image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extra_mounts: Option<[ExtraMount; 1]>,
    pub(super) extra_config: KubeletConfiguration<'a>,
    pub(super) default_runtime_seccomp_profile_enabled: bool,
    #[serde(rename = "nodeIP")]
    pub(super) node_ip: NodeIp,
    pub(super) disable_manifests_directory: bool,
}

#[derive(Serialize)]
pub(super) struct ExtraMount {
    destination: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    source: &'static str,
    options: [&'static str; 3],
}

impl ExtraMount {
    /// Mounts that pods make below `path` are seen outside them, and the other way round.
    pub(super) fn shared(path: &'static str) -> Self {
        Self { destination: path, kind: "bind", source: path, options: ["bind", "rshared", "rw"] }
    }
}

#[derive(Serialize)]
pub(super) struct Install {
    pub(super) image: String,
    pub(super) wipe: bool,
    #[serde(rename = "grubUseUKICmdline")]
    pub(super) grub_use_uki_cmdline: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Features {
    disk_quota_support: bool,
    kube_prism: KubePrism,
    #[serde(rename = "hostDNS")]
    host_dns: HostDns,
}

#[derive(Serialize)]
struct KubePrism {
    enabled: bool,
    port: u16,
}

impl Features {
    pub(super) fn for_cilium() -> Self {
        Self {
            disk_quota_support: true,
            kube_prism: KubePrism { enabled: true, port: KUBE_PRISM_PORT },
            host_dns: HostDns::for_the_host_alone(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Kernel {
    pub(super) modules: [Named; 1],
}

#[derive(Serialize)]
pub(super) struct Named {
    pub(super) name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cluster<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
    pub(super) control_plane: ControlPlaneEndpoint<'a>,
    pub(super) cluster_name: &'a str,
    pub(super) network: ClusterNetwork,
    pub(super) token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secretbox_encryption_secret: Option<&'a str>,
    pub(super) ca: CaPair,
    #[serde(rename = "acceptedCAs", skip_serializing_if = "Vec::is_empty")]
    pub(super) accepted_cas: Vec<AcceptedCa>,
    #[serde(rename = "aggregatorCA", skip_serializing_if = "Option::is_none")]
    pub(super) aggregator_ca: Option<CaPair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_account: Option<KeyOnly>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api_server: Option<ApiServer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) controller_manager: Option<Component>,
    pub(super) proxy: Proxy,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scheduler: Option<Component>,
    pub(super) discovery: Discovery,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) etcd: Option<Etcd>,
    pub(super) external_cloud_provider: Enabled,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) allow_scheduling_on_control_planes: Option<bool>,
}

#[derive(Serialize)]
pub(super) struct ControlPlaneEndpoint<'a> {
    pub(super) endpoint: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiServer<'a> {
    pub(super) image: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) extra_args: BTreeMap<&'static str, &'a str>,
    #[serde(rename = "certSANs")]
    pub(super) cert_sans: &'a [String],
    pub(super) admission_control: [AdmissionPlugin; 1],
    pub(super) audit_policy: AuditPolicy,
}

#[derive(Serialize)]
pub(super) struct AdmissionPlugin {
    name: &'static str,
    configuration: PodSecurityConfiguration,
}

impl AdmissionPlugin {
    pub(super) fn pod_security() -> Self {
        Self { name: POD_SECURITY, configuration: PodSecurityConfiguration::baseline() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClusterNetwork {
    pub(super) cni: Named,
    pub(super) dns_domain: &'static str,
    pub(super) pod_subnets: [Ipv4Net; 1],
    pub(super) service_subnets: [Ipv4Net; 1],
}

#[derive(Serialize)]
pub(super) struct Component {
    pub(super) image: String,
}

#[derive(Serialize)]
pub(super) struct Proxy {
    pub(super) disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Discovery {
    enabled: bool,
    registries: Registries,
}

#[derive(Serialize)]
struct Registries {
    kubernetes: Disabled,
    service: Nothing,
}

#[derive(Serialize)]
struct Disabled {
    disabled: bool,
}

#[derive(Serialize)]
struct Nothing {}

impl Discovery {
    /// Members find each other by the discovery service; the registry in Kubernetes needs what NodeRestriction forbids.
    pub(super) fn by_service() -> Self {
        Self { enabled: true, registries: Registries { kubernetes: Disabled { disabled: true }, service: Nothing {} } }
    }
}
