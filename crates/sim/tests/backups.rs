//! Backups of whole lives: snapshots come by the schedule and go by the retention, and a bucket in any mood holds up nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use helix_crds::labels::APPROVE;
use helix_sim::inprocess::bucket::BucketMood;
use helix_sim::inprocess::life::Life;
use jiff::SignedDuration;
use support::backups::{MINUTE, backed_up, backed_up_condition, live, ready, waiting};
use support::{HOUR, servers, upload_snapshot};

/// The Talos that machines are upgraded to.
const NEXT_TALOS: &str = "v1.14.4";

#[test]
fn snapshots_come_by_the_schedule_and_go_by_the_retention() {
    let mut life = ready(1, backed_up());
    live(&mut life, HOUR);
    let early = life.universe().objects();
    assert!((2..=4).contains(&early.len()), "{early:?}");
    live(&mut life, HOUR * 4);
    let late = life.universe().objects();
    assert!((4..=6).contains(&late.len()), "{late:?}");
    assert!(late.iter().all(|key| key.ends_with(".etcd.age") && !early.contains(key)), "{late:?}");
    let told = life.platform().status.clone().and_then(|status| status.backup).expect("it is told");
    let (newest, next) = (told.newest.expect("a snapshot"), told.next_at.expect("another"));
    assert_eq!((told.bucket.as_str(), late.last()), ("sandbox-backups", Some(&newest.key)));
    assert_eq!(next.0.as_second() - newest.taken_at.0.as_second(), 30 * 60, "each is taken when it is due");
    assert_eq!(backed_up_condition(&life).0, "True", "{:?}", backed_up_condition(&life));
    assert!(life.events.iter().any(|event| event.reason == "SnapshotTaken"));
}

/// In three hours of that mood snapshots are late and told so, the platform is Ready and another worker comes; afterwards
/// snapshots are taken again.
fn outlasts(seed: u64, mood: BucketMood, told: (&str, &str), words: &str) {
    let mut life = ready(seed, backed_up());
    live(&mut life, MINUTE);
    let before = life.universe().objects();
    assert_eq!(before.len(), 1);
    life.universe().let_bucket_be(mood);
    live(&mut life, HOUR * 3);
    let (status, reason, message) = backed_up_condition(&life);
    assert_eq!((status.as_str(), reason.as_str()), told, "{message}");
    assert!(message.contains(words), "{message}");
    assert!(life.events.iter().any(|event| event.reason == "SnapshotsLate"), "{:?}", life.events);
    assert_eq!(life.universe().objects(), before, "the newest is never pruned");
    assert_eq!(life.until_ready(MINUTE), Ok(()), "{}", waiting(&life));
    let began = life.passed();
    let workers = servers(&life);
    life.edit(|platform| platform.spec.worker_pools[0].replicas = Some(3));
    assert_eq!(
        life.until(MINUTE * 5, |_, turn| turn.machines.as_ref().is_some_and(|it| it.len() == workers + 1)),
        Ok(())
    );
    assert_eq!(life.until_ready(MINUTE * 5), Ok(()), "{}", waiting(&life));
    assert!(life.passed() - began < MINUTE * 5);
    life.universe().let_bucket_be(BucketMood::Well);
    live(&mut life, MINUTE * 32);
    assert_eq!(backed_up_condition(&life).0, "True", "{:?}", backed_up_condition(&life));
    assert!(life.universe().objects().last() > before.last());
}

#[test]
fn a_bucket_that_denies_is_told_and_holds_up_nothing() {
    outlasts(2, BucketMood::Denies, ("False", "BucketRefused"), "credentialsSecretRef");
}

#[test]
fn a_bucket_that_is_away_is_told_and_holds_up_nothing() {
    outlasts(3, BucketMood::Down, ("Unknown", "BucketUnreachable"), "objects.example.com");
}

#[test]
fn a_bucket_that_is_far_too_slow_is_told_and_holds_up_nothing() {
    outlasts(4, BucketMood::Slow(HOUR), ("Unknown", "BucketUnreachable"), "no answer in time");
}

fn calls(life: &Life, name: &str) -> usize {
    life.universe().trace().iter().filter(|call| call.name == name).count()
}

#[test]
fn two_snapshots_never_pile_up() {
    let mut platform = backed_up();
    let etcd = platform.spec.backup.as_mut().and_then(|backup| backup.etcd.as_mut()).expect("a backup");
    etcd.schedule = "* * * * *".to_owned();
    let mut life = ready(5, platform);
    life.universe().trace_all();
    life.universe().let_bucket_take(SignedDuration::from_mins(4));
    let began = life.passed();
    let (taken, put) = (calls(&life, "take etcd snapshot"), calls(&life, "put snapshot"));
    for _ in 0..60 {
        live(&mut life, MINUTE);
        let (taken, put) = (calls(&life, "take etcd snapshot") - taken, calls(&life, "put snapshot") - put);
        assert!(taken <= put + 1, "{taken} were taken and {put} are in the bucket");
    }
    let put = calls(&life, "put snapshot") - put;
    let most = (life.passed() - began).as_secs() / (4 * 60) + 1;
    assert!(put >= 9 && put as i64 <= most, "one after the other: {put} of {most}");
    assert_eq!(life.until_ready(MINUTE), Ok(()));
}

/// A platform with one control plane that is saved once a day, and is to run another Talos.
fn to_be_upgraded(seed: u64, mood: BucketMood) -> Life {
    let mut platform = backed_up();
    platform.spec.control_plane.replicas = 1;
    let etcd = platform.spec.backup.as_mut().and_then(|backup| backup.etcd.as_mut()).expect("a backup");
    etcd.schedule = "0 12 * * *".to_owned();
    let mut life = ready(seed, platform);
    live(&mut life, HOUR);
    assert_eq!(life.universe().objects().len(), 1);
    life.universe().let_bucket_be(mood);
    upload_snapshot(life.universe(), NEXT_TALOS);
    life.edit(|platform| platform.spec.versions.talos = NEXT_TALOS.to_owned());
    life
}

#[test]
fn the_only_control_plane_is_saved_before_it_reboots_and_nobody_is_asked() {
    let mut life = to_be_upgraded(6, BucketMood::Well);
    assert_eq!(life.until_ready(HOUR), Ok(()), "{}", waiting(&life));
    assert_eq!(life.universe().objects().len(), 2);
    assert!(!life.events.iter().any(|event| event.reason == "ApprovalNeeded"), "{:?}", life.events);
}

#[test]
fn the_only_control_plane_that_cannot_be_saved_reboots_once_somebody_agrees() {
    let mut life = to_be_upgraded(7, BucketMood::Down);
    live(&mut life, HOUR);
    assert!(waiting(&life).contains("waits for an approval"), "{}", waiting(&life));
    let digest = waiting(&life).split('"').nth(1).expect("a digest").to_owned();
    life.annotate(APPROVE, &digest);
    assert_eq!(life.until_ready(HOUR), Ok(()), "{}", waiting(&life));
    assert_eq!(life.universe().objects().len(), 1);
}
