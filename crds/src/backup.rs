//! Backups: when, for how long, and where to.
//!
//! Restoring is asked for by the annotation `helix.dev/restore-from` or by `data.postgres[].recoverFrom`.

use crate::reference::S3Target;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Backups of the platform itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backups {
    /// Snapshots of etcd. Default: none. Example: `{schedule: "*/30 * * * *", retention: 7d, s3: {endpoint:
    /// "https://fsn1.your-objectstorage.com", bucket: acme-backups, credentialsSecretRef: {name: backup-s3}}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etcd: Option<Backup>,
}

/// A repeated backup to a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backup {
    /// Cron schedule of five fields, in UTC. Required. Example: `"0 0 * * *"`.
    #[schemars(length(min = 9, max = 100))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}$')")
        .message("is not a cron schedule of five fields: write for example \"0 0 * * *\""))]
    pub schedule: String,
    /// How long backups are kept: hours, days or weeks. Default: `7d`. Example: `30d`.
    #[serde(default = "default_retention")]
    #[schemars(length(max = 8))]
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]{0,3}[hdw]$')")
        .message("is not a span: write a number and h, d or w, for example 30d"))]
    pub retention: String,
    /// Bucket that backups are written to. Required. Example: `{endpoint: "https://fsn1.your-objectstorage.com", bucket:
    /// acme-backups, credentialsSecretRef: {name: backup-s3}}`.
    pub s3: S3Target,
}

fn default_retention() -> String {
    "7d".to_owned()
}
