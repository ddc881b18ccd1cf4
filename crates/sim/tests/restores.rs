//! Restores of whole lives: a platform that has lost all control planes is what it was when the snapshot was taken, restored
//! once and only where somebody asks for it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use helix_crds::labels::{APPROVE, RESTORE_FROM, ROTATE_CA};
use helix_crds::{ApprovalMode, HelixPlatform};
use helix_sim::inprocess::Kill;
use helix_sim::inprocess::bucket::BucketMood;
use helix_sim::inprocess::life::Life;
use support::HOUR;
use support::backups::{
    MINUTE, backed_up, control_planes, delete_servers, live, lose_all_control_planes, ready, waiting, write, written,
};

#[test]
fn a_platform_that_lost_all_control_planes_is_restored() {
    let mut life = ready(3, backed_up());
    write(&life, "before");
    live(&mut life, MINUTE * 40);
    write(&life, "after the last snapshot");
    let before = control_planes(&life);
    lose_all_control_planes(&life);
    live(&mut life, MINUTE * 10);
    let newest = life.universe().objects().pop().expect("a snapshot");
    let said = waiting(&life);
    assert!(said.contains("helix.dev/restore-from=latest") && said.contains(&newest), "{said}");
    assert_eq!(control_planes(&life), []);
    life.annotate(RESTORE_FROM, "latest");
    assert_eq!(life.until_ready(HOUR), Ok(()), "{}", waiting(&life));
    let after = control_planes(&life);
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|server| !before.contains(server)), "{after:?}");
    assert_eq!(written(&life).as_deref(), Some("before"));
    let counts = life.universe().counts();
    assert_eq!((counts.bootstraps, counts.recoveries, counts.bundles), (1, 1, 1), "the same authorities");
    live(&mut life, HOUR);
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!(life.universe().counts().recoveries, 1, "once restored, the annotation does nothing");
    lose_all_control_planes(&life);
    live(&mut life, MINUTE * 10);
    assert!(waiting(&life).contains("had its restore"), "{}", waiting(&life));
}

/// Whether a rotation of the authorities has come to that stage.
fn is_rotated_to(platform: &HelixPlatform, stage: &str) -> bool {
    let secrets = platform.status.as_ref().and_then(|status| status.secrets.as_ref());
    secrets.and_then(|secrets| secrets.rotation.as_ref()).is_some_and(|rotation| rotation.stage == stage)
}

#[test]
fn what_is_lost_in_the_midst_of_a_rotation_is_restored_and_the_rotation_goes_on() {
    for stage in ["Accept", "Issue", "Retire", "Done"] {
        let mut life = ready(7, backed_up());
        live(&mut life, MINUTE * 40);
        life.annotate(ROTATE_CA, "2026-11");
        assert_eq!(life.until(HOUR * 3, |platform, _| is_rotated_to(platform, stage)), Ok(()));
        lose_all_control_planes(&life);
        live(&mut life, MINUTE * 10);
        life.annotate(RESTORE_FROM, "latest");
        assert_eq!(life.until_ready(HOUR), Ok(()), "{stage}: {}", waiting(&life));
        let ended = life.until(HOUR * 3, |platform, _| is_rotated_to(platform, "Done"));
        assert_eq!(ended, Ok(()), "{stage}: {}", waiting(&life));
        assert_eq!(life.until_ready(HOUR), Ok(()), "{stage}: {}", waiting(&life));
        let counts = life.universe().counts();
        assert_eq!((counts.bootstraps, counts.recoveries, counts.bundles), (1, 1, 1), "{stage}");
    }
}

#[test]
fn what_a_lost_quorum_leaves_behind_goes_only_once_that_is_approved() {
    let mut life = ready(4, backed_up());
    live(&mut life, MINUTE * 40);
    let before = control_planes(&life);
    delete_servers(&life, &[before[0].1, before[1].1]);
    live(&mut life, MINUTE * 10);
    life.annotate(RESTORE_FROM, "latest");
    live(&mut life, MINUTE * 10);
    assert!(waiting(&life).contains("waits for an approval"), "{}", waiting(&life));
    assert_eq!(control_planes(&life), [before[2].clone()]);
    let digest = waiting(&life).split('"').nth(1).expect("a digest").to_owned();
    life.annotate(APPROVE, &digest);
    assert_eq!(life.until_ready(HOUR), Ok(()), "{}", waiting(&life));
    assert!(!control_planes(&life).contains(&before[2]));
    assert_eq!(life.universe().counts().recoveries, 1);
}

