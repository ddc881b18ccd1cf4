//! Whether the simulation notices: every guard that can be broken is, one after the other, and each must be found.

use helix_plan::guard::{Guard, break_only};
use helix_sim::lives::run::live;
use helix_sim::lives::scenarios::{by_name, that_tries};

/// Seeds with which a guard is tried before it counts as not noticed.
const TRIES: u64 = 20;

/// One test, because the switch is the process's.
#[test]
fn every_broken_guard_is_noticed() {
    assert!(Guard::ALL.len() >= 12);
    let mut unnoticed = Vec::new();
    for guard in Guard::ALL.iter().copied() {
        let scenario = by_name(that_tries(guard)).expect("the scenario exists");
        break_only(None);
        if let Err(failure) = live(scenario, 0, false) {
            panic!("nothing is broken, and yet: {failure}");
        }
        break_only(Some(guard));
        match (0..TRIES).find_map(|seed| live(scenario, seed, false).err()) {
            Some(failure) => println!("{}: seed {}: {}", guard.name(), failure.seed, failure.why),
            None => unnoticed.push(guard.name()),
        }
    }
    break_only(None);
    assert!(unnoticed.is_empty(), "broken and not noticed: {unnoticed:?}");
}
