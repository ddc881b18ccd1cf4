//! What a machine tells about itself: the log behind Talos' event stream. It lives in memory, so a boot starts it anew.

use std::collections::VecDeque;

use super::guest::Stage;

/// How many events a machine keeps.
const KEPT: usize = 1000;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A sequence (as in `boot`, `reboot`) began or ended.
    Sequence {
        /// Its name.
        name: &'static str,
        /// Whether it began; else it ended.
        began: bool,
        /// Why it failed, if it did.
        error: Option<String>,
    },
    /// The machine's stage or readiness changed.
    Status {
        /// The stage.
        stage: Stage,
        /// Whether it counts as ready.
        ready: bool,
    },
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Grows within one boot.
    pub number: u64,
    /// The call that caused it; empty if none did.
    pub actor: String,
    /// What happened.
    pub what: Happening,
}

/// The log.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    entries: VecDeque<Entry>,
    next: u64,
}

impl EventLog {
    pub(super) fn record(&mut self, actor: &str, what: Happening) {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { number: self.next, actor: actor.to_owned(), what });
        self.next += 1;
    }

    /// The entries with this number or a higher one.
    pub fn since(&self, number: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.number >= number)
    }

    /// The number that the next entry will have.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The last status that was told.
    pub(super) fn last_status(&self) -> Option<(Stage, bool)> {
        self.entries.iter().rev().find_map(|entry| match &entry.what {
            Happening::Status { stage, ready } => Some((*stage, *ready)),
            Happening::Sequence { .. } => None,
        })
    }
}
