//! Whole lives of platforms on the in-process world: created, killed at every moment, deleted.

use helix_crds::HelixPlatform;
use helix_sim::inprocess::life::Life;
use helix_sim::inprocess::{Kill, Universe};
use helix_sim::world::WorldConfig;
use jiff::{SignedDuration, Timestamp};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The sandbox's example, as an API server would hand it out.
fn sandbox() -> HelixPlatform {
    let text = include_str!("../../../manifests/examples/sandbox.yaml");
    let mut platform: HelixPlatform = serde_saphyr::from_str(text).expect("the example parses");
    platform.metadata.uid = Some("0b1f6a52-6a0e-4c0e-9d7e-000000000001".to_owned());
    platform.metadata.generation = Some(1);
    platform
}

fn universe(seed: u64) -> Universe {
    let now: Timestamp = "2026-11-21T00:00:00Z".parse().expect("a time");
    Universe::new(WorldConfig { seed, ..WorldConfig::default() }, now)
}

#[test]
fn a_platform_is_made_and_deleted_without_a_trace() {
    let mut life = Life::new(universe(1), sandbox());
    life.until_ready(HOUR).unwrap();
    let (made_in, calls) = (life.passed(), life.universe().counts());
    println!("ready after {made_in:#}, {calls:?}");
    assert_eq!(life.universe().with_world(|world, project, _| world.project(project).servers.len()), 5);
    life.until_gone(HOUR).unwrap();
    assert!(life.universe().with_world(|world, project, _| world.project(project).is_empty()));
    let receipt = life.events.last().expect("a receipt");
    assert_eq!(receipt.reason, "Deleted");
    assert!(receipt.message.contains("server sandbox-cp-0"), "{}", receipt.message);
}

/// Kills the engine at each external call of a whole life, before and after its effect, each in a life of its own.
#[test]
fn a_kill_at_any_call_ends_in_the_same_state() {
    let calls = {
        let mut life = Life::new(universe(2), sandbox());
        life.until_ready(HOUR).unwrap();
        life.until_gone(HOUR).unwrap();
        life.universe().counts().calls
    };
    for kill in [Kill::Before, Kill::After] {
        for nth in (1..=calls).step_by(7) {
            let universe = universe(2);
            universe.kill_at(nth, kill);
            let mut life = Life::new(universe, sandbox());
            let made = life.until_ready(HOUR);
            assert_eq!(made, Ok(()), "seed 2, killed {kill:?} call {nth}");
            let gone = life.until_gone(HOUR);
            assert_eq!(gone, Ok(()), "seed 2, killed {kill:?} call {nth}");
            let empty = life.universe().with_world(|world, project, _| world.project(project).is_empty());
            assert!(empty, "seed 2, killed {kill:?} call {nth}");
        }
    }
}
