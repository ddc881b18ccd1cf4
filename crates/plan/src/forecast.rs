//! The plan played forward: what will be done in which order, what will be waited for in between, and where it ends.
//!
//! A plan holds only what can be done now. A forecast takes a copy of the facts, plans, lets every step have its effect,
//! lets what is under way come to its end, and plans again, until nothing is left to do and nothing moves any more. So
//! `helix plan` can show a whole platform before any of it exists, and with the very planner that will make it.
//!
//! Assumptions: every attempt succeeds and every machine comes up; what is refused, sold out or somebody else's stays so.
//! Pods find another place when they are asked to leave. Nobody approves anything meanwhile: what waits for an approval
//! waits to the end, and is named there. What does not exist yet gets made-up ids and addresses ([`assumed`]). Times are sums of typical ones ([`durations`]).
//! Deliberately absent: chances, faults and money; those are the simulator's and [`crate::cost`]'s.

mod adopt;
pub mod assumed;
mod components;
pub mod durations;
mod effect;
mod gitops;
mod leave;
mod mesh;
mod names;
mod settle;

use std::collections::BTreeMap;

use helix_crds::{Disruption, PhaseName};
use jiff::{SignedDuration, Timestamp};

use crate::approval::Destruction;
use crate::approval::manual::Gate;
use crate::check::{Subject, Violation, check};
use crate::farewell::Farewell;
use crate::names::{MachineName, PlatformIdentity};
use crate::observed::{CloudFacts, Observed, SetbackKind, StoreFacts};
use crate::plan::{Plan, PlanItem, plan_teardown, plan_under};
use crate::render::machine_config::{ConfigDigest, KubernetesVersions};
use crate::report::{PhaseReport, Report, State, Wait};
use crate::validated::ValidatedPlatform;

/// Far more rounds than the longest way takes: five control planes that join one after the other need about thirty.
const MOST_ROUNDS: usize = 200;

/// Steps that are done together, and what has to come true before them.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What is waited for first, in words; empty where the stage follows at once.
    pub awaits: Vec<String>,
    /// When it begins, counted from the first step, if everything takes its typical time.
    pub begins_after: SignedDuration,
    /// The steps, the most important lane first.
    pub items: Vec<PlanItem>,
}

/// How a forecast ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing is left to do and nothing moves: what is not Ready is blocked, unknown, or waits for something outside.
    Settled,
    /// A plan on the way broke an invariant; it would not be carried out.
    Rejected(Vec<Violation>),
    /// The bound on rounds was met. A fault in the planner.
    Endless,
}

/// The whole way from the observed world to where the platform comes to rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// What is done, in order.
    pub stages: Vec<Stage>,
    /// What is waited for after the last stage.
    pub awaits: Vec<String>,
    /// How long it takes to get there, if everything takes its typical time.
    pub takes: SignedDuration,
    /// Where every concern stands at the end.
    pub report: Report,
    /// What still waits for an approval at the end; empty where nothing does.
    pub waits_for_approval: Destruction,
    /// The resources at Hetzner before the first step.
    pub before: CloudFacts,
    /// The world at the end, made-up ids and addresses included.
    pub world: Observed,
    /// How it ended.
    pub ending: Ending,
}

impl Forecast {
    /// All steps, in order.
    pub fn items(&self) -> impl Iterator<Item = &PlanItem> {
        self.stages.iter().flat_map(|stage| &stage.items)
    }

    /// Calls of Hetzner's API that the steps cost; looking costs more.
    #[must_use]
    pub fn hetzner_calls(&self) -> u32 {
        self.items().map(|item| item.step.hetzner_calls()).sum()
    }

    /// The most disruptive of the steps.
    #[must_use]
    pub fn disruption(&self) -> Disruption {
        self.items().map(|item| item.step.disruption()).max().unwrap_or(Disruption::None)
    }

    /// The states of all phases at the end.
    #[must_use]
    pub fn phases(&self, until: PhaseName) -> Vec<(PhaseName, PhaseReport)> {
        self.report.phases(until)
    }
}

/// Plays the plan of a living platform forward from what was observed.
///
/// Total and deterministic, as [`plan()`] is; it ends within a bounded number of rounds.
#[must_use]
pub fn forecast(platform: &ValidatedPlatform, observed: Observed, now: Timestamp) -> Forecast {
    // What has to be approved is asked once: on the way it only shrinks. An approval is kept meanwhile, as status keeps it.
    let gate = Gate::of(platform, &observed, now);
    let mut decided = gate.as_ref().map_or(platform, |gate| &gate.platform).clone();
    let first = plan_under(&decided, gate.as_ref(), &observed, now);
    decided.approved.keep(&first.destruction);
    let mut wanted = platform.clone();
    wanted.approved.keep(&first.destruction);
    let decide = |world: &Observed| plan_under(&decided, gate.as_ref(), world, now);
    play(World::new(observed, Some(&wanted), now), &platform.identity, None, decide)
}

