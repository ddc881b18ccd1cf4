//! What badges showed at earlier times: one line of JSON for each run, bounded. For charts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Judged;

/// Lines that are kept: three weeks of one run every quarter of an hour.
pub const HISTORY_LINES: usize = 2_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    at: Timestamp,
    values: BTreeMap<String, f64>,
}

/// The lines of `history.jsonl`, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    lines: Vec<Line>,
    unreadable: usize,
}

impl History {
    /// Reads what was written earlier. A line that means nothing is left out and counted.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut history = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(line) => history.lines.push(line),
                Err(_) => history.unreadable += 1,
            }
        }
        history
    }

    /// How many lines meant nothing.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// Adds what was observed now; the oldest lines go.
    pub fn add(&mut self, badges: &[Judged], now: Timestamp) {
        let values = badges.iter().filter_map(|judged| Some((judged.row.slug.to_owned(), judged.value?))).collect();
        let at = Timestamp::from_second(now.as_second()).unwrap_or(now);
        self.lines.push(Line { at, values });
        let too_many = self.lines.len().saturating_sub(HISTORY_LINES);
        self.lines.drain(..too_many);
    }

    /// The text to write.
    ///
    /// # Errors
    /// Never: numbers and names are always JSON. The serialiser does not know.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let lines = self.lines.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        Ok(lines.into_iter().map(|line| line + "\n").collect())
    }
}
