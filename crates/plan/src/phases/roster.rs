//! The roster: which machines stay and which leave, and why.
//!
//! Decided once for each plan, from the facts alone, so that every concern agrees on it. A machine leaves because its pool
//! has too many, because the pool is gone, because it is no longer what the pool asks for, because somebody asked for its
//! replacement, or because it is lost. Destructive departures count only once they are approved; until then the machine
//! stays.

use std::collections::{BTreeMap, BTreeSet};

use helix_crds::{ApprovalItem, Disruption};
use jiff::Timestamp;

use super::{Context, backups, etcd, health, restore, rollout};
use crate::approval::Destruction;
use crate::disruption::{Cause, Mark};
use crate::guard::{self, Guard};
use crate::names::MachineName;
use crate::observed::{Server, ServerStatus};
use crate::validated::Pool;

/// Why a machine leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Its server is already on its way out.
    Gone,
    /// It has been lost, and for too long to come back.
    Lost {
        /// Since when.
        since: Timestamp,
    },
    /// A user asks for its replacement.
    Asked,
    /// It is of a type, in a location or with storage that the pool does not ask for (any more).
    Misplaced,
    /// Its pool has more machines than it is to have.
    Surplus,
    /// The specification does not have its pool.
    PoolRemoved,
}

impl Leaving {
    /// Whether another machine has to be up first.
    #[must_use]
    pub fn is_replaced_first(self) -> bool {
        matches!(self, Self::Asked | Self::Misplaced) && guard::holds(Guard::ReplacementFirst)
    }

    /// What the departure does to the platform, if that has to be approved. What is lost is given up under
    /// `spec.remediation`, and what a user asks for by name is approved by asking.
    fn destroys(self) -> Option<Disruption> {
        match self {
            Self::Gone | Self::Lost { .. } | Self::Asked => None,
            Self::Misplaced => Some(Disruption::Replace),
            Self::Surplus | Self::PoolRemoved => Some(Disruption::Destroy),
        }
    }
}

/// A pool with more lost machines than remediation may replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooManyLost {
    /// The pool.
    pub pool: String,
    /// How many are lost.
    pub lost: u32,
    /// How many may be.
    pub most: u32,
}

/// Who stays, who leaves, and what has to be approved for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roster {
    leaving: BTreeMap<MachineName, Leaving>,
    /// Destructive departures, approved or not.
    pub destruction: Destruction,
    /// Whether they are approved.
    pub approved: bool,
    /// Pools whose lost machines are not replaced, because there are too many of them.
    pub too_many_lost: Vec<TooManyLost>,
}

impl Roster {
    /// Why the machine leaves; `None` if it stays.
    #[must_use]
    pub fn leaving(&self, machine: &MachineName) -> Option<Leaving> {
        self.leaving.get(machine).copied()
    }

    /// The machines that leave, by name.
    pub fn leavers(&self) -> impl Iterator<Item = (&MachineName, Leaving)> {
        self.leaving.iter().map(|(machine, leaving)| (machine, *leaving))
    }

    /// The roster of what is observed.
    pub(super) fn of(context: &Context<'_>) -> Self {
        let mut roster = Self::default();
        let mut by_pool: BTreeMap<&str, Vec<Candidate<'_>>> = BTreeMap::new();
        for (machine, server) in context.machines() {
            by_pool.entry(machine.pool()).or_default().push(Candidate { machine, server });
        }
        for (name, candidates) in by_pool {
            match context.platform.pool(name) {
                Some(pool) => roster.judge(context, pool, candidates),
                None => {
                    for candidate in candidates.iter().filter(|candidate| !candidate.is_held(context)) {
                        roster
                            .leaving
                            .insert(candidate.machine.clone(), candidate.gone().unwrap_or(Leaving::PoolRemoved));
                    }
                }
            }
        }
        roster.ask(context)
    }

