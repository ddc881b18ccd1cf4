//! One turn of the engine: observe, plan, check, apply, report.
//!
//! Expected flow: the caller turns the engine for a platform whenever the resource changed and whenever
//! [`Turn::look_again_at`] has come, never twice at the same time for one platform, and writes [`Turn::status`] once.
//!
//! Guarantees: every turn plans from scratch; a plan that fails a check is not applied; nothing is done for a paused
//! platform or for one whose specification is refused; nothing is deleted with a platform before the status that the
//! caller wrote lists it, and nothing done under an approval before that status holds it; a turn that is cut off anywhere leaves nothing that the next one
//! does not find again.

use std::sync::Arc;

use helix_crds::{HelixPlatform, HelixPlatformStatus, TeardownStatus};
use helix_plan::catalogue::Catalogue;
use helix_plan::check::{self, Subject};
use helix_plan::farewell::{self, Farewell};
use helix_plan::guard::{self, Guard};
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{Intents, Missing, ObjectId, Observed, SetbackKind};
use helix_plan::report::{Block, State};
use helix_plan::step::{MESH, RECORD, REPOSITORY, SNAPSHOT};
use helix_plan::validated::{Rejections, ValidatedPlatform, identity_of};
use helix_plan::{Plan, plan, plan_teardown};
use jiff::{SignedDuration, Timestamp};

use crate::apply::{self, Applied, Applier};
use crate::in_hand::Ended;
use crate::memory::Memory;
use crate::observe::{self, Access};
use crate::report::{self, Told, approvals, backups, receipt, services};
pub use crate::report::{Event, MachineProjection};
use crate::seams::{Seams, StoreError};

/// How soon a refused specification is judged again: prices and types may have changed.
const JUDGE_AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// How soon Hetzner is asked again after it did not answer.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// What one turn found and did.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The platform's whole status.
    pub status: HelixPlatformStatus,
    /// Its machines; `None` where they could not be observed.
    pub machines: Option<Vec<MachineProjection>>,
    /// What happened.
    pub events: Vec<Event>,
    /// The steps that were tried: the kind of each one's target, and whether it succeeded.
    pub steps: Vec<(&'static str, bool)>,
    /// When to turn again at the latest.
    pub look_again_at: Timestamp,
    /// Whether a teardown has finished and nothing of the platform is left.
    pub gone: bool,
}

/// Turns the engine once for a platform, of whose machines users ask what the intents say.
pub async fn turn(seams: &Seams, platform: &HelixPlatform, intents: &Intents, memory: &mut Memory) -> Turn {
    let now = seams.clock.now();
    // Paused comes first: a platform that is left alone is not torn down either.
    if platform.spec.paused && guard::holds(Guard::Paused) {
        return idle(report::paused(platform, now), now + JUDGE_AGAIN);
    }
    if platform.metadata.deletion_timestamp.is_some() {
        return tear_down(seams, platform, memory, now).await;
    }
    let catalogue = match seams.project.catalogue(memory.scarce, now).await {
        Ok(catalogue) => catalogue,
        Err(error) => {
            let missing = observe::missing_cloud(&error);
            return idle(report::unreachable(platform, &missing, now), now + ASK_AGAIN);
        }
    };
    let validated = match ValidatedPlatform::new(platform, &catalogue, now) {
        Ok(validated) => validated,
        Err(rejections) => return idle(report::rejected(platform, &rejections, now), now + JUDGE_AGAIN),
    };
    let told = learn_of_snapshot(memory);
    let (mut observed, access) = observe::observe_for_turn(seams, &validated, intents, memory, now).await;
    let mut events = learn(seams, &validated.identity, memory, &mut observed, now).await;
    events.extend(told);
    let mut plan = plan(&validated, &observed, now);
    enforce(&validated.identity, &observed, Some(&validated), None, &mut plan);
    events.extend(approvals::event(platform.status.as_ref(), &validated, &plan));
    if !approvals::is_written_down(platform, &validated, &plan) {
        // Nothing is done under an approval before it is written down.
        plan.items.clear();
        plan.look.again_at = now;
    }
    let (applied, done) = carry_out(seams, (&validated.identity, Some(&validated)), &access, &plan, memory, now).await;
    events.extend(done);
    if observed.cloud.value().is_some() {
        memory.scarce =
            plan.report.concerns.iter().any(|c| matches!(c.state, State::Blocked(Block::NoCapacity { .. })));
        memory.settled = plan.items.is_empty() && plan.report.is_settled();
    }
    let told = Told {
        platform,
        validated: &validated,
        catalogue: &catalogue,
        observed: &observed,
        plan: &plan,
        configured: &memory.configured,
        budget: seams.project.cloud().budget(now),
        now,
    };
    let status = report::status(&told);
    events.extend(backups::event(platform.status.as_ref(), &status));
    Turn {
        machines: report::machines(&told),
        status,
        events,
        steps: applied.iter().map(|step| (step.kind, step.result.is_ok())).collect(),
        look_again_at: next(&plan, &applied, memory, now),
        gone: false,
    }
}

