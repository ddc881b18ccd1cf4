//! Whole lives of platforms on the in-process world: created, killed at telling moments, deleted. Kills
//! at any moment are the business of lives by seeds.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use std::collections::BTreeMap;

use helix_sim::inprocess::life::Life;
use helix_sim::inprocess::{Called, Kill};

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

/// The calls of a whole life at which a kill tells something: of each kind the first and the last. A kill before a call that
/// changes something is one after the call before it; a call that only reads is as good as any other.
fn telling_calls() -> Vec<Called> {
    let mut life = Life::new(universe(2), sandbox());
    life.universe().trace_all();
    life.until_ready(HOUR).unwrap();
    life.until_gone(HOUR).unwrap();
    let mut by_kind: BTreeMap<&str, Vec<Called>> = BTreeMap::new();
    for called in life.universe().trace() {
        by_kind.entry(called.name).or_default().push(called);
    }
    let mut telling: Vec<Called> = Vec::new();
    for of_kind in by_kind.into_values() {
        let last = of_kind.last().filter(|last| last.changes && of_kind.len() > 1);
        telling.extend(of_kind.first().into_iter().chain(last).cloned());
    }
    telling
}

/// Kills the engine in a whole life, each time in a life of its own: after the effect of a call that has one, and instead of
/// one that only reads. Any call, of any platform, is the simulation's, which is optimised: `cargo xtask sim`.
#[test]
fn a_kill_at_any_kind_of_call_ends_in_the_same_state() {
    for Called { number, name, changes, .. } in telling_calls() {
        let kill = if changes { Kill::After } else { Kill::Before };
        let killed = format!("seed 2, killed {kill:?} call {number}, {name}");
        let universe = universe(2);
        universe.kill_at(number, kill);
        let mut life = Life::new(universe, sandbox());
        assert_eq!(life.until_ready(HOUR), Ok(()), "{killed}");
        assert_eq!(life.until_gone(HOUR), Ok(()), "{killed}");
        assert_eq!(life.kills, 1, "{killed}");
        assert!(is_empty(&life), "{killed}");
        assert!(lists_everything(&life), "{killed}: {:?}", life.universe().receipt());
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
