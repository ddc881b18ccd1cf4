//! Snapshots of etcd: one whenever the schedule says so, and none longer than the retention.
//!
//! The newest is never pruned, however old it is. A platform whose last snapshot is younger than the schedule asks for is
//! as it should be; a bucket that refuses is told, tried again, and disturbs nothing else.

use jiff::{SignedDuration, Timestamp};

use super::{Context, Outcome, etcd, rollout, servers};
use crate::names::MachineName;
use crate::observed::{Fact, Snapshot};
use crate::report::{State, Wait, WayBack};
use crate::step::Step;
use crate::validated::EtcdBackup;

/// Most snapshots that one plan prunes.
const AT_ONCE: usize = 10;

/// How young a snapshot is that counts as taken for what is about to be done.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// How long a snapshot may take before it is late, and how soon one that failed is tried again.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let Some(backup) = &context.platform.backup else {
        return Outcome::done("no backups are asked for", context.observed.store.at());
    };
    if context.store.bootstrap.is_none() {
        // A cluster that has never been has nothing to be saved.
        return Outcome::waiting(Wait::Concern(super::Concern::Etcd));
    }
    let (snapshots, at) = match &context.observed.backups.snapshots {
        Fact::Known { value, at } => (value, *at),
        // Nothing else waits for it: it is looked at as rarely as a settled platform.
        Fact::Missing(missing) => return Outcome::done("", None).with_state(State::Unknown(missing.clone())),
    };
    let mut steps = prune(context, backup, snapshots);
    let told = match snapshots.last() {
        Some(newest) => format!("{} snapshots of etcd, the last of {:.0}", snapshots.len(), newest.taken_at),
        None => "no snapshot of etcd was due yet".to_owned(),
    };
    let mut state = Outcome::done(told, Some(at)).state;
    if let Some(due) = due(context, backup) {
        steps.extend(take(context, backup));
        // One that is just being taken is routine: only one that is late makes a difference.
        if due + PATIENCE < context.now || context.observed.backups.failure.is_some() {
            state = State::WaitingOn(late(context, due));
        }
    }
    let outcome = if steps.is_empty() { Outcome::done("", None) } else { Outcome::steps(steps) };
    outcome.with_state(state).until(next_at(context, backup))
}

/// When there is something to do again: the schedule's next hour, or earlier the end of the rest after a failure.
fn next_at(context: &Context<'_>, backup: &EtcdBackup) -> Option<Timestamp> {
    let retried = context.observed.backups.failure.as_ref().map(|failure| failure.at + PATIENCE);
    let retried = retried.filter(|at| *at > context.now);
    backup.schedule.next(context.now).into_iter().chain(retried).min()
}

/// Since when a snapshot is due, if one is: by the schedule, or because a reboot waits for it.
fn due(context: &Context<'_>, backup: &EtcdBackup) -> Option<Timestamp> {
    let newest = context.observed.backups.newest();
    let by_schedule =
        backup.schedule.last(context.now).filter(|due| newest.is_none_or(|newest| newest.taken_at < *due));
    by_schedule.or_else(|| rollout::downtime(context).filter(|_| !is_fresh(context)).map(|_| context.now))
}

/// Why there is none yet.
fn late(context: &Context<'_>, due: Timestamp) -> Wait {
    let facts = &context.observed.backups;
    match &facts.failure {
        Some(failure) if facts.under_way.is_none() => Wait::Retry {
            target: "snapshot of etcd".to_owned(),
            message: failure.message.clone(),
            at: failure.at + PATIENCE,
        },
        _ if facts.under_way.is_none() && source(context).is_none() => Wait::EtcdLeader,
        _ => Wait::Snapshot { due },
    }
}

/// The step that takes a snapshot now: none while one is being taken, or has just failed.
fn take(context: &Context<'_>, backup: &EtcdBackup) -> Option<Step> {
    let facts = &context.observed.backups;
    let rests = facts.failure.as_ref().is_some_and(|failure| failure.at + PATIENCE > context.now);
    if facts.under_way.is_some() || rests {
        return None;
    }
    Some(Step::TakeSnapshot { machine: source(context)?, key: Snapshot::key(&backup.bucket.folder, context.now) })
}

/// The first control plane whose etcd is healthy and has a vote.
fn source(context: &Context<'_>) -> Option<MachineName> {
    let mut control_planes = servers::every_control_plane(context).into_iter();
    control_planes.find(|machine| etcd::serves(context, machine) && etcd::votes(context, machine))
}

/// Whether a snapshot has just been taken: what the reboot of a single control plane may rely on.
pub(super) fn is_fresh(context: &Context<'_>) -> bool {
    context.observed.backups.newest().is_some_and(|newest| newest.taken_at + FRESH > context.now)
}

/// Whether a snapshot can be had before a reboot, so that nobody has to be asked about it: as far as is known nothing
/// stands in the way of one.
pub(super) fn can_be_had(context: &Context<'_>) -> bool {
    let facts = &context.observed.backups;
    context.platform.backup.is_some() && facts.snapshots.value().is_some() && facts.failure.is_none()
}

/// How a lost etcd can be had again.
pub(super) fn way_back(context: &Context<'_>) -> WayBack {
    match (&context.platform.backup, context.observed.backups.newest()) {
        (None, _) => WayBack::NoBucket,
        (Some(_), None) => WayBack::Untold,
        (Some(_), Some(newest)) => WayBack::Newest(newest.clone()),
    }
}

fn prune(context: &Context<'_>, backup: &EtcdBackup, snapshots: &[Snapshot]) -> Vec<Step> {
    let Some((_newest, older)) = snapshots.split_last() else { return Vec::new() };
    let expired = older.iter().filter(|snapshot| snapshot.taken_at + backup.retention < context.now);
    // What a restore is under way from stays.
    let in_use = context.store.restore.as_ref().filter(|record| record.is_open()).map(|record| &record.snapshot);
    let expired = expired.filter(|snapshot| Some(&snapshot.key) != in_use);
    expired.take(AT_ONCE).map(|snapshot| Step::PruneSnapshot { key: snapshot.key.clone() }).collect()
}
