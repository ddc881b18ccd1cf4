//! Who may be disturbed now: never two control planes at once, never more workers of a pool than the pace allows, and
//! nobody further once one that was disturbed has not come back.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Context, etcd, health, roster, servers};
use super::{Change, change};
use crate::disruption::Cause;
use crate::guard::{self, Guard};
use crate::names::MachineName;
use crate::report::Wait;

/// The turns that are taken in this plan, on top of those that earlier plans gave.
pub(super) struct Pacer {
    /// By pool: machines that are marked, do not serve, or have been given their turn.
    disturbed: BTreeMap<String, BTreeSet<MachineName>>,
}

impl Pacer {
    pub(super) fn of(context: &Context<'_>) -> Self {
        let mut disturbed: BTreeMap<String, BTreeSet<MachineName>> = BTreeMap::new();
        let existing = context.machines().map(|(machine, _)| machine).cloned();
        let missing = context.platform.pools().flat_map(|pool| servers::wanted_machines(context, pool));
        for machine in existing.chain(missing) {
            if context.mark_of(&machine).is_some() || !health::serves(context, &machine) {
                disturbed.entry(machine.pool().to_owned()).or_default().insert(machine);
            }
        }
        Self { disturbed }
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
        roster::staying(context).filter(|machine| machine.is_control_plane()).find(upgrades).cloned()
    }
}

/// Whether something is being done to the machine.
fn is_disturbed(context: &Context<'_>, machine: &MachineName) -> bool {
    context.mark_of(machine).is_some_and(|mark| mark.cause != Cause::Ailing)
}
