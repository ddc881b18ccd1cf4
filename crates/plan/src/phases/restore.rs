//! Restoring etcd from a snapshot, where it is lost and a user asks for it by `helix.dev/restore-from`.
//!
//! The course is read from the store's [`RestoreRecord`] and from what is at Hetzner: the snapshot is found good; the
//! restore is written down, with the servers that the lost etcd leaves behind; these go, once that is approved; control
//! planes are made anew under their names; one of them is written down as the place, and brings etcd up from the
//! snapshot there and nowhere else; when etcd is healthy the record is closed, and never allows another restore.

use helix_crds::labels::CONTROL_PLANE_POOL;
use helix_crds::{ApprovalItem, Disruption};

use super::{Context, Outcome, etcd, servers};
use crate::guard::{self, Guard};
use crate::names::MachineName;
use crate::observed::{Fact, MachineStage, RestoreRecord, RestoreTarget, Server, ServerStatus, TalosFacts};
use crate::report::{Block, RestoreRefusal, State, Wait};
use crate::step::{ResourceKind, Step};
use crate::validated::RestoreFrom;

/// The record of the restore that is under way for what the annotation says.
pub(super) fn under_way<'a>(context: &Context<'a>) -> Option<&'a RestoreRecord> {
    let request = context.platform.restore_from.as_ref()?;
    context.store.restore.as_ref().filter(|record| record.is_open() && record.request == request.text())
}

/// What a restore does now; `None` where etcd needs none, or nobody asks for it. `without` is what is to be said of etcd
/// otherwise.
pub(super) fn plan(context: &Context<'_>, without: &Outcome) -> Option<Outcome> {
    let record = context.store.restore.as_ref().filter(|record| record.is_open());
    if let Some(record) = record
        && is_up(context)
    {
        let closed = RestoreRecord { closed_at: Some(context.now), ..record.clone() };
        return Some(Outcome::step(Step::RecordRestore(closed)));
    }
    if let Some(record) = under_way(context) {
        return Some(go_on(context, record));
    }
    let lost = match without.state {
        State::Blocked(Block::QuorumLost { .. }) => true,
        // A machine that is there may only be starting: its etcd may still have its data.
        State::Blocked(Block::EtcdLost { .. }) => context.known.of_pool(CONTROL_PLANE_POOL).next().is_none(),
        _ => false,
    };
    let request = context.platform.restore_from.as_ref().filter(|_| lost)?;
    Some(begin(context, request))
}

/// Whether etcd has members and a leader that tells them.
fn is_up(context: &Context<'_>) -> bool {
    context.observed.etcd.value().is_some_and(|etcd| etcd::quorum(context, etcd).holds())
}

fn begin(context: &Context<'_>, request: &RestoreFrom) -> Outcome {
    let refused = |refusal| Outcome::blocked(Block::RestoreRefused { snapshot: request.text().to_owned(), refusal });
    if context.platform.backup.is_none() {
        return refused(RestoreRefusal::NoBucket);
    }
    let made = |earlier: &&RestoreRecord| earlier.request == request.text() && guard::holds(Guard::RestoreOnce);
    if let Some(earlier) = context.store.restore.as_ref().filter(made) {
        return refused(RestoreRefusal::Done { at: earlier.begun_at });
    }
    let candidate = match &context.observed.backups.candidate {
        Fact::Known { value, .. } => value,
        Fact::Missing(missing) => return Outcome::unknown(missing.clone()),
    };
    if let Err(flaw) = candidate.verdict {
        return Outcome::blocked(Block::RestoreRefused {
            snapshot: candidate.key.clone(),
            refusal: RestoreRefusal::Flawed(flaw),
        });
    }
    let leftovers = context.machines().filter(|(machine, _)| machine.is_control_plane());
    Outcome::step(Step::RecordRestore(RestoreRecord {
        request: request.text().to_owned(),
        snapshot: candidate.key.clone(),
        begun_at: context.now,
        leftovers: leftovers.map(|(_, server)| server.id).collect(),
        target: None,
        closed_at: None,
    }))
}

fn go_on(context: &Context<'_>, record: &RestoreRecord) -> Outcome {
    let leftovers: Vec<(&MachineName, &Server)> = leftovers(context, record).collect();
    if !leftovers.is_empty() {
        return clear(context, &leftovers);
    }
    match &record.target {
        Some(target) if is_there(context, target) => recover(context, record, target),
        _ => choose(context, record),
    }
}