#[test]
fn a_bad_snapshot_changes_nothing() {
    let mut platform = backed_up();
    platform.spec.approval = ApprovalMode::Automatic;
    let mut life = ready(5, platform);
    live(&mut life, MINUTE * 40);
    let good = life.universe().objects().pop().expect("a snapshot");
    let body = life.universe().with_bucket(|objects| objects[&good].clone());
    let mut other_life = ready(6, backed_up());
    live(&mut other_life, MINUTE);
    let foreign = other_life.universe().objects().pop().expect("a snapshot");
    let foreign = other_life.universe().with_bucket(|objects| objects[&foreign].clone());
    // The header of ours before what another platform encrypted.
    let line = |body: &[u8]| body.iter().position(|byte| *byte == b'\n').expect("a header") + 1;
    let disguised = [&body[..line(&body)], &foreign[line(&foreign)..]].concat();
    life.universe().with_bucket(|objects| {
        objects.insert("bad/truncated".to_owned(), body[..body.len() - 9].to_vec());
        objects.insert("bad/key".to_owned(), disguised);
        objects.insert("bad/cluster".to_owned(), foreign);
        objects.insert("bad/else".to_owned(), b"hello\nworld".to_vec());
    });
    lose_all_control_planes(&life);
    live(&mut life, MINUTE * 10);
    let bad = [
        ("bad/truncated", "truncated"),
        ("bad/key", "another key"),
        ("bad/cluster", "another cluster"),
        ("bad/else", "not a snapshot"),
        ("bad/unknown", "no object of that key"),
    ];
    for (key, why) in bad {
        life.annotate(RESTORE_FROM, key);
        live(&mut life, MINUTE * 5);
        assert!(waiting(&life).contains(why) && waiting(&life).contains(key), "{key}: {}", waiting(&life));
        assert_eq!((control_planes(&life).len(), life.universe().restores()), (0, 0), "{key}");
    }
    life.annotate(RESTORE_FROM, &good);
    assert_eq!(life.until_ready(HOUR), Ok(()), "{}", waiting(&life));
}

/// A platform that has lost all control planes after a snapshot, and whose user asks for a restore.
fn about_to_be_restored(seed: u64) -> Life {
    let mut life = ready(seed, backed_up());
    write(&life, "before");
    live(&mut life, MINUTE * 31);
    lose_all_control_planes(&life);
    live(&mut life, MINUTE * 11);
    life.annotate(RESTORE_FROM, "latest");
    life
}

/// Calls that are of the restore itself: an engine is killed at every one of them.
const OF_A_RESTORE: [&str; 6] =
    ["get snapshot", "record restore", "upload etcd snapshot", "recover etcd", "delete node", "restart kubelet"];

/// Of all other calls one in so many.
const EVERY: u64 = 300;

#[test]
fn an_engine_that_is_killed_before_any_call_of_a_restore_restores_once() {
    restores_once_however_often_it_is_killed(Kill::Before);
}

#[test]
fn an_engine_that_is_killed_after_any_call_of_a_restore_restores_once() {
    restores_once_however_often_it_is_killed(Kill::After);
}

fn restores_once_however_often_it_is_killed(kill: Kill) {
    let mut life = about_to_be_restored(11);
    life.universe().trace_all();
    let first = life.universe().counts().calls + 1;
    assert_eq!(life.until_ready(HOUR), Ok(()));
    let last = life.universe().counts().calls;
    let trace = life.universe().trace();
    let of_it = |number: u64| trace.iter().any(|call| call.number == number && OF_A_RESTORE.contains(&call.name));
    let chosen = (first..=last).filter(|number| of_it(*number) || number % EVERY == 0);
    let mut kills = 0;
    for nth in chosen {
        let mut life = about_to_be_restored(11);
        life.universe().kill_at(nth, kill);
        assert_eq!(life.until_ready(HOUR), Ok(()), "killed {kill:?} call {nth}: {}", waiting(&life));
        assert_eq!(written(&life).as_deref(), Some("before"), "killed {kill:?} call {nth}");
        let counts = life.universe().counts();
        let restored = (counts.bootstraps, counts.recoveries, counts.bundles, life.universe().restores());
        assert_eq!(restored, (1, 1, 1, 1), "killed {kill:?} call {nth}");
        assert_eq!(control_planes(&life).len(), 3, "killed {kill:?} call {nth}");
        kills += life.kills;
    }
    assert!(kills > 10, "{kills}");
}

#[test]
fn what_is_not_lost_is_not_restored() {
    let mut life = ready(12, backed_up());
    live(&mut life, MINUTE * 40);
    let before = control_planes(&life);
    life.annotate(RESTORE_FROM, "latest");
    live(&mut life, MINUTE * 20);
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!((control_planes(&life), life.universe().restores()), (before, 0));
}

#[test]
fn a_bucket_that_is_away_holds_a_restore_up_and_changes_nothing() {
    let mut life = ready(13, backed_up());
    live(&mut life, MINUTE * 31);
    life.universe().let_bucket_be(BucketMood::Down);
    lose_all_control_planes(&life);
    live(&mut life, MINUTE * 11);
    life.annotate(RESTORE_FROM, "latest");
    live(&mut life, MINUTE * 11);
    assert!(waiting(&life).contains("objects.example.com"), "{}", waiting(&life));
    assert_eq!((control_planes(&life).len(), life.universe().restores()), (0, 0));
    life.universe().let_bucket_be(BucketMood::Well);
    assert_eq!(life.until_ready(HOUR), Ok(()), "{}", waiting(&life));
}
