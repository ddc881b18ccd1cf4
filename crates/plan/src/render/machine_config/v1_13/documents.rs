//! The shapes of Talos 1.13's documents, as far as Helix writes them, each with its fixed content where it has one.
//!
//! They borrow from inputs and bundle; what holds an encoded key overwrites it when dropped.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::Ipv4Net;
use serde::{Serialize, Serializer};

use super::api_server::ApiServer;
use super::volumes::{UserVolumeConfig, VolumeConfig};
use crate::observed::NodeTaint;
use crate::secrets::{CertificateAuthority, Secret};

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
    #[serde(rename = "certSANs")]
    pub(super) cert_sans: &'a [String],
    pub(super) kubelet: Kubelet<'a>,
    pub(super) install: Install,
    pub(super) features: Features,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kernel: Option<Kernel>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) node_labels: BTreeMap<&'a str, &'a str>,
    pub(super) node_annotations: BTreeMap<&'a str, &'a str>,
}

/// base64 of PEM, as Talos wants certificates and keys.
pub(super) struct Encoded(Secret);

impl Encoded {
    pub(super) fn of(pem: &str) -> Self {
        Self(Secret::new(STANDARD.encode(pem)))
    }
}

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

#[derive(Serialize)]
pub(super) struct CaPair {
    crt: Encoded,
    key: Encoded,
}

impl CaPair {
    pub(super) fn full(authority: &CertificateAuthority) -> Self {
        Self { crt: Encoded::of(&authority.certificate), key: Encoded::of(authority.key.expose()) }
    }

    /// A worker may trust the authority, not sign for it; Talos writes the missing key as an empty text.
    pub(super) fn certificate_only(authority: &CertificateAuthority) -> Self {
        Self { crt: Encoded::of(&authority.certificate), key: Encoded::of("") }
    }
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
#[serde(rename_all = "camelCase")]
pub(super) struct KubeletConfiguration<'a> {
    #[serde(rename = "providerID")]
    pub(super) provider_id: String,
    #[serde(skip_serializing_if = "<[NodeTaint]>::is_empty", serialize_with = "taints")]
    pub(super) register_with_taints: &'a [NodeTaint],
}

fn taints<S: Serializer>(taints: &[NodeTaint], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Taint<'a> {
        key: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        value: &'a str,
        effect: &'a str,
    }
    serializer.collect_seq(taints.iter().map(|t| Taint { key: &t.key, value: &t.value, effect: &t.effect }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeIp {
    pub(super) valid_subnets: [Ipv4Net; 1],
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

#[derive(Serialize)]
struct HostDns {
    enabled: bool,
    #[serde(rename = "forwardKubeDNSToHost")]
    forward_kube_dns_to_host: bool,
}

impl Features {
    /// Cilium reaches the API by KubePrism before it can route services, and its BPF masquerading does not let pods
    /// reach the host's resolver.
    pub(super) fn for_cilium() -> Self {
        Self {
            disk_quota_support: true,
            kube_prism: KubePrism { enabled: true, port: 7445 },
            host_dns: HostDns { enabled: true, forward_kube_dns_to_host: false },
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
pub(super) struct Enabled {
    pub(super) enabled: bool,
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Etcd {
    pub(super) ca: CaPair,
    pub(super) advertised_subnets: [Ipv4Net; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HostnameConfig {
    api_version: &'static str,
    kind: &'static str,
    auto: &'static str,
    hostname: String,
}

impl HostnameConfig {
    pub(super) fn fixed(hostname: String) -> Self {
        Self { api_version: "v1alpha1", kind: "HostnameConfig", auto: "off", hostname }
    }
}
