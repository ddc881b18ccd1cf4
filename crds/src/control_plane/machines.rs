//! Control planes and worker pools: how many, of which type, where, and what they carry.
//!
//! Names of machines are not chosen here: they are `<platform>-<pool>-<slot>`.

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A piece of Talos machine config, merged strategically into what Helix renders.
pub type MachineConfigPatch = serde_json::Map<String, serde_json::Value>;

/// The machines that run etcd and the Kubernetes control plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlPlane {
    /// Number of control-plane machines: 1, 3 or 5. Default: `3`. Example: `5`.
    #[serde(default = "default_control_plane_replicas")]
    #[x_kube(validation = Rule::new("self in [1, 3, 5]")
        .message("etcd needs an odd number of members, at most five: write 1, 3 or 5"))]
    pub replicas: u32,
    /// Server types and locations in the order they are tried; an unavailable one is skipped for a while. Required, at
    /// least one. Example: `[{serverType: cax21, location: fsn1}, {serverType: cpx32, location: nbg1}]`.
    #[schemars(length(min = 1, max = 20))]
    #[x_kube(validation = Rule::new("self.size() > 0")
        .message("is empty: write at least one, for example [{serverType: cx33, location: fsn1}]"))]
    pub placements: Vec<Placement>,
    /// How the machines are kept apart: `Location` (over the placements' locations), `Host` (placement groups) or `None`.
    /// Default: `Location`. Example: `Host`.
    #[serde(default)]
    pub spread: Spread,
    /// Pieces of Talos machine config, merged strategically in their order into every control plane's config and validated
    /// before use. Default: `[]`. Example: `[{machine: {sysctls: {vm.max_map_count: "262144"}}}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), schema_with = "machine_config_patches")]
    pub machine_config_patches: Vec<MachineConfigPatch>,
}

fn default_control_plane_replicas() -> u32 {
    3
}

/// A server type in a location.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Placement {
    /// Name of the provider's server type. Required. Example: `cax21`.
    #[schemars(length(min = 1, max = 32))]
    pub server_type: String,
    /// Name of the provider's location, inside the network's zone. Required. Example: `fsn1`.
    #[schemars(length(min = 1, max = 32))]
    pub location: String,
}

/// How machines are kept apart: `Location`, `Host` or `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Spread {
    /// Over the locations of the placements, and over hosts within one.
    #[default]
    Location,
    /// Over hosts, by placement groups.
    Host,
    /// Not at all.
    None,
}

/// A group of equal worker machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.replicas) != has(self.autoscale)")
    .message("has both or neither of replicas and autoscale: write exactly one, for example replicas: 3"))]
pub struct WorkerPool {
    /// Name of the pool, part of its machines' names: 1 to 15 lower-case letters and digits; `cp` is the control planes'.
    /// Required. Example: `general`.
    #[schemars(length(min = 1, max = 15))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]{1,15}$')")
            .message("has more than lower-case letters and digits: write 1 to 15 of a-z and 0-9, for example general"),
        validation = Rule::new("self != 'cp'").message("cp is the control planes' pool: write another name, for example general")
    )]
    pub name: String,
    /// Number of machines. Exactly one of `replicas` and `autoscale` is given. Default: none. Example: `3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub replicas: Option<u32>,
    /// Bounds between which the number of machines follows the demand. Default: none. Example: `{min: 2, max: 20}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
    /// Server types and locations in the order they are tried; an unavailable one is skipped for a while. Required, at
    /// least one. Example: `[{serverType: cx33, location: fsn1}, {serverType: cx33, location: hel1}]`.
    #[schemars(length(min = 1, max = 20))]
    #[x_kube(validation = Rule::new("self.size() > 0")
        .message("is empty: write at least one, for example [{serverType: cx33, location: fsn1}]"))]
    pub placements: Vec<Placement>,
    /// Most that one machine may cost, in EUR per month, net; a dearer placement is not taken. Default: no bound. Example:
    /// `"12.50"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 12))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]+([.][0-9]{1,4})?$')")
        .message("is not an amount of EUR: write a quoted decimal number, for example \"12.50\""))]
    pub max_monthly_price: Option<String>,
    /// Labels of the nodes. Default: `{}`. Example: `{workload: general}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50), schema_with = "label_map")]
    pub labels: BTreeMap<String, String>,
    /// Taints of the nodes. Default: `[]`. Example: `[{key: dedicated, value: gpu, effect: NoSchedule}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub taints: Vec<Taint>,
    /// Room for replicated volumes; decided at first boot, so that adding it later replaces the pool's machines. Default:
    /// none. Example: `{volume: 100Gi}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<PoolStorage>,
    /// Pieces of Talos machine config, merged strategically in their order into the config of every machine of the pool
    /// and validated before use. Default: `[]`. Example: `[{machine: {sysctls: {vm.max_map_count: "262144"}}}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), schema_with = "machine_config_patches")]
    pub machine_config_patches: Vec<MachineConfigPatch>,
}

/// Bounds of a pool whose size follows the demand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self.min <= self.max")
    .message("min is greater than max: write min no greater than max, for example {min: 2, max: 20}"))]
pub struct Autoscale {
    /// Fewest machines; zero lets the pool vanish while nothing needs it. Required. Example: `2`.
    #[schemars(range(max = 1000))]
    pub min: u32,
    /// Most machines. Required. Example: `20`.
    #[schemars(range(min = 1, max = 1000))]
    pub max: u32,
}

/// A taint of a node, as Kubernetes has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taint {
    /// Key of the taint. Required. Example: `dedicated`.
    #[schemars(length(min = 1, max = 316))]
    pub key: String,
    /// Value of the taint. Default: none. Example: `gpu`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// What happens to pods that don't tolerate the taint: `NoSchedule`, `PreferNoSchedule` or `NoExecute`. Required.
    /// Example: `NoSchedule`.
    pub effect: TaintEffect,
}

/// What a taint does: `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away if there is another node.
    PreferNoSchedule,
    /// Running pods leave, too.
    NoExecute,
}

impl TaintEffect {
    /// The effect as Kubernetes spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// Room for replicated volumes on each machine of a pool: a part of the system disk or a volume of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.systemDisk) != has(self.volume)")
    .message("has both or neither of systemDisk and volume: write exactly one, for example {volume: 100Gi}"))]
pub struct PoolStorage {
    /// Part of the server's own disk, in bytes with a unit. Default: none. Example: `40Gi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))")
        .message("is not a positive quantity: write a number with a unit, for example 40Gi"))]
    pub system_disk: Option<String>,
    /// Size of a volume that is attached to each machine, in bytes with a unit; 10 GB to 10 TB. Default: none. Example:
    /// `100Gi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))")
        .message("is not a positive quantity: write a number with a unit, for example 100Gi"))]
    pub volume: Option<String>,
}

fn machine_config_patches(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
    })
}

fn label_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}})
}
