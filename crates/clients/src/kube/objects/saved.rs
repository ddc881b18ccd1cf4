//! PostgreSQL clusters and their newest backups, as CloudNativePG tells them: in the cluster's own status, and by its backups.

use helix_engine::seams::WorkloadError;
use helix_plan::observed::SavedDatabase;
use jiff::Timestamp;
use serde_json::Value;

use super::cluster::Cluster;
use super::compare::name_of;

/// Group and version of CloudNativePG's kinds.
const API: &str = "postgresql.cnpg.io/v1";

impl Cluster {
    /// The clusters of a namespace; none where the cluster does not know the kind.
    pub(super) async fn saved_databases(&self, namespace: &str) -> Result<Vec<SavedDatabase>, WorkloadError> {
        let clusters = self.all_of("Cluster", namespace).await?;
        if clusters.is_empty() {
            return Ok(Vec::new());
        }
        let backups = self.all_of("Backup", namespace).await?;
        Ok(clusters.iter().filter_map(|cluster| saved(cluster, &backups)).collect())
    }

    async fn all_of(&self, kind: &str, namespace: &str) -> Result<Vec<Value>, WorkloadError> {
        let Some(kind) = self.kind(API, kind).await? else { return Ok(Vec::new()) };
        Ok(self.list(&kind, Some(namespace), "").await?.unwrap_or_default())
    }
}

fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    object.pointer(pointer)?.as_str()?.parse().ok()
}

fn saved(cluster: &Value, backups: &[Value]) -> Option<SavedDatabase> {
    let name = name_of(cluster);
    let completed = backups.iter().filter(|backup| {
        backup["spec"]["cluster"]["name"] == name.as_str() && backup["status"]["phase"] == "completed"
    });
    // Newer versions of the operator tell it by the backups alone.
    let newest = completed.filter_map(|backup| time(backup, "/status/stoppedAt"));
    let newest = newest.chain(time(cluster, "/status/lastSuccessfulBackup")).max();
    Some(SavedDatabase { since: time(cluster, "/metadata/creationTimestamp")?, name, newest })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_backup_that_succeeded_counts_wherever_it_is_told() {
        let cluster = |status: Value| json!({"metadata": {"name": "main", "creationTimestamp": "2026-11-01T00:00:00Z"}, "status": status});
        let backup = |of: &str, phase: &str, day: &str| {
            let status = json!({"phase": phase, "stoppedAt": format!("2026-11-{day}T00:00:00Z")});
            json!({"spec": {"cluster": {"name": of}}, "status": status})
        };
        let backups = [
            backup("main", "completed", "03"),
            backup("main", "completed", "02"),
            backup("main", "failed", "05"),
            backup("other", "completed", "06"),
        ];
        let newest = |cluster: &Value, backups: &[Value]| {
            saved(cluster, backups).unwrap().newest.map(|newest| newest.to_string())
        };
        assert_eq!(newest(&cluster(json!({})), &backups).as_deref(), Some("2026-11-03T00:00:00Z"));
        let told = cluster(json!({"lastSuccessfulBackup": "2026-11-04T00:00:00Z"}));
        assert_eq!(newest(&told, &backups).as_deref(), Some("2026-11-04T00:00:00Z"));
        assert_eq!(newest(&cluster(json!({})), &[]), None);
    }
}