/// What a look at a platform and its surroundings found.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What may be bought.
    pub catalogue: Arc<Catalogue>,
    /// The specification, found good.
    pub validated: ValidatedPlatform,
    /// The facts.
    pub observed: Observed,
}

/// Why a platform could not be looked at.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LookError {
    /// Hetzner did not tell what may be bought.
    #[error("{0}")]
    Missing(Missing),
    /// The specification cannot be acted on.
    #[error(transparent)]
    Rejected(#[from] Rejections),
}

/// Looks at a platform and its surroundings, without any effect on them.
///
/// # Errors
/// [`LookError`], where not even a plan can be made.
pub async fn look(
    seams: &Seams,
    platform: &HelixPlatform,
    intents: &Intents,
    memory: &mut Memory,
) -> Result<Seen, LookError> {
    let now = seams.clock.now();
    let catalogue = seams.project.catalogue(memory.scarce, now).await;
    let catalogue = catalogue.map_err(|error| LookError::Missing(observe::missing_cloud(&error)))?;
    let validated = ValidatedPlatform::new(platform, &catalogue, now)?;
    let (observed, _) = match platform.metadata.deletion_timestamp {
        None => observe::observe(seams, &validated, intents, memory, now).await,
        Some(_) => {
            let account = farewell::mesh(platform);
            observe::observe_for_teardown(seams, &validated.identity, account.as_ref(), memory, now).await
        }
    };
    Ok(Seen { catalogue, validated, observed })
}

/// A turn in which nothing was looked at.
fn idle(status: HelixPlatformStatus, look_again_at: Timestamp) -> Turn {
    Turn { status, machines: None, events: Vec::new(), steps: Vec::new(), look_again_at, gone: false }
}

async fn tear_down(seams: &Seams, platform: &HelixPlatform, memory: &mut Memory, now: Timestamp) -> Turn {
    let identity = identity_of(platform);
    if !memory.deleting {
        // Whatever was read for a living platform may be old by now.
        memory.look = None;
        memory.deleting = true;
    }
    let account = farewell::mesh(platform);
    let (mut observed, access) = observe::observe_for_teardown(seams, &identity, account.as_ref(), memory, now).await;
    let mut events = learn(seams, &identity, memory, &mut observed, now).await;
    let services = services::recorded(platform, &observed);
    let farewell =
        Farewell { services: services.iter().map(|it| it.uid.clone()).collect(), ..Farewell::of(platform, now) };
    let account = receipt::account(platform, &observed, &farewell);
    events.extend(account.as_ref().and_then(|account| receipt::unproved(platform, account)));
    let mut plan = plan_teardown(&farewell, &observed, now);
    enforce(&identity, &observed, None, Some(&farewell), &mut plan);
    let unwritten = account.as_ref().is_some_and(|account| !receipt::is_written_down(platform, account));
    if unwritten && guard::holds(Guard::WrittenDown) {
        // Nothing is deleted before it is written down.
        memory.look = Some(plan.look);
        let status = report::teardown_status(platform, &plan, account, services, now);
        return Turn { machines: Some(Vec::new()), events, ..idle(status, now) };
    }
    let (applied, done) = carry_out(seams, (&identity, None), &access, &plan, memory, now).await;
    events.extend(done);
    let all_done = plan.items.is_empty() && plan.report.concerns.iter().all(|c| matches!(c.state, State::Done(_)));
    let gone = all_done && hand_over(seams, &identity, &account.clone().unwrap_or_default(), now, &mut events).await;
    Turn {
        status: report::teardown_status(platform, &plan, account, services, now),
        machines: Some(Vec::new()),
        events,
        steps: applied.iter().map(|step| (step.kind, step.result.is_ok())).collect(),
        look_again_at: if all_done { now + ASK_AGAIN } else { next(&plan, &applied, memory, now) },
        gone,
    }
}