    fn judge(&mut self, context: &Context<'_>, pool: &Pool, mut candidates: Vec<Candidate<'_>>) {
        let lost = candidates.iter().filter(|candidate| candidate.given_up(context).is_some()).count();
        let (lost, most) =
            (u32::try_from(lost).unwrap_or(u32::MAX), context.platform.remediation.most_lost(pool.replicas));
        let too_many = lost > most && guard::holds(Guard::TooManyLost);
        if too_many {
            self.too_many_lost.push(TooManyLost { pool: pool.name.clone(), lost, most });
        }
        candidates.retain(|candidate| match candidate.fate(context, pool, !too_many) {
            Some(leaving) => {
                self.leaving.insert(candidate.machine.clone(), leaving);
                false
            }
            None => true,
        });
        // Too many are counted among those that would stay; machines on their way out come off the number first.
        let surplus = candidates.len().saturating_sub(pool.replicas as usize);
        if surplus == 0 {
            return;
        }
        let crowds = crowds(&candidates);
        candidates.retain(|candidate| !candidate.is_held(context));
        candidates.sort_by_key(|candidate| candidate.dispensability(context, &crowds));
        for candidate in candidates.iter().rev().take(surplus) {
            self.leaving.insert(candidate.machine.clone(), Leaving::Surplus);
        }
    }

    /// Lets go only under the approval that the specification asks for.
    fn ask(mut self, context: &Context<'_>) -> Self {
        let server = |machine: &MachineName| context.server_of(machine).map(|server| server.id).unwrap_or_default();
        let items = self.leaving.iter().filter_map(|(machine, leaving)| {
            let disruption = leaving.destroys()?;
            Some(ApprovalItem { object: format!("machine {machine}"), digest: server(machine).to_string(), disruption })
        });
        self.destruction = Destruction::new(items.chain(downtime(context)).chain(restore::destroys(context)));
        self.approved = self.destruction.is_approved(context.platform.approval, &context.platform.approved);
        if !self.approved {
            self.leaving.retain(|_, leaving| leaving.destroys().is_none());
        }
        self
    }
}

/// A single control plane that has to reboot: nobody else answers meanwhile. A snapshot of etcd that is taken first spares
/// the question.
fn downtime(context: &Context<'_>) -> Option<ApprovalItem> {
    let (machine, change) = rollout::downtime(context).filter(|_| !backups::can_be_had(context))?;
    let object = format!("machine {machine}");
    Some(ApprovalItem { object, digest: change.wanted().to_owned(), disruption: Disruption::Downtime })
}

/// A machine that has a server.
struct Candidate<'a> {
    machine: &'a MachineName,
    server: &'a Server,
}

/// How little a machine would be missed: the greatest goes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Dispensability {
    marked: bool,
    unready: bool,
    outdated: bool,
    /// Machines of its pool in its location.
    crowd: usize,
    slot: u32,
}

