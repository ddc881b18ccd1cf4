//! Phases 3 to 6 in process: components installed in order, kept as they are, changed, removed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use std::net::Ipv4Addr;

use helix_crds::{HelixPlatform, PhaseName, PhaseState};
use helix_sim::inprocess::Universe;
use helix_sim::inprocess::life::Life;
use helix_sim::world::machine::Inside;
use jiff::SignedDuration;

use support::{is_empty, sandbox, universe};

/// Longer than any of this takes.
const LONG_ENOUGH: SignedDuration = SignedDuration::from_mins(20);

fn until(phase: PhaseName) -> HelixPlatform {
    let mut platform = sandbox();
    platform.spec.until_phase = phase;
    platform
}

/// From where Helix calls, as the full example says.
const HELIX: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);

/// The full example in a universe in which its Secrets are.
fn full(seed: u64) -> (Universe, HelixPlatform) {
    let text = include_str!("../../../manifests/examples/full.yaml");
    let mut platform: HelixPlatform = serde_saphyr::from_str(text).unwrap();
    platform.metadata.uid = Some("0b1f6a52-6a0e-4c0e-9d7e-000000000002".to_owned());
    platform.metadata.generation = Some(1);
    platform.spec.backup = None;
    let universe = universe(seed);
    universe.call_from(HELIX);
    for (name, key) in [
        ("hcloud-cluster", "token"),
        ("netbird", "token"),
        ("authentik-bootstrap", "password"),
        ("authentik-bootstrap", "token"),
        ("langgraph", "license"),
        ("platform-git", "username"),
        ("platform-git", "password"),
        ("backup-s3", "accessKeyId"),
        ("backup-s3", "secretAccessKey"),
    ] {
        universe.put_users_secret(name, key, "a value of the user's");
    }
    (universe, platform)
}

/// What components have in the one cluster.
fn inside(life: &Life) -> Inside {
    life.universe().with_world(|world, _, _| {
        let servers: Vec<_> = world.guests().iter().map(|guest| guest.host().server).collect();
        servers.into_iter().find_map(|server| world.guests().inside_at(server).cloned()).expect("a cluster")
    })
}

fn change(life: &Life, change: impl FnOnce(&mut Inside)) {
    life.universe().with_world(|world, _, now| {
        let servers: Vec<_> = world.guests().iter().map(|guest| guest.host().server).collect();
        let guests = world.guests_mut(now);
        let server = servers.into_iter().find(|server| guests.inside_at(*server).is_some()).expect("a cluster");
        change(guests.inside_at_mut(server).expect("a cluster"));
    });
}

#[test]
fn the_network_comes_with_its_policies_before_anything_else() {
    let mut life = Life::new(universe(1), until(PhaseName::SecurityWeave));
    life.until_ready(LONG_ENOUGH).unwrap();
    println!("ready after {:#}", life.passed());
    let done: Vec<&str> = life.events.iter().map(|event| event.message.as_str()).collect();
    let place = |text: &str| done.iter().position(|told| told.contains(text)).unwrap_or_else(|| panic!("{done:#?}"));
    assert!(place("render chart cilium") < place("apply component cilium"));
    assert!(place("apply component cilium") < place("apply component hcloud-cloud-controller-manager"));
    let held = inside(&life);
    let policies = held.objects.keys().filter(|key| key.1 == "CiliumClusterwideNetworkPolicy").count();
    assert!(policies >= 2, "{:#?}", held.objects.keys());
    life.until_gone(LONG_ENOUGH).unwrap();
    assert!(is_empty(&life));
}

/// A full platform that is up, all six phases of it.
fn up(seed: u64) -> Life {
    let (universe, platform) = full(seed);
    let mut life = Life::new(universe, platform);
    life.until_ready(LONG_ENOUGH).unwrap();
    life
}

