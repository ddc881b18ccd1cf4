//! Changes of machines that exist: another Talos, another configuration, or leaving the platform.
//!
//! One machine at a time goes through a fixed course: its node is marked and cordoned, its pods get time to leave, then
//! the machine is disturbed, and when it serves again (or its successor does) the mark goes. Where a machine stands on
//! that course is read from the world, so a new process goes on where the old one was. Who may begin is decided in
//! [`pace`]; the course of a machine that leaves is in [`leave`].

mod leave;
mod pace;

use std::collections::BTreeSet;

use helix_crds::labels::CONTROL_PLANE_POOL;
use jiff::{SignedDuration, Timestamp};

use self::pace::Pacer;
use super::{Context, Outcome, backups, health, kubernetes, machine_configs, roster, rotation};
use crate::data_gate::Absence;
use crate::disruption::{Cause, Mark};
use crate::guard::{self, Guard};
use crate::names::MachineName;
use crate::observed::TalosFacts;
use crate::render::machine_config::{ChangeClass, ConfigDigest, MachineConfigInputs, change_class, installer_image};
use crate::report::{Block, State, Wait};
use crate::step::Step;

/// How old the mark of a machine may become that waits until it may be emptied.
const MARK_RENEWED: SignedDuration = SignedDuration::from_mins(1);

/// What is to be different about a running machine.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// Another Talos.
    Upgrade {
        /// As in `v1.14.0`.
        version: String,
        /// The installer's image.
        image: String,
    },
    /// Another configuration, which comes into force by itself.
    Reconfigure(Box<MachineConfigInputs>, ConfigDigest),
    /// Another configuration, which comes into force by a reboot.
    Reboot(Box<MachineConfigInputs>, ConfigDigest),
}

impl Change {
    /// Whether the machine is away for a while.
    pub(super) fn reboots(&self) -> bool {
        self.cause().is_some()
    }

    /// What the machine is to be after it, as an identity.
    pub(super) fn wanted(&self) -> &str {
        match self {
            Self::Upgrade { version, .. } => version,
            Self::Reconfigure(_, digest) | Self::Reboot(_, digest) => digest.as_str(),
        }
    }

    /// How the machine is marked for it, if it is disturbed.
    fn cause(&self) -> Option<Cause> {
        match self {
            Self::Upgrade { .. } => Some(Cause::Upgrade),
            Self::Reboot(..) => Some(Cause::Reboot),
            Self::Reconfigure(..) => None,
        }
    }

    fn step(self, machine: &MachineName) -> Step {
        match self {
            Self::Upgrade { version, image } => Step::UpgradeTalos { machine: machine.clone(), version, image },
            Self::Reconfigure(inputs, digest) => Step::ReconfigureMachine { inputs, digest, reboot: false },
            Self::Reboot(inputs, digest) => Step::ReconfigureMachine { inputs, digest, reboot: true },
        }
    }
}

/// What is to be different about a machine that answers; `None` where nothing is, or where that cannot be told.
///
/// Talos first: a configuration is written in the style of the version that it is for.
pub(super) fn change(context: &Context<'_>, machine: &MachineName) -> Option<Change> {
    let Some(TalosFacts::Configured { version, .. }) = context.talos_of(machine) else { return None };
    let wanted = &context.talos;
    if version != wanted && kubernetes::talos_path(context, version).is_ok() {
        let image = installer_image(&context.platform.schematic, &context.platform.versions.talos);
        return Some(Change::Upgrade { version: wanted.clone(), image });
    }
    if version != wanted {
        // Its configuration is of its own version's style, and waits for the way to be open.
        return None;
    }
    let (class, digest) = class_of(context, machine)?;
    let inputs = || machine_configs::inputs_of(context, machine);
    match class {
        // What is decided at birth is the roster's: the machine is replaced.
        ChangeClass::None | ChangeClass::Replace => None,
        ChangeClass::NoReboot => Some(Change::Reconfigure(inputs()?, digest.clone())),
        ChangeClass::Reboot => Some(Change::Reboot(inputs()?, digest.clone())),
    }
}

