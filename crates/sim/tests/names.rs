//! Names of a platform: written into the zone at Hetzner and taken back, or waited for; and what is another's stays.

#![allow(clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use helix_crds::{DnsProvider, HelixPlatform, IngressDomain, PhaseName};
use helix_engine::{Memory, turn};
use helix_plan::observed::Intents;
use helix_plan::phases::Concern;
use helix_plan::report::{Reach, State, Wait};
use helix_plan::validated::identity_of;
use helix_sim::inprocess::life::{Ended, Life};
use helix_sim::world::zones::{EXAMPLE_ZONE, RrSet};
use jiff::SignedDuration;

use support::{HOUR, is_empty, sandbox, universe};

const HOST: &str = "app.example.com";

/// A platform that publishes one host.
fn publishing(provider: DnsProvider) -> HelixPlatform {
    let mut platform = sandbox();
    let domain = serde_json::json!({
        "host": HOST, "service": {"namespace": "shop", "name": "web", "port": 80}, "auth": "None",
    });
    let domain: IngressDomain = serde_json::from_value(domain).expect("a domain");
    let weave = serde_json::json!({"ingress": {"domains": [domain]}});
    platform.spec.security_weave = Some(serde_json::from_value(weave).expect("a section"));
    platform.spec.until_phase = PhaseName::SecurityWeave;
    platform.spec.dns.provider = provider;
    platform.spec.dns.zone = Some(EXAMPLE_ZONE.to_owned());
    let acme = serde_json::json!({"email": "ops@example.com"});
    platform.spec.acme = Some(serde_json::from_value(acme).expect("an account"));
    platform
}

/// Lets time pass.
fn live(life: &mut Life, minutes: i64) {
    let ended = life.until(SignedDuration::from_mins(minutes), |_, _| false);
    assert!(!matches!(ended, Err(Ended::Broken { .. })), "{ended:?}");
}

/// A platform whose machines are up, and whose ingress has a load balancer.
fn with_ingress(platform: HelixPlatform) -> Life {
    let mut life = Life::new(universe(11), platform);
    live(&mut life, 40);
    life
}

fn resolved(life: &Life, host: &str) -> Vec<String> {
    life.universe().with_world(|world, project, _| world.project(project).resolve(host))
}

fn ingress_address(life: &Life) -> String {
    life.universe().with_world(|world, project, _| {
        let made = world.project(project).load_balancers.values().find(|it| world.is_made_inside(it.id));
        made.expect("the ingress has a load balancer").address.to_string()
    })
}

fn write(life: &Life, name: &str, address: &str) {
    life.universe().with_world(|world, project, now| {
        let records = vec![address.to_owned()];
        let (name, kind) = (name.to_owned(), "A".to_owned());
        let by_hand = RrSet { name, kind, ttl_seconds: None, labels: Default::default(), records };
        world.create_rrset(project, EXAMPLE_ZONE, by_hand, now).expect("a record");
    });
}

/// What the last turn told of a condition of the phase.
fn message(life: &Life) -> String {
    let status = life.platform().status.clone().expect("a status");
    let told = status.conditions.iter().find(|it| it.type_ == PhaseName::SecurityWeave.as_str());
    told.map(|it| it.message.clone()).unwrap_or_default()
}

