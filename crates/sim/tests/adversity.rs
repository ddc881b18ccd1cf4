//! What the outside can do to a platform: each case ends in a condition that names object, reason and remedy, with
//! nothing lost and nothing made twice, and goes on by itself when the outside is well again.

#![allow(clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use helix_sim::faults::{CallPattern, Fault, Injection};
use helix_sim::inprocess::life::Life;
use helix_sim::world::networks::CreateNetwork;
use helix_sim::world::{Labels, ServerStatus};
use jiff::SignedDuration;

use support::{HOUR, is_empty, sandbox, servers, universe};

/// Turns for a while; the platform is not expected to become Ready.
fn live(life: &mut Life, minutes: i64) {
    let ended = life.until(SignedDuration::from_mins(minutes), |_, _| false);
    assert!(!matches!(ended, Err(helix_sim::inprocess::life::Ended::Broken { .. })), "{ended:?}");
}

/// The reason and message of the platform's `Ready` condition.
fn ready_condition(life: &Life) -> (String, String) {
    let status = life.platform().status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").expect("a Ready condition");
    assert_ne!(ready.status, "True");
    (ready.reason.clone(), ready.message.clone())
}

#[test]
fn a_foreign_resource_with_our_name_is_left_alone() {
    let universe = universe(1);
    let order = CreateNetwork {
        name: "sandbox".to_owned(),
        range: "10.9.0.0/16".parse().unwrap(),
        subnets: Vec::new(),
        routes: Vec::new(),
        labels: Labels::new(),
    };
    let foreign = universe.with_world(|world, project, now| world.create_network(project, order, now).unwrap());
    let mut life = Life::new(universe, sandbox());
    live(&mut life, 10);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "ForeignResource");
    assert!(message.contains("a network named `sandbox` exists"), "{message}");
    assert_eq!(servers(&life), 0);
    // The owner takes it away, and the platform goes on.
    life.universe().with_world(|world, project, now| world.delete_network(project, foreign, now).unwrap());
    life.until_ready(HOUR).unwrap();
}

#[test]
fn a_lost_secret_bundle_stops_everything() {
    let mut life = Life::new(universe(2), sandbox());
    life.until_ready(HOUR).unwrap();
    life.universe().lose_store();
    live(&mut life, 10);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "SecretBundleLost");
    assert!(message.contains("5 servers") && message.contains("helix secrets import"), "{message}");
    assert_eq!(life.universe().counts().bundles, 1, "no second PKI");
    assert_eq!(servers(&life), 5);
}

#[test]
fn a_revoked_token_is_told_and_a_new_one_is_taken_up() {
    let mut life = Life::new(universe(3), sandbox());
    let fault = life.universe().with_world(|world, _, _| world.inject(Injection::standing(Fault::TokenRevoked)));
    live(&mut life, 5);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "AccessRefused");
    assert!(message.contains("token Secret"), "{message}");
    life.universe().with_world(|world, _, _| world.faults().withdraw(fault));
    life.until_ready(HOUR).unwrap();
}

#[test]
fn a_token_without_write_permission_is_told() {
    let mut life = Life::new(universe(4), sandbox());
    let fault = life.universe().with_world(|world, _, _| world.inject(Injection::standing(Fault::TokenReadonly)));
    live(&mut life, 5);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "NotPermitted");
    assert!(message.contains("read and write permission"), "{message}");
    life.universe().with_world(|world, _, _| world.faults().withdraw(fault));
    life.until_ready(HOUR).unwrap();
}

#[test]
fn a_sold_out_placement_gives_way_to_the_next() {
    let mut life = Life::new(universe(5), sandbox());
    let sold_out = Fault::NoCapacity { server_type: None, location: Some("fsn1".to_owned()), placement_error: false };
    life.universe().with_world(|world, _, _| world.inject(Injection::standing(sold_out)));
    life.until_ready(HOUR).unwrap();
    let in_fsn1 = life.universe().with_world(|world, project, _| {
        world.project(project).servers.values().filter(|server| server.location.name == "fsn1").count()
    });
    assert_eq!((servers(&life), in_fsn1), (5, 0));
}

#[test]
fn everything_sold_out_is_told_and_ends() {
    let mut life = Life::new(universe(6), sandbox());
    let sold_out = Fault::NoCapacity { server_type: None, location: None, placement_error: true };
    let fault = life.universe().with_world(|world, _, _| world.inject(Injection::standing(sold_out)));
    live(&mut life, 15);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "NoCapacity");
    assert!(message.contains("sold out") && message.contains("fsn1"), "{message}");
    assert_eq!(servers(&life), 0);
    life.universe().with_world(|world, _, _| world.faults().withdraw(fault));
    life.until_ready(HOUR).unwrap();
}

