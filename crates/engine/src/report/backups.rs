//! What status, conditions and events say of snapshots of etcd: how old the newest is, when the next is due, and what stands
//! in its way; and what conditions say of backups of databases. They hold up no phase, so they are told apart from the phases.

use helix_crds::{BackupStatus, HelixPlatformStatus, SnapshotStatus};
use helix_plan::observed::Missing;
use helix_plan::phases::Concern;
use helix_plan::report::{State, Wait};
use helix_plan::validated::EtcdBackup;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Event, Told};

/// The condition that says whether etcd is saved as often as the schedule asks for.
pub(super) const CONDITION: &str = "EtcdBackedUp";

/// The condition that says whether databases are backed up as often as their schedules ask for.
pub(super) const DATABASES: &str = "DatabasesBackedUp";

/// What the bucket tells; what it told last where it does not.
pub(super) fn status(told: &Told<'_>) -> Option<BackupStatus> {
    let backup = told.validated.backup.as_ref()?;
    let next_at = backup.schedule.next(told.now).map(Time);
    let (Some(snapshots), observed_at) =
        (told.observed.backups.snapshots.value(), told.observed.backups.snapshots.at())
    else {
        let last = told.platform.status.as_ref().and_then(|status| status.backup.clone());
        let last = last.filter(|last| last.bucket == backup.bucket.name && last.folder == backup.bucket.folder);
        return Some(BackupStatus { next_at, ..last.unwrap_or_else(|| empty(backup)) });
    };
    let newest = snapshots.last().map(|newest| SnapshotStatus {
        key: newest.key.clone(),
        taken_at: Time(newest.taken_at),
        size_bytes: newest.size_bytes,
    });
    Some(BackupStatus {
        snapshots: u32::try_from(snapshots.len()).unwrap_or(u32::MAX),
        newest,
        next_at,
        observed_at: observed_at.map(Time),
        ..empty(backup)
    })
}

fn empty(backup: &EtcdBackup) -> BackupStatus {
    let (bucket, folder) = (backup.bucket.name.clone(), backup.bucket.folder.clone());
    BackupStatus { bucket, folder, ..BackupStatus::default() }
}

/// Whether etcd is saved, with the reason and the message of the condition; `None` where nobody asks for it. Whether it is
/// may be unknown, too.
pub(super) fn judge(told: &Told<'_>) -> Option<(Option<bool>, &'static str, String)> {
    told.validated.backup.as_ref()?;
    Some(match told.plan.report.of(Concern::Backups)? {
        State::Done(seen) => {
            let seen = seen.iter().map(|seen| seen.what.as_str()).collect::<Vec<_>>().join(", ");
            (Some(true), "Saved", seen)
        }
        State::Unknown(missing @ Missing::Refused { .. }) => (Some(false), "BucketRefused", missing.to_string()),
        State::Unknown(missing) => (None, "BucketUnreachable", missing.to_string()),
        State::WaitingOn(wait @ (Wait::Concern(_) | Wait::Phase(_))) => (Some(false), "NoCluster", wait.to_string()),
        State::WaitingOn(wait @ Wait::Retry { .. }) => (Some(false), "SnapshotFailed", wait.to_string()),
        State::WaitingOn(wait) => (Some(false), "Late", wait.to_string()),
        State::Blocked(block) => (Some(false), block.reason(), block.to_string()),
        State::Progressing => (Some(false), "Late", "old snapshots are being deleted".to_owned()),
    })
}

/// Whether databases are backed up, with the reason and the message of the condition; `None` where nobody asks for it.
pub(super) fn judge_databases(told: &Told<'_>) -> Option<(Option<bool>, &'static str, String)> {
    told.validated.layers.postgres.iter().find(|database| database.backup.is_some())?;
    Some(match told.plan.report.of(Concern::DatabaseBackups)? {
        State::Done(seen) => {
            let seen = seen.iter().map(|seen| seen.what.as_str()).collect::<Vec<_>>().join(", ");
            (Some(true), "Saved", seen)
        }
        State::WaitingOn(wait @ Wait::DatabaseBackups(_)) => (Some(false), "Late", wait.to_string()),
        State::WaitingOn(wait) => (Some(false), "NoDatabase", wait.to_string()),
        State::Unknown(missing) => (None, "NotObserved", missing.to_string()),
        State::Blocked(block) => (Some(false), block.reason(), block.to_string()),
        State::Progressing => return None,
    })
}

/// That snapshots have become late, or are in time again: once for each change of the condition.
pub(crate) fn event(last: Option<&HelixPlatformStatus>, now: &HelixPlatformStatus) -> Option<Event> {
    let of = |status: &HelixPlatformStatus| -> Option<Condition> {
        status.conditions.iter().find(|condition| condition.type_ == CONDITION).cloned()
    };
    let (before, after) = (last.and_then(of)?, of(now)?);
    if before.status == after.status || before.reason == "NoCluster" {
        return None;
    }
    let (reason, warning) = if after.status == "True" { ("SnapshotsInTime", false) } else { ("SnapshotsLate", true) };
    Some(Event { reason, message: after.message, warning })
}