/// Whether what the machine is to be is decided at birth, so that only another machine can be it.
pub(super) fn is_reborn(context: &Context<'_>, machine: &MachineName) -> bool {
    class_of(context, machine).is_some_and(|(class, _)| class == ChangeClass::Replace)
}

/// What it takes to bring the machine from what it runs to what it is to be, and what that is.
fn class_of<'c>(context: &'c Context<'_>, machine: &MachineName) -> Option<(ChangeClass, &'c ConfigDigest)> {
    let wanted = machine_configs::wanted(context, machine)?;
    let running = machine_configs::running_digest(context, machine)?;
    Some((change_class(running, wanted, &context.platform.versions.talos), wanted))
}

/// The only control plane, where it has to reboot: nobody answers meanwhile.
pub(super) fn downtime<'c>(context: &'c Context<'_>) -> Option<(&'c MachineName, Change)> {
    let mut existing = context.known.of_pool(CONTROL_PLANE_POOL).map(|known| &known.name);
    let (machine, None) = (existing.next()?, existing.next()) else { return None };
    change(context, machine).filter(Change::reboots).map(|change| (machine, change))
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let (pacer, away) = (Pacer::of(context), away(context));
    let mut rollout = Rollout { context, pacer, away, steps: Vec::new(), states: Vec::new() };
    rollout.say_what_is_not_done();
    for (machine, leaving) in context.roster.leavers() {
        rollout.leave(machine, leaving);
    }
    let (held, free): (Vec<_>, Vec<_>) = roster::staying(context).partition(|machine| context.is_held(machine));
    for machine in free {
        rollout.keep(machine);
    }
    rollout.say_what_is_held(held);
    rollout.outcome()
}

/// Nodes whose machines do not serve: that their copies of data are not whole any more may not have been noticed yet.
fn away(context: &Context<'_>) -> BTreeSet<String> {
    let machines = context.machines().map(|(machine, _)| machine);
    machines.filter(|machine| !health::serves(context, machine)).map(ToString::to_string).collect()
}

struct Rollout<'c, 'a> {
    context: &'c Context<'a>,
    pacer: Pacer,
    /// Nodes whose copies of data do not count: those that are away, and those that this plan lets be emptied.
    away: BTreeSet<String>,
    steps: Vec<Step>,
    states: Vec<State>,
}

impl Rollout<'_, '_> {
    fn say_what_is_not_done(&mut self) {
        let roster = &self.context.roster;
        if !roster.approved {
            self.states.push(State::Blocked(Block::approval_needed(&roster.destruction)));
        }
        for machine in roster::staying(self.context) {
            let version = self.context.talos_of(machine).map(TalosFacts::version).unwrap_or_default();
            if version == self.context.talos {
                continue;
            }
            if let Err(refusal) = kubernetes::talos_path(self.context, version) {
                self.states.push(State::Blocked(Block::UpgradeRefused(refusal)));
                break;
            }
        }
        if let Some(refusal) = &self.context.kubernetes.refusal {
            self.states.push(State::Blocked(Block::UpgradeRefused(refusal.clone())));
        }
        for many in &roster.too_many_lost {
            let (pool, lost, most) = (many.pool.clone(), many.lost, many.most);
            self.states.push(State::Blocked(Block::TooManyLost { pool, lost, most }));
        }
        for (machine, mark) in self.pacer.halted() {
            self.states.push(State::Blocked(Block::RolloutHalted { machine: machine.clone(), since: mark.since }));
        }
    }

    fn say_what_is_held(&mut self, mut held: Vec<&MachineName>) {
        let context = self.context;
        held.retain(|machine| change(context, machine).is_some() || roster::overstays(context, machine));
        if !held.is_empty() {
            self.wait(context.held(held.into_iter().cloned().collect()));
        }
    }

    fn wait(&mut self, wait: Wait) {
        self.states.push(State::WaitingOn(wait));
    }

