//! The one write of a pass: the platform's status, by server-side apply, and only when it says something new.
//!
//! What is in a status is the engine's; here is only whether and how it is written.

use helix_crds::labels::FIELD_MANAGER;
use helix_crds::{HelixPlatform, HelixPlatformStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, Patch, PatchParams};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;

use crate::error::{CallError, call};

/// A status of which only ages have changed is written this often at most: each write wakes everybody who watches.
const REFRESH: SignedDuration = SignedDuration::from_mins(1);

/// Whether a status is to be written at `now`. `last` is what the API server has, `written` when this process wrote it.
pub(crate) fn is_due(
    last: Option<&HelixPlatformStatus>,
    wanted: &HelixPlatformStatus,
    written: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    match last {
        None => true,
        Some(last) if last == wanted => false,
        Some(last) if ageless(last) == ageless(wanted) => written.is_none_or(|written| written + REFRESH <= now),
        Some(_) => true,
    }
}

/// A status without what changes by time passing and by looking alone.
fn ageless(status: &HelixPlatformStatus) -> HelixPlatformStatus {
    let mut status = status.clone();
    for evidence in status.phases.iter_mut().flat_map(|phase| &mut phase.evidence) {
        evidence.observed_at = Time(Timestamp::UNIX_EPOCH);
    }
    if let Some(budget) = &mut status.api_budget {
        budget.remaining = 0;
        budget.resets_at = None;
    }
    for condition in status.conditions.iter_mut().filter(|condition| condition.type_ == "BudgetAvailable") {
        condition.message.clear();
    }
    status
}

/// Writes the status, and answers with the platform as it then is.
///
/// The UID is part of what is applied: a namesake that has taken the platform's place does not get its status.
pub(crate) async fn write(
    api: &Api<HelixPlatform>,
    platform: &HelixPlatform,
    status: &HelixPlatformStatus,
) -> Result<HelixPlatform, CallError> {
    let name = platform.name_any();
    let patch = json!({
        "apiVersion": HelixPlatform::api_version(&()),
        "kind": HelixPlatform::kind(&()),
        "metadata": {"name": name, "uid": platform.metadata.uid},
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    call("write the platform's status", api.patch_status(&name, &params, &Patch::Apply(&patch))).await
}

#[cfg(test)]
mod tests {
    use helix_crds::{ApiBudget, Evidence, PhaseName, PhaseState, PhaseStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn status(seen: i64, state: PhaseState) -> HelixPlatformStatus {
        let evidence = vec![Evidence { what: "3 of 3 voters".to_owned(), observed_at: Time(at(seen)) }];
        let phase =
            PhaseStatus { name: PhaseName::HardenedCore, state, since: Some(Time(at(0))), message: None, evidence };
        let condition = Condition {
            type_: "BudgetAvailable".to_owned(),
            status: "True".to_owned(),
            reason: "Available".to_owned(),
            message: format!("{} of 3600", 3600 - seen),
            last_transition_time: Time(at(0)),
            observed_generation: Some(1),
        };
        HelixPlatformStatus {
            phases: vec![phase],
            api_budget: Some(ApiBudget { limit: 3600, remaining: 3000, resets_at: Some(Time(at(seen))) }),
            conditions: vec![condition],
            ..HelixPlatformStatus::default()
        }
    }

    #[test]
    fn a_first_status_and_news_are_written_at_once() {
        let progressing = status(1, PhaseState::Progressing);
        assert!(is_due(None, &progressing, None, at(1)));
        assert!(is_due(Some(&progressing), &status(2, PhaseState::Ready), Some(at(1)), at(2)));
    }

    #[test]
    fn what_only_aged_is_written_once_a_minute() {
        let (last, aged) = (status(1, PhaseState::Ready), status(30, PhaseState::Ready));
        assert!(!is_due(Some(&last), &last, None, at(1000)));
        assert!(!is_due(Some(&last), &aged, Some(at(1)), at(60)));
        assert!(is_due(Some(&last), &aged, Some(at(1)), at(61)));
        assert!(is_due(Some(&last), &aged, None, at(2)), "an operator that has just started has not written yet");
    }

    #[test]
    fn an_exhausted_budget_is_news() {
        let last = status(1, PhaseState::Ready);
        let mut exhausted = last.clone();
        "False".clone_into(&mut exhausted.conditions[0].status);
        assert!(is_due(Some(&last), &exhausted, Some(at(1)), at(2)));
    }
}
