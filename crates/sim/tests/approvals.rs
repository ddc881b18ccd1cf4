//! Approvals over whole lives: what is asked once, waits, and goes on to its end once somebody said yes.

#![allow(clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use helix_crds::{ApprovalMode, HelixPlatformStatus};
use helix_sim::inprocess::life::{Ended, Life};
use jiff::SignedDuration;

use support::{HOUR, sandbox, servers, universe};

fn live(life: &mut Life, minutes: i64) {
    let ended = life.until(SignedDuration::from_mins(minutes), |_, _| false);
    assert!(!matches!(ended, Err(Ended::Broken { .. })), "{ended:?}");
}

fn status(life: &Life) -> HelixPlatformStatus {
    life.platform().status.clone().expect("a status")
}

/// Says yes to what the status asks for.
fn approve(life: &mut Life) {
    let digest = status(life).plan.and_then(|plan| plan.digest).expect("something is asked for");
    life.annotate("helix.dev/approve", &digest);
}

fn events(life: &Life, reason: &str) -> usize {
    life.events.iter().filter(|event| event.reason == reason).count()
}

fn condition(life: &Life) -> (String, String) {
    let conditions = status(life).conditions;
    let condition = conditions.into_iter().find(|condition| condition.type_ == "PlanApproved").expect("the condition");
    (condition.status, condition.reason)
}

#[test]
fn what_destroys_is_asked_about_once_and_shown_in_the_plan() {
    let mut life = Life::new(universe(1), sandbox());
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!(condition(&life), ("True".to_owned(), "NothingToApprove".to_owned()));
    life.edit(|platform| platform.spec.worker_pools[0].replicas = Some(1));
    live(&mut life, 20);
    assert_eq!(condition(&life), ("False".to_owned(), "ApprovalNeeded".to_owned()));
    assert_eq!(events(&life, "ApprovalNeeded"), 1);
    let plan = status(&life).plan.expect("a plan");
    assert_eq!((plan.awaiting_approval, plan.items.len()), (1, 1));
    let item = &plan.items[0];
    assert!(item.awaits_approval, "{item:?}");
    assert_eq!(item.monthly_cost_delta.as_deref(), Some("-8.99 EUR"), "{item:?}");
    approve(&mut life);
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!(servers(&life), 4);
    assert_eq!((events(&life, "ApprovalNeeded"), events(&life, "Approved")), (1, 1));
}

#[test]
fn where_every_change_is_approved_nothing_is_made_before_and_one_yes_lasts_to_the_end() {
    let mut platform = sandbox();
    platform.spec.approval = ApprovalMode::Manual;
    let mut life = Life::new(universe(2), platform);
    live(&mut life, 20);
    assert_eq!(servers(&life), 0);
    approve(&mut life);
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!((events(&life, "ApprovalNeeded"), events(&life, "Approved")), (1, 1));
    life.edit(|platform| platform.spec.worker_pools[0].replicas = Some(3));
    live(&mut life, 20);
    assert_eq!(servers(&life), 5, "another specification asks again");
    approve(&mut life);
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!(servers(&life), 6);
}
