//! The scripts: random lives, what peers' users suffer from, and what tries one guard each.

mod data;
mod leaving;
mod pains;
mod restoring;

use helix_crds::HelixPlatform;
use helix_plan::guard::Guard;
use serde_json::json;

use self::pains::{
    config_change, crash_after_create, first_control_plane, hung_api_server, killed_upgrade, limits, locked_out,
    never_boots, one_node, retired, slow_boots, sold_out, stopped_member, upgrade, upgraded, used_up,
};
use super::spec::{self, plain};
use super::story::{Failed, Story};
use crate::faults::{Fault, Injection};
use crate::world::Rng;
use crate::world::machine::App;

/// A script of a life.
pub struct Scenario {
    /// Its name, as `--scenario` takes it.
    pub name: &'static str,
    /// What it shows, in a line.
    pub shows: &'static str,
    pub(super) platform: fn(&mut Rng) -> Result<HelixPlatform, serde_json::Error>,
    pub(super) play: fn(&mut Story) -> Result<(), Failed>,
}

type Made = Result<HelixPlatform, serde_json::Error>;
type Played = Result<(), Failed>;

macro_rules! scenarios {
    ($($name:literal: $shows:literal, $platform:expr, $play:expr;)*) => {
        /// Every scenario; the first is what is played unless another is asked for.
        pub static SCENARIOS: &[Scenario] =
            &[$(Scenario { name: $name, shows: $shows, platform: $platform, play: $play }),*];
    };
}

scenarios! {
    "random": "random platforms, changes and adversity", spec::random, random;
    "stopped-etcd-member-blocks-nothing": "pain 1: scale, change and repair go on around a dead member", three, stopped_member;
    "crash-after-create-leaks-nothing": "pain 2: no server is left without a record of it", three, crash_after_create;
    "sold-out-type-gives-way": "pain 3: the next placement is taken", two_places, sold_out;
    "rate-limit-used-up-by-others": "pain 4: the platform waits for the reset and goes on", three, used_up;
    "config-change-recreates-nothing": "pain 6: labels and allow-list change in place", three, config_change;
    "upgrade-goes-on-where-it-was": "pain 7: an upgrade that is killed again and again", three, killed_upgrade;
    "removing-one-node-leaves-the-others": "pain 8: slots are not positions", four_workers, one_node;
    "first-control-plane-is-no-other": "pain 9: its loss is repaired like any other's", three, first_control_plane;
    "limits-are-met-early": "pain 10: eleven machines, two placement groups, and a quota", eleven, limits;
    "retired-type-blocks-nothing": "pain 11: what exists of a retired type goes on", three, retired;
    "locked-out-admin-is-let-in": "pain 12: the allow-list changes though no machine answers", three, locked_out;
    "machine-that-never-boots-is-replaced": "pain 9: one that was never heard of is given up, too", three, never_boots;
    "hung-api-server-leaves-rotation": "pain 13: the load balancer asks for health, not for a socket", three, hung_api_server;
    "slow-boots-lose-no-race": "pain 14: bootstrap waits for what is there, and secrets stay secret", three, slow_boots;
    "member-dies-while-another-leaves": "the quorum guard, at its second look", draining, dies_while_leaving;
    "member-dies-before-the-reboot": "the quorum guard, before a reboot", draining, dies_before_reboot;
    "upgrade-of-control-planes": "one control plane at a time", three, upgraded;
    "first-machine-never-boots": "the only control plane is given up before etcd has begun, and people are told", alone, founder_never_boots;
    "founder-is-lost-at-birth": "no second bootstrap elsewhere", three, founder_lost;
    "store-is-lost": "no second bundle", three, store_lost;
    "approval-is-withheld": "nothing destructive without it", unapproved, withheld;
    "worker-is-deleted-by-hand": "its name is used when it is free", three, deleted_by_hand;
    "pods-are-drained": "pods leave before the machine", draining, drained;
    "type-changes": "replacements come first", three, type_changes;
    "half-a-life": "deletion at any moment", spec::random, half_a_life;
    "paused": "nothing is done", three, paused;
    "made-inside": "what controllers have made goes with the cluster, and look-alikes stay", three, leaving::orderly;
    "leaked-from-inside": "a dead controller's load balancer goes by its proof", three, leaving::leaked;
    "retained-from-inside": "volumes and the address stay when they are asked to", leaving::keeping, leaving::retained;
    "all-control-planes-are-lost": "etcd is restored from the bucket as asked for, and once", restoring::saved, restoring::lost_twice;
    "copies-outlive-a-rollout": "machines that are away at once take no two copies of anything", data::platform, data::rolled;
    "what-holds-data-is-not-pruned": "components go, and claims, databases and what users made stay", data::platform, data::switched_off;
    "two-of-three-workers-hang": "too many lost at once are left alone", three_workers, too_many;
}