#[test]
fn lost_garbled_and_refused_answers_end_in_the_same_state() {
    let any = CallPattern::default;
    let faults = [
        Fault::RequestLost { call: any() },
        Fault::AnswerLost { call: any() },
        Fault::RequestRepeated { call: any() },
        Fault::AnswerGarbled { call: any() },
        Fault::AnswerTruncated { call: any() },
        Fault::Refused { call: any(), code: "server_error".to_owned() },
        Fault::Refused { call: any(), code: "conflict".to_owned() },
        Fault::Refused { call: any(), code: "locked".to_owned() },
        Fault::RateLimited { call: any(), reset_seconds: 30 },
    ];
    for (fault, seed) in faults.into_iter().zip(10..) {
        let mut life = Life::new(universe(seed), sandbox());
        let injection = Injection { per_mille: 200, times: Some(40), ..Injection::standing(fault.clone()) };
        life.universe().with_world(|world, _, _| world.inject(injection));
        assert_eq!(life.until_ready(HOUR), Ok(()), "{fault:?}, seed {seed}");
        assert_eq!(servers(&life), 5, "{fault:?}, seed {seed}");
        assert_eq!(life.until_gone(HOUR), Ok(()), "{fault:?}, seed {seed}");
        assert!(is_empty(&life), "{fault:?}, seed {seed}");
    }
}

#[test]
fn two_sold_out_placements_cost_one_try_each() {
    let mut life = Life::new(universe(14), sandbox());
    let sold_out = Fault::NoCapacity { server_type: None, location: None, placement_error: false };
    life.universe().with_world(|world, _, _| world.inject(Injection::standing(sold_out)));
    live(&mut life, 2);
    let before = life.universe().counts().hetzner;
    live(&mut life, 6);
    let calls = life.universe().counts().hetzner - before;
    assert!(calls <= 10, "{calls} calls in six minutes in which nothing can be had");
}

#[test]
fn the_token_of_another_project_builds_nothing_there() {
    let mut life = Life::new(universe(15), sandbox());
    life.until_ready(HOUR).unwrap();
    // As another project would look: nothing of the platform is in it.
    life.universe().with_world(|world, _, _| {
        let other = world.add_project("another");
        world.add_token("simulated", other, helix_sim::world::Permission::ReadWrite);
        other
    });
    life.universe().move_to_newest_project();
    life.restart();
    live(&mut life, 10);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "WrongProject", "{message}");
    assert!(is_empty(&life), "nothing was made in the other project");
}

#[test]
fn a_server_that_was_powered_off_is_started_again() {
    let mut life = Life::new(universe(7), sandbox());
    life.until_ready(HOUR).unwrap();
    life.universe().with_world(|world, project, now| {
        let server = world.project(project).servers.values().find(|server| server.meta.name == "sandbox-general-0");
        let id = server.expect("the worker").id;
        world.power(project, id, helix_sim::world::servers::PowerAction::PowerOff, now).unwrap();
    });
    live(&mut life, 30);
    life.until_ready(HOUR).unwrap();
    let off = life.universe().with_world(|world, project, _| {
        world.project(project).servers.values().any(|server| server.status == ServerStatus::Off)
    });
    assert!(!off);
}

#[test]
fn a_half_built_platform_goes_without_a_trace() {
    for calls in (20..400).step_by(37) {
        let universe = universe(8);
        let mut life = Life::new(universe.clone(), sandbox());
        let ended = life.until(HOUR, |_, _| universe.counts().calls > calls);
        assert_eq!(ended, Ok(()), "after {calls} calls");
        assert_eq!(life.until_gone(HOUR), Ok(()), "after {calls} calls");
        assert!(is_empty(&life), "after {calls} calls");
    }
}

#[test]
fn a_paused_platform_is_left_alone_and_says_so() {
    let mut platform = sandbox();
    platform.spec.paused = true;
    let mut life = Life::new(universe(9), platform);
    live(&mut life, 10);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "Paused");
    assert!(message.contains("spec.paused"), "{message}");
    assert_eq!(life.universe().counts().calls, 0);
    life.edit(|platform| platform.spec.paused = false);
    life.until_ready(HOUR).unwrap();
}

#[test]
fn a_paused_platform_is_not_torn_down() {
    let mut life = Life::new(universe(11), sandbox());
    life.until_ready(HOUR).unwrap();
    life.edit(|platform| platform.spec.paused = true);
    let ended = life.until_gone(HOUR);
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(servers(&life), 5);
    let (_, message) = ready_condition(&life);
    assert!(message.contains("to let it be deleted"), "{message}");
    life.edit(|platform| platform.spec.paused = false);
    life.until_gone(HOUR).unwrap();
    assert!(is_empty(&life));
}

