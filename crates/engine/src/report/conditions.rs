//! Conditions by the Kubernetes conventions: `True` is what the type's name says, a transition time changes only with
//! the status, and every condition tells the generation that it is about.

use helix_crds::{HelixPlatform, HelixPlatformStatus, PhaseName};
use helix_plan::report::{PhaseReport, runbook};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Told, all_ready, approvals, backups, phases, waiting_for};

/// Longest message of a condition that the API server admits.
const LONGEST_MESSAGE: usize = 32_768;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// Makes conditions of one platform at one moment.
struct Maker<'a> {
    platform: &'a HelixPlatform,
    now: Timestamp,
}

impl Maker<'_> {
    fn make(&self, kind: &str, truth: Truth, reason: &str, message: &str) -> Condition {
        let before = self
            .platform
            .status
            .as_ref()
            .and_then(|status| status.conditions.iter().find(|condition| condition.type_ == kind))
            .filter(|condition| condition.status == truth.as_str());
        Condition {
            type_: kind.to_owned(),
            status: truth.as_str().to_owned(),
            reason: reason.to_owned(),
            message: pointed(message, reason),
            last_transition_time: before.map_or(Time(self.now), |condition| condition.last_transition_time.clone()),
            observed_generation: self.platform.metadata.generation,
        }
    }

    fn phase(&self, name: PhaseName, report: &PhaseReport) -> Condition {
        let (truth, reason) = match report {
            PhaseReport::Ready { .. } => (Truth::True, "Ready"),
            PhaseReport::NotRequested => (Truth::False, "NotRequested"),
            PhaseReport::Pending { .. } => (Truth::False, "Pending"),
            PhaseReport::Progressing { .. } => (Truth::False, "Progressing"),
            PhaseReport::Blocked { reason, .. } => (Truth::False, *reason),
            PhaseReport::Unknown { .. } => (Truth::Unknown, "NotObserved"),
        };
        let message = phases::message(report).unwrap_or_else(|| match report {
            PhaseReport::NotRequested => "spec.untilPhase stops before this phase".to_owned(),
            _ => "everything is as specified".to_owned(),
        });
        self.make(name.as_str(), truth, reason, &message)
    }
}

/// The message, and where to read on if somebody has to act.
fn pointed(message: &str, reason: &str) -> String {
    let pointer = runbook::pointer(reason);
    let message = if pointer.is_empty() { message } else { message.trim_end_matches('.') };
    let told: String = message.chars().take(LONGEST_MESSAGE - pointer.len()).collect();
    told + &pointer
}

/// The conditions after a turn.
pub(super) fn of_turn(told: &Told<'_>, reports: &[(PhaseName, PhaseReport)]) -> Vec<Condition> {
    let maker = Maker { platform: told.platform, now: told.now };
    let ready = all_ready(&told.plan.report, told.validated.until);
    let waiting = waiting_for(reports).unwrap_or_else(|| "everything is as specified".to_owned());
    let unready = reports.iter().map(|(_, report)| report).find(|report| {
        !report.is_ready() && !matches!(report, PhaseReport::NotRequested | PhaseReport::Pending { .. })
    });
    let (blocked, unknown, reason) = match unready {
        Some(PhaseReport::Blocked { reason, .. }) => (true, false, *reason),
        Some(PhaseReport::Unknown { .. }) => (false, true, "NotObserved"),
        Some(_) => (false, false, "Progressing"),
        None => (false, false, "Ready"),
    };
    let ready_truth = if unknown { Truth::Unknown } else { ready.into() };
    let budget_left = told.budget.remaining > 0;
    let budget = format!(
        "{} of {} requests are left; the budget is whole again at {:.0}",
        told.budget.remaining, told.budget.limit, told.budget.resets_at
    );
    let versions = &told.validated.versions;
    let versions = format!("Kubernetes v{} runs on Talos v{}", versions.kubernetes, versions.talos);
    let (approved, asked, approval) = approvals::judge(told.plan);
    // Whatever is blocked in later phases is for somebody to put right in the meantime, too.
    let degraded = told.plan.report.blocked().filter(|_| blocked).unwrap_or_else(|| waiting.clone());
    let mut conditions = vec![
        maker.make("Ready", ready_truth, reason, &waiting),
        maker.make("Progressing", (!ready && !blocked).into(), reason, &waiting),
        maker.make("Degraded", blocked.into(), reason, &degraded),
        maker.make(approvals::CONDITION, approved.into(), asked, &approval),
        maker.make("BudgetAvailable", budget_left.into(), if budget_left { "Available" } else { "Exhausted" }, &budget),
        maker.make("VersionsSupported", Truth::True, "Supported", &versions),
    ];
    conditions.extend(backups::judge(told).map(|(saved, reason, message)| {
        maker.make(backups::CONDITION, saved.map_or(Truth::Unknown, Truth::from), reason, &message)
    }));
    conditions.extend(backups::judge_databases(told).map(|(saved, reason, message)| {
        maker.make(backups::DATABASES, saved.map_or(Truth::Unknown, Truth::from), reason, &message)
    }));
    conditions.extend(reports.iter().map(|(name, report)| maker.phase(*name, report)));
    conditions
}

/// The conditions of a platform for which no turn was made, and the line that says why.
pub(super) fn into_status(
    mut status: HelixPlatformStatus,
    platform: &HelixPlatform,
    reports: &[(PhaseName, PhaseReport)],
    (reason, message): (&str, &str),
    now: Timestamp,
) -> HelixPlatformStatus {
    let maker = Maker { platform, now };
    let left_alone = reason == "Paused" || reason == "Deleting";
    let mut replaced = vec![
        maker.make("Ready", Truth::False, reason, message),
        maker.make("Progressing", (reason == "Deleting").into(), reason, message),
        maker.make("Degraded", (!left_alone).into(), reason, message),
    ];
    replaced.extend(reports.iter().map(|(name, report)| maker.phase(*name, report)));
    status.conditions.retain(|condition| !replaced.iter().any(|new| new.type_ == condition.type_));
    status.conditions.splice(0..0, replaced);
    status.waiting_for = Some(message.to_owned());
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_with_its_runbook_however_long_it_is() {
        let page = ". See docs/runbooks/QuorumLost.md";
        assert_eq!(pointed("etcd has lost its quorum.", "QuorumLost"), format!("etcd has lost its quorum{page}"));
        let long = pointed(&"x".repeat(2 * LONGEST_MESSAGE), "QuorumLost");
        assert!(long.len() == LONGEST_MESSAGE && long.ends_with(page));
        assert_eq!(pointed("all is well.", "Ready"), "all is well.");
    }
}