fn crowds(candidates: &[Candidate<'_>]) -> BTreeMap<String, usize> {
    let mut crowds = BTreeMap::new();
    for candidate in candidates {
        *crowds.entry(candidate.server.location.clone()).or_default() += 1;
    }
    crowds
}

impl Candidate<'_> {
    fn gone(&self) -> Option<Leaving> {
        (self.server.status == ServerStatus::Deleting).then_some(Leaving::Gone)
    }

    fn is_held(&self, context: &Context<'_>) -> bool {
        context.is_held(self.machine)
    }

    /// Whether it leaves for a reason of its own.
    fn fate(&self, context: &Context<'_>, pool: &Pool, may_give_up: bool) -> Option<Leaving> {
        if let Some(gone) = self.gone() {
            return Some(gone);
        }
        if self.is_held(context) {
            return None;
        }
        if let Some(since) = self.given_up(context).filter(|_| may_give_up) {
            return Some(Leaving::Lost { since });
        }
        if context.observed.intents.replace.contains(&self.server.id) || self.has_left_etcd(context) {
            return Some(Leaving::Asked);
        }
        self.is_misplaced(context, pool).then_some(Leaving::Misplaced)
    }

    /// Whether it is no longer what its pool asks for, and can only be that as another machine.
    fn is_misplaced(&self, context: &Context<'_>, pool: &Pool) -> bool {
        let fits = pool.placements.iter().any(|placement| {
            placement.server_type == self.server.server_type && placement.location == self.server.location
        });
        !fits || rollout::is_reborn(context, self.machine)
    }

    /// Since when it has been lost, if for longer than remediation waits. One that is being changed is away on purpose; if it
    /// does not come back the change is halted, and people decide.
    fn given_up(&self, context: &Context<'_>) -> Option<Timestamp> {
        let remediation = context.platform.remediation;
        let since = match context.mark_of(self.machine) {
            Some(Mark { cause: Cause::Upgrade | Cause::Reboot, .. }) => None,
            // What was given up for its ailment stays so as long as it ails.
            Some(Mark { cause: Cause::Leave, since, .. }) if health::ails(context, self.machine) => return Some(since),
            Some(Mark { cause: Cause::Ailing, since, .. }) if health::ails(context, self.machine) => Some(since),
            _ => health::lost_since(context, self.machine, self.server),
        }?;
        (remediation.enabled && since + remediation.unhealthy_after <= context.now).then_some(since)
    }

    /// Whether its departure has gone too far to be called off: a control plane whose member was removed does not join again.
    fn has_left_etcd(&self, context: &Context<'_>) -> bool {
        self.machine.is_control_plane()
            && self.is_marked(context)
            && context.observed.etcd.value().is_some()
            && etcd::member_of(context, self.machine).is_none()
    }

    fn is_marked(&self, context: &Context<'_>) -> bool {
        context.mark_of(self.machine).is_some_and(|mark| mark.cause == Cause::Leave)
    }

    fn dispensability(&self, context: &Context<'_>, crowds: &BTreeMap<String, usize>) -> Dispensability {
        Dispensability {
            marked: self.is_marked(context),
            unready: !health::serves(context, self.machine),
            outdated: rollout::change(context, self.machine).is_some(),
            crowd: crowds.get(&self.server.location).copied().unwrap_or_default(),
            slot: self.machine.slot(),
        }
    }
}

/// Whether a machine that is held would leave, or make place for another, if somebody let it go.
pub(super) fn overstays(context: &Context<'_>, machine: &MachineName) -> bool {
    let Some(server) = context.server_of(machine).filter(|_| context.is_held(machine)) else { return false };
    let Some(pool) = context.platform.pool(machine.pool()) else { return true };
    let number = staying_in(context, pool).count();
    number > pool.replicas as usize
        || context.observed.intents.replace.contains(&server.id)
        || Candidate { machine, server }.is_misplaced(context, pool)
}

/// The machines that stay, of those that have a server.
pub(super) fn staying<'c>(context: &'c Context<'_>) -> impl Iterator<Item = &'c MachineName> {
    context.machines().map(|(machine, _)| machine).filter(|machine| context.roster.leaving(machine).is_none())
}

/// Those of one pool.
pub(super) fn staying_in<'c>(context: &'c Context<'_>, pool: &'c Pool) -> impl Iterator<Item = &'c MachineName> {
    let machines = context.known.of_pool(&pool.name).map(|known| &known.name);
    machines.filter(|machine| context.roster.leaving(machine).is_none())
}

/// How many further machines a pool may have for a while, so that a machine that is replaced is missed by nobody.
pub(super) fn surge(context: &Context<'_>, pool: &Pool) -> u32 {
    let replaced: BTreeSet<&MachineName> = context
        .roster
        .leavers()
        .filter(|(machine, leaving)| machine.pool() == pool.name && leaving.is_replaced_first())
        .map(|(machine, _)| machine)
        .collect();
    let at_once = if pool.is_control_plane() { 1 } else { context.platform.pace.workers_at_once(pool.replicas) };
    u32::try_from(replaced.len()).unwrap_or(u32::MAX).min(at_once)
}
