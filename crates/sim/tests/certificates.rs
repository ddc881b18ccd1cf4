//! Certificates: renewed before they end, and their authorities rotated under a running platform. The machines of this world
//! really look at who signed a certificate and when it ends, so whoever goes about it in the wrong order is locked out.

#![allow(clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use std::collections::BTreeSet;

use helix_crds::{ApprovalMode, HelixPlatform, RotationStatus, labels};
use helix_plan::names::MachineName;
use helix_sim::inprocess::Kill;
use helix_sim::inprocess::life::{Ended, Life};
use helix_sim::world::machine::Guests;
use jiff::{SignedDuration, Timestamp};

use support::{HOUR, sandbox, universe};

fn approved() -> HelixPlatform {
    let mut platform = sandbox();
    platform.spec.approval = ApprovalMode::Automatic;
    platform
}

fn ready(seed: u64) -> Life {
    let mut life = Life::new(universe(seed), approved());
    assert_eq!(life.until_ready(HOUR), Ok(()));
    life
}

fn live(life: &mut Life, minutes: i64) {
    let ended = life.until(SignedDuration::from_mins(minutes), |_, _| false);
    assert!(!matches!(ended, Err(Ended::Broken { .. })), "{ended:?}");
}

fn boot_ids(life: &Life) -> BTreeSet<String> {
    life.universe().with_world(|world, _, _| world.guests().iter().map(|guest| guest.boot_id().to_owned()).collect())
}

fn now(life: &Life) -> Timestamp {
    life.universe().with_world(|_, _, now| now)
}

/// The certificates of Talos' and Kubernetes' authorities that all machines together know.
fn known(life: &Life) -> BTreeSet<String> {
    life.universe().with_world(|world, _, _| {
        let guests = world.guests().iter();
        let known = guests.flat_map(|guest| {
            let config = guest.config().expect("a configuration");
            let machine = config.machine().expect("a machine").known_authorities();
            machine.into_iter().chain(config.cluster().expect("a cluster").known_authorities())
        });
        known.collect()
    })
}

fn rotation(platform: &HelixPlatform) -> Option<RotationStatus> {
    platform.status.as_ref()?.secrets.as_ref()?.rotation.clone()
}

fn is_done(platform: &HelixPlatform, request: &str) -> bool {
    rotation(platform).is_some_and(|rotation| rotation.stage == "Done" && rotation.request == request)
}

fn rotated(life: &mut Life, request: &str) {
    life.annotate(labels::ROTATE_CA, request);
    assert_eq!(life.until(HOUR * 3, |platform, _| is_done(platform, request)), Ok(()));
    assert_eq!(life.until_ready(HOUR), Ok(()));
}

#[test]
fn a_platform_lives_eighteen_months_and_stays_reachable() {
    let mut life = ready(1);
    let boots = boot_ids(&life);
    let files = |life: &Life| {
        let secrets = life.platform().status.clone().and_then(|status| status.secrets).expect("secrets");
        [secrets.kubeconfig_expires_at, secrets.talosconfig_expires_at].map(|at| at.expect("it is told").0)
    };
    let first = files(&life);
    for month in 1..=18 {
        life.universe().advance_to(now(&life) + SignedDuration::from_hours(30 * 24));
        assert_eq!(life.until_ready(HOUR), Ok(()), "month {month}");
        let left = files(&life).map(|ends| ends.duration_since(now(&life)));
        assert!(left.iter().all(|left| *left > SignedDuration::from_hours(29 * 24)), "month {month}: {left:?}");
    }
    assert!(files(&life).iter().zip(first).all(|(ends, before)| *ends > before), "the files were renewed");
    assert_eq!(boot_ids(&life), boots, "and nothing was rebooted for it");
}

#[test]
fn authorities_are_rotated_without_a_reboot_and_the_old_ones_are_forgotten() {
    let mut life = ready(2);
    live(&mut life, 20);
    let (boots, before) = (boot_ids(&life), known(&life));
    rotated(&mut life, "2026-11");
    assert_eq!(boot_ids(&life), boots);
    let after = known(&life);
    assert!(after.is_disjoint(&before) && after.len() == 2, "{} authorities are known", after.len());
    // The same text asks for nothing, another one for another rotation.
    live(&mut life, 30);
    assert_eq!(known(&life), after);
    rotated(&mut life, "2026-12");
    assert!(known(&life).is_disjoint(&after));
    assert_eq!(life.until_gone(HOUR), Ok(()));
    assert!(support::is_empty(&life));
}