/// The scenario of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// The scenario that tries a guard.
#[must_use]
pub fn that_tries(guard: Guard) -> &'static str {
    match guard {
        Guard::QuorumMayRemove => "member-dies-while-another-leaves",
        Guard::QuorumMayPause => "member-dies-before-the-reboot",
        Guard::OneControlPlane => "upgrade-of-control-planes",
        Guard::BootstrapRecord | Guard::OwnedByUid => "slow-boots-lose-no-race",
        Guard::BootstrapOnRecorded => "founder-is-lost-at-birth",
        Guard::BundleOnce => "store-is-lost",
        Guard::Approval => "approval-is-withheld",
        Guard::NameIsFree => "first-control-plane-is-no-other",
        Guard::DrainFirst => "pods-are-drained",
        Guard::ReplacementFirst => "type-changes",
        Guard::SecretsLast | Guard::WrittenDown => "half-a-life",
        Guard::ProofOfOrigin => "leaked-from-inside",
        Guard::RetainedStays => "retained-from-inside",
        Guard::Paused => "paused",
        Guard::RestoreOnce => "all-control-planes-are-lost",
        Guard::TooManyLost => "two-of-three-workers-hang",
        Guard::LastCopy => "copies-outlive-a-rollout",
        Guard::DataStays => "what-holds-data-is-not-pruned",
    }
}

fn three(_: &mut Rng) -> Made {
    plain(&json!({}))
}

fn alone(_: &mut Rng) -> Made {
    plain(&json!({"controlPlane": {"replicas": 1}}))
}

fn two_places(_: &mut Rng) -> Made {
    let places = json!([{"serverType": "cx33", "location": "fsn1"}, {"serverType": "cx33", "location": "nbg1"}]);
    plain(&json!({
        "controlPlane": {"placements": places},
        "workerPools": [{"name": "general", "replicas": 2, "placements": places}],
    }))
}

fn workers(number: u32) -> Made {
    let places = json!([{"serverType": "cx33", "location": "fsn1"}]);
    plain(&json!({"workerPools": [{"name": "general", "replicas": number, "placements": places}]}))
}

fn four_workers(_: &mut Rng) -> Made {
    workers(4)
}

fn three_workers(_: &mut Rng) -> Made {
    workers(3)
}

fn eleven(_: &mut Rng) -> Made {
    workers(11)
}

fn draining(_: &mut Rng) -> Made {
    plain(&json!({"upgrade": {"drainTimeoutSeconds": 900}, "remediation": {"enabled": false}, "workerPools": []}))
}

fn unapproved(_: &mut Rng) -> Made {
    plain(&json!({"approval": "ManualForDestructive"}))
}

fn unlike(what: impl Into<String>) -> Failed {
    Failed::Unlike(what.into())
}

/// A random life: born in trouble, changed and harmed, well in the end, and gone.
fn random(story: &mut Story) -> Played {
    if story.life.platform().spec.data.is_some() {
        return data::random(story);
    }
    if story.rng.happens(500) {
        story.endure()?;
        story.end_trouble();
    }
    story.settle()?;
    if story.rng.happens(500) {
        let min_available = u32::from(story.rng.happens(500));
        story.install(App { replicas: 2, min_available })?;
    }
    for _ in 0..1 + story.rng.below(3) {
        if story.rng.happens(300) {
            story.harm();
        } else {
            let mut rng = story.rng.clone();
            let mut changed = story.life.platform().clone();
            let what = spec::change(&mut rng, &mut changed);
            story.rng = rng;
            story.edit(&what, |platform| platform.spec = changed.spec);
        }
        story.endure()?;
        story.approve();
        story.end_trouble();
        story.settle()?;
    }
    if story.rng.happens(500) {
        story.kill_soon();
    }
    if story.rng.happens(300) {
        story.trouble_the_api();
    }
    story.end()
}

/// The control plane, but for the one that is marked, of the lowest slot.
fn unmarked(story: &Story) -> Option<&'static str> {
    let marked = story.marked();
    ["life-cp-0", "life-cp-1", "life-cp-2"].into_iter().find(|name| !marked.iter().any(|it| it == name))
}

