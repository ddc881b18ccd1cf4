//! A PostgreSQL cluster as CloudNativePG reads it, with its backups and what it begins from.

use helix_crds::{Backup, PostgresRecovery, S3Target};
use serde_json::{Value, json};

use crate::components::hcloud_csi;
use crate::components::values::merged;
use crate::validated::Layers;

/// The name under which a cluster knows what it is recovered from.
const ORIGIN: &str = "origin";

/// A cluster.
pub(in crate::components) struct Instances<'a> {
    pub(in crate::components) namespace: &'a str,
    pub(in crate::components) name: &'a str,
    /// What the database and its owner are called.
    pub(in crate::components) database: &'a str,
    pub(in crate::components) count: u32,
    /// Size of each instance's volume.
    pub(in crate::components) storage: &'a str,
    pub(in crate::components) backup: Option<&'a Backup>,
    pub(in crate::components) recover_from: Option<&'a PostgresRecovery>,
}

pub(in crate::components) fn cluster(wanted: &Instances<'_>, layers: &Layers) -> Value {
    // Where there are machines enough no two instances share one; where there are not, they had better run than wait.
    let kept_apart = if wanted.count <= layers.machines { "required" } else { "preferred" };
    let spec = json!({
        "instances": wanted.count,
        "storage": {"size": wanted.storage, "storageClass": hcloud_csi::STORAGE_CLASS},
        "affinity": {
            "enablePodAntiAffinity": true,
            "podAntiAffinityType": kept_apart,
            "topologyKey": "kubernetes.io/hostname",
        },
        "enablePDB": wanted.count > 1,
        "primaryUpdateStrategy": "unsupervised",
        "bootstrap": bootstrap(wanted),
    });
    let spec = match wanted.backup {
        Some(backup) => merged(
            spec,
            &json!({"backup": {
                "barmanObjectStore": object_store(&backup.s3, &server_name(wanted), layers),
                "retentionPolicy": retention(&backup.retention),
            }}),
        ),
        None => spec,
    };
    let spec = match wanted.recover_from {
        Some(source) => {
            let store = object_store(&source.s3, origin_name(wanted, source), layers);
            merged(spec, &json!({"externalClusters": [{"name": ORIGIN, "barmanObjectStore": store}]}))
        }
        None => spec,
    };
    json!({
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": wanted.name, "namespace": wanted.namespace},
        "spec": spec,
    })
}

/// When the cluster is backed up. CloudNativePG counts seconds, too.
pub(in crate::components) fn scheduled_backup(wanted: &Instances<'_>) -> Option<Value> {
    let backup = wanted.backup?;
    Some(json!({
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "ScheduledBackup",
        "metadata": {"name": wanted.name, "namespace": wanted.namespace},
        "spec": {
            "cluster": {"name": wanted.name},
            "schedule": format!("0 {}", backup.schedule),
            "backupOwnerReference": "cluster",
            "immediate": true,
        },
    }))
}

fn bootstrap(wanted: &Instances<'_>) -> Value {
    let database = json!({"database": wanted.database, "owner": wanted.database});
    let Some(source) = wanted.recover_from else { return json!({"initdb": database}) };
    let recovery = merged(database, &json!({"source": ORIGIN}));
    match &source.target_time {
        Some(time) => json!({"recovery": merged(recovery, &json!({"recoveryTarget": {"targetTime": time}}))}),
        None => json!({"recovery": recovery}),
    }
}

/// The name under which the source of a recovery wrote its backups.
fn origin_name<'a>(wanted: &Instances<'a>, source: &'a PostgresRecovery) -> &'a str {
    source.cluster.as_deref().unwrap_or(wanted.name)
}

/// The name under which a cluster writes its backups. A recovered one must not write over what it was recovered from:
/// CloudNativePG refuses an archive that is not empty.
fn server_name(wanted: &Instances<'_>) -> String {
    match wanted.recover_from {
        Some(source) => format!("{}-recovered", origin_name(wanted, source)),
        None => wanted.name.to_owned(),
    }
}

fn object_store(s3: &S3Target, server_name: &str, layers: &Layers) -> Value {
    let prefix = s3.prefix.as_deref().unwrap_or(&layers.identity.name);
    let secret = &s3.credentials_secret_ref.name;
    let key = |key: &str| json!({"name": secret, "key": key});
    let mut credentials = json!({"accessKeyId": key("accessKeyId"), "secretAccessKey": key("secretAccessKey")});
    if s3.region.is_some() {
        credentials = merged(credentials, &json!({"region": key("region")}));
    }
    json!({
        "destinationPath": format!("s3://{}/{prefix}", s3.bucket),
        "endpointURL": s3.endpoint,
        "serverName": server_name,
        "s3Credentials": credentials,
        "wal": {"compression": "gzip"},
        "data": {"compression": "gzip"},
    })
}

/// A span as CloudNativePG reads it: it knows no hours, so these become the days that hold them.
fn retention(span: &str) -> String {
    const HOURS_OF_A_DAY: u32 = 24;
    match span.strip_suffix('h').and_then(|hours| hours.parse::<u32>().ok()) {
        Some(hours) => format!("{}d", hours.div_ceil(HOURS_OF_A_DAY).max(1)),
        None => span.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_become_days() {
        assert_eq!(retention("36h"), "2d");
        assert_eq!(retention("4w"), "4w");
    }
}