/// Whether control planes are made though nobody tells who is a member: nothing is left of the lost etcd.
pub(super) fn makes_anew(context: &Context<'_>) -> bool {
    under_way(context).is_some_and(|record| leftovers(context, record).next().is_none())
}

/// The servers that the lost etcd has left behind, and that are still there.
fn leftovers<'c>(
    context: &'c Context<'_>,
    record: &'c RestoreRecord,
) -> impl Iterator<Item = (&'c MachineName, &'c Server)> {
    context.machines().filter(|(machine, server)| machine.is_control_plane() && record.leftovers.contains(&server.id))
}

/// What a restore that is under way destroys: it has to be approved as everything that destroys.
pub(super) fn destroys<'c>(context: &'c Context<'_>) -> impl Iterator<Item = ApprovalItem> + 'c {
    let leftovers = under_way(context).into_iter().flat_map(|record| leftovers(context, record));
    leftovers.map(|(machine, server)| ApprovalItem {
        object: format!("machine {machine}"),
        digest: server.id.to_string(),
        disruption: Disruption::Destroy,
    })
}

fn clear(context: &Context<'_>, leftovers: &[(&MachineName, &Server)]) -> Outcome {
    let roster = &context.roster;
    if !roster.approved {
        let items = roster.destruction.items().map(|item| format!("{} ({})", item.object, item.disruption)).collect();
        return Outcome::blocked(Block::ApprovalNeeded { digest: roster.destruction.digest(), items });
    }
    let held = leftovers.iter().find(|(machine, _)| context.observed.intents.hold.contains(*machine));
    if let (Some((machine, _)), Some(record)) = (held, under_way(context)) {
        let refusal = RestoreRefusal::Held((*machine).clone());
        return Outcome::blocked(Block::RestoreRefused { snapshot: record.snapshot.clone(), refusal });
    }
    let staying = leftovers.iter().filter(|(_, server)| server.status != ServerStatus::Deleting);
    let steps: Vec<Step> = staying
        .map(|(machine, server)| Step::DeleteResource {
            kind: ResourceKind::Server,
            id: server.id,
            name: machine.to_string(),
        })
        .collect();
    if !steps.is_empty() {
        return Outcome::steps(steps);
    }
    let since = context.now;
    let machine = leftovers.first().map(|(machine, _)| (*machine).clone());
    machine.map_or_else(
        || Outcome::waiting(Wait::EtcdLeader),
        |machine| Outcome::waiting_for_servers(Wait::Leaving(machine), since),
    )
}

fn is_there(context: &Context<'_>, target: &RestoreTarget) -> bool {
    context.server_of(&target.machine).is_some_and(|server| server.id == target.server_id)
}

/// The place where etcd comes up: the first new control plane that waits for it. An earlier choice stands until its
/// server is gone, and nobody can have joined it.
fn choose(context: &Context<'_>, record: &RestoreRecord) -> Outcome {
    let control_planes = servers::control_planes(context);
    if record.target.is_some() {
        let may_have_it = |machine: &&MachineName| {
            context.server_of(machine).is_some()
                && context.talos_of(machine).is_none_or(|talos| talos.runs(etcd::SERVICE))
        };
        if control_planes.iter().any(|machine| may_have_it(&machine)) {
            return Outcome::waiting(Wait::EtcdLeader);
        }
    }
    let waits = |machine: &&MachineName| {
        matches!(
            context.talos_of(machine),
            Some(TalosFacts::Configured { stage: MachineStage::Booting | MachineStage::Running, .. })
        )
    };
    let chosen = control_planes.iter().find(waits);
    match chosen.and_then(|machine| Some((machine, context.server_of(machine)?))) {
        Some((machine, server)) => {
            let target = Some(RestoreTarget { machine: machine.clone(), server_id: server.id });
            Outcome::step(Step::RecordRestore(RestoreRecord { target, ..record.clone() }))
        }
        None => Outcome::waiting(Wait::Boot(control_planes.to_vec())),
    }
}

fn recover(context: &Context<'_>, record: &RestoreRecord, target: &RestoreTarget) -> Outcome {
    let machine = target.machine.clone();
    match context.talos_of(&machine) {
        Some(talos) if talos.runs(etcd::SERVICE) => Outcome::waiting(Wait::EtcdHealth(vec![machine])),
        Some(TalosFacts::Configured { .. }) => {
            Outcome::step(Step::RecoverEtcd { machine, server: target.server_id, snapshot: record.snapshot.clone() })
        }
        _ => Outcome::waiting(Wait::Talos(vec![machine])),
    }
}
