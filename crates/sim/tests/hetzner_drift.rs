//! What goes another way at Hetzner than was accepted, asked for or expected: each is found, told and mended.

#![allow(clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use helix_sim::faults::{CallPattern, Fault, Injection};
use helix_sim::inprocess::life::{Ended, Life};
use helix_sim::world::load_balancers::LoadBalancerChange;
use helix_sim::world::networks::{CreateNetwork, NewSubnet, SubnetKind};
use helix_sim::world::{Labels, NetworkId, Permission};
use jiff::SignedDuration;

use support::{HOUR, is_empty, sandbox, servers, universe};

/// Turns for a while, whatever comes of it.
fn live(life: &mut Life, minutes: i64) {
    let ended = life.until(SignedDuration::from_mins(minutes), |_, _| false);
    assert!(!matches!(ended, Err(Ended::Broken { .. })), "{ended:?}");
}

/// The reason and message of the platform's `Ready` condition.
fn ready_condition(life: &Life) -> (String, String) {
    let status = life.platform().status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").expect("a Ready condition");
    (ready.reason.clone(), ready.message.clone())
}

fn failing(command: &str, resource: Option<&str>, code: &str) -> Fault {
    Fault::ActionFails {
        command: Some(command.to_owned()),
        resource: resource.map(str::to_owned),
        code: code.to_owned(),
        message: "the host caught fire".to_owned(),
    }
}

/// What was told of failed steps.
fn failures(life: &Life) -> Vec<String> {
    let failed = life.events.iter().filter(|event| event.reason == "StepFailed");
    failed.map(|event| event.message.clone()).collect()
}

/// A network that some user has made.
fn foreign_network(life: &Life, name: &str, labels: Labels) -> NetworkId {
    life.universe().with_world(|world, project, now| {
        let subnet = NewSubnet {
            kind: SubnetKind::Cloud,
            range: Some("10.9.1.0/24".parse().expect("a range")),
            network_zone: "eu-central".to_owned(),
        };
        let order = CreateNetwork {
            name: name.to_owned(),
            range: "10.9.0.0/16".parse().expect("a range"),
            subnets: vec![subnet],
            routes: Vec::new(),
            labels,
        };
        world.create_network(project, order, now).expect("a network")
    })
}

fn pass(life: &Life, seconds: i64) {
    let now = life.universe().with_world(|_, _, now| now);
    life.universe().advance_to(now + SignedDuration::from_secs(seconds));
}

/// Behaviour 3: an action may end in error; its code and words are told, and the machine comes up all the same.
#[test]
fn an_accepted_creation_that_fails_is_told_in_hetzners_words() {
    let mut life = Life::new(universe(21), sandbox());
    let fault = failing("create_server", Some("sandbox-general-0"), "action_failed");
    life.universe().with_world(|world, _, _| world.inject(Injection::times(fault, 1)));
    life.until_ready(HOUR).unwrap();
    let told = failures(&life);
    let [message] = told.as_slice() else { panic!("one failure expected: {told:?}") };
    assert!(message.contains("server sandbox-general-0"), "{message}");
    assert!(message.contains("the host caught fire (action_failed)"), "{message}");
    assert_eq!(servers(&life), 5);
    life.until_gone(HOUR).unwrap();
    assert!(is_empty(&life));
}

#[test]
fn an_accepted_creation_that_finds_no_room_tells_of_the_placement() {
    for code in ["resource_unavailable", "placement_error"] {
        let mut life = Life::new(universe(22), sandbox());
        let fault = failing("create_server", Some("sandbox-cp-0"), code);
        life.universe().with_world(|world, _, _| world.inject(Injection::times(fault, 1)));
        life.until_ready(HOUR).unwrap();
        let told = failures(&life);
        assert!(told.len() == 1 && told[0].contains("is sold out in"), "{code}: {told:?}");
    }
}

/// A failure that keeps coming back is told ever more rarely, and costs ever fewer calls.
#[test]
fn an_action_that_always_fails_is_tried_ever_more_rarely() {
    let mut life = Life::new(universe(23), sandbox());
    life.until_ready(HOUR).unwrap();
    let fault = failing("start_server", None, "action_failed");
    life.universe().with_world(|world, _, _| world.inject(Injection::standing(fault)));
    life.universe().with_world(|world, project, now| {
        let server = world.project(project).servers.values().find(|server| server.meta.name == "sandbox-general-0");
        let id = server.expect("the worker").id;
        world.power(project, id, helix_sim::world::servers::PowerAction::PowerOff, now).unwrap();
    });
    live(&mut life, 15);
    let (before, told) = (life.universe().counts().hetzner, failures(&life).len());
    live(&mut life, 30);
    let (calls, told) = (life.universe().counts().hetzner - before, failures(&life).len() - told);
    assert!((1..=40).contains(&told), "told {told} times in half an hour");
    assert!(calls <= 600, "{calls} calls in half an hour in which nothing gets better");
}

