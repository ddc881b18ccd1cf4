//! The plan itself: what is to be done now, where everything stands, and when to look again.
//!
//! A plan holds only steps that may be carried out now and in any order; what depends on them comes with the next
//! plan. That keeps the planner free of predictions; [`crate::forecast`] plays the whole way through.

use std::collections::BTreeSet;

use helix_crds::Disruption;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::approval::Destruction;
use crate::approval::manual::Gate;
use crate::farewell::Farewell;
use crate::observed::{CloudFacts, Fact, Missing, Observed, StoreFacts};
use crate::phases::{Concern, Context, Outcome, Setbacks, adoption, teardown};
use crate::report::{ConcernReport, Report, State, Wait};
use crate::step::{Lane, Step, Target};
use crate::validated::ValidatedPlatform;

/// One step of a plan, and the concern that wants it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanItem {
    /// Who wants it.
    pub concern: Concern,
    /// What is to be done.
    pub step: Step,
}

/// When to look at the world again, and at how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When machines and clusters are to be asked again.
    pub again_at: Timestamp,
    /// When Hetzner's servers are to be listed again.
    pub servers_at: Timestamp,
    /// When everything at Hetzner is to be listed again.
    pub project_at: Timestamp,
}

/// How long a settled platform is left alone: a sweep finds drift.
pub const SWEEP: SignedDuration = SignedDuration::from_mins(10);

/// How often machines and clusters of a settled platform are asked.
const HEARTBEAT: SignedDuration = SignedDuration::from_secs(60);

impl Look {
    /// As rarely as a settled platform needs it.
    #[must_use]
    pub fn settled(observed: &Observed, now: Timestamp) -> Self {
        let project_at = observed.cloud.at().unwrap_or(now) + SWEEP;
        Self { again_at: now + HEARTBEAT, servers_at: project_at, project_at }
    }

    /// The earlier of two looks, for each part of the world.
    #[must_use]
    pub fn sooner(self, other: Self) -> Self {
        Self {
            again_at: self.again_at.min(other.again_at),
            servers_at: self.servers_at.min(other.servers_at),
            project_at: self.project_at.min(other.project_at),
        }
    }

    /// As often as the concerns' outcomes ask for it, and at once where there are steps: their effects are news.
    fn after(outcomes: &[(Concern, Outcome)], observed: &Observed, now: Timestamp) -> Self {
        outcomes
            .iter()
            .fold(Self::settled(observed, now), |look, (_, outcome)| look.sooner(outcome.look(observed, now)))
    }
}

/// What is to be done now, where everything stands, and when to look again.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Independent steps, the most important lane first.
    pub items: Vec<PlanItem>,
    /// Where every concern stands.
    pub report: Report,
    /// When to look again.
    pub look: Look,
    /// The work that has to be approved: what these steps and later ones destroy, or change at all under `approval: Manual`.
    pub destruction: Destruction,
    /// Whether it is approved; so is nothing at all.
    pub approved: bool,
}

impl Plan {
    /// Calls of Hetzner's API that the steps cost.
    #[must_use]
    pub fn hetzner_calls(&self) -> u32 {
        self.items.iter().map(|item| item.step.hetzner_calls()).sum()
    }

    /// The most disruptive of the steps.
    #[must_use]
    pub fn disruption(&self) -> Disruption {
        self.items.iter().map(|item| item.step.disruption()).max().unwrap_or(Disruption::None)
    }

    /// A plan without steps for a platform of which too little is known.
    fn blind(missing: &Missing, concerns: impl IntoIterator<Item = Concern>, now: Timestamp) -> Self {
        const RETRY: SignedDuration = SignedDuration::from_secs(5);
        let concerns = concerns
            .into_iter()
            .map(|concern| ConcernReport { concern, state: State::Unknown(missing.clone()) })
            .collect();
        let again_at = now + RETRY;
        let look = Look { again_at, servers_at: again_at, project_at: again_at };
        Self {
            items: Vec::new(),
            report: Report { concerns },
            look,
            destruction: Destruction::default(),
            approved: true,
        }
    }
}

/// What Hetzner and the store say, without which nothing may be decided.
fn known(observed: &Observed) -> Result<(&CloudFacts, &StoreFacts), &Missing> {
    match (&observed.cloud, &observed.store) {
        (Fact::Known { value: cloud, .. }, Fact::Known { value: store, .. }) => Ok((cloud, store)),
        (Fact::Missing(missing), _) | (_, Fact::Missing(missing)) => Err(missing),
    }
}

