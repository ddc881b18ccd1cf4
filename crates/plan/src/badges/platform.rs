//! Badges of a platform's status: its phases, machines and cost, as old as the operator's newest evidence.

use helix_crds::{HelixPlatformStatus, PhaseName, PhaseState, PhaseStatus};
use jiff::Timestamp;

use super::rows::{ROWS, Row, Source};
use super::{Measured, Reading};

/// A phase, for the table in `STATUS.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Which.
    pub name: PhaseName,
    /// How it is.
    pub state: PhaseState,
    /// Since when.
    pub since: Option<Timestamp>,
    /// What it waits for.
    pub message: Option<String>,
    /// By what it is judged.
    pub evidence: Vec<Evidence>,
}

/// One fact that was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The fact.
    pub what: String,
    /// When it was observed.
    pub at: Timestamp,
}

/// The readings that a platform's status holds, by slug.
#[must_use]
pub fn readings(status: Option<&HelixPlatformStatus>) -> Vec<(&'static str, Reading)> {
    let rows = ROWS.iter().filter(|row| row.source == Source::Management);
    let Some(status) = status else {
        let why = "no operator has written a status yet: see whether one runs";
        return rows.map(|row| (row.slug, Reading::failed(why))).collect();
    };
    let newest = status.phases.iter().filter_map(newest).max();
    rows.map(|row| (row.slug, newest.map_or_else(nothing, |newest| reading(row, status, newest)))).collect()
}

fn nothing() -> Reading {
    Reading::failed("the platform's status has no evidence yet: `helix explain` says what it waits for")
}

fn newest(phase: &PhaseStatus) -> Option<Timestamp> {
    phase.evidence.iter().map(|evidence| evidence.observed_at.0).max()
}

fn reading(row: &Row, status: &HelixPlatformStatus, observed: Timestamp) -> Reading {
    if let Some(name) = row.phase {
        let Some(phase) = status.phases.iter().find(|phase| phase.name == name) else {
            return Reading::failed(format!("the platform's status does not tell of {name}"));
        };
        // A phase that has not begun has no evidence of its own.
        let at = newest(phase).unwrap_or(observed);
        return Reading::Observed { measured: Measured::Phase(phase.state), at };
    }
    match (row.slug, &status.machines, &status.cost) {
        ("machines", Some(machines), _) => {
            let (well, all) = (machines.ready.into(), machines.desired.into());
            Reading::Observed { measured: Measured::Share { well, all }, at: observed }
        }
        ("cost", _, Some(cost)) => match cost.monthly.strip_suffix(" EUR").and_then(|euros| euros.parse().ok()) {
            Some(euros) => Reading::number(euros, observed),
            None => {
                Reading::failed(format!("the platform's status says `{}`, which is no amount in EUR", cost.monthly))
            }
        },
        _ => Reading::failed(format!("the platform's status does not tell of {}", row.label)),
    }
}

/// The phases of a status, for the table.
#[must_use]
pub fn phases(status: &HelixPlatformStatus) -> Vec<Phase> {
    let evidence = |phase: &PhaseStatus| {
        let all = phase.evidence.iter();
        all.map(|evidence| Evidence { what: evidence.what.clone(), at: evidence.observed_at.0 }).collect()
    };
    let phase = |phase: &PhaseStatus| Phase {
        name: phase.name,
        state: phase.state,
        since: phase.since.as_ref().map(|since| since.0),
        message: phase.message.clone(),
        evidence: evidence(phase),
    };
    status.phases.iter().map(phase).collect()
}
