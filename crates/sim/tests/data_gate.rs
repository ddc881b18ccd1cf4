//! Upgrades of workers never empty a machine that holds the last healthy copy of a volume.

#![allow(clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use std::collections::BTreeSet;

use helix_sim::inprocess::life::{Ended, Life};
use helix_sim::world::machine::{AddOns, Replicated};
use jiff::SignedDuration;

use support::{HOUR, sandbox, universe, upload_snapshot};

const WORKERS: [&str; 2] = ["sandbox-general-0", "sandbox-general-1"];

fn live(life: &mut Life, minutes: i64) {
    let ended = life.until(SignedDuration::from_mins(minutes), |_, _| false);
    assert!(!matches!(ended, Err(Ended::Broken { .. })), "{ended:?}");
}

/// A platform with a pod network and a volume of two copies, of which those on these nodes are healthy.
fn with_a_volume(healthy_on: &[&str]) -> Life {
    let mut life = Life::new(universe(31), sandbox());
    life.until_ready(HOUR).expect("it gets Ready");
    life.universe().with_world(|world, _, now| {
        let serving = world.guests().iter().find(|guest| guest.api_server_healthy()).expect("an API server");
        let server = serving.host().server;
        world.guests_mut(now).set_add_ons(server, AddOns { pod_network: true, cloud_controller: true }, now);
    });
    set_copies(&life, healthy_on);
    upload_snapshot(life.universe(), "v1.14.4");
    life
}

fn set_copies(life: &Life, healthy_on: &[&str]) {
    life.universe().with_world(|world, _, now| {
        let serving = world.guests().iter().find(|guest| guest.api_server_healthy()).expect("an API server");
        let server = serving.host().server;
        let inside = world.guests_mut(now).inside_at_mut(server).expect("a cluster");
        let healthy_on: BTreeSet<String> = healthy_on.iter().map(|node| (*node).to_owned()).collect();
        inside.volumes.insert("pvc-1".to_owned(), Replicated::by_hand(2, healthy_on));
    });
}

/// The Talos that each worker runs.
fn versions(life: &Life) -> Vec<String> {
    life.universe().with_world(|world, _, _| {
        let of = |name: &&str| world.guests().iter().find(|guest| guest.hostname() == *name);
        WORKERS.iter().filter_map(|name| of(name).map(|guest| guest.version().to_owned())).collect()
    })
}

#[test]
fn a_worker_with_the_last_healthy_copy_is_not_emptied() {
    let mut life = with_a_volume(&[WORKERS[0]]);
    life.edit(|platform| platform.spec.versions.talos = "v1.14.4".to_owned());
    // Longer than pods and the machine itself may take: it is not late, and halts nobody.
    live(&mut life, 30);
    assert_eq!(versions(&life)[0], "v1.13.9", "its copy is the last healthy one");
    let status = life.platform().status.clone().expect("a status");
    let told = status.conditions.iter().any(|condition| condition.message.contains("volume pvc-1"));
    assert!(told, "{:?}", status.conditions);

    set_copies(&life, &WORKERS);
    life.until_ready(HOUR).expect("it goes on once there is another copy");
    assert_eq!(versions(&life), ["v1.14.4", "v1.14.4"]);
}
