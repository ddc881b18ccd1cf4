//! Phase `StateAndDataHa`: replicated volumes, PostgreSQL and Redis.
//!
//! Whether a pool has room for the volumes is judged by the planner.

use crate::backup::Backup;
use crate::reference::S3Target;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The data layer of the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Data {
    /// Replicated volumes; refused where the pools have no `storage`. Default: none is installed. Example: `{replicas: 2}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longhorn: Option<Longhorn>,
    /// PostgreSQL clusters. Default: `[]`. Example: `[{name: main, storage: 20Gi}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub postgres: Vec<Postgres>,
    /// Redis instances. Default: `[]`. Example: `[{name: cache, sentinel: true}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub redis: Vec<Redis>,
}

/// Replicated volumes by Longhorn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Longhorn {
    /// Version of the chart, without a leading `v`. Default: `1.12.1`. Example: `1.12.1`.
    #[serde(default = "default_longhorn_version")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]+[.][0-9]+[.][0-9]+$')")
        .message("is not a chart version: write it as X.Y.Z, for example 1.12.1"))]
    pub version: String,
    /// Copies of each volume, on as many machines. Default: `3`. Example: `2`.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 10))]
    pub replicas: u32,
    /// Where volumes are backed up to, as Longhorn writes it. Default: none. Example: `s3://acme-backups@fsn1/longhorn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub backup_target: Option<String>,
}

fn default_longhorn_version() -> String {
    "1.12.1".to_owned()
}

fn three() -> u32 {
    3
}

/// A PostgreSQL cluster by CloudNativePG.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Postgres {
    /// Name of the cluster. Required. Example: `main`.
    #[schemars(length(min = 1, max = 50))]
    pub name: String,
    /// Instances: one primary, the others replicas. Default: `3`. Example: `1`.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 9))]
    pub instances: u32,
    /// Size of each instance's volume, in bytes with a unit. Default: `20Gi`. Example: `100Gi`.
    #[serde(default = "default_postgres_storage")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))")
        .message("is not a positive quantity: write a number with a unit, for example 20Gi"))]
    pub storage: String,
    /// Base backups and write-ahead log. Default: none. Example: `{schedule: "0 0 * * *", retention: 30d, s3: {endpoint:
    /// "https://fsn1.your-objectstorage.com", bucket: acme-backups, credentialsSecretRef: {name: backup-s3}}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// Backup that the cluster begins from; read at its creation only. Default: an empty cluster. Example: `{cluster: main,
    /// targetTime: 2026-11-20T12:00:00Z, s3: {endpoint: "https://fsn1.your-objectstorage.com", bucket: acme-backups,
    /// credentialsSecretRef: {name: backup-s3}}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recover_from: Option<PostgresRecovery>,
}

fn default_postgres_storage() -> String {
    "20Gi".to_owned()
}

/// A backup of a PostgreSQL cluster, and the moment to recover to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PostgresRecovery {
    /// Bucket that holds the backup. Required. Example: `{endpoint: "https://fsn1.your-objectstorage.com", bucket:
    /// acme-backups, credentialsSecretRef: {name: backup-s3}}`.
    pub s3: S3Target,
    /// Name of the cluster that was backed up. Default: this cluster's name. Example: `main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    pub cluster: Option<String>,
    /// Moment to recover to, RFC 3339. Default: the newest. Example: `2026-11-20T12:00:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 35), extend("format" = "date-time"))]
    pub target_time: Option<String>,
}

/// A Redis instance with its replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!self.sentinel || self.replicas >= 3")
    .message("sentinel needs a majority to elect by: write replicas: 3 or more, or sentinel: false"))]
pub struct Redis {
    /// Name of the instance. Required. Example: `cache`.
    #[schemars(length(min = 1, max = 50))]
    pub name: String,
    /// Servers: one primary, the others replicas. Default: `3`. Example: `1`.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 9))]
    pub replicas: u32,
    /// Whether Sentinel elects another primary by itself. Default: `true`. Example: `false`.
    #[serde(default = "default_sentinel")]
    pub sentinel: bool,
}

fn default_sentinel() -> bool {
    true
}
