//! What went wrong in the last 30 days, as Kubernetes' events told it. An API server forgets events after an hour, so what
//! was seen once is kept.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How far back incidents are told.
const TOLD: SignedDuration = SignedDuration::from_hours(24 * 30);
/// No more are kept; the newest win.
pub const INCIDENTS_KEPT: usize = 500;

/// Something that a warning told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// What it is about, as in `HelixPlatform prod`.
    pub about: String,
    /// A stable word.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// When it was told first.
    pub first: Timestamp,
    /// When it was told last.
    pub last: Timestamp,
    /// How often it was told.
    pub count: u64,
}

/// All that is remembered, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incidents {
    all: Vec<Incident>,
    unreadable: usize,
}

impl Incidents {
    /// Reads what was written earlier. A line that means nothing is left out and counted.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut incidents = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(incident) => incidents.all.push(incident),
                Err(_) => incidents.unreadable += 1,
            }
        }
        incidents
    }

    /// How many lines meant nothing.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// Takes in what is told now. An event that was told before, and has only been counted further, is the same incident.
    pub fn add(&mut self, told: Vec<Incident>, now: Timestamp) {
        for new in told {
            let is_it = |old: &&mut Incident| {
                old.about == new.about
                    && old.reason == new.reason
                    && old.first == new.first
                    && old.message == new.message
            };
            match self.all.iter_mut().find(is_it) {
                Some(old) => {
                    old.last = old.last.max(new.last);
                    old.count = old.count.max(new.count);
                }
                None => self.all.push(new),
            }
        }
        self.all.retain(|incident| now.duration_since(incident.last) <= TOLD);
        self.all.sort_by(|a, b| (b.last, &b.about, &b.reason).cmp(&(a.last, &a.about, &a.reason)));
        self.all.truncate(INCIDENTS_KEPT);
    }

    /// Newest first.
    #[must_use]
    pub fn as_slice(&self) -> &[Incident] {
        &self.all
    }

    /// The text to write.
    ///
    /// # Errors
    /// Never: texts and numbers are always JSON. The serialiser does not know.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let lines = self.all.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        Ok(lines.into_iter().map(|line| line + "\n").collect())
    }
}
