//! Status badges: what was observed of a platform, judged into Shields' endpoint JSON, its history and `STATUS.md`.
//!
//! Each badge is a [`Row`]: what it is called, where it comes from, how it is worded and coloured, and how old it may be.
//! [`judge`] is the only way from a [`Reading`] to a [`Badge`], so nothing can be typed in: what was not observed says
//! `unknown`, what is older than its bound says `stale`. Nothing is fetched here.

mod applications;
mod history;
mod incidents;
mod platform;
mod queries;
mod rows;
mod scale;
mod status_page;
#[cfg(test)]
mod tests;

use helix_crds::PhaseState;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

pub use applications::{Application, Deployment, Volume, of_applications, of_databases, of_volumes, share};
pub use history::{HISTORY_LINES, History};
pub use incidents::{INCIDENTS_KEPT, Incident, Incidents};
pub use platform::{Evidence, Phase, phases, readings as of_platform};
pub use queries::{AT, PART, VALUE, of_metrics, query};
pub use rows::{ROWS, Row, Source, row};
pub use scale::{Scale, Steps};
pub use status_page::{Page, page};

/// Shields takes nothing shorter than this for how long a badge may be kept.
const CACHE_SECONDS: u32 = 300;

/// By so much two clocks may differ before a time counts as lying in the future.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

/// Shields' names of colours, from best to worst, and two that judge nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// As it is to be.
    BrightGreen,
    /// Well.
    Green,
    /// To be looked at.
    Yellow,
    /// To be looked at soon.
    Orange,
    /// Not as it is to be, or stale.
    Red,
    /// A figure that is neither good nor bad.
    Blue,
    /// There is nothing, and nothing was asked for.
    LightGrey,
    /// Unknown.
    Grey,
}

/// A badge as Shields takes it from an endpoint: <https://shields.io/badges/endpoint-badge>.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Badge {
    /// Always 1.
    pub schema_version: u8,
    /// The left text.
    pub label: &'static str,
    /// The right text; never empty.
    pub message: String,
    /// The right colour.
    pub color: Color,
    /// Whether it is unknown or stale: nobody who shows it may colour it otherwise then.
    pub is_error: bool,
    /// A slug of Simple Icons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named_logo: Option<&'static str>,
    /// How long it may be kept.
    pub cache_seconds: u32,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// A number in the unit of the row's scale.
    Number(f64),
    /// So many of all are as they are to be.
    Share {
        /// Those that are.
        well: u64,
        /// All of them.
        all: u64,
    },
    /// A phase's state.
    Phase(PhaseState),
    /// How something ended, and of what, in a word: a commit.
    Verdict {
        /// Whether it ended well.
        good: bool,
        /// Of what.
        of: String,
    },
    /// Weaknesses that were found, by severity.
    Findings {
        /// Critical ones.
        critical: u64,
        /// High ones.
        high: u64,
        /// All of them.
        all: u64,
    },
}

/// What a source said of one badge.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// It was observed.
    Observed {
        /// What.
        measured: Measured,
        /// When it was so: the time of the observation, not of the question.
        at: Timestamp,
    },
    /// It was there at that time and has no value now.
    Vanished {
        /// When it was there last.
        at: Timestamp,
    },
    /// Nobody was asked.
    NotAsked {
        /// How to have it asked.
        remedy: String,
    },
    /// The answer is missing or means nothing.
    Failed {
        /// Why, with what to do.
        why: String,
    },
}

impl Reading {
    /// It was not to be had.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::Failed { why: why.into() }
    }

    /// A number that was observed.
    #[must_use]
    pub fn number(value: f64, at: Timestamp) -> Self {
        Self::Observed { measured: Measured::Number(value), at }
    }
}

/// A badge with what lies behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Whose it is.
    pub row: &'static Row,
    /// What is shown.
    pub badge: Badge,
    /// For the history: only what is neither unknown nor stale.
    pub value: Option<f64>,
    /// When it was observed.
    pub at: Option<Timestamp>,
    /// Why it is unknown or stale; the reason of [`Reading::NotAsked`], too.
    pub why: Option<String>,
    /// Whether somebody has to be told: what was asked for is not to be had.
    pub is_amiss: bool,
}

/// Turns a reading into its badge.
#[must_use]
pub fn judge(row: &'static Row, reading: &Reading, now: Timestamp) -> Judged {
    let (measured, at) = match reading {
        Reading::NotAsked { remedy } => return unknown(row, None, remedy.clone(), false),
        Reading::Failed { why } => return unknown(row, None, why.clone(), true),
        Reading::Vanished { at } => (None, *at),
        Reading::Observed { measured, at } => (Some(measured), *at),
    };
    let age = now.duration_since(at);
    if -age > CLOCK_TOLERANCE {
        let why = format!("it was observed at {at:.0}, which lies in the future of {now:.0}: set the clocks");
        return unknown(row, None, why, true);
    }
    if age > row.bound {
        let why = format!("it was observed {} ago, and counts for {}", words(age), words(row.bound));
        return Judged { badge: shown(row, "stale".to_owned(), Color::Red, true), ..unknown(row, Some(at), why, true) };
    }
    let Some(measured) = measured else {
        let why = format!("it has no value now; it was there {} ago: see whether it is scraped", words(age));
        return unknown(row, Some(at), why, true);
    };
    match row.scale.judge(measured) {
        Err(why) => unknown(row, Some(at), why, true),
        Ok(graded) => Judged {
            row,
            badge: shown(row, graded.message, graded.color, false),
            value: graded.value,
            at: Some(at),
            why: None,
            is_amiss: false,
        },
    }
}

fn unknown(row: &'static Row, at: Option<Timestamp>, why: String, is_amiss: bool) -> Judged {
    let badge = shown(row, "unknown".to_owned(), Color::Grey, true);
    Judged { row, badge, value: None, at, why: Some(why), is_amiss }
}

fn shown(row: &'static Row, message: String, color: Color, is_error: bool) -> Badge {
    Badge {
        schema_version: 1,
        label: row.label,
        message,
        color,
        is_error,
        named_logo: row.logo,
        cache_seconds: CACHE_SECONDS,
    }
}

/// How long something took or is ago, in its largest unit. What is less than a second, or not over yet, is `0 s`.
pub(crate) fn words(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
