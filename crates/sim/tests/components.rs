//! Phases 3 to 6 in process: components installed in order, kept as they are, changed, removed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use std::net::Ipv4Addr;

use helix_crds::{HelixPlatform, PhaseName, PhaseState};
use helix_sim::faults::{Fault, Injection};
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
    let renderings = life.universe().with_charts(|charts| charts.renderings);
    change(&life, |inside| inside.objects.get_mut(&traefik).expect("Traefik").digest = None);
    live(&mut life, 3);
    assert_eq!(life.universe().with_charts(|charts| charts.renderings), renderings, "nothing is rendered for it");
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
    let of = |component: &str| {
        let of_it = held.objects.iter().filter(|(_, held)| held.component.as_deref() == Some(component));
        of_it.map(|(key, _)| key.1.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((of("ollama"), of("langgraph")), (vec!["Namespace", "PersistentVolumeClaim"], vec![]));
    let clusters =
        held.objects.keys().filter(|key| key.1 == "Cluster" && key.2.as_deref() == Some("databases")).count();
    assert_eq!(clusters, 1, "the data stays until somebody deletes it");
}

fn evidence(life: &Life, phase: PhaseName) -> String {
    let status = life.platform().status.clone().unwrap();
    let found = status.phases.into_iter().find(|told| told.name == phase).unwrap();
    found.evidence.into_iter().map(|seen| seen.what).collect::<Vec<_>>().join("\n")
}

/// Status and message of a condition.
fn condition(life: &Life, kind: &str) -> (String, String) {
    let conditions = life.platform().status.clone().unwrap().conditions;
    let found = conditions.into_iter().find(|it| it.type_ == kind).unwrap();
    (found.status, found.message)
}

#[test]
fn a_model_that_is_not_pulled_is_waited_for_and_named() {
    let (universe, platform) = full(6);
    let models = platform.spec.ai.as_ref().unwrap().ollama.as_ref().unwrap().models.clone();
    let model = models.first().unwrap().clone();
    let fault = Injection::standing(Fault::ModelNotPulled { model: model.clone() });
    let fault = universe.with_world(|world, _, _| world.faults().inject(fault));
    let mut life = Life::new(universe, platform);
    let waited = format!("ollama is coming up: it has not pulled {model} yet");
    life.until(LONG_ENOUGH, |platform, _| waits_for(platform) == waited).unwrap();
    live(&mut life, 10);
    assert_eq!(waits_for(life.platform()), waited);
    life.universe().with_world(|world, _, _| world.faults().withdraw(fault));
    life.until_ready(LONG_ENOUGH).unwrap();
    let seen = evidence(&life, PhaseName::AiAgentic);
    assert!(seen.contains(&format!("its models are there: {}", models.join(", "))), "{seen}");
    let seen = evidence(&life, PhaseName::SecurityWeave);
    assert!(seen.contains("Service authentik/authentik-server answers at /-/health/ready/"), "{seen}");
}

#[test]
fn backups_of_databases_tell_their_age_and_late_ones_hold_up_nothing() {
    let mut life = up(7);
    live(&mut life, 5);
    let seen = evidence(&life, PhaseName::StateAndDataHa);
    assert!(seen.contains("the newest backup of PostgreSQL cluster main is less than an hour old"), "{seen}");
    assert_eq!(condition(&life, "DatabasesBackedUp").0, "True");
    let fails = Injection::standing(Fault::BackupFails { cluster: Some("main".to_owned()) });
    life.universe().with_world(|world, _, _| world.faults().inject(fails));
    // The example's schedule is nightly.
    for day in 1..=2 {
        let now = life.universe().with_world(|_, _, now| now);
        life.universe().advance_to(now + SignedDuration::from_hours(24));
        life.until_ready(LONG_ENOUGH).unwrap();
        live(&mut life, 2);
        let late = condition(&life, "DatabasesBackedUp");
        assert_eq!(late.0, if day == 1 { "True" } else { "False" }, "day {day}: {}", late.1);
    }
    let late = "the newest backup of PostgreSQL cluster main is 2 days old, though two were due since";
    assert_eq!(condition(&life, "DatabasesBackedUp").1, late);
    assert_eq!(condition(&life, "Ready").0, "True", "nothing waits for a backup");
}

#[test]
fn each_of_several_blocked_components_is_told_with_its_remedy() {
    let mut life = up(8);
    // Somebody else claims what is there.
    change(&life, |inside| {
        for name in ["ollama", "steel-browser"] {
            let namespace = ("v1".to_owned(), "Namespace".to_owned(), None, name.to_owned());
            let held = inside.objects.get_mut(&namespace).expect("a namespace");
            (held.component, held.manager) = (None, "Helm".to_owned());
        }
    });
    life.until(LONG_ENOUGH, |platform, _| waits_for(platform).starts_with("2 things wait for somebody: (1) ")).unwrap();
    let told = waits_for(life.platform());
    for component in ["ollama", "steel-browser"] {
        let block = format!("Namespace {component} exists and is managed by Helm");
        let remedy = format!("hand it over by the label helix.dev/component={component}");
        assert!(told.contains(&block) && told.contains(&remedy), "{told}");
    }
    let (status, message) = condition(&life, "Degraded");
    assert!(status == "True" && message.starts_with(&told), "{status}: {message}");
}

#[test]
fn certificates_of_hubble_are_renewed_before_they_end() {
    let mut life = Life::new(universe(9), until(PhaseName::SecurityWeave));
    life.until_ready(LONG_ENOUGH).unwrap();
    let secret = ("kube-system".to_owned(), "hubble-server-certs".to_owned());
    let held = |life: &Life| inside(life).secrets.get(&secret).cloned().expect("the Secret");
    let first = held(&life);
    for month in 1..=14 {
        let now = life.universe().with_world(|_, _, now| now);
        life.universe().advance_to(now + SignedDuration::from_hours(30 * 24));
        life.until_ready(LONG_ENOUGH).unwrap();
        live(&mut life, 3);
        let renewed = held(&life)["tls.crt"] != first["tls.crt"];
        assert_eq!(renewed, month > 11, "month {month}");
    }
    assert_ne!(held(&life)["tls.key"], first["tls.key"], "the key is another one, too");
}
