//! `HelixMachine`: the projection of one server, for `kubectl get`, events and intents.
//!
//! It is never the source of truth: it is written from what is observed. Deleting one replaces that machine safely; the
//! annotations `helix.dev/replace` and `helix.dev/hold` are the other intents.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which machine of which platform this is.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "helix.dev",
    version = "v1alpha1",
    kind = "HelixMachine",
    namespaced,
    status = "HelixMachineStatus",
    derive = "PartialEq",
    shortname = "hm",
    category = "helix",
    doc = "One machine of a HelixPlatform, as observed. Helix writes it; deleting it replaces the machine safely.",
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.pool", description = "Pool of the machine"),
    printcolumn(name = "Type", type_ = "string", json_path = ".status.serverType", description = "Server type"),
    printcolumn(
        name = "Location",
        type_ = "string",
        json_path = ".status.location",
        description = "Location of the server"
    ),
    printcolumn(
        name = "Address",
        type_ = "string",
        json_path = ".status.addresses.private",
        description = "Address in the private network"
    ),
    printcolumn(
        name = "Talos",
        type_ = "string",
        json_path = ".status.talosVersion",
        description = "Talos version that runs"
    ),
    printcolumn(
        name = "Ready",
        type_ = "boolean",
        json_path = ".status.ready",
        description = "Whether the machine is healthy"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the machine was made"
    ),
    printcolumn(
        name = "Public",
        type_ = "string",
        json_path = ".status.addresses.publicIpv4",
        description = "Public IPv4 address",
        priority = 1
    ),
    printcolumn(
        name = "Held",
        type_ = "boolean",
        json_path = ".status.held",
        description = "Whether the annotation helix.dev/hold keeps Helix from touching the machine",
        priority = 1
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.state",
        description = "What the machine is doing",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("a machine's identity can't be changed: change the pool in the HelixPlatform instead"))]
pub struct HelixMachineSpec {
    /// Name of the platform, in the same namespace. Required. Example: `dev`.
    #[schemars(length(min = 1, max = 40))]
    pub platform: String,
    /// Name of the pool; control planes are the pool `cp`. Required. Example: `general`.
    #[schemars(length(min = 1, max = 15))]
    pub pool: String,
    /// Place in the pool, which keeps its number whatever happens to the others. Required. Example: `0`.
    pub slot: u32,
}

/// What is known of the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelixMachineStatus {
    /// Id of the server at the provider. Example: `104382911`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_id: Option<u64>,
    /// Type of the server. Example: `cax21`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_type: Option<String>,
    /// Location of the server. Example: `fsn1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Addresses of the server. Example: `{private: 10.0.1.4, publicIpv4: 203.0.113.21}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<MachineAddresses>,
    /// Talos version that runs. Example: `v1.13.9`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talos_version: Option<String>,
    /// Whether the machine is healthy. Example: `true`.
    #[serde(default)]
    pub ready: bool,
    /// Digest of the inputs of the config that was applied last. Example: `4f1c0a7d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_digest: Option<String>,
    /// Whether the annotation `helix.dev/hold` keeps Helix from touching the machine. Example: `true`.
    #[serde(default)]
    pub held: bool,
    /// What the machine is doing, in one line. Example: `waiting for etcd to promote its member`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Generation of the spec that this status is about. Example: `1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` and what it is made of. Example: `[{type: Ready, status: "True", reason: Healthy}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Addresses of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineAddresses {
    /// Address in the private network. Example: `10.0.1.4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private: Option<String>,
    /// Public IPv4 address. Example: `203.0.113.21`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_ipv4: Option<String>,
    /// First address of the public IPv6 network. Example: `2001:db8:1234::1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_ipv6: Option<String>,
}
