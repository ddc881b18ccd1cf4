//! Phase states as status shows them; `since` is when a phase got into the state it is in.

use helix_crds::{Evidence, HelixPlatformStatus, PhaseName, PhaseState, PhaseStatus};
use helix_plan::report::PhaseReport;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The statuses of all phases; a state that has not changed keeps its `since`.
pub(super) fn statuses(
    reports: &[(PhaseName, PhaseReport)],
    last: Option<&HelixPlatformStatus>,
    now: Timestamp,
) -> Vec<PhaseStatus> {
    reports
        .iter()
        .map(|(name, report)| {
            let state = state(report);
            let before = last.and_then(|status| status.phases.iter().find(|phase| phase.name == *name));
            let since = before.filter(|phase| phase.state == state).and_then(|phase| phase.since.clone());
            PhaseStatus {
                name: *name,
                state,
                since: Some(since.unwrap_or(Time(now))),
                message: message(report),
                evidence: evidence(report),
            }
        })
        .collect()
}

/// The first requested phase that is not Ready, or `Ready`.
pub(super) fn current(reports: &[(PhaseName, PhaseReport)]) -> String {
    let unready = reports.iter().find(|(_, report)| !report.is_ready() && *report != PhaseReport::NotRequested);
    unready.map_or_else(|| "Ready".to_owned(), |(name, _)| name.to_string())
}

pub(super) fn state(report: &PhaseReport) -> PhaseState {
    match report {
        PhaseReport::NotRequested => PhaseState::NotRequested,
        PhaseReport::Pending { .. } => PhaseState::Pending,
        PhaseReport::Progressing { .. } => PhaseState::Progressing,
        PhaseReport::Ready { .. } => PhaseState::Ready,
        PhaseReport::Blocked { .. } => PhaseState::Blocked,
        PhaseReport::Unknown { .. } => PhaseState::Unknown,
    }
}

pub(super) fn message(report: &PhaseReport) -> Option<String> {
    match report {
        PhaseReport::NotRequested | PhaseReport::Ready { .. } => None,
        PhaseReport::Pending { after } => Some(format!("phase {after} comes first")),
        PhaseReport::Progressing { message }
        | PhaseReport::Blocked { message, .. }
        | PhaseReport::Unknown { message } => Some(message.clone()),
    }
}

fn evidence(report: &PhaseReport) -> Vec<Evidence> {
    match report {
        PhaseReport::Ready { evidence } => evidence
            .iter()
            .map(|seen| Evidence { what: seen.what.clone(), observed_at: Time(seen.observed_at) })
            .collect(),
        PhaseReport::NotRequested
        | PhaseReport::Pending { .. }
        | PhaseReport::Progressing { .. }
        | PhaseReport::Blocked { .. }
        | PhaseReport::Unknown { .. } => Vec::new(),
    }
}