/// Plays a teardown forward from what was observed, until nothing of the platform is left.
#[must_use]
pub fn forecast_teardown(
    identity: &PlatformIdentity,
    farewell: &Farewell,
    observed: Observed,
    now: Timestamp,
) -> Forecast {
    let mut farewell = farewell.clone();
    if observed.kubernetes.value().is_none() {
        // Time stands still here: a cluster that does not answer is taken to have been waited for.
        farewell.began = Timestamp::MIN;
    }
    let farewell = &farewell;
    play(World::new(observed, None, now), identity, Some(farewell), |world| plan_teardown(farewell, world, now))
}

/// The world of a forecast: facts that change, and what no fact tells.
struct World<'p> {
    observed: Observed,
    /// None in a teardown: nothing is made any more.
    platform: Option<&'p ValidatedPlatform>,
    now: Timestamp,
    /// The first id that was made up: what has a lower one existed before.
    first_id: u64,
    /// The next id that nothing has.
    next_id: u64,
    /// The configurations that the forecast gave to machines.
    configured: BTreeMap<MachineName, Configured>,
    /// The Talos that the forecast put on machines.
    installed: BTreeMap<MachineName, String>,
    /// Machines that the forecast made reboot, and how long that takes.
    away: BTreeMap<MachineName, SignedDuration>,
}

/// What a machine's configuration shows of itself in the cluster.
#[derive(Clone)]
struct Configured {
    digest: ConfigDigest,
    kubernetes: KubernetesVersions,
}

impl<'p> World<'p> {
    fn new(mut observed: Observed, platform: Option<&'p ValidatedPlatform>, now: Timestamp) -> Self {
        // What merely failed is tried again and taken to succeed.
        observed.setbacks.retain(|setback| !matches!(setback.kind, SetbackKind::Failed { .. }));
        let named = observed.adoptees.keys().map(|named| named.id).max().unwrap_or(0);
        let first_id = observed.cloud.value().map_or(0, assumed::highest_id).max(named) + 1;
        let mut world = Self {
            observed,
            platform,
            now,
            first_id,
            next_id: first_id,
            configured: BTreeMap::new(),
            installed: BTreeMap::new(),
            away: BTreeMap::new(),
        };
        world.render_what_has_no_chart();
        world
    }

    fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// An id that no member of etcd has: real ones are of another range than Hetzner's.
    fn new_member_id(&mut self) -> u64 {
        let members = self.observed.etcd.value().map(|etcd| etcd.members.iter().map(|member| member.id).collect());
        let taken: Vec<u64> = members.unwrap_or_default();
        loop {
            let id = self.new_id();
            if !taken.contains(&id) {
                return id;
            }
        }
    }

    /// Changes what is at Hetzner; nothing where that is not known.
    fn at_hetzner(&mut self, change: impl FnOnce(&mut CloudFacts)) {
        if let Some(cloud) = self.observed.cloud.value_mut() {
            change(cloud);
        }
    }

    /// Changes what is stored; nothing where that is not known.
    fn in_store(&mut self, change: impl FnOnce(&mut StoreFacts)) {
        if let Some(store) = self.observed.store.value_mut() {
            change(store);
        }
    }
}

fn play(
    mut world: World<'_>,
    identity: &PlatformIdentity,
    farewell: Option<&Farewell>,
    decide: impl Fn(&Observed) -> Plan,
) -> Forecast {
    let before = world.observed.cloud.value().cloned().unwrap_or_default();
    let mut stages = Vec::new();
    let mut awaits = Vec::new();
    let mut takes = SignedDuration::ZERO;
    let mut report = Report::default();
    let mut waits_for_approval = Destruction::default();
    let mut ending = Ending::Endless;
    for _ in 0..MOST_ROUNDS {
        let plan = decide(&world.observed);
        let (platform, observed) = (world.platform, &world.observed);
        let violations = check(&Subject { identity, platform, farewell, observed, plan: &plan });
        let begins_after = takes;
        if !violations.is_empty() {
            ending = Ending::Rejected(violations);
        } else if plan.items.is_empty() {
            match world.settle() {
                Some(took) => {
                    takes += took;
                    note_waits(&plan.report, &mut awaits);
                }
                None => ending = Ending::Settled,
            }
        } else {
            plan.items.iter().for_each(|item| world.carry_out(&item.step));
            takes += durations::of_steps(&plan);
            stages.push(Stage { awaits: std::mem::take(&mut awaits), begins_after, items: plan.items });
        }
        report = plan.report;
        waits_for_approval = if plan.approved { Destruction::default() } else { plan.destruction };
        if ending != Ending::Endless {
            break;
        }
    }
    Forecast { stages, awaits, takes, report, waits_for_approval, before, world: world.observed, ending }
}

/// Adds what a report waits for, each once. That something else comes first is told by the order of the stages.
fn note_waits(report: &Report, awaits: &mut Vec<String>) {
    for concern in &report.concerns {
        match &concern.state {
            State::WaitingOn(Wait::Phase(_) | Wait::Concern(_) | Wait::Components(_)) => {}
            State::WaitingOn(wait) => {
                let text = wait.to_string();
                if !awaits.contains(&text) {
                    awaits.push(text);
                }
            }
            State::Done(_) | State::Progressing | State::Blocked(_) | State::Unknown(_) => {}
        }
    }
}
