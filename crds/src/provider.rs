//! Where the machines run: Hetzner Cloud, its network, who may reach the machines, and which image they boot.
//!
//! Whether CIDRs overlap or are large enough is judged by the planner, which sees the number of machines.

use crate::reference::SecretKeyRef;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The provider of machines; its kind can't be changed later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ProviderSpec {
    /// Hetzner Cloud. Required. Example: `{tokenSecretRef: {name: hcloud}, apiAllowlist: [203.0.113.7/32]}`.
    Hetzner(HetznerProvider),
}

/// A project at Hetzner Cloud, and the platform's place in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HetznerProvider {
    /// Secret key with a token that may read and write; the token names the project. Required. Example: `{name: hcloud,
    /// key: token}`.
    pub token_secret_ref: SecretKeyRef,
    /// Secret key with the token that is written into the workload cluster, as `kube-system/hcloud`, for the cloud
    /// controller manager and the CSI driver. Default: `tokenSecretRef`, which the plan then says. Example: `{name:
    /// hcloud-cluster}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_token_secret_ref: Option<SecretKeyRef>,
    /// Base URL of the API, ending in the version; change it for a proxy or a simulator. Default:
    /// `https://api.hetzner.cloud/v1`. Example: `http://127.0.0.1:8080/v1`.
    #[serde(default = "default_api_endpoint")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("isURL(self)")
        .message("is not a URL: write the API's base URL, for example https://api.hetzner.cloud/v1"))]
    pub endpoint: String,
    /// The private network and the cluster's address ranges; decided at creation. Default: as of its fields. Example:
    /// `{cidr: 10.0.0.0/16}`.
    #[serde(default)]
    pub network: HetznerNetwork,
    /// CIDRs that may reach the machines' admin ports (6443 and 50000), for ever. Required, at least one. Example:
    /// `[203.0.113.7/32]`.
    #[schemars(length(min = 1, max = 50), inner(length(max = 43)))]
    #[x_kube(
        validation = Rule::new("self.size() > 0")
            .message("is empty, so nobody could reach the platform: write the CIDR that you call from, for example [203.0.113.7/32]"),
        validation = Rule::new("self.all(c, isCIDR(c))")
            .message("has an entry that is not a CIDR: write an address with its prefix length, for example 203.0.113.7/32")
    )]
    pub api_allowlist: Vec<String>,
    /// CIDRs that the operator itself calls from; empty only if it is in the network or a mesh peer. Default: `[]`.
    /// Example: `[198.51.100.20/32]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 43)))]
    #[x_kube(validation = Rule::new("self.all(c, isCIDR(c))")
        .message("has an entry that is not a CIDR: write an address with its prefix length, for example 198.51.100.20/32"))]
    pub operator_egress: Vec<String>,
    /// The Talos image that servers are made from. Default: as of its fields. Example: `{snapshotSelector:
    /// "helix.dev/talos-version=v1.13.9"}`.
    #[serde(default)]
    pub image: HetznerImage,
}

fn default_api_endpoint() -> String {
    "https://api.hetzner.cloud/v1".to_owned()
}

/// Address ranges of a platform; none of them can be changed later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HetznerNetwork {
    /// Range of the private network, IPv4 of RFC 1918. Default: `10.0.0.0/16`. Example: `10.20.0.0/16`.
    #[serde(default = "default_network_cidr")]
    #[schemars(length(max = 43))]
    #[x_kube(
        validation = Rule::new("isCIDR(self)").message("is not a CIDR: write an address range, for example 10.0.0.0/16"),
        validation = Rule::new("self == oldSelf").message("can't be changed: create another platform with the wanted range")
    )]
    pub cidr: String,
    /// Range of the machines' subnet, inside `cidr`. Default: `10.0.1.0/24`. Example: `10.20.4.0/22`.
    #[serde(default = "default_network_subnet")]
    #[schemars(length(max = 43))]
    #[x_kube(
        validation = Rule::new("isCIDR(self)").message("is not a CIDR: write an address range, for example 10.0.1.0/24"),
        validation = Rule::new("self == oldSelf").message("can't be changed: create another platform with the wanted range")
    )]
    pub subnet: String,
    /// Network zone, which all placements' locations must be in. Default: `eu-central`. Example: `us-east`.
    #[serde(default = "default_network_zone")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("can't be changed: create another platform in the wanted zone"))]
    pub zone: String,
    /// Range of the pods; each machine takes a /24 of it. Default: `10.244.0.0/16`. Example: `10.128.0.0/14`.
    #[serde(default = "default_pod_cidr")]
    #[schemars(length(max = 43))]
    #[x_kube(
        validation = Rule::new("isCIDR(self)").message("is not a CIDR: write an address range, for example 10.244.0.0/16"),
        validation = Rule::new("self == oldSelf").message("can't be changed: create another platform with the wanted range")
    )]
    pub pod_cidr: String,
    /// Range of the services' cluster addresses. Default: `10.96.0.0/12`. Example: `10.112.0.0/16`.
    #[serde(default = "default_service_cidr")]
    #[schemars(length(max = 43))]
    #[x_kube(
        validation = Rule::new("isCIDR(self)").message("is not a CIDR: write an address range, for example 10.96.0.0/12"),
        validation = Rule::new("self == oldSelf").message("can't be changed: create another platform with the wanted range")
    )]
    pub service_cidr: String,
}

fn default_network_cidr() -> String {
    "10.0.0.0/16".to_owned()
}

fn default_network_subnet() -> String {
    "10.0.1.0/24".to_owned()
}

fn default_network_zone() -> String {
    "eu-central".to_owned()
}

fn default_pod_cidr() -> String {
    "10.244.0.0/16".to_owned()
}

fn default_service_cidr() -> String {
    "10.96.0.0/12".to_owned()
}

impl Default for HetznerNetwork {
    fn default() -> Self {
        Self {
            cidr: default_network_cidr(),
            subnet: default_network_subnet(),
            zone: default_network_zone(),
            pod_cidr: default_pod_cidr(),
            service_cidr: default_service_cidr(),
        }
    }
}

/// Which snapshot of the project the servers boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HetznerImage {
    /// Id of the Talos image factory's schematic: 64 hex digits. Default: the schematic without extensions,
    /// `376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba`. Example:
    /// `613e1592b2da41ae5e265e8789429f22e121aab91cb4deb6bc3c0b6262961245`.
    #[serde(default = "default_schematic")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-f]{64}$')")
        .message("is not a schematic id: write the 64 hex digits that the image factory returned"))]
    pub schematic: String,
    /// Label selector of the snapshot, instead of the labels that Helix looks for. Default: Talos version, schematic and
    /// architecture. Example: `helix.dev/talos-version=v1.13.9`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub snapshot_selector: Option<String>,
}

fn default_schematic() -> String {
    "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba".to_owned()
}

impl Default for HetznerImage {
    fn default() -> Self {
        Self { schematic: default_schematic(), snapshot_selector: None }
    }
}