/// Where the names of what is published stand.
fn names(life: &Life) -> State {
    let universe = life.universe();
    let (seams, mut memory) = (universe.seams(), Memory::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let seen = runtime.block_on(turn::look(&seams, life.platform(), &Intents::default(), &mut memory));
    let seen = seen.expect("it can be looked at");
    let plan = helix_plan::plan(&seen.validated, &seen.observed, universe.with_world(|world, _, _| world.now()));
    plan.report.of(Concern::Names).expect("it goes that far").clone()
}

#[test]
fn names_at_hetzner_follow_the_ingress_and_go_with_the_platform() {
    let mut life = with_ingress(publishing(DnsProvider::Hetzner));
    live(&mut life, 30);
    let address = ingress_address(&life);
    assert_eq!(resolved(&life, HOST), std::slice::from_ref(&address));

    // Somebody lets it lead elsewhere: the next sweep finds it.
    life.universe().with_world(|world, project, now| {
        let records = vec!["198.51.100.1".to_owned()];
        world.set_records(project, (EXAMPLE_ZONE, "app", "A"), records, now).expect("a record");
    });
    live(&mut life, 30);
    assert_eq!(resolved(&life, HOST), [address]);

    write(&life, "mail", "198.51.100.2");
    assert_eq!(life.until_gone(HOUR), Ok(()));
    assert!(is_empty(&life));
    assert!(resolved(&life, HOST).is_empty());
    assert_eq!(resolved(&life, "mail.example.com"), ["198.51.100.2"], "what is another's stays");
    let receipt = life.universe().receipt().expect("a receipt");
    assert!(receipt.deleted.iter().any(|it| it == "DNS record app.example.com"), "{receipt:?}");
}

#[test]
fn anothers_record_is_never_taken_over() {
    let mut life = Life::new(universe(11), publishing(DnsProvider::Hetzner));
    write(&life, "app", "198.51.100.3");
    live(&mut life, 70);
    assert_eq!(resolved(&life, HOST), ["198.51.100.3"]);
    assert!(message(&life).contains("DNS record named `app.example.com`"), "{}", message(&life));
    assert_eq!(life.until_gone(HOUR), Ok(()));
    assert_eq!(resolved(&life, HOST), ["198.51.100.3"]);
}

#[test]
fn names_that_others_write_are_waited_for() {
    let mut life = with_ingress(publishing(DnsProvider::Manual));
    live(&mut life, 30);
    let address = ingress_address(&life);
    assert!(resolved(&life, HOST).is_empty(), "nobody asked Helix to write it");
    let waits = Wait::Reach(Reach::DnsRecord { host: HOST.to_owned(), address: address.parse().expect("an address") });
    assert_eq!(names(&life), State::WaitingOn(waits));
    write(&life, "app", &address);
    assert!(matches!(names(&life), State::Done(_)), "{:?}", names(&life));
}

const OTHER_ZONE: &str = "example.org";

fn with_other_zone(life: &Life) {
    life.universe().with_world(|world, project, now| {
        world.create_zone(project, OTHER_ZONE, Default::default(), now).expect("a zone");
    });
}

#[test]
fn names_go_from_zones_that_are_named_no_longer() {
    let mut life = with_ingress(publishing(DnsProvider::Hetzner));
    live(&mut life, 30);
    let address = ingress_address(&life);
    assert_eq!(resolved(&life, HOST), std::slice::from_ref(&address));
    with_other_zone(&life);
    life.edit(|platform| {
        platform.spec.dns.zone = Some(OTHER_ZONE.to_owned());
        let weave = platform.spec.security_weave.as_mut().expect("a section");
        let ingress = weave.ingress.as_mut().expect("an ingress");
        "app.example.org".clone_into(&mut ingress.domains[0].host);
    });
    live(&mut life, 15);
    assert_eq!(resolved(&life, "app.example.org"), std::slice::from_ref(&address));
    assert!(resolved(&life, HOST).is_empty(), "the former name is gone from the former zone");

    life.edit(|platform| {
        platform.spec.dns.provider = DnsProvider::Manual;
        platform.spec.dns.zone = None;
    });
    live(&mut life, 15);
    assert!(resolved(&life, "app.example.org").is_empty(), "somebody else writes it now");
}

#[test]
fn a_deletion_finds_the_platforms_names_in_every_zone() {
    let mut life = Life::new(universe(11), sandbox());
    live(&mut life, 20);
    with_other_zone(&life);
    // As an earlier specification had it made, which this engine has never seen.
    let labels = identity_of(life.platform()).labels();
    life.universe().with_world(|world, project, now| {
        for (name, labels) in [("app", labels), ("mail", Default::default())] {
            let (name, kind, records) = (name.to_owned(), "A".to_owned(), vec!["198.51.100.4".to_owned()]);
            let record = RrSet { name, kind, ttl_seconds: None, labels, records };
            world.create_rrset(project, OTHER_ZONE, record, now).expect("a record");
        }
    });
    assert_eq!(life.until_gone(HOUR), Ok(()));
    assert!(resolved(&life, "app.example.org").is_empty());
    assert_eq!(resolved(&life, "mail.example.org"), ["198.51.100.4"], "what is another's stays");
}
