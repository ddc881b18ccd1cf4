//! What status says of platforms at which nobody looks.

use helix_crds::{HelixPlatform, HelixPlatformStatus, PhaseName, PhaseState, PhaseStatus};
use helix_plan::farewell::Farewell;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{BootstrapRecord, CloudFacts, Observed};
use helix_plan::plan_teardown;
use helix_plan::report::PhaseReport;
use jiff::Timestamp;

use super::{conditions, kept, paused, phases, teardown_status};

/// A plain platform with this status.
pub(super) fn plain(status: serde_json::Value) -> HelixPlatform {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "helix.dev/v1alpha1",
        "kind": "HelixPlatform",
        "metadata": {"name": "sandbox", "namespace": "here", "uid": "uid", "generation": 1},
        "spec": {
            "untilPhase": "ImmutableSubstrate",
            "provider": {"hetzner": {"tokenSecretRef": {"name": "hcloud"}, "apiAllowlist": ["203.0.113.7/32"]}},
            "controlPlane": {"placements": [{"serverType": "cx33", "location": "fsn1"}]},
        },
        "status": status,
    }))
    .unwrap()
}

/// A platform whose first two phases were Ready when it was looked at last.
fn was_ready() -> HelixPlatform {
    let now = Timestamp::UNIX_EPOCH;
    let mut platform = plain(serde_json::Value::Null);
    let ready = PhaseReport::Ready { evidence: Vec::new() };
    let reports: Vec<(PhaseName, PhaseReport)> =
        [PhaseName::HardenedCore, PhaseName::ImmutableSubstrate].map(|name| (name, ready.clone())).into();
    let status = HelixPlatformStatus { phases: phases::statuses(&reports, None, now), ..kept(&platform) };
    platform.status = Some(conditions::into_status(status, &platform, &reports, ("Ready", ""), now));
    platform
}

fn states(phases: &[PhaseStatus]) -> Vec<PhaseState> {
    phases.iter().take(3).map(|phase| phase.state).collect()
}

fn condition<'s>(status: &'s HelixPlatformStatus, kind: &str) -> (&'s str, &'s str) {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind).unwrap();
    (&found.status, &found.reason)
}

#[test]
fn what_nobody_looks_at_is_unknown() {
    let platform = was_ready();
    assert_eq!(condition(platform.status.as_ref().unwrap(), "ImmutableSubstrate"), ("True", "Ready"));
    let status = paused(&platform, Timestamp::UNIX_EPOCH);
    assert_eq!(states(&status.phases), [PhaseState::Unknown, PhaseState::Unknown, PhaseState::NotRequested]);
    assert_eq!(condition(&status, "ImmutableSubstrate"), ("Unknown", "NotObserved"));
    assert_eq!(condition(&status, "Ready"), ("False", "Paused"));
    assert_eq!(condition(&status, "Degraded"), ("False", "Paused"));
}

#[test]
fn a_teardown_that_is_blocked_says_why() {
    let platform = was_ready();
    let now = Timestamp::UNIX_EPOCH;
    let mut observed = Observed::nothing(CloudFacts::default(), now);
    let leaving = |observed: &Observed| {
        let plan = plan_teardown(&Farewell::of(&platform, now), observed, now);
        teardown_status(&platform, &plan, None, Vec::new(), now)
    };
    assert_eq!(condition(&leaving(&observed), "Ready"), ("False", "Deleting"));
    let identity = PlatformIdentity { namespace: "here".into(), name: "sandbox".into(), uid: "uid".into() };
    let record = BootstrapRecord { machine: identity.machine("cp", 0), server_id: 1, at: now };
    observed.store.value_mut().unwrap().bootstrap = Some(record);
    let status = leaving(&observed);
    assert_eq!(condition(&status, "Ready"), ("False", "WrongProject"));
    assert_eq!(condition(&status, "Degraded"), ("True", "WrongProject"));
    assert_eq!(condition(&status, "Progressing"), ("False", "WrongProject"));
    assert_eq!(states(&status.phases)[0], PhaseState::Unknown);
}
