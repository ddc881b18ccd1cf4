//! What status says and keeps of approvals: which work is asked about, and which was agreed to.
//!
//! Guarantee: nothing is done under an approval that status does not hold yet ([`is_written_down`]). The annotation names a
//! whole set; once a part of it is done, only status tells that the rest was agreed to, wherever an engine was stopped.

use helix_crds::{ApprovalMode, ApprovalStatus, HelixPlatform, HelixPlatformStatus};
use helix_plan::Plan;
use helix_plan::report::Block;
use helix_plan::validated::ValidatedPlatform;

use super::Event;

/// The condition that says whether what is planned may be done.
pub(super) const CONDITION: &str = "PlanApproved";

/// What status keeps of the approval.
pub(super) fn kept(platform: &ValidatedPlatform, plan: &Plan) -> Option<ApprovalStatus> {
    match platform.approval {
        ApprovalMode::Automatic => None,
        ApprovalMode::ManualForDestructive | ApprovalMode::Manual => {
            plan.destruction.kept(&platform.approved, platform.generation)
        }
    }
}

/// Whether the approval under which this plan would be carried out is in the status that was written.
pub(crate) fn is_written_down(platform: &HelixPlatform, validated: &ValidatedPlatform, plan: &Plan) -> bool {
    let written = platform.status.as_ref().and_then(|status| status.approval.as_ref());
    kept(validated, plan).is_none_or(|kept| written == Some(&kept))
}

/// The reason and the message of the condition, and whether it is true.
pub(super) fn judge(plan: &Plan) -> (bool, &'static str, String) {
    if !plan.approved {
        let block = Block::approval_needed(&plan.destruction);
        return (false, block.reason(), block.to_string());
    }
    if plan.destruction.is_empty() {
        return (true, "NothingToApprove", "no planned step needs an approval".to_owned());
    }
    (true, "Approved", format!("the work named {} may be done", plan.destruction.digest()))
}

/// That an approval is asked for, or was given: once for each set of work, by what the last status said.
pub(crate) fn event(last: Option<&HelixPlatformStatus>, validated: &ValidatedPlatform, plan: &Plan) -> Option<Event> {
    let (_, reason, message) = judge(plan);
    if !plan.approved {
        let asked = last
            .and_then(|last| last.plan.as_ref())
            .is_some_and(|last| last.awaiting_approval > 0 && last.digest.as_ref() == Some(&plan.destruction.digest()));
        return (!asked).then_some(Event { reason, message, warning: true });
    }
    let kept = kept(validated, plan)?;
    let known = last.and_then(|last| last.approval.as_ref()).is_some_and(|last| last.digest == kept.digest);
    let message = format!("the work named {} was approved ({} items)", kept.digest, kept.items.len());
    (!known).then_some(Event { reason: "Approved", message, warning: false })
}