#[test]
fn a_stop_after_any_call_ends_in_the_same_rotation() {
    let calls = |life: &Life| life.universe().counts().calls;
    let (first, last) = {
        let mut life = ready(3);
        let first = calls(&life);
        rotated(&mut life, "now");
        (1, calls(&life) - first)
    };
    let every = usize::try_from(last / 30).unwrap_or(1).max(1);
    for call in (first..=last).step_by(every) {
        let kill = if call % 2 == 0 { Kill::Before } else { Kill::After };
        let mut life = ready(3);
        life.universe().kill_in(call, kill);
        rotated(&mut life, "now");
        assert_eq!(known(&life).len(), 2, "call {call}, {kill:?}");
        assert_eq!(support::servers(&life), 5, "call {call}, {kill:?}");
    }
}

#[test]
fn a_rotation_halts_while_a_machine_does_not_answer_and_goes_on_when_it_is_back() {
    let mut platform = approved();
    platform.spec.remediation.enabled = false;
    let mut life = Life::new(universe(4), platform);
    assert_eq!(life.until_ready(HOUR), Ok(()));
    live(&mut life, 20);
    life.annotate(labels::ROTATE_CA, "now");
    let stage = |platform: &HelixPlatform| rotation(platform).map(|rotation| rotation.stage);
    let issuing = |platform: &HelixPlatform| stage(platform).as_deref() == Some("Issue");
    assert_eq!(life.until(HOUR, |platform, _| issuing(platform)), Ok(()));
    let silent = life.universe().with_world(|world, project, now| {
        let servers = &world.project(project).servers;
        let id = servers.values().find(|it| it.meta.name == "sandbox-general-1").expect("it is there").id;
        world.guests_mut(now).hang(id, now);
        id
    });
    live(&mut life, 60);
    assert!(
        issuing(life.platform()),
        "the old authorities are not retired while one machine may not know the new ones"
    );
    assert_eq!(known(&life).len(), 4);
    life.universe().with_world(|world, project, now| {
        world.power(project, silent, helix_sim::world::servers::PowerAction::Reset, now).expect("it is running");
    });
    assert_eq!(life.until(HOUR * 3, |platform, _| is_done(platform, "now")), Ok(()));
    assert_eq!(known(&life).len(), 2);
}

#[test]
fn a_rotation_does_not_begin_while_machines_change_or_are_held() {
    let mut life = ready(5);
    life.intents.hold.insert(MachineName::parse("sandbox-general-0").expect("a name"));
    life.annotate(labels::ROTATE_CA, "now");
    live(&mut life, 30);
    assert_eq!(rotation(life.platform()), None);
    let waiting = life.platform().status.clone().and_then(|status| status.waiting_for).expect("it waits");
    assert!(waiting.contains("rotation of certificate authorities waits until sandbox-general-0"), "{waiting}");
    life.intents.hold.clear();
    assert_eq!(life.until(HOUR * 3, |platform, _| is_done(platform, "now")), Ok(()));

    life.edit(|platform| platform.spec.versions.talos = "v1.14.4".to_owned());
    life.annotate(labels::ROTATE_CA, "later");
    live(&mut life, 2);
    assert!(is_done(life.platform(), "now"), "the upgrade comes first");
    assert_eq!(life.until(HOUR * 5, |platform, _| is_done(platform, "later")), Ok(()));
    life.universe().with_world(|world, _, _| {
        assert!(world.guests().iter().all(|guest| guest.version() == "v1.14.4"));
    });
}

#[test]
fn what_cannot_be_rotated_is_refused() {
    let mut life = ready(6);
    let before = known(&life);
    life.annotate(labels::ROTATE_CA, "etcd");
    live(&mut life, 20);
    let waiting = life.platform().status.clone().and_then(|status| status.waiting_for).expect("it waits");
    assert!(waiting.contains("rotating the etcd authority is not implemented"), "{waiting}");
    assert_eq!((known(&life), rotation(life.platform())), (before, None));
}

#[test]
fn the_wrong_order_locks_out() {
    let mut life = ready(7);
    // Somebody retires the authority on a machine before anybody has a certificate of the next one.
    life.universe().with_world(|world, project, now| {
        let servers = &world.project(project).servers;
        let id = servers.values().find(|it| it.meta.name == "sandbox-general-1").expect("it is there").id;
        let config = world.guests().get(id).and_then(|guest| guest.config().cloned()).expect("a configuration");
        let crt = config.machine().expect("a machine").ca.crt.clone();
        let other = config.text().replace(&crt, "b3RoZXI=");
        let applied = helix_sim::world::machine::ApplyMode::NoReboot;
        let guests: &mut Guests = world.guests_mut(now);
        guests.apply_configuration(id, &other, applied, false, SignedDuration::ZERO, now).expect("it is well-formed");
    });
    live(&mut life, 2);
    let waiting = life.platform().status.clone().and_then(|status| status.waiting_for).unwrap_or_default();
    assert!(waiting.contains("sandbox-general-1"), "{waiting}");
}