/// Two of three control planes' servers deleted by hand: nothing destructive is done, and nothing new is made.
#[test]
fn a_lost_quorum_is_told_and_nothing_is_made_worse() {
    let mut life = Life::new(universe(12), sandbox());
    life.until_ready(HOUR).unwrap();
    life.universe().with_world(|world, project, now| {
        let doomed = |name: &str| name == "sandbox-cp-1" || name == "sandbox-cp-2";
        let servers = world.project(project).servers.values();
        let ids: Vec<_> = servers.filter(|server| doomed(&server.meta.name)).map(|server| server.id).collect();
        for id in ids {
            world.delete_server(project, id, now).unwrap();
        }
    });
    live(&mut life, 30);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "QuorumLost", "{message}");
    assert_eq!(servers(&life), 3);
    assert_eq!(life.universe().counts().bootstraps, 1);
}

/// One control plane's server deleted by hand: its member is removed, and the machine is made anew under its name.
#[test]
fn a_deleted_control_plane_is_made_anew() {
    let mut life = Life::new(universe(13), sandbox());
    life.until_ready(HOUR).unwrap();
    life.universe().with_world(|world, project, now| {
        let server = world.project(project).servers.values().find(|server| server.meta.name == "sandbox-cp-1");
        let id = server.expect("the control plane").id;
        world.delete_server(project, id, now).unwrap();
    });
    live(&mut life, 30);
    life.until_ready(HOUR).unwrap();
    assert_eq!((servers(&life), life.universe().counts().bootstraps), (5, 1));
}

#[test]
fn a_chart_that_is_not_there_is_told_and_comes_when_it_is() {
    let mut platform = sandbox();
    platform.spec.until_phase = helix_crds::PhaseName::AiAgentic;
    let universe = universe(10);
    universe.with_charts(|charts| charts.withdrawn.extend(["cilium".to_owned()]));
    let mut life = Life::new(universe, platform);
    live(&mut life, 10);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "ChartNotFound");
    assert!(message.contains("https://helm.cilium.io has no cilium 1.20.0"), "{message}");
    life.universe().with_charts(|charts| charts.withdrawn.clear());
    life.until_ready(HOUR).unwrap();
}

/// Others in the project have so many placement groups.
fn take_placement_groups(life: &Life, number: usize) {
    life.universe().with_world(|world, project, now| {
        for number in 0..number {
            let name = format!("of-others-{number}");
            world.create_placement_group(project, &name, Labels::new(), now).expect("there is room");
        }
    });
}

/// A life in a project with so many groups of others, and the names of its servers that are in one.
fn grouped_beside(of_others: usize) -> (Life, Vec<String>) {
    let mut life = Life::new(universe(16), sandbox());
    take_placement_groups(&life, of_others);
    // A pool whose name comes before the control planes' own must not take the last group from them.
    life.edit(|platform| "a".clone_into(&mut platform.spec.worker_pools[0].name));
    assert_eq!(life.until_ready(HOUR), Ok(()));
    let grouped = life.universe().with_world(|world, project, _| {
        let servers = world.project(project).servers.values();
        servers.filter(|it| it.placement_group.is_some()).map(|it| it.meta.name.clone()).collect()
    });
    (life, grouped)
}

#[test]
fn machines_that_can_go_without_a_placement_group_do_where_the_project_has_none_left() {
    let (_, grouped) = grouped_beside(50);
    assert_eq!(grouped, Vec::<String>::new(), "each control plane has a location of its own");
    let (mut life, grouped) = grouped_beside(49);
    assert_eq!(grouped, ["sandbox-cp-0", "sandbox-cp-1", "sandbox-cp-2"]);
    let before = life.universe().counts().hetzner;
    live(&mut life, 60);
    let calls = life.universe().counts().hetzner - before;
    assert!(calls <= 7 * 10, "the missing group is asked for again and again: {calls} calls in an hour");
    life.until_gone(HOUR).unwrap();
}

#[test]
fn control_planes_of_one_location_wait_for_their_placement_group() {
    let mut life = Life::new(universe(17), sandbox());
    take_placement_groups(&life, 50);
    life.edit(|platform| platform.spec.control_plane.placements.truncate(1));
    live(&mut life, 20);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "LimitExceeded", "{message}");
    assert!(message.contains("placement group sandbox-cp-0"), "{message}");
    assert_eq!(servers(&life), 0);
}
