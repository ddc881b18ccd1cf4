//! Whole lives of platforms on the in-process world: created, killed at every moment, deleted.

mod support;

use helix_sim::inprocess::Kill;
use helix_sim::inprocess::life::Life;

use support::{HOUR, is_empty, sandbox, servers, universe};

#[test]
fn a_platform_is_made_and_deleted_without_a_trace() {
    let mut life = Life::new(universe(1), sandbox());
    life.until_ready(HOUR).unwrap();
    let (made_in, calls) = (life.passed(), life.universe().counts());
    println!("ready after {made_in:#}, {calls:?}");
    assert_eq!(servers(&life), 5);
    let undone: Vec<_> = life.events.iter().filter(|event| event.message.contains("remove")).collect();
    assert!(undone.is_empty(), "a birth takes nothing back: {undone:?}");
    life.until_gone(HOUR).unwrap();
    assert!(is_empty(&life));
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
            assert!(is_empty(&life), "seed 2, killed {kill:?} call {nth}");
        }
    }
}
