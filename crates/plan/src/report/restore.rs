//! What is said of an etcd that is lost: the way back, and why a restore that was asked for is not made.

use std::fmt;

use jiff::Timestamp;

use crate::names::MachineName;
use crate::observed::{Flaw, Snapshot};

/// How a lost etcd can be had again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayBack {
    /// From this snapshot, the newest.
    Newest(Snapshot),
    /// From a snapshot, though the bucket tells none of this platform.
    Untold,
    /// There is no bucket.
    NoBucket,
}

impl fmt::Display for WayBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest(snapshot) => write!(
                f,
                "Restore a snapshot by the annotation helix.dev/restore-from=latest on the platform: the newest is of \
                 {:.0}, `{}`",
                snapshot.taken_at, snapshot.key
            ),
            Self::Untold => f.write_str(
                "Restore a snapshot by the annotation helix.dev/restore-from=<key> on the platform; the bucket tells \
                 none of this platform now",
            ),
            Self::NoBucket => f.write_str(
                "Restore a snapshot, if there is one: name its bucket in spec.backup.etcd and its key by the annotation \
                 helix.dev/restore-from on the platform",
            ),
        }
    }
}

/// Why a restore is not made, and what would let it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreRefusal {
    /// There is no bucket to restore from.
    NoBucket,
    /// The annotation's value has had its restore.
    Done {
        /// When that was begun.
        at: Timestamp,
    },
    /// The snapshot cannot be restored here.
    Flawed(Flaw),
    /// A server that would have to go is on hold.
    Held(MachineName),
}

impl fmt::Display for RestoreRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBucket => f.write_str("spec.backup.etcd names no bucket that it could be in; write one there"),
            Self::Done { at } => write!(
                f,
                "the annotation helix.dev/restore-from had its restore at {at:.0}; name another snapshot by its key to \
                 restore once more"
            ),
            Self::Flawed(flaw) => {
                write!(f, "{flaw}; name another snapshot by the annotation helix.dev/restore-from")
            }
            Self::Held(machine) => {
                write!(f, "{machine} has to go first and is on hold; take helix.dev/hold from its HelixMachine")
            }
        }
    }
}
