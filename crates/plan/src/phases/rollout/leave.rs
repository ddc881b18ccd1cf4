//! The course of a machine that leaves: marked, drained, out of etcd, then its server is deleted. What it leaves behind in
//! the cluster is taken away by the concerns of etcd and nodes before its name is used again.

use super::super::roster::Leaving;
use super::super::{etcd, health};
use super::Rollout;
use crate::data_gate::Absence;
use crate::disruption::Cause;
use crate::names::MachineName;
use crate::report::Wait;
use crate::step::{ResourceKind, Step};

impl Rollout<'_, '_> {
    pub(super) fn leave(&mut self, machine: &MachineName, leaving: Leaving) {
        let context = self.context;
        let Some(server) = context.server_of(machine) else { return };
        if leaving == Leaving::Gone {
            return self.wait(Wait::Leaving(machine.clone()));
        }
        let marked = context.mark_of(machine).filter(|mark| mark.cause == Cause::Leave);
        let is_young = context.store.bootstrap.is_none();
        if marked.is_none() && !is_young {
            if let Err(wait) = self.may_leave(machine, leaving) {
                return self.wait(wait);
            }
            if context.node_of(machine).is_some() {
                return self.cordon(machine, Cause::Leave);
            }
        }
        // What is lost holds nothing that could be spared, and a cluster that is silent about it is not waited for.
        let lost = matches!(leaving, Leaving::Lost { .. });
        if let Some(mark) = marked
            && !((lost || self.spares_data(machine, Absence::ForGood)) && self.drained(machine, mark))
        {
            return;
        }
        if machine.is_control_plane() && !is_young && !self.is_out_of_etcd(machine) {
            return;
        }
        let (id, name) = (server.id, server.name.clone());
        self.steps.push(Step::DeleteResource { kind: ResourceKind::Server, id, name });
    }

    /// Whether the machine's departure may begin.
    fn may_leave(&mut self, machine: &MachineName, leaving: Leaving) -> Result<(), Wait> {
        let context = self.context;
        if context.observed.kubernetes.value().is_none() && !machine.is_control_plane() {
            return Err(context.api());
        }
        if let Leaving::Lost { .. } = leaving {
            return self.pacer.take_turn_of_lost(context, machine);
        }
        if leaving == Leaving::Misplaced && self.pacer.is_halted() {
            let others = self.pacer.halted().map(|(other, _)| other.clone()).collect();
            return Err(Wait::Turn { machine: machine.clone(), others });
        }
        if leaving == Leaving::Misplaced && !self.window_is_open() {
            return Err(Wait::Window);
        }
        if leaving.is_replaced_first()
            && let Some(pool) = context.platform.pool(machine.pool())
        {
            let others =
                context.machines().map(|(machine, _)| machine).filter(|it| it.pool() == pool.name && *it != machine);
            let serve = others.filter(|machine| health::serves(context, machine)).count();
            if serve < pool.replicas as usize {
                return Err(Wait::Successor { machine: machine.clone() });
            }
        }
        self.pacer.take_turn(context, machine)
    }

    /// Whether etcd has no member of this machine any more. Else takes it out, or waits until the quorum lets it go.
    fn is_out_of_etcd(&mut self, machine: &MachineName) -> bool {
        let context = self.context;
        let Some(etcd) = context.observed.etcd.value() else {
            self.wait(Wait::EtcdLeader);
            return false;
        };
        let Some(member) = etcd::member_of(context, machine) else { return true };
        match etcd::quorum(context, etcd).may_remove(member.id) {
            // What is dead goes first: the concern of etcd takes it out.
            Ok(()) if etcd::has_stale_member(context, etcd) => self.wait(Wait::EtcdLeader),
            // One at a time: the quorum was asked about each as if the others stayed.
            Ok(()) if self.steps.iter().any(|step| matches!(step, Step::RemoveEtcdMember { .. })) => {
                self.wait(Wait::EtcdLeader);
            }
            Ok(()) => {
                let leads = etcd::serves(context, machine).then(|| machine.clone());
                let hostname = member.hostname.clone();
                self.steps.push(Step::RemoveEtcdMember { member: member.id, hostname, leads });
            }
            Err(refusal) => self.wait(Wait::Quorum { machine: machine.clone(), refusal }),
        }
        false
    }
}
