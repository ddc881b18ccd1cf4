//! Facts about snapshots of etcd: what is in the bucket, and whether one of them can be restored.

use std::fmt;

use jiff::{Timestamp, tz};
use serde::{Deserialize, Serialize};

use super::{Fact, Missing};
use crate::names::MachineName;

/// What is known of backups.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupFacts {
    /// This platform's own snapshots, oldest first.
    pub snapshots: Fact<Vec<Snapshot>>,
    /// The snapshot that a restore would use, looked at from end to end; missing where none is asked for.
    pub candidate: Fact<Candidate>,
    /// Since when a snapshot is being taken, if one is.
    pub under_way: Option<Timestamp>,
    /// What the last attempt at one met, if it failed.
    pub failure: Option<SnapshotFailure>,
}

impl BackupFacts {
    /// Nothing was looked at.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            snapshots: Fact::Missing(Missing::NotThereYet),
            candidate: Fact::Missing(Missing::NotThereYet),
            under_way: None,
            failure: None,
        }
    }

    /// The newest of the platform's own snapshots.
    #[must_use]
    pub fn newest(&self) -> Option<&Snapshot> {
        self.snapshots.value()?.last()
    }
}

/// A snapshot in the bucket, as its listing tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its key.
    pub key: String,
    /// Its size, encrypted.
    pub size_bytes: u64,
    /// When it was taken, to the second, as its key says.
    pub taken_at: Timestamp,
}

/// A snapshot that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFailure {
    /// When it was given up.
    pub at: Timestamp,
    /// What it met.
    pub message: String,
}

/// How keys tell the time: they sort as the snapshots were taken.
const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// What a key ends with.
const SUFFIX: &str = ".etcd.age";

impl Snapshot {
    /// The key of a snapshot that is taken now.
    #[must_use]
    pub fn key(folder: &str, now: Timestamp) -> String {
        format!("{folder}{}{SUFFIX}", now.strftime(STAMP))
    }

    /// A listed object; `None` where its key is not one of this folder's snapshots.
    #[must_use]
    pub fn listed(folder: &str, key: &str, size_bytes: u64) -> Option<Self> {
        let stamp = key.strip_prefix(folder)?.strip_suffix(SUFFIX)?;
        let taken_at = jiff::civil::DateTime::strptime(STAMP, stamp).ok()?;
        let taken_at = taken_at.to_zoned(tz::TimeZone::UTC).ok()?.timestamp();
        Some(Self { key: key.to_owned(), size_bytes, taken_at })
    }
}

/// A snapshot that a restore asks for, and whether it can be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its key.
    pub key: String,
    /// What was found.
    pub verdict: Result<(), Flaw>,
}

/// Why a snapshot cannot be restored here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The bucket has no such key.
    #[error("the bucket has no object of that key")]
    Absent,
    /// It is larger than any snapshot of Helix.
    #[error("it is larger than any snapshot that Helix takes")]
    TooLarge,
    /// It is no snapshot of Helix at all.
    #[error("it is not a snapshot that Helix has taken")]
    Foreign,
    /// It was taken of another cluster.
    #[error("it was taken of another cluster")]
    OtherCluster,
    /// It cannot be decrypted with this platform's key.
    #[error("it is encrypted with another key than this platform's")]
    OtherKey,
    /// Its end is missing, or it was changed.
    #[error("it is truncated or damaged")]
    Damaged,
}

/// A restore that was begun: what is remembered beside [`super::BootstrapRecord`]. It allows bringing up etcd from this
/// one snapshot on this one server, for as long as the annotation says what it said then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreRecord {
    /// The annotation's value.
    pub request: String,
    /// The snapshot's key.
    pub snapshot: String,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// The control planes' servers of that moment: what is left of the lost etcd.
    pub leftovers: Vec<u64>,
    /// Where etcd comes up again, once that is decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<RestoreTarget>,
    /// When etcd was seen healthy again. Nothing is restored by this record any more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub closed_at: Option<Timestamp>,
}

/// The server that etcd is restored on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreTarget {
    /// The machine.
    pub machine: MachineName,
    /// The server that is this machine now; retries go to that server only.
    pub server_id: u64,
}

impl RestoreRecord {
    /// Whether the record may take the place of this one: where there is none an import may bring back any; what is begun
    /// gets on while it is open, on a server of its own choice; another begins only later.
    #[must_use]
    pub fn may_follow(&self, earlier: Option<&Self>) -> bool {
        let Some(earlier) = earlier else { return true };
        let begins = self.target.is_none() && self.is_open();
        let same = self.request == earlier.request
            && self.snapshot == earlier.snapshot
            && self.begun_at == earlier.begun_at
            && self.leftovers == earlier.leftovers;
        if same { earlier.is_open() } else { begins && self.begun_at > earlier.begun_at }
    }

    /// Whether etcd has not come up by it yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_time_and_only_our_own_are_ours() {
        let at: Timestamp = "2026-11-21T09:05:07Z".parse().unwrap();
        let key = Snapshot::key("prod/u1/", at);
        assert_eq!(key, "prod/u1/20261121T090507Z.etcd.age");
        assert_eq!(Snapshot::listed("prod/u1/", &key, 7).unwrap().taken_at, at);
        for other in ["prod/u2/20261121T090507Z.etcd.age", "prod/u1/notes.txt", "prod/u1/x.etcd.age"] {
            assert_eq!(Snapshot::listed("prod/u1/", other, 7), None, "{other}");
        }
    }
}
