//! Who may be disturbed now: never two control planes at once, never more workers of a pool than the pace allows, and
//! nobody further, of whatever pool, once one that was disturbed has not come back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::super::{Context, etcd, health, roster, servers};
use super::{Change, change};
use crate::disruption::{Cause, Mark};
use crate::guard::{self, Guard};
use crate::names::MachineName;
use crate::observed::SetbackKind;
use crate::report::Wait;

/// How long a machine may take, after its pods have left, to serve again: an installation and two boots.
const COMES_BACK: SignedDuration = SignedDuration::from_mins(20);

/// The turns that are taken in this plan, on top of those that earlier plans gave.
pub(super) struct Pacer {
    /// By pool: machines that are marked, do not serve, or have been given their turn.
    disturbed: BTreeMap<String, BTreeSet<MachineName>>,
    /// Machines that stay, and were disturbed so long ago that they should be as wanted by now.
    halted: Vec<(MachineName, Mark)>,
}

impl Pacer {
    pub(super) fn of(context: &Context<'_>) -> Self {
        let mut disturbed: BTreeMap<String, BTreeSet<MachineName>> = BTreeMap::new();
        let existing = context.machines().map(|(machine, _)| machine);
        for machine in existing.chain(servers::all_missing(context)) {
            if context.mark_of(machine).is_some()
                || !health::serves(context, machine)
                || is_taking_a_configuration(context, machine)
            {
                disturbed.entry(machine.pool().to_owned()).or_default().insert(machine.clone());
            }
        }
        let halted = roster::staying(context).filter_map(|machine| Some((machine.clone(), halting(context, machine)?)));
        Self { disturbed, halted: halted.collect() }
    }

    /// The machines that have not come back, and the marks of what was done to them.
    pub(super) fn halted(&self) -> impl Iterator<Item = &(MachineName, Mark)> {
        self.halted.iter()
    }

    /// Whether nobody further may be disturbed. Those whose turn it is go on.
    pub(super) fn is_halted(&self) -> bool {
        !self.halted.is_empty()
    }

    /// Machines of the pool that are disturbed, but for this one.
    fn others(&self, machine: &MachineName) -> Vec<MachineName> {
        let disturbed = self.disturbed.get(machine.pool());
        disturbed.into_iter().flatten().filter(|other| *other != machine).cloned().collect()
    }

    /// Gives the machine its turn, if others leave room for it.
    pub(super) fn take_turn(&mut self, context: &Context<'_>, machine: &MachineName) -> Result<(), Wait> {
        let others = self.others(machine);
        let at_once = match context.platform.pool(machine.pool()) {
            Some(pool) if !pool.is_control_plane() => context.platform.pace.workers_at_once(pool.replicas),
            _ if guard::holds(Guard::OneControlPlane) => 1,
            _ => u32::MAX,
        };
        if others.len() >= at_once as usize {
            return Err(Wait::Turn { machine: machine.clone(), others });
        }
        self.disturbed.entry(machine.pool().to_owned()).or_default().insert(machine.clone());
        Ok(())
    }

    /// Gives a machine that is lost its turn: others that are lost, too, do not stand in its way, only those that are
    /// being disturbed.
    pub(super) fn take_turn_of_lost(&mut self, context: &Context<'_>, machine: &MachineName) -> Result<(), Wait> {
        let others: Vec<MachineName> =
            self.others(machine).into_iter().filter(|other| is_disturbed(context, other)).collect();
        if machine.is_control_plane() && !others.is_empty() {
            return Err(Wait::Turn { machine: machine.clone(), others });
        }
        Ok(())
    }

    /// Whether etcd's quorum outlasts this machine's absence. A single control plane's is given up under an approval,
    /// which the caller has seen.
    pub(super) fn may_reboot(&self, context: &Context<'_>, machine: &MachineName) -> Result<(), Wait> {
        if !machine.is_control_plane() {
            return Ok(());
        }
        let Some(etcd) = context.observed.etcd.value() else { return Err(Wait::EtcdLeader) };
        let quorum = etcd::quorum(context, etcd);
        match etcd::member_of(context, machine).map(|member| quorum.may_pause(member.id)) {
            Some(Err(refusal)) => Err(Wait::Quorum { machine: machine.clone(), refusal }),
            None | Some(Ok(())) => Ok(()),
        }
    }

    /// A control plane that gets its new Talos before this worker does, or is away for it.
    pub(super) fn control_plane_to_upgrade_first(
        &self,
        context: &Context<'_>,
        machine: &MachineName,
    ) -> Option<MachineName> {
        if machine.is_control_plane() {
            return None;
        }
        let upgrades = |machine: &&MachineName| {
            context.mark_of(machine).is_some_and(|mark| mark.cause == Cause::Upgrade)
                || matches!(change(context, machine), Some(Change::Upgrade { .. }))
        };
        roster::staying_in(context, &context.platform.control_plane).find(upgrades).cloned()
    }
}

/// The mark of a machine that is not as wanted, or does not serve, for longer than it may take.
fn halting(context: &Context<'_>, machine: &MachineName) -> Option<Mark> {
    let patience = context.platform.pace.drain_timeout + COMES_BACK;
    let mark = context.mark_of(machine).filter(|mark| matches!(mark.cause, Cause::Upgrade | Cause::Reboot))?;
    let is_away = match change(context, machine) {
        Some(change) => change.reboots(),
        None => !health::serves(context, machine),
    };
    (is_away && mark.age(context.now) > patience).then_some(mark)
}

/// Whether a control plane was given another configuration a moment ago: its API server may be about to start anew, though it
/// still answers.
fn is_taking_a_configuration(context: &Context<'_>, machine: &MachineName) -> bool {
    if !machine.is_control_plane() {
        return false;
    }
    let target = format!("configuration of {machine}");
    context
        .observed
        .setbacks
        .iter()
        .any(|setback| setback.kind == SetbackKind::UnderWay && setback.until > context.now && setback.target == target)
}

/// Whether something is being done to the machine.
fn is_disturbed(context: &Context<'_>, machine: &MachineName) -> bool {
    context.mark_of(machine).is_some_and(|mark| mark.cause != Cause::Ailing)
}
