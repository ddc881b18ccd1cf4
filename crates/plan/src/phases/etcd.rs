//! Etcd: bootstrapped once in a platform's life, on the one recorded server; then members join by themselves, and
//! members whose machine is gone are removed when the quorum guard lets them.

use jiff::SignedDuration;

use super::{Context, Outcome, backups, restore, servers};
use crate::guard::{self, Guard};
use crate::names::MachineName;
use crate::observed::{BootstrapRecord, EtcdFacts, EtcdMember, Fact, MachineStage, TalosFacts};
use crate::quorum::{Quorum, majority};
use crate::report::{Block, Wait};
use crate::step::Step;

/// The service's name in Talos.
pub(super) const SERVICE: &str = "etcd";

/// How long after the record a cluster may take to come up for the first time.
pub(super) const BIRTH: SignedDuration = SignedDuration::from_mins(10);

/// How long etcd may be silent at first before its servers are looked after.
const FIRST_WORD: SignedDuration = SignedDuration::from_mins(2);

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let outcome = live(context);
    restore::plan(context, &outcome).unwrap_or(outcome)
}

/// What etcd needs, as long as nobody restores it.
fn live(context: &Context<'_>) -> Outcome {
    match &context.store.bootstrap {
        None => before_bootstrap(context, servers::control_planes(context)),
        Some(record) => match &context.observed.etcd {
            Fact::Known { value: etcd, .. } if !etcd.members.is_empty() => {
                membership(context, etcd, servers::control_planes(context))
            }
            _ => bootstrap(context, &founded_on(context, record), &servers::every_control_plane(context)),
        },
    }
}

/// Where etcd was bootstrapped, or restored last.
fn founded_on(context: &Context<'_>, record: &BootstrapRecord) -> BootstrapRecord {
    let restored = context.store.restore.as_ref();
    match restored.and_then(|restore| Some((restore.target.as_ref()?, restore.closed_at?))) {
        Some((target, at)) => BootstrapRecord { machine: target.machine.clone(), server_id: target.server_id, at },
        None => record.clone(),
    }
}

/// Chooses the machine that etcd begins on: the lowest slot that is configured and waits for it.
fn before_bootstrap(context: &Context<'_>, control_planes: &[MachineName]) -> Outcome {
    if let Some(machine) = control_planes.iter().find(|machine| serves(context, machine)) {
        return Outcome::blocked(Block::BootstrapRecordLost { machine: machine.clone() });
    }
    let waits = |machine: &&MachineName| {
        matches!(
            context.talos_of(machine),
            Some(TalosFacts::Configured { stage: MachineStage::Booting | MachineStage::Running, .. })
        )
    };
    match control_planes.iter().find(waits) {
        Some(machine) => match context.server_of(machine) {
            Some(server) if guard::holds(Guard::BootstrapRecord) => {
                Outcome::step(Step::RecordBootstrap { machine: machine.clone(), server: server.id })
            }
            Some(server) => Outcome::step(Step::BootstrapEtcd { machine: machine.clone(), server: server.id }),
            None => Outcome::waiting(Wait::Boot(vec![machine.clone()])),
        },
        None => Outcome::waiting(Wait::Boot(control_planes.to_vec())),
    }
}

/// Bootstraps on the recorded server, as long as no member is known anywhere.
fn bootstrap(context: &Context<'_>, record: &BootstrapRecord, control_planes: &[MachineName]) -> Outcome {
    if let Some(machine) = control_planes.iter().find(|machine| leaderless(context, machine)) {
        let alive = control_planes.iter().filter(|machine| context.server_of(machine).is_some()).count();
        if alive < majority(control_planes.len()) {
            return Outcome::blocked(Block::QuorumLost {
                healthy: 0,
                voters: control_planes.len(),
                back: backups::way_back(context),
            });
        }
        return silence(context, record, Wait::EtcdHealth(vec![machine.clone()]));
    }
    if control_planes.iter().any(|machine| serves(context, machine)) {
        return silence(context, record, Wait::EtcdLeader);
    }
    let alive = context.server_of(&record.machine).is_some_and(|server| server.id == record.server_id);
    if !alive && !guard::holds(Guard::BootstrapOnRecorded) {
        let waits = |machine: &&MachineName| matches!(context.talos_of(machine), Some(TalosFacts::Configured { .. }));
        let other = control_planes.iter().find(waits);
        if let Some((machine, server)) = other.and_then(|machine| Some((machine, context.server_of(machine)?))) {
            return Outcome::step(Step::BootstrapEtcd { machine: machine.clone(), server: server.id });
        }
    }
    if !alive {
        let others_may_have_it =
            control_planes.iter().any(|machine| context.server_of(machine).is_some() && !answers(context, machine));
        if others_may_have_it {
            return silence(context, record, Wait::EtcdLeader);
        }
        return Outcome::blocked(Block::EtcdLost {
            machine: record.machine.clone(),
            server: record.server_id,
            back: backups::way_back(context),
        });
    }
    // Long after the birth, silence elsewhere may hide a cluster that this server was wiped out of.
    let silent = |machine: &&MachineName| context.server_of(machine).is_some() && !answers(context, machine);
    if record.at + BIRTH < context.now && control_planes.iter().any(|machine| silent(&machine)) {
        return silence(context, record, Wait::EtcdLeader);
    }
    if context.store.restore.is_some() {
        // What was restored once is never bootstrapped empty.
        return silence(context, record, Wait::EtcdHealth(vec![record.machine.clone()]));
    }
    match context.talos_of(&record.machine) {
        Some(TalosFacts::Configured { .. }) => {
            Outcome::step(Step::BootstrapEtcd { machine: record.machine.clone(), server: record.server_id })
        }
        _ => silence(context, record, Wait::Talos(vec![record.machine.clone()])),
    }
}