/// Control planes go from three to one; while the first drains, another dies.
fn dies_while_leaving(story: &mut Story) -> Played {
    story.settle()?;
    story.install(App { replicas: 3, min_available: 3 })?;
    story.edit("one control plane", |platform| platform.spec.control_plane.replicas = 1);
    story.live(2)?;
    another_dies(story)
}

/// Talos is upgraded; while the first control plane drains, another dies.
fn dies_before_reboot(story: &mut Story) -> Played {
    story.settle()?;
    story.install(App { replicas: 3, min_available: 3 })?;
    upgrade(story);
    story.live(2)?;
    another_dies(story)
}

fn another_dies(story: &mut Story) -> Played {
    if story.marked().len() != 1 {
        return Err(unlike(format!("{:?} are marked, not one control plane", story.marked())));
    }
    let Some(other) = unmarked(story) else { return Err(unlike("all control planes are marked")) };
    story.hang(other);
    story.live(40)?;
    story.end()
}

fn founder_lost(story: &mut Story) -> Played {
    let universe = story.universe().clone();
    story.life.until(super::story::SETTLES, |_, _| universe.counts().bootstraps > 0)?;
    story.delete_by_hand("life-cp-0");
    story.live(60)?;
    story.end()
}

/// With workers, which wait for it, and without.
fn founder_never_boots(story: &mut Story) -> Played {
    if story.rng.happens(500) {
        story.edit("no workers", |platform| platform.spec.worker_pools.clear());
    }
    let fault = Fault::NeverBoots { server: Some("life-cp-0".to_owned()) };
    story.universe().with_world(|world, _, _| world.inject(Injection::times(fault, 1)));
    story.live(17)?;
    let said = story.waiting_for();
    if !said.contains("life-cp-0 should have come up by now") {
        return Err(unlike(format!("the platform waits for `{said}`")));
    }
    story.settle()?;
    story.end()
}

fn store_lost(story: &mut Story) -> Played {
    story.settle()?;
    story.note("the store is lost");
    story.universe().lose_store();
    story.live(20)?;
    let reason = story.ready_reason();
    if reason != "SecretBundleLost" {
        return Err(unlike(format!("the platform says {reason}")));
    }
    story.end()
}

fn withheld(story: &mut Story) -> Played {
    story.settle()?;
    let before = story.servers();
    story.edit("one worker", |platform| platform.spec.worker_pools[0].replicas = Some(1));
    story.live(30)?;
    if story.servers() != before {
        return Err(unlike("something was deleted that nobody has approved"));
    }
    story.settle()?;
    story.end()
}

fn deleted_by_hand(story: &mut Story) -> Played {
    story.settle()?;
    story.delete_by_hand("life-general-0");
    story.live(20)?;
    story.settle()?;
    story.end()
}

fn drained(story: &mut Story) -> Played {
    story.settle()?;
    story.install(App { replicas: 3, min_available: 2 })?;
    upgrade(story);
    story.settle()?;
    story.end()
}

fn type_changes(story: &mut Story) -> Played {
    story.settle()?;
    story.edit("another type", |platform| {
        for placement in &mut platform.spec.control_plane.placements {
            placement.server_type = "cpx32".to_owned();
        }
        for placement in &mut platform.spec.worker_pools[0].placements {
            placement.server_type = "cpx32".to_owned();
        }
    });
    story.settle()?;
    story.end()
}

fn half_a_life(story: &mut Story) -> Played {
    let minutes = i64::try_from(story.rng.below(8)).unwrap_or_default();
    story.live(minutes)?;
    for _ in 0..story.rng.below(4) {
        story.kill_soon();
    }
    story.end()
}

fn paused(story: &mut Story) -> Played {
    story.settle()?;
    story.edit("five workers, and a pause", |platform| {
        platform.spec.worker_pools[0].replicas = Some(5);
        platform.spec.paused = true;
    });
    story.live(20)?;
    story.edit("no pause", |platform| platform.spec.paused = false);
    story.settle()?;
    story.end()
}

fn too_many(story: &mut Story) -> Played {
    story.settle()?;
    story.install(App { replicas: 1, min_available: 0 })?;
    let before = story.servers();
    story.hang("life-general-0");
    story.hang("life-general-1");
    story.live(40)?;
    if story.servers() != before {
        return Err(unlike("two of three workers were replaced at once, of which one may be lost"));
    }
    story.end()
}
