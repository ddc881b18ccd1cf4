//! Whole lives of platforms on the in-process world: created, killed at every moment, deleted.

#![allow(clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use helix_sim::inprocess::Kill;
use helix_sim::inprocess::life::Life;

use support::{HOUR, is_empty, sandbox, servers, universe, upload_snapshot};

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
    assert!(lists_everything(&life));
}

/// Whether the stored receipt has all servers and the network of the sandbox.
fn lists_everything(life: &Life) -> bool {
    let receipt = life.universe().receipt().expect("a receipt");
    let listed = |name: &str| receipt.deleted.iter().any(|listed| listed == name);
    let servers = receipt.deleted.iter().filter(|name| name.starts_with("server ")).count();
    servers == 5 && listed("network sandbox") && receipt.deleted.len() == receipt.deleted_count as usize
}

#[test]
fn a_machine_whose_api_server_stops_is_waited_for_by_name() {
    let mut life = Life::new(universe(3), sandbox());
    life.until_ready(HOUR).unwrap();
    life.universe().with_world(|world, _, now| {
        let found = world.guests().iter().find(|guest| guest.hostname() == "sandbox-cp-1");
        let server = found.expect("a control plane").host().server;
        world.guests_mut(now).end_static_pods(server, now);
    });
    let told = |message: &str| message.contains("sandbox-cp-1 (unmet: staticPods)");
    life.until(HOUR, |platform, _| {
        let waiting = platform.status.as_ref().and_then(|status| status.waiting_for.as_deref());
        waiting.is_some_and(told)
    })
    .unwrap();
    life.until_ready(HOUR).unwrap();
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
            assert!(lists_everything(&life), "seed 2, killed {kill:?} call {nth}: {:?}", life.universe().receipt());
        }
    }
}

/// Talos 1.14 reads other documents than 1.13: the whole way from nothing to nothing, with the newest Kubernetes.
#[test]
fn a_platform_of_talos_1_14_is_made_and_deleted_without_a_trace() {
    let universe = universe(3);
    upload_snapshot(&universe, "v1.14.4");
    let mut platform = sandbox();
    platform.spec.versions.talos = "v1.14.4".to_owned();
    platform.spec.versions.kubernetes = "v1.37.1".to_owned();
    let mut life = Life::new(universe, platform);
    life.until_ready(HOUR).unwrap();
    assert_eq!(servers(&life), 5);
    let machines = life.universe().with_world(|world, _, _| {
        let guests = world.guests().iter().map(|guest| (guest.version().to_owned(), guest.config().cloned()));
        guests.collect::<Vec<_>>()
    });
    assert_eq!(machines.len(), 5);
    for (version, config) in machines {
        let config = config.expect("a configuration");
        assert_eq!(version, "v1.14.4");
        assert!(config.text().contains("KubeletConfig"), "documents, not the style of 1.13");
        assert_eq!(config.machine().and_then(|machine| machine.kubelet().version()), Some("v1.37.1"));
    }
    life.until_gone(HOUR).unwrap();
    assert!(is_empty(&life));
}
