//! What was called, for whoever has to find out why a life went wrong.

use std::collections::VecDeque;
use std::fmt;

use jiff::Timestamp;

/// How many calls are kept.
const KEPT: usize = 60;

/// One external call, or something that happened between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// The number of calls so far.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// The call's name.
    pub name: &'static str,
    /// Whether it may change the outside, and does not only read.
    pub changes: bool,
    /// More about it.
    pub what: String,
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} #{} {} {}", self.at, self.number, self.name, self.what)
    }
}

/// The calls that were made.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    calls: VecDeque<Called>,
    all: bool,
}

impl Trace {
    /// Keeps every call from now on.
    pub(super) fn keep_all(&mut self) {
        self.all = true;
    }

    pub(super) fn add(&mut self, called: Called) {
        if !self.all && self.calls.len() == KEPT {
            self.calls.pop_front();
        }
        self.calls.push_back(called);
    }

    /// Adds to what is said of the last call.
    pub(super) fn say(&mut self, what: impl fmt::Display) {
        if let Some(last) = self.calls.back_mut() {
            if !last.what.is_empty() {
                last.what.push_str("; ");
            }
            last.what.push_str(&what.to_string());
        }
    }

    /// The calls, oldest first.
    pub fn calls(&self) -> impl Iterator<Item = &Called> {
        self.calls.iter()
    }
}