/// Takes notice of accepted requests that failed afterwards: setbacks for the plan, and events for people.
async fn learn(
    seams: &Seams,
    identity: &PlatformIdentity,
    memory: &mut Memory,
    observed: &mut Observed,
    now: Timestamp,
) -> Vec<Event> {
    let failures = seams.project.take_failures(identity).await;
    let mut events = Vec::new();
    for failure in failures {
        events.push(step_failed(&failure.step.to_string(), &failure.kind));
        memory.failed_later(failure.step.target().to_string(), failure.kind, now);
        observed.setbacks = memory.setbacks(now);
    }
    events
}

/// Takes notice of how a snapshot of etcd has ended, so that the next look at the bucket is a fresh one.
fn learn_of_snapshot(memory: &mut Memory) -> Option<Event> {
    match memory.in_hand.take_news()? {
        Ended::Taken(key) => {
            memory.snapshots = None;
            memory.snapshot_failure = None;
            Some(Event { reason: "SnapshotTaken", message: format!("etcd was saved as {key}"), warning: false })
        }
        Ended::Failed(failure) => {
            let message = format!("etcd could not be saved: {}", failure.message);
            memory.snapshot_failure = Some(failure);
            Some(Event { reason: "SnapshotFailed", message, warning: true })
        }
    }
}

fn step_failed(what: &str, met: &SetbackKind) -> Event {
    Event { reason: "StepFailed", message: format!("{what}: {}", report::setback(met)), warning: true }
}

/// Stores the receipt; says whether the platform may go. A store that takes no receipt, as in a namespace that is being
/// deleted, does not hold the platform back; one that does not answer may take it next time.
async fn hand_over(
    seams: &Seams,
    identity: &PlatformIdentity,
    account: &TeardownStatus,
    now: Timestamp,
    events: &mut Vec<Event>,
) -> bool {
    let receipt = receipt::receipt(account, now);
    let stored = seams.store.put_receipt(identity, &receipt).await;
    events.extend(stored.as_ref().err().map(receipt::not_stored));
    let may_go = !matches!(stored, Err(StoreError::Unreachable { .. }));
    events.extend(may_go.then(|| receipt::told(&receipt)));
    may_go
}

/// Takes all steps out of a plan that does not pass its checks, and says so in its place.
fn enforce(
    identity: &PlatformIdentity,
    observed: &Observed,
    platform: Option<&ValidatedPlatform>,
    farewell: Option<&Farewell>,
    plan: &mut Plan,
) {
    let violations = check::check(&Subject { identity, platform, farewell, observed, plan });
    if violations.is_empty() {
        return;
    }
    let violations: Vec<String> = violations.iter().map(ToString::to_string).collect();
    tracing::error!(?violations, "the plan is not carried out");
    plan.items.clear();
    if let Some(first) = plan.report.concerns.first_mut() {
        first.state = State::Blocked(Block::PlanRejected { violations });
    }
}