#[test]
fn what_becomes_orderable_again_is_taken_within_minutes() {
    let mut life = Life::new(universe(24), sandbox());
    let closed = Fault::Unorderable { server_type: None, location: None };
    let fault = life.universe().with_world(|world, _, _| world.inject(Injection::standing(closed)));
    live(&mut life, 5);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "NoCapacity");
    assert!(message.contains("not orderable now"), "{message}");
    life.universe().with_world(|world, _, _| world.faults().withdraw(fault));
    let before = life.passed();
    life.until_ready(HOUR).unwrap();
    assert!(life.passed() - before < SignedDuration::from_mins(15), "{:#}", life.passed() - before);
}

/// The catalogue is an hour old, cannot be renewed and serves on: it is not asked for with every turn.
#[test]
fn a_catalogue_that_cannot_be_renewed_rests() {
    let mut life = Life::new(universe(25), sandbox());
    life.until_ready(HOUR).unwrap();
    live(&mut life, 65);
    let call = CallPattern::new("GET", "/locations");
    let fault = Fault::Refused { call, code: "server_error".to_owned() };
    life.universe().with_world(|world, _, _| world.inject(Injection::standing(fault)));
    live(&mut life, 60);
    life.universe().with_world(|world, project, now| {
        let server = world.project(project).servers.values().find(|server| server.meta.name == "sandbox-general-0");
        let id = server.expect("the worker").id;
        world.delete_server(project, id, now).unwrap();
    });
    let before = life.universe().counts().hetzner;
    life.edit(|_| {});
    life.until_ready(HOUR).unwrap();
    let calls = life.universe().counts().hetzner - before;
    assert!(calls <= 50, "{calls} calls for one machine");
}

#[test]
fn a_load_balancer_in_a_foreign_network_is_not_taken_for_attached() {
    let mut life = Life::new(universe(26), sandbox());
    life.until_ready(HOUR).unwrap();
    let foreign = foreign_network(&life, "theirs", Labels::new());
    let (balancer, ours) = life.universe().with_world(|world, project, _| {
        let balancer = world.project(project).load_balancers.values().next().expect("the load balancer");
        (balancer.id, balancer.private_net.expect("a network").0)
    });
    let change = |change: LoadBalancerChange| {
        life.universe().with_world(|world, project, now| {
            world.change_load_balancer(project, balancer, change, now).unwrap();
        });
        pass(&life, 60);
    };
    change(LoadBalancerChange::Detach(ours));
    change(LoadBalancerChange::Attach { network: foreign, ip: None });
    life.edit(|_| {});
    live(&mut life, 2);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "AttachedElsewhere", "{message}");
    life.universe().with_world(|world, project, now| {
        world.change_load_balancer(project, balancer, LoadBalancerChange::Detach(foreign), now).unwrap();
    });
    life.until_ready(HOUR).unwrap();
    let attached = life.universe().with_world(|world, project, _| {
        world.project(project).load_balancers.values().all(|it| it.private_net.is_some_and(|(id, _)| id == ours))
    });
    assert!(attached);
}

#[test]
fn a_namesake_in_the_same_project_is_told() {
    let mut life = Life::new(universe(27), sandbox());
    let labels = [("helix.dev/platform", "sandbox"), ("helix.dev/platform-uid", "another")];
    foreign_network(&life, "sandbox", labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    live(&mut life, 10);
    let (reason, message) = ready_condition(&life);
    assert_eq!(reason, "PlatformNameTaken", "{message}");
    assert!(message.contains("another HelixPlatform of the same name uses this project"), "{message}");
    assert_eq!(servers(&life), 0);
}

/// Under the token of another project nothing of the platform is found: that is no end of a teardown.
#[test]
fn a_teardown_in_the_wrong_project_forgets_nothing() {
    let mut life = Life::new(universe(28), sandbox());
    life.until_ready(HOUR).unwrap();
    let (home, other) = life.universe().with_world(|world, home, _| (home, world.add_project("another")));
    let give_token = |life: &mut Life, project| {
        life.universe().with_world(|world, _, _| world.add_token("simulated", project, Permission::ReadWrite));
        life.universe().move_to(project);
        life.restart();
    };
    give_token(&mut life, other);
    let gone = life.until_gone(HOUR);
    assert!(matches!(gone, Err(Ended::Stuck { .. })), "{gone:?}");
    let (_, message) = ready_condition(&life);
    assert!(message.contains("right project") && message.contains("Secret `sandbox-bootstrap`"), "{message}");
    give_token(&mut life, home);
    life.until_gone(HOUR).unwrap();
    assert!(is_empty(&life));
}