    /// A machine that stays: goes on with what was begun, or begins what is due.
    fn keep(&mut self, machine: &MachineName) {
        let change = change(self.context, machine);
        let mark = self.context.mark_of(machine);
        self.watch(machine, mark);
        match (mark.filter(|mark| mark.cause != Cause::Ailing), change) {
            (None, None) => {}
            (Some(mark), None) => self.finish(machine, mark),
            // Its departure was called off.
            (Some(mark), Some(_)) if mark.cause == Cause::Leave => self.uncordon(machine, mark),
            (Some(mark), Some(change)) => self.go_on(machine, mark, change),
            (None, Some(change)) => self.begin(machine, change),
        }
    }

    /// Marks a machine that ails, so that it is known since when; takes the mark away when it is well again.
    fn watch(&mut self, machine: &MachineName, mark: Option<Mark>) {
        let ails = health::ails(self.context, machine);
        match mark {
            None if ails => {
                let mark = Mark::new(Cause::Ailing, true, self.context.now);
                self.steps.push(Step::MarkNode { machine: machine.clone(), mark });
            }
            Some(mark) if mark.cause == Cause::Ailing && !ails => self.uncordon(machine, mark),
            _ => {}
        }
    }

    /// The machine is as it should be, or does not answer yet: frees it once it serves again.
    fn finish(&mut self, machine: &MachineName, mark: Mark) {
        if mark.cause == Cause::Leave || health::serves(self.context, machine) {
            self.uncordon(machine, mark);
        } else {
            self.wait(Wait::ComesBack(machine.clone()));
        }
    }

    fn uncordon(&mut self, machine: &MachineName, mark: Mark) {
        self.steps.push(Step::UnmarkNode { machine: machine.clone(), stays_cordoned: mark.was_cordoned });
    }

    fn go_on(&mut self, machine: &MachineName, mark: Mark, change: Change) {
        if !change.reboots() {
            // What was begun is not needed any more.
            return self.uncordon(machine, mark);
        }
        if self.spares_data(machine, Absence::ForAWhile) && self.drained(machine, mark) && self.may_be_missed(machine) {
            match self.pacer.may_reboot(self.context, machine) {
                Ok(()) => self.steps.push(change.step(machine)),
                Err(wait) => self.wait(wait),
            }
        }
    }

    fn begin(&mut self, machine: &MachineName, change: Change) {
        let context = self.context;
        if let Change::Upgrade { .. } = change
            && let Some(first) = self.pacer.control_plane_to_upgrade_first(context, machine)
        {
            return self.wait(Wait::Upgrade { machine: first });
        }
        if let Some(first) = rotation::control_plane_to_change_first(context, machine) {
            return self.wait(Wait::Turn { machine: machine.clone(), others: vec![first] });
        }
        let Some(cause) = change.cause() else {
            match self.pacer.take_turn(context, machine) {
                Ok(()) => self.steps.push(change.step(machine)),
                Err(wait) => self.wait(wait),
            }
            return;
        };
        if self.pacer.is_halted() {
            return;
        }
        if !self.window_is_open() {
            return self.wait(Wait::Window);
        }
        match self.pacer.take_turn(context, machine).and_then(|()| self.pacer.may_reboot(context, machine)) {
            Ok(()) if !self.may_be_missed(machine) => {}
            Ok(()) => self.cordon(machine, cause),
            Err(wait) => self.wait(wait),
        }
    }

    /// Whether somebody answers meanwhile; else whether etcd has just been saved, or cannot be and that was agreed to.
    fn may_be_missed(&mut self, machine: &MachineName) -> bool {
        let context = self.context;
        let alone = downtime(context).is_some_and(|(only, _)| only == machine);
        if !alone || backups::is_fresh(context) {
            return true;
        }
        if backups::can_be_had(context) {
            self.wait(Wait::Snapshot { due: context.now });
            return false;
        }
        context.roster.approved
    }

    fn window_is_open(&self) -> bool {
        self.context.platform.pace.window.is_none_or(|window| window.is_open(self.context.now))
    }