#[test]
fn all_six_phases_come_up_in_order_rest_and_go() {
    let mut life = up(2);
    println!("ready after {:#} and {} turns", life.passed(), life.turns());
    let told: Vec<&str> = life.events.iter().map(|event| event.message.as_str()).collect();
    let first =
        |text: &str| told.iter().position(|told| told.starts_with(text)).unwrap_or_else(|| panic!("{text}: {told:#?}"));
    let order = [
        "apply component cilium",
        "apply component hcloud-cloud-controller-manager",
        "apply component hcloud-csi",
        "apply component cloudnative-pg",
        "apply component authentik",
        "apply component argo-cd",
        "publish",
        "fill Secret langgraph/",
    ];
    for pair in order.windows(2) {
        assert!(first(pair[0]) < first(pair[1]), "{} before {}", pair[0], pair[1]);
    }
    let status = life.platform().status.clone().unwrap();
    assert!(status.phases.iter().all(|phase| phase.state == PhaseState::Ready && !phase.evidence.is_empty()));

    let steps = life.events.len();
    live(&mut life, 30);
    let since: Vec<_> = life.events.iter().skip(steps).collect();
    assert!(since.is_empty(), "at rest nothing is done: {since:?}");

    life.until_gone(LONG_ENOUGH).unwrap();
    assert!(is_empty(&life));
}

/// Lets the engine turn for so many minutes.
fn live(life: &mut Life, minutes: i64) {
    life.until(SignedDuration::from_mins(minutes), |_, _| false).unwrap_err();
}

#[test]
fn what_others_change_is_put_right_and_what_they_hold_is_told() {
    let mut life = up(3);
    let traefik = ("apps/v1".to_owned(), "Deployment".to_owned(), Some("traefik".to_owned()), "traefik".to_owned());
    change(&life, |inside| inside.objects.get_mut(&traefik).expect("Traefik").digest = None);
    live(&mut life, 30);
    let repaired = |life: &Life| {
        life.events.iter().any(|event| event.reason == "DriftRepaired" && event.message.contains("traefik"))
    };
    assert!(repaired(&life), "{:?}", life.events.last());

    change(&life, |inside| {
        let held = inside.objects.get_mut(&traefik).expect("Traefik");
        held.digest = None;
        held.contested = vec![(".spec.replicas".to_owned(), "an autoscaler".to_owned())];
    });
    life.until(LONG_ENOUGH, |platform, _| waits_for(platform).contains(".spec.replicas by an autoscaler")).unwrap();
    change(&life, |inside| inside.objects.get_mut(&traefik).expect("Traefik").contested.clear());
    life.until_ready(LONG_ENOUGH).unwrap();
}

fn waits_for(platform: &HelixPlatform) -> String {
    platform.status.as_ref().and_then(|status| status.waiting_for.clone()).unwrap_or_default()
}

#[test]
fn without_its_licence_langgraph_alone_is_blocked() {
    let (universe, mut platform) = full(4);
    platform.spec.ai.as_mut().unwrap().langgraph.as_mut().unwrap().license_secret_ref.name = "not-yet".to_owned();
    let mut life = Life::new(universe, platform);
    life.until(LONG_ENOUGH, |platform, _| waits_for(platform).contains("key license of Secret helix-system/not-yet"))
        .unwrap();
    let browser = inside(&life).objects.keys().any(|key| key.3 == "steel-browser" && key.1 == "Deployment");
    assert!(browser, "the rest goes on");
    life.universe().put_users_secret("not-yet", "license", "a licence");
    life.until_ready(LONG_ENOUGH).unwrap();
}

#[test]
fn what_is_switched_off_goes_but_not_what_holds_data() {
    let (universe, mut platform) = full(5);
    // Without a repository Helix writes all of it.
    platform.spec.gitops.as_mut().unwrap().repository = None;
    let mut life = Life::new(universe, platform);
    life.until_ready(LONG_ENOUGH).unwrap();
    life.edit(|platform| {
        let spec = &mut platform.spec;
        spec.ai.as_mut().unwrap().ollama = None;
        spec.ai.as_mut().unwrap().langgraph = None;
        spec.data.as_mut().unwrap().postgres.clear();
    });
    life.until_ready(LONG_ENOUGH).unwrap();
    live(&mut life, 15);
    let held = inside(&life);
    let of =
        |component: &str| held.objects.iter().filter(|(_, held)| held.component.as_deref() == Some(component)).count();
    assert_eq!((of("ollama"), of("langgraph")), (0, 0));
    let clusters =
        held.objects.keys().filter(|key| key.1 == "Cluster" && key.2.as_deref() == Some("databases")).count();
    assert_eq!(clusters, 1, "the data stays until somebody deletes it");
}