/// Etcd cannot be heard: its members may only be starting, or their servers may be gone, which shows at Hetzner alone.
fn silence(context: &Context<'_>, record: &BootstrapRecord, wait: Wait) -> Outcome {
    if record.at + FIRST_WORD > context.now {
        return Outcome::waiting(wait);
    }
    Outcome::waiting_for_servers(wait, record.at)
}

/// Removes what is dead, waits for what joins.
fn membership(context: &Context<'_>, etcd: &EtcdFacts, control_planes: &[MachineName]) -> Outcome {
    let quorum = quorum(context, etcd);
    if !quorum.holds() {
        // A member whose server exists may only be starting: that passes by itself. One whose server is gone stays away.
        let may_come_back = Quorum::new(etcd, |hostname| has_server(context, hostname));
        if may_come_back.holds() {
            return Outcome::waiting(Wait::EtcdHealth(unhealthy(context, control_planes)));
        }
        let (healthy, voters) = quorum.count();
        return Outcome::blocked(Block::QuorumLost { healthy, voters, back: backups::way_back(context) });
    }
    if let Some(step) = remove_stale(context, etcd, &quorum) {
        return Outcome::step(step);
    }
    let joining: Vec<MachineName> = control_planes.iter().filter(|machine| !votes(context, machine)).cloned().collect();
    if !joining.is_empty() {
        return Outcome::waiting(Wait::EtcdMembers(joining));
    }
    let unhealthy = unhealthy(context, control_planes);
    if !unhealthy.is_empty() {
        return Outcome::waiting(Wait::EtcdHealth(unhealthy));
    }
    Outcome::done(format!("etcd has {} healthy voters", control_planes.len()), context.observed.etcd.at())
}

/// One member whose machine has no server any more, if it may go.
fn remove_stale(context: &Context<'_>, etcd: &EtcdFacts, quorum: &Quorum) -> Option<Step> {
    let stale = stale_member(context, etcd)?;
    quorum.may_remove(stale.id).ok()?;
    Some(Step::RemoveEtcdMember { member: stale.id, hostname: stale.hostname.clone(), leads: None })
}

/// Whether a member is left of a machine that is gone.
pub(super) fn has_stale_member(context: &Context<'_>, etcd: &EtcdFacts) -> bool {
    stale_member(context, etcd).is_some()
}

fn stale_member<'e>(context: &Context<'_>, etcd: &'e EtcdFacts) -> Option<&'e EtcdMember> {
    // Only under a name that Helix gives: whoever joined a member of their own keeps it.
    let gone =
        |hostname: &str| machine_of(context, hostname).is_some_and(|machine| context.server_of(&machine).is_none());
    etcd.members.iter().find(|member| gone(&member.hostname))
}

fn has_server(context: &Context<'_>, hostname: &str) -> bool {
    machine_of(context, hostname).is_some_and(|machine| context.server_of(&machine).is_some())
}

fn machine_of(context: &Context<'_>, hostname: &str) -> Option<MachineName> {
    context.platform.identity.machine_of(hostname)
}

fn unhealthy(context: &Context<'_>, control_planes: &[MachineName]) -> Vec<MachineName> {
    control_planes.iter().filter(|machine| !serves(context, machine)).cloned().collect()
}

/// Whether etcd is known to run healthily on the machine.
pub(super) fn serves(context: &Context<'_>, machine: &MachineName) -> bool {
    context.talos_of(machine).is_some_and(|talos| talos.serves(SERVICE))
}

/// Whether the machine has a vote in etcd.
pub(super) fn votes(context: &Context<'_>, machine: &MachineName) -> bool {
    member_of(context, machine).is_some_and(|member| !member.learner)
}

/// The machine's member of etcd, voter or learner.
pub(super) fn member_of<'a>(context: &Context<'a>, machine: &MachineName) -> Option<&'a EtcdMember> {
    let name = machine.to_string();
    context.observed.etcd.value()?.members.iter().find(|member| member.hostname == name)
}

/// The quorum, as far as the members' machines answer.
pub(super) fn quorum(context: &Context<'_>, etcd: &EtcdFacts) -> Quorum {
    Quorum::new(etcd, |hostname| machine_of(context, hostname).is_some_and(|machine| serves(context, &machine)))
}

/// Whether the machine's etcd runs, but says that it is not healthy: it has members, and no leader among them.
fn leaderless(context: &Context<'_>, machine: &MachineName) -> bool {
    context.talos_of(machine).is_some_and(|talos| talos.is_unhealthy(SERVICE))
}

fn answers(context: &Context<'_>, machine: &MachineName) -> bool {
    context.talos_of(machine).is_some()
}
