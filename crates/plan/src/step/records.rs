//! Changes of DNS records.

use serde::Serialize;

use crate::observed::{Record, host};

/// What is to become of a record at Hetzner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum RecordChange {
    /// Add it.
    Create(Record),
    /// Let it lead elsewhere.
    Set(Record),
    /// Delete it.
    Delete {
        /// The zone.
        zone: String,
        /// The name within it.
        name: String,
    },
}

impl RecordChange {
    /// The whole name that it is about.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Self::Create(record) | Self::Set(record) => record.host(),
            Self::Delete { zone, name } => host(zone, name),
        }
    }

    /// What it does, as a verb in the imperative.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Set(_) => "change",
            Self::Delete { .. } => "delete",
        }
    }
}
