//! What outlives a platform and what must not: load balancers from inside its cluster, at every moment at which the engine
//! may be killed; and the sweep for what is left of platforms that are gone.

#![allow(clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use helix_crds::labels::{PLATFORM, PLATFORM_UID};
use helix_engine::sweep::{Census, SweepMode, Sweeper, Swept};
use helix_plan::sweep::GRACE;
use helix_sim::inprocess::life::{Ended, Life};
use helix_sim::inprocess::{Kill, Universe};
use helix_sim::world::firewalls::CreateFirewall;
use helix_sim::world::machine::{AddOns, ExposedService};
use jiff::SignedDuration;

use support::{HOUR, is_empty, sandbox, servers, universe};

fn live(life: &mut Life, minutes: i64) {
    let ended = life.until(SignedDuration::from_mins(minutes), |_, _| false);
    assert!(!matches!(ended, Err(Ended::Broken { .. })), "{ended:?}");
}

/// A platform whose Service has a load balancer, and whose controllers have died since.
fn with_a_leak(seed: u64) -> Life {
    let mut life = Life::new(universe(seed), sandbox());
    life.until_ready(HOUR).expect("it gets Ready");
    let add_ons = |life: &Life, cloud_controller: bool| {
        life.universe().with_world(|world, _, now| {
            let serving = world.guests().iter().find(|guest| guest.api_server_healthy()).expect("an API server");
            let server = serving.host().server;
            world.guests_mut(now).set_add_ons(server, AddOns { pod_network: true, cloud_controller }, now);
            let inside = world.guests_mut(now).inside_at_mut(server).expect("a cluster");
            let service = ExposedService { uid: "5e211ce0-0001".to_owned(), leaving: None };
            inside.services.insert("web".to_owned(), service);
            world.wake_controllers();
        });
    };
    add_ons(&life, true);
    live(&mut life, 3);
    add_ons(&life, false);
    life
}

#[test]
fn a_load_balancer_that_its_controller_leaves_behind_goes_and_stands_in_the_receipt() {
    let mut life = with_a_leak(1);
    let calls = life.universe().counts().calls;
    assert_eq!(life.until_gone(HOUR), Ok(()));
    assert!(is_empty(&life));
    let receipt = life.universe().receipt().expect("a receipt");
    assert!(receipt.deleted.iter().any(|it| it == "load balancer a5e211ce00001"), "{receipt:?}");
    let all = life.universe().counts().calls;
    println!("the teardown takes {} calls", all - calls);
    for kill in [Kill::Before, Kill::After] {
        for nth in (1..=all - calls).step_by(71) {
            let mut life = with_a_leak(1);
            life.universe().kill_in(nth, kill);
            assert_eq!(life.until_gone(HOUR), Ok(()), "killed {kill:?} call {nth}");
            assert!(is_empty(&life), "killed {kill:?} call {nth}");
            let receipt = life.universe().receipt().expect("a receipt");
            let told = receipt.deleted.iter().any(|it| it == "load balancer a5e211ce00001");
            assert!(told, "killed {kill:?} call {nth}: {receipt:?}");
        }
    }
}

/// A platform that somebody has removed by force, beside a firewall of another Helix' platform in the same project.
fn forsaken() -> (Life, Universe) {
    let mut life = Life::new(universe(4), sandbox());
    life.until_ready(HOUR).expect("it gets Ready");
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let labels = [label(PLATFORM_UID, "99999999-0000-4000-8000-000000000009"), label(PLATFORM, "theirs")];
    life.universe().with_world(|world, project, now| {
        let (name, labels) = ("theirs".to_owned(), labels.into());
        let firewall = CreateFirewall { name, rules: Vec::new(), apply_to: Vec::new(), labels };
        world.create_firewall(project, firewall, now).expect("a firewall");
    });
    let universe = life.universe().clone();
    (life, universe)
}

/// One sweep of a process that remembers its earlier ones.
fn sweep(universe: &Universe, sweeper: &mut Sweeper, census: &Census, mode: SweepMode) -> Swept {
    let project = universe.seams().project;
    let now = universe.with_world(|world, _, _| world.now());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(sweeper.sweep(&project, universe, census, mode, now)).expect("Hetzner answers")
}

fn census(living: &[&str]) -> Census {
    let living = living.iter().map(|uid| (*uid).to_owned()).collect();
    Census { living, namespaces: ["helix-system".to_owned()].into() }
}

#[test]
fn a_sweep_reports_and_deletes_only_what_is_proved_when_it_is_told_to() {
    let (life, universe) = forsaken();
    let mut sweeper = Sweeper::default();
    let nobody = census(&[]);
    let swept = sweep(&universe, &mut sweeper, &nobody, SweepMode::Report);
    let proved = |uid: &str| swept.found.iter().find(|it| it.orphan.uid.starts_with(uid)).map(|it| it.proved.is_some());
    assert_eq!((proved("0b1f6a52"), proved("99999999")), (Some(true), Some(false)), "{:?}", swept.found);

    sweep(&universe, &mut sweeper, &nobody, SweepMode::Delete);
    assert_eq!(servers(&life), 5, "the grace has only begun");
    universe.sleep(GRACE);
    sweep(&universe, &mut sweeper, &nobody, SweepMode::Report);
    assert_eq!(servers(&life), 5, "a report deletes nothing");
    for _ in 0..3 {
        sweep(&universe, &mut sweeper, &nobody, SweepMode::Delete);
        universe.sleep(SignedDuration::from_mins(10));
    }
    let left = universe.with_world(|world, project, _| {
        let it = world.project(project);
        let firewalls: Vec<String> = it.firewalls.values().map(|it| it.meta.name.clone()).collect();
        (it.servers.len(), firewalls, it.load_balancers.len())
    });
    assert_eq!(left, (0, vec!["theirs".to_owned()], 1), "another's stays, and so does what may have been asked to");
}

#[test]
fn a_sweep_leaves_the_living_and_what_another_helix_may_own() {
    let (life, universe) = forsaken();
    let uid = life.platform().metadata.uid.clone().expect("a UID");
    let mut sweeper = Sweeper::default();
    let living = census(&[&uid]);
    universe.sleep(GRACE + GRACE);
    let swept = sweep(&universe, &mut sweeper, &living, SweepMode::Delete);
    assert!(swept.found.iter().all(|it| it.orphan.uid != uid));

    // To another Helix in the same project ours looks like an orphan; it has no bundle of it, or one that came later.
    universe.lose_store();
    let nobody = census(&[]);
    for _ in 0..2 {
        let swept = sweep(&universe, &mut sweeper, &nobody, SweepMode::Delete);
        assert!(swept.found.iter().any(|it| it.orphan.uid == uid) && swept.deleted.is_empty(), "{swept:?}");
        universe.sleep(GRACE + GRACE);
    }
    assert_eq!(servers(&life), 5);
}
