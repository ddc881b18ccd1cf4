//! Single plans: what a forecast plays over, because it assumes that what is away comes back.

use helix_crds::{HelixPlatform, WorkerPool};
use helix_plan::catalogue::dated_table;
use helix_plan::disruption::{Cause, Mark};
use helix_plan::forecast::{assumed, forecast};
use helix_plan::observed::{CloudFacts, Observed, ServerStatus, TalosFacts};
use helix_plan::plan;
use helix_plan::report::{Block, State};
use helix_plan::step::Step;
use helix_plan::validated::ValidatedPlatform;
use jiff::{SignedDuration, Timestamp};

use crate::loss::{Loss, befall};
use crate::random::now;

/// The sandbox's platform with a second pool.
fn wanted() -> HelixPlatform {
    let text = include_str!("../../../../manifests/examples/sandbox.yaml");
    let mut wanted: HelixPlatform = serde_saphyr::from_str(text).expect("an example");
    wanted.metadata.uid = Some("uid".into());
    let other = WorkerPool { name: "batch".into(), ..wanted.spec.worker_pools[0].clone() };
    wanted.spec.worker_pools.push(other);
    wanted
}

/// It, up for as long as its servers say.
fn up(created: Timestamp) -> (ValidatedPlatform, Observed) {
    let platform = ValidatedPlatform::new(&wanted(), &dated_table(), now()).expect("valid");
    let cloud = CloudFacts { images: assumed::images(&platform), ..CloudFacts::default() };
    let mut world = forecast(&platform, Observed::nothing(cloud, now()), now()).world;
    for server in &mut world.cloud.value_mut().expect("Hetzner is known").servers {
        server.created = Some(created);
    }
    (platform, world)
}

fn mark(world: &mut Observed, name: &str, mark: Mark) {
    let nodes = &mut world.kubernetes.value_mut().expect("it is up").nodes;
    nodes.iter_mut().filter(|node| node.name == name).for_each(|node| node.mark = Some(mark));
}

/// Whose turn begins with this plan, and whether it says that a machine has halted the others.
fn begins(lost: Option<Mark>) -> (Vec<String>, bool) {
    let (_, mut world) = up(now() - SignedDuration::from_hours(24));
    let mut wanted = wanted();
    wanted.spec.versions.talos = "v1.14.4".to_owned();
    let wanted = ValidatedPlatform::new(&wanted, &dated_table(), now()).expect("valid");
    let name = "sandbox-general-1";
    // The control planes are as wanted already.
    for (_, fact) in world.talos.iter_mut().filter(|(machine, _)| machine.is_control_plane()) {
        if let Some(TalosFacts::Configured { version, .. }) = fact.value_mut() {
            *version = "v1.14.4".to_owned();
        }
    }
    if let Some(lost) = lost {
        befall(&[Loss::Silence(name.to_owned())], &mut world);
        mark(&mut world, name, lost);
    }
    let plan = plan(&wanted, &world, now());
    let marked = plan.items.iter().filter_map(|item| match &item.step {
        Step::MarkNode { machine, .. } => Some(machine.to_string()),
        _ => None,
    });
    let halted = |state: &State| matches!(state, State::Blocked(Block::RolloutHalted { machine, .. }) if machine.to_string() == name);
    (marked.collect(), plan.report.concerns.iter().any(|concern| halted(&concern.state)))
}

#[test]
fn a_machine_that_does_not_come_back_halts_every_pool() {
    let upgraded = |minutes| Some(Mark::new(Cause::Upgrade, false, now() - SignedDuration::from_mins(minutes)));
    let both = vec!["sandbox-batch-0".to_owned(), "sandbox-general-0".to_owned()];
    assert_eq!(begins(None), (both.clone(), false));
    assert_eq!(begins(upgraded(10)), (both[..1].to_vec(), false), "it may still come back");
    assert_eq!(begins(upgraded(60)), (Vec::new(), true));
}

/// However old the server is, what follows its end does not wait for the longest pause.
#[test]
fn a_server_on_its_way_out_is_looked_for_by_the_time_it_has_been_leaving() {
    let (platform, mut world) = up(now() - SignedDuration::from_hours(24 * 30));
    let name = "sandbox-general-1";
    for server in world.cloud.value_mut().expect("Hetzner is known").servers.iter_mut().filter(|it| it.name == name) {
        server.status = ServerStatus::Deleting;
    }
    mark(&mut world, name, Mark::new(Cause::Leave, false, now() - SignedDuration::from_secs(4)));
    assert_eq!(pause_before_servers(&platform, &world), SignedDuration::from_secs(2));
}

/// How long after the last reading servers are listed again.
fn pause_before_servers(platform: &ValidatedPlatform, world: &Observed) -> SignedDuration {
    let read_at = world.cloud.at().expect("Hetzner is known");
    plan(platform, world, now()).look.servers_at.duration_since(read_at)
}

/// One that takes for ever does not keep the next from being seen soon.
#[test]
fn of_several_servers_that_start_the_newest_is_looked_for() {
    let (platform, mut world) = up(now() - SignedDuration::from_hours(24));
    let mut starts = |name: &str, seconds: i64| {
        let servers = &mut world.cloud.value_mut().expect("Hetzner is known").servers;
        for server in servers.iter_mut().filter(|it| it.name == name) {
            (server.status, server.created) =
                (ServerStatus::Starting, Some(now() - SignedDuration::from_secs(seconds)));
        }
    };
    starts("sandbox-general-0", 3_600);
    starts("sandbox-general-1", 20);
    assert_eq!(pause_before_servers(&platform, &world), SignedDuration::from_secs(5));
}