/// Decides what a platform needs now.
///
/// Total and deterministic: any specification that validates and any facts give a plan, equal ones give equal plans.
/// A phase's steps are planned only while every earlier phase is Ready; what cannot be observed is never acted on.
#[must_use]
pub fn plan(platform: &ValidatedPlatform, observed: &Observed, now: Timestamp) -> Plan {
    match Gate::of(platform, observed, now) {
        Some(gate) => plan_under(&gate.platform, Some(&gate), observed, now),
        None => plan_under(platform, None, observed, now),
    }
}

/// Decides under a gate that has been found before, if the specification asks for one.
pub(crate) fn plan_under(
    platform: &ValidatedPlatform,
    gate: Option<&Gate>,
    observed: &Observed,
    now: Timestamp,
) -> Plan {
    let (cloud, store) = match known(observed) {
        Ok(known) => known,
        Err(missing) => return Plan::blind(missing, Concern::of(platform), now),
    };
    let context = Context::new(platform, observed, cloud, store, now);
    let setbacks = Setbacks::fresh(&observed.setbacks, now);
    let to_adopt = adoption::pending(&context);
    let mut outcomes: Vec<(Concern, Outcome)> = Vec::new();
    let mut unready = None;
    let mut unfounded = None;
    for concern in Concern::of(platform) {
        let mut outcome = concern.plan(&context);
        outcome.heed(&setbacks);
        outcome.leave_out(|step| adoption::takes_the_place_of(&to_adopt, step), Wait::Concern(Concern::Adoption));
        if let Some(gate) = gate {
            outcome.ask(gate);
        }
        match (unfounded, unready) {
            (Some(concern), _) => outcome.hold_back(Wait::Concern(concern)),
            (None, Some(phase)) if concern.phase() > phase => outcome.hold_back(Wait::Phase(phase)),
            _ if !outcome.is_done() && !concern.is_aside() => unready = Some(concern.phase()),
            _ => {}
        }
        if matches!(outcome.state, State::Blocked(_)) && is_foundation(concern, store) {
            unfounded.get_or_insert(concern);
        }
        outcomes.push((concern, outcome));
    }
    let look = Look::after(&outcomes, observed, now);
    let (destruction, approved) = match gate {
        Some(gate) => (gate.changes.clone(), gate.approved),
        None => (context.roster.destruction, context.roster.approved),
    };
    Plan { destruction, approved, ..assemble(outcomes, look) }
}

/// Whether a concern that is blocked holds back everything else. Without the bundle, or in another project, whatever is
/// made would be made wrong; and a platform is not begun beside what it is to take over.
fn is_foundation(concern: Concern, store: &StoreFacts) -> bool {
    match concern {
        Concern::SecretBundle => true,
        Concern::Adoption => store.bundle.is_none(),
        _ => false,
    }
}

/// Decides what is to be deleted next, until nothing of the platform is left. It needs no valid specification:
/// the facts hold this platform's resources and no others. Nor does it need an approval: deleting the platform is one.
#[must_use]
pub fn plan_teardown(farewell: &Farewell, observed: &Observed, now: Timestamp) -> Plan {
    match known(observed) {
        Ok((cloud, store)) => {
            let mut outcome = teardown::plan(farewell, observed, cloud, store, now);
            outcome.heed(&Setbacks::fresh(&observed.setbacks, now));
            let outcomes = vec![(Concern::Teardown, outcome)];
            let look = Look::after(&outcomes, observed, now);
            assemble(outcomes, look)
        }
        Err(missing) => Plan::blind(missing, [Concern::Teardown], now),
    }
}

/// Puts outcomes together: one step for each target, ordered by lane.
fn assemble(outcomes: Vec<(Concern, Outcome)>, look: Look) -> Plan {
    let mut targets: BTreeSet<Target> = BTreeSet::new();
    let mut items = Vec::new();
    let mut report = Report::default();
    for (concern, outcome) in outcomes {
        for step in outcome.steps {
            if targets.insert(step.target()) {
                items.push(PlanItem { concern, step });
            }
        }
        report.concerns.push(ConcernReport { concern, state: outcome.state });
    }
    items.sort_by_key(|item: &PlanItem| -> Lane { item.step.lane() });
    Plan { items, report, look, destruction: Destruction::default(), approved: true }
}