    fn cordon(&mut self, machine: &MachineName, cause: Cause) {
        let was_cordoned = self.context.node_of(machine).is_some_and(|node| node.unschedulable);
        let mark = Mark::new(cause, was_cordoned, self.context.now);
        self.steps.push(Step::MarkNode { machine: machine.clone(), mark });
    }

    /// Whether nothing replicated has its last healthy copy there; else waits until there is another. A node that has just
    /// been marked has not been asked about yet.
    fn spares_data(&mut self, machine: &MachineName, absence: Absence) -> bool {
        let context = self.context;
        if !guard::holds(Guard::LastCopy) {
            return true;
        }
        let Some(kubernetes) = context.observed.kubernetes.value() else {
            self.wait(context.api());
            return false;
        };
        let Some(data) = &kubernetes.data else {
            self.wait(Wait::Data { machine: machine.clone(), last: None });
            return false;
        };
        let node = machine.to_string();
        match data.may_drain(&node, absence, &self.away) {
            Ok(()) => {
                self.away.insert(node);
                true
            }
            Err(last) => {
                self.renew_mark(machine);
                self.wait(Wait::Data { machine: machine.clone(), last: Some(last) });
                false
            }
        }
    }

    /// A machine that may not be emptied yet is not late: the time for its pods, and for it to come back, begins later.
    fn renew_mark(&mut self, machine: &MachineName) {
        let now = self.context.now;
        let Some(mark) = self.context.mark_of(machine).filter(|mark| mark.age(now) >= MARK_RENEWED) else { return };
        let mark = Mark::new(mark.cause, mark.was_cordoned, now);
        self.steps.push(Step::MarkNode { machine: machine.clone(), mark });
    }

    /// Whether the machine's pods have left, or have had their time. Else sends them away, or waits for them.
    fn drained(&mut self, machine: &MachineName, mark: Mark) -> bool {
        let context = self.context;
        let Some(kubernetes) = context.observed.kubernetes.value() else {
            self.wait(context.api());
            return false;
        };
        let until: Timestamp = mark.since + context.platform.pace.drain_timeout;
        let listens = context.node_of(machine).is_some_and(health::kubelet_listens);
        if !guard::holds(Guard::DrainFirst) {
            return true;
        }
        if until <= context.now || !listens || !context.is_registered(machine) {
            return true;
        }
        let Some(pods) = kubernetes.pods.get(&machine.to_string()) else {
            // The mark is new: its node has not been asked about yet.
            self.wait(Wait::Drain { machine: machine.clone(), pods: Vec::new(), until });
            return false;
        };
        if pods.is_empty() {
            return true;
        }
        let names = pods.iter().map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect();
        self.wait(Wait::Drain { machine: machine.clone(), pods: names, until });
        let staying: Vec<_> = pods.iter().filter(|pod| !pod.leaving).cloned().collect();
        if !staying.is_empty() {
            self.steps.push(Step::EvictPods { machine: machine.clone(), pods: staying });
        }
        false
    }

    /// What is blocked is told first, then what is waited for (causes before those who wait for them, and last what others
    /// keep from going on), then what is done.
    fn outcome(self) -> Outcome {
        let Self { context, steps, mut states, .. } = self;
        states.sort_by_key(|state| match state {
            State::Blocked(_) => 0,
            State::WaitingOn(Wait::Window) => 2,
            State::WaitingOn(Wait::Turn { .. } | Wait::Upgrade { .. } | Wait::Successor { .. }) => 3,
            State::WaitingOn(Wait::Held { .. }) => 4,
            _ => 1,
        });
        if let (true, Some(State::WaitingOn(rest @ (Wait::Held { .. } | Wait::Window)))) =
            (steps.is_empty(), states.first())
        {
            return Outcome::resting(rest.clone());
        }
        if let Some(state) = states.into_iter().next() {
            return Outcome::steps(steps).with_state(state);
        }
        if !steps.is_empty() {
            return Outcome::steps(steps);
        }
        Outcome::done("every machine is as specified", context.observed.cloud.at())
    }
}