/// Applies the plan and remembers what its steps met.
async fn carry_out(
    seams: &Seams,
    (identity, wanted): (&PlatformIdentity, Option<&ValidatedPlatform>),
    access: &Access,
    plan: &Plan,
    memory: &mut Memory,
    now: Timestamp,
) -> (Vec<Applied>, Vec<Event>) {
    let composed =
        memory.installations.iter().filter_map(|(it, kept)| Some((*it, Arc::clone(kept.composed.as_ref()?))));
    let composed = composed.collect();
    let tree = memory.gitops.tree();
    let (in_hand, tree) = (&memory.in_hand, tree.as_ref());
    let applier = Applier { seams, platform: identity, access, in_hand, wanted, tree, composed: &composed, now };
    let applied = apply::apply(applier, plan).await;
    memory.look = Some(plan.look);
    // Steps may have taken long: pauses count from now on.
    let met_at = seams.clock.now();
    let mut events = Vec::new();
    for step in &applied {
        let (repaired, pause) = learn_of_component(step, memory);
        match &step.result {
            Ok(()) => {
                match step.rest.or(pause) {
                    Some(pause) => memory.succeeded_slowly(step.target.clone(), pause, met_at),
                    None => memory.succeeded(&step.target),
                }
                // A snapshot has only been begun; how it ends is told then.
                if let Some(objects) = repaired {
                    let message = format!("{}: put right what others had changed: {objects}", step.target);
                    events.push(Event { reason: "DriftRepaired", message, warning: false });
                } else if !step.begun {
                    events.push(Event { reason: "StepDone", message: step.what.clone(), warning: false });
                }
            }
            Err(met) => {
                if !met.expected {
                    events.push(step_failed(&step.what, &met.kind));
                }
                memory.met(step.target.clone(), met.kind.clone(), met_at, met.until);
            }
        }
        memory.configured.extend(step.configured.clone());
        if step.kind == REPOSITORY {
            // Done or not, the branch may be another than it was.
            memory.gitops.touched();
        }
        if step.kind == SNAPSHOT {
            // Done or not, the bucket may be another than it was.
            memory.snapshots = None;
        }
        if step.kind == RECORD {
            // And so may the zones.
            memory.records = None;
            memory.elsewhere = memory.elsewhere.take().filter(|(_, records)| records.is_empty());
        }
        if step.kind == MESH {
            memory.mesh = None;
        }
    }
    (applied, events)
}

/// Takes notice of what was done to a component, or tried: what others had changed and was put right, in words, and how
/// long to rest before the same is done again.
fn learn_of_component(step: &Applied, memory: &mut Memory) -> (Option<String>, Option<SignedDuration>) {
    if let Some(component) = step.component {
        memory.touched(component);
    }
    let (Ok(()), Some(component)) = (&step.result, step.component) else { return (None, None) };
    let (repaired, pause) = memory.did(component, &step.target, step.objects.as_ref());
    let told = |(_, objects): &(String, Vec<ObjectId>)| objects.iter().map(ToString::to_string).collect::<Vec<_>>();
    let told = step.objects.as_ref().map(told).filter(|_| repaired);
    (told.map(|objects| objects.join(", ")), pause)
}

/// At once after a step, because its effect is news; else when the plan or a setback's end says.
fn next(plan: &Plan, applied: &[Applied], memory: &mut Memory, now: Timestamp) -> Timestamp {
    if applied.iter().any(|step| step.result.is_ok()) {
        return now;
    }
    let setbacks = memory.setbacks(now).into_iter().map(|setback| setback.until).min();
    setbacks.map_or(plan.look.again_at, |until| plan.look.again_at.min(until))
}

/// The status of a platform that cannot even be looked at, as when its token Secret is missing.
#[must_use]
pub fn refused(platform: &HelixPlatform, reason: &str, message: &str, now: Timestamp) -> HelixPlatformStatus {
    report::refused(platform, reason, message, now)
}

/// A turn can be handed from thread to thread: the operator's runtime does so.
#[cfg(test)]
mod tests {
    use super::{HelixPlatform, Intents, Memory, Seams, turn};

    fn is_send<T: Send>(_: T) {}

    #[allow(dead_code, reason = "it only has to compile")]
    fn a_turn_is_send(seams: &Seams, platform: &HelixPlatform, intents: &Intents, memory: &mut Memory) {
        is_send(turn(seams, platform, intents, memory));
    }
}
