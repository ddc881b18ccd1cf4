//! The snapshot of etcd that is being taken beside the turns: no turn waits for a bucket, however slow it is.
//!
//! One at a time. It lives in memory alone: a process that is stopped has taken none, and the next plan finds it due.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use helix_plan::observed::SnapshotFailure;
use jiff::Timestamp;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The snapshot of that key is in the bucket.
    Taken(String),
    /// There is none.
    Failed(SnapshotFailure),
}

#[derive(Debug, Default)]
struct State {
    since: Option<Timestamp>,
    ended: Option<Ended>,
}

/// The one attempt. Clones share it: one is with the turns, one with the attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct InHand(Arc<Mutex<State>>);

impl InHand {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an attempt; says no while one is under way.
    pub(crate) fn begin(&self, now: Timestamp) -> bool {
        let mut state = self.lock();
        let free = state.since.is_none();
        state.since.get_or_insert(now);
        free
    }

    /// The attempt has come to its end.
    pub(crate) fn end(&self, how: Ended) {
        *self.lock() = State { since: None, ended: Some(how) };
    }

    /// Since when an attempt has been under way.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.lock().since
    }

    /// How the last attempt ended, once.
    pub(crate) fn take_news(&self) -> Option<Ended> {
        self.lock().ended.take()
    }
}
