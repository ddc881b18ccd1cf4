//! Changes of a platform that lives: carried out in place, one machine at a time, with etcd's quorum and pods looked after.

#![allow(clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use std::collections::BTreeSet;

use helix_crds::{ApprovalMode, HelixPlatform, Taint};
use helix_sim::inprocess::life::Life;
use helix_sim::world::ServerId;
use helix_sim::world::machine::{AddOns, App, Guests, NodeCondition};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use support::{HOUR, sandbox, universe};

/// The example, approved beforehand.
fn approved() -> HelixPlatform {
    let mut platform = sandbox();
    platform.spec.approval = ApprovalMode::Automatic;
    platform
}

/// A life that is Ready.
fn ready(seed: u64, platform: HelixPlatform) -> Life {
    let mut life = Life::new(universe(seed), platform);
    assert_eq!(life.until_ready(HOUR), Ok(()));
    life
}

/// The names of all servers.
fn names(life: &Life) -> BTreeSet<String> {
    life.universe().with_world(|world, project, _| {
        world.project(project).servers.values().map(|server| server.meta.name.clone()).collect()
    })
}

fn ids(life: &Life) -> BTreeSet<u64> {
    life.universe()
        .with_world(|world, project, _| world.project(project).servers.values().map(|server| server.id.0).collect())
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Acts on the cluster through a control plane whose API server answers.
fn at_cluster<T>(life: &Life, act: impl FnOnce(&mut Guests, ServerId, Timestamp) -> T) -> T {
    life.universe().with_world(|world, _, now| {
        let serving =
            world.guests().iter().find(|guest| guest.api_server_healthy()).expect("an API server").host().server;
        act(world.guests_mut(now), serving, now)
    })
}

/// A pod network comes up, and the cloud controller manager.
fn with_network(life: &mut Life) {
    let add_ons = AddOns { pod_network: true, cloud_controller: true };
    assert!(at_cluster(life, |guests, server, now| guests.set_add_ons(server, add_ons, now)));
    live(life, 2);
}

fn live(life: &mut Life, minutes: i64) {
    let ended = life.until(SignedDuration::from_mins(minutes), |_, _| false);
    assert!(!matches!(ended, Err(helix_sim::inprocess::life::Ended::Broken { .. })), "{ended:?}");
}

/// The members of etcd: their names, and whether they vote.
fn voters(life: &Life) -> BTreeSet<String> {
    at_cluster(life, |guests, server, _| {
        let members = guests.etcd_members(server).expect("a leader");
        members.into_iter().filter(|member| !member.learner).map(|member| member.hostname).collect()
    })
}

#[test]
fn a_pool_grows_and_shrinks() {
    let mut life = ready(1, approved());
    life.edit(|platform| platform.spec.worker_pools[0].replicas = Some(4));
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!(names(&life).len(), 7);
    let before = ids(&life);
    life.edit(|platform| platform.spec.worker_pools[0].replicas = Some(1));
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!(names(&life).len(), 4);
    assert!(ids(&life).is_subset(&before), "nothing was made anew");
    let nodes: BTreeSet<String> =
        at_cluster(&life, |guests, server, _| guests.nodes_at(server).expect("nodes").keys().cloned().collect());
    assert_eq!(nodes, names(&life));
}

#[test]
fn control_planes_go_from_three_to_five_to_three_to_one_and_back() {
    let mut life = ready(2, approved());
    for replicas in [5, 3, 1, 3] {
        life.edit(|platform| platform.spec.control_plane.replicas = replicas);
        assert_eq!(life.until_ready(HOUR), Ok(()), "{replicas} control planes");
        let voters = voters(&life);
        assert_eq!(voters.len(), replicas as usize, "{replicas} control planes");
        assert!(voters.is_subset(&names(&life)));
        assert_eq!(names(&life).len(), replicas as usize + 2);
    }
    assert_eq!(life.universe().counts().bootstraps, 1);
}

#[test]
fn a_removed_pool_goes_with_its_machines() {
    let mut life = ready(3, approved());
    life.edit(|platform| platform.spec.worker_pools.clear());
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!(names(&life), set(&["sandbox-cp-0", "sandbox-cp-1", "sandbox-cp-2"]));
}

#[test]
fn destructive_work_waits_for_its_approval() {
    let mut life = ready(4, sandbox());
    life.edit(|platform| platform.spec.worker_pools[0].replicas = Some(1));
    live(&mut life, 20);
    assert_eq!(names(&life).len(), 5, "nothing goes without an approval");
    let status = life.platform().status.clone().expect("a status");
    let message = status.waiting_for.expect("it waits");
    let digest = message.split('"').nth(1).expect("the digest").to_owned();
    life.annotate("helix.dev/approve", "0000");
    live(&mut life, 20);
    assert_eq!(names(&life).len(), 5, "nothing goes under the approval of something else");
    life.annotate("helix.dev/approve", &digest);
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!(names(&life).len(), 4);
}

#[test]
fn machines_of_another_type_take_over_before_the_old_ones_leave() {
    let mut life = ready(5, approved());
    let before = ids(&life);
    life.edit(|platform| {
        for placement in &mut platform.spec.control_plane.placements {
            placement.server_type = "cpx32".to_owned();
        }
        for placement in &mut platform.spec.worker_pools[0].placements {
            placement.server_type = "cpx32".to_owned();
        }
    });
    assert_eq!(life.until_ready(HOUR * 2), Ok(()));
    assert_eq!(names(&life).len(), 5);
    assert!(ids(&life).is_disjoint(&before));
    assert_eq!(voters(&life).len(), 3);
    assert_eq!(life.universe().counts().bootstraps, 1);
}

#[test]
fn a_label_reaches_its_nodes_without_a_reboot() {
    let mut life = ready(6, approved());
    let boots = boot_ids(&life);
    life.edit(|platform| {
        let pool = &mut platform.spec.worker_pools[0];
        pool.labels.insert("team".to_owned(), "blue".to_owned());
        pool.labels.insert("node-role.kubernetes.io/blue".to_owned(), String::new());
        pool.taints.push(gpu());
    });
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!(boot_ids(&life), boots);
    at_cluster(&life, |guests, server, _| {
        for (name, node) in guests.nodes_at(server).expect("nodes") {
            assert_eq!(
                node.labels.get("team").map(String::as_str),
                name.contains("general").then_some("blue"),
                "{name}"
            );
        }
    });
    life.edit(|platform| {
        platform.spec.worker_pools[0].labels.clear();
        platform.spec.worker_pools[0].taints.clear();
    });
    assert_eq!(life.until_ready(HOUR), Ok(()));
    at_cluster(&life, |guests, server, _| {
        for (name, node) in guests.nodes_at(server).expect("nodes") {
            let ours = ["team", "node-role.kubernetes.io/blue"];
            assert!(ours.iter().all(|key| !node.labels.contains_key(*key)), "{name}");
            assert!(node.taints.iter().all(|taint| taint.key != "gpu"), "{name}");
        }
    });
}

/// A taint of a pool.
fn gpu() -> Taint {
    Taint { key: "gpu".to_owned(), value: None, effect: helix_crds::TaintEffect::NoSchedule }
}

fn boot_ids(life: &Life) -> BTreeSet<String> {
    life.universe().with_world(|world, _, _| world.guests().iter().map(|guest| guest.boot_id().to_owned()).collect())
}

#[test]
fn talos_is_upgraded_control_planes_first_and_nothing_is_made_anew() {
    let mut life = ready(7, approved());
    with_network(&mut life);
    let before = ids(&life);
    life.edit(|platform| platform.spec.versions.talos = "v1.14.4".to_owned());
    assert_eq!(life.until_ready(HOUR * 2), Ok(()));
    assert_eq!(ids(&life), before);
    life.universe().with_world(|world, _, _| {
        assert!(world.guests().iter().all(|guest| guest.version() == "v1.14.4"));
    });
    at_cluster(&life, |guests, server, _| {
        for node in guests.nodes_at(server).expect("nodes").values() {
            assert!(!node.unschedulable && !node.annotations.contains_key("helix.dev/disruption"), "{}", node.name);
        }
    });
}

#[test]
fn kubernetes_is_upgraded_in_stages_without_a_reboot() {
    let mut life = ready(11, approved());
    with_network(&mut life);
    let boots = boot_ids(&life);
    life.edit(|platform| platform.spec.versions.kubernetes = "v1.36.4".to_owned());
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!(boot_ids(&life), boots);
    at_cluster(&life, |guests, server, _| {
        for node in guests.nodes_at(server).expect("nodes").values() {
            assert_eq!(node.kubelet_version, "v1.36.4", "{}", node.name);
        }
    });
    life.universe().with_world(|world, _, _| {
        for guest in world.guests().iter().filter(|guest| guest.hostname().contains("-cp-")) {
            assert_eq!(guest.control_plane_versions(), Some(["v1.36.4"; 3]), "{}", guest.hostname());
        }
    });
}

#[test]
fn an_upgrade_that_skips_a_minor_version_is_refused_and_changes_nothing() {
    let mut life = ready(12, approved());
    let boots = boot_ids(&life);
    life.edit(|platform| platform.spec.versions.kubernetes = "v1.34.1".to_owned());
    live(&mut life, 20);
    let waiting = life.platform().status.clone().and_then(|status| status.waiting_for).expect("it waits");
    assert!(waiting.contains("cannot be brought back") && waiting.contains("v1.36.x"), "{waiting}");
    assert_eq!(boot_ids(&life), boots);
    life.edit(|platform| platform.spec.versions.kubernetes = "v1.36.3".to_owned());
    assert_eq!(life.until_ready(HOUR), Ok(()));
}

#[test]
fn a_drain_honours_disruption_budgets_until_its_time_is_up() {
    let mut platform = approved();
    platform.spec.upgrade.drain_timeout_seconds = 600;
    platform.spec.upgrade.max_unavailable = IntOrString::Int(1);
    let mut life = ready(8, platform);
    with_network(&mut life);
    let stubborn = App { replicas: 2, min_available: 2 };
    at_cluster(&life, |guests, server, now| guests.run_app(server, "stubborn", stubborn, now));
    life.edit(|platform| platform.spec.versions.talos = "v1.13.8".to_owned());
    let stuck = |platform: &HelixPlatform| {
        let waiting = platform.status.as_ref().and_then(|status| status.waiting_for.clone()).unwrap_or_default();
        waiting.contains("is being drained: apps/stubborn-")
    };
    assert_eq!(life.until(HOUR, |platform, _| stuck(platform)), Ok(()), "the drain waits, and says for which pod");
    assert_eq!(life.until_ready(HOUR * 2), Ok(()), "the time-out lets it go on");
}

#[test]
fn a_lost_worker_is_replaced_and_a_lost_control_plane_too() {
    let mut life = ready(9, sandbox());
    with_network(&mut life);
    for name in ["sandbox-general-1", "sandbox-cp-2"] {
        let before = ids(&life);
        at_machine(&life, name, Guests::hang);
        live(&mut life, 15);
        assert_eq!(life.until_ready(HOUR), Ok(()), "{name}");
        assert_eq!(ids(&life).intersection(&before).count(), 4, "{name}");
        assert_eq!(voters(&life).len(), 3, "{name}");
        at_cluster(&life, |guests, server, _| {
            let nodes = guests.nodes_at(server).expect("nodes");
            assert!(nodes.values().all(|node| node.condition == NodeCondition::Ready), "{name}");
        });
    }
}

/// Acts on the machine of that name.
fn at_machine(life: &Life, name: &str, act: impl FnOnce(&mut Guests, ServerId, Timestamp)) {
    life.universe().with_world(|world, project, now| {
        let server = world.project(project).servers.values().find(|server| server.meta.name == name);
        let id = server.expect("it is there").id;
        act(world.guests_mut(now), id, now);
    });
}

#[test]
fn a_control_plane_whose_etcd_has_stopped_blocks_nothing_and_is_replaced() {
    let mut life = ready(13, sandbox());
    live(&mut life, 20);
    let before = ids(&life);
    at_machine(&life, "sandbox-cp-1", Guests::break_etcd);
    life.edit(|platform| platform.spec.worker_pools[0].replicas = Some(3));
    live(&mut life, 15);
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!(ids(&life).intersection(&before).count(), 4, "one control plane is another server now");
    assert_eq!((voters(&life).len(), names(&life).len()), (3, 6));
    assert_eq!(life.universe().counts().bootstraps, 1);
}

#[test]
fn a_machine_that_is_ill_for_a_moment_stays() {
    let mut life = ready(14, sandbox());
    live(&mut life, 20);
    let before = ids(&life);
    at_machine(&life, "sandbox-cp-1", Guests::end_static_pods);
    live(&mut life, 15);
    assert_eq!(ids(&life), before);
    at_cluster(&life, |guests, server, _| {
        let nodes = guests.nodes_at(server).expect("nodes");
        assert!(nodes.values().all(|node| !node.annotations.contains_key("helix.dev/disruption")));
    });
}

#[test]
fn when_everything_is_lost_at_once_nothing_is_replaced() {
    let mut life = ready(15, sandbox());
    with_network(&mut life);
    live(&mut life, 20);
    let before = ids(&life);
    for name in ["sandbox-general-0", "sandbox-general-1"] {
        at_machine(&life, name, Guests::hang);
    }
    live(&mut life, 30);
    assert_eq!(ids(&life), before);
    let waiting = life.platform().status.clone().and_then(|status| status.waiting_for).expect("it waits");
    assert!(waiting.contains("maxUnhealthy"), "{waiting}");
}

#[test]
fn a_window_holds_back_what_disturbs() {
    let mut platform = approved();
    platform.spec.upgrade.window = Some("Daily 04:00-05:00 UTC".to_owned());
    let mut life = ready(10, platform);
    with_network(&mut life);
    life.edit(|platform| platform.spec.versions.talos = "v1.14.4".to_owned());
    live(&mut life, 30);
    let waiting = life.platform().status.clone().and_then(|status| status.waiting_for).expect("it waits");
    assert!(waiting.contains("maintenance window"), "{waiting}");
    assert_eq!(life.until_ready(HOUR * 30), Ok(()));
}

#[test]
fn who_is_locked_out_is_let_in_again_at_hetzner_first() {
    let (home, abroad) = ([203, 0, 113, 7].into(), [198, 51, 100, 9].into());
    let mut platform = approved();
    platform.spec.endpoint.public = false;
    let helix_crds::ProviderSpec::Hetzner(hetzner) = &mut platform.spec.provider;
    hetzner.api_allowlist = vec![format!("{home}/32")];
    let universe = universe(16);
    universe.call_from(home);
    let mut life = Life::new(universe, platform);
    assert_eq!(life.until_ready(HOUR), Ok(()));
    let (before, boots) = (ids(&life), boot_ids(&life));

    life.universe().call_from(abroad);
    live(&mut life, 60);
    assert_eq!(
        (ids(&life), boot_ids(&life)),
        (before.clone(), boots.clone()),
        "nothing is replaced that cannot be heard"
    );
    let waiting = life.platform().status.clone().and_then(|status| status.waiting_for).expect("it waits");
    assert!(waiting.contains("Talos") || waiting.contains("API"), "{waiting}");

    life.edit(|platform| {
        let helix_crds::ProviderSpec::Hetzner(hetzner) = &mut platform.spec.provider;
        hetzner.api_allowlist = vec![format!("{abroad}/32")];
    });
    let calls = life.universe().counts().calls;
    assert_eq!(life.until(SignedDuration::from_secs(1), |_, turn| turn.steps.contains(&("firewall", true))), Ok(()));
    let asked = life.universe().counts().calls - calls;
    // Each kind of resource once, the store, the rules: none of the five machines is waited for.
    assert!(asked <= 16, "{asked} calls until the ports were opened");
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!((ids(&life), boot_ids(&life)), (before, boots));
}
