//! Several platforms on one token: one engine process keeps them, and none stands in another's way.

#![allow(clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use helix_crds::HelixPlatform;
use helix_sim::inprocess::fleet::Fleet;
use jiff::SignedDuration;

use support::{HOUR, sandbox, universe};

/// The example under another name. All of them use the same private addresses.
fn member(number: u32) -> HelixPlatform {
    let mut platform = sandbox();
    platform.metadata.name = Some(format!("member{number}"));
    platform.metadata.uid = Some(format!("0b1f6a52-6a0e-4c0e-9d7e-{number:012}"));
    platform
}

#[test]
fn platforms_of_one_token_are_made_side_by_side_and_share_their_readings() {
    let alone = {
        let mut fleet = Fleet::new(universe(1), vec![member(0)]);
        assert_eq!(fleet.until_ready(HOUR), Ok(()));
        fleet.pass(HOUR);
        let before = fleet.universe().counts().hetzner;
        fleet.pass(HOUR);
        fleet.universe().counts().hetzner - before
    };
    let mut fleet = Fleet::new(universe(1), (0..4).map(member).collect());
    assert_eq!(fleet.until_ready(HOUR), Ok(()));
    let counts = fleet.universe().counts();
    assert_eq!((counts.bootstraps, counts.bundles, counts.refused_by_limit), (4, 4, 0));
    let servers = fleet.universe().with_world(|world, project, _| world.project(project).servers.len());
    assert_eq!(servers, 4 * 5);
    assert!(fleet.passed() < SignedDuration::from_mins(10), "{:#}", fleet.passed());
    fleet.pass(HOUR);
    let before = fleet.universe().counts().hetzner;
    fleet.pass(HOUR);
    let together = fleet.universe().counts().hetzner - before;
    assert!(together < 2 * alone, "{together} calls an hour for four platforms, {alone} for one");
}
