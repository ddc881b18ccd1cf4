//! A plan as one document: what `-o json` and `-o yaml` write, and what the table is drawn from. Field names are a
//! contract with scripts.

use helix_crds::labels::APPROVE;
use helix_crds::{ApprovalItem, Disruption, PhaseName};
use helix_plan::PlanItem;
use helix_plan::catalogue::Catalogue;
use helix_plan::cost;
use helix_plan::forecast::{Ending, Forecast, Stage, durations};
use helix_plan::observed::CloudFacts;
use helix_plan::report::PhaseReport;
use helix_plan::step::Step;
use jiff::SignedDuration;
use serde::Serialize;

use super::notes;
use crate::error::CliError;
use crate::sight::{Origin, Sight};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    /// `namespace/name`.
    pub(super) platform: String,
    /// `nothing` or `live`.
    pub(super) from: &'static str,
    pub(super) stages: Vec<StageDocument>,
    /// What is waited for after the last stage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) waits_for: Vec<String>,
    pub(super) totals: Totals,
    pub(super) cost: Cost,
    /// What waits for an approval, and what is done once it has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) approval: Option<ApprovalDocument>,
    /// Where each phase comes to rest.
    pub(super) phases: Vec<PhaseDocument>,
    pub(super) notes: Vec<String>,
}

/// Work that waits for an approval. Everything in it is on top of what is done without one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApprovalDocument {
    pub(super) digest: String,
    pub(super) items: Vec<ApprovalItem>,
    /// What approves it.
    pub(super) command: String,
    /// What is done then, and after that without another question.
    pub(super) stages: Vec<StageDocument>,
    /// What is waited for after the last stage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) waits_for: Vec<String>,
    pub(super) totals: Totals,
    pub(super) cost: Cost,
}

/// Steps that are done together.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StageDocument {
    /// Counted from 1.
    pub(super) stage: usize,
    /// When it begins, if everything takes its typical time.
    pub(super) begins_after_seconds: i64,
    /// What has to come true first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) waits_for: Vec<String>,
    pub(super) steps: Vec<StepDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StepDocument {
    pub(super) step: &'static str,
    pub(super) target: String,
    /// Type and location of a server or load balancer that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) placement: Option<String>,
    /// Who wants it.
    pub(super) concern: String,
    pub(super) disruption: Disruption,
    pub(super) hetzner_calls: u32,
    /// What it changes in the monthly cost, in EUR, with its sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) monthly_eur: Option<String>,
    /// How long it typically takes until its effect shows; absent where that is at once or unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expected_seconds: Option<i64>,
    /// Everything that the step says. Ids and addresses of what does not exist yet are made up.
    pub(super) detail: Step,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Totals {
    pub(super) steps: usize,
    pub(super) hetzner_calls: u32,
    pub(super) disruption: Disruption,
    /// Until everything has come to rest, if everything takes its typical time.
    pub(super) seconds: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cost {
    /// Net per month, once everything has come to rest.
    pub(super) monthly: String,
    /// The change, with its sign.
    pub(super) delta: String,
    /// Where the prices are from.
    pub(super) prices: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PhaseDocument {
    pub(super) name: PhaseName,
    pub(super) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

impl Document {
    /// The plan of what is in sight.
    ///
    /// # Errors
    /// [`CliError`] when the plan would not be carried out.
    pub(super) fn new(sight: &Sight) -> Result<Self, CliError> {
        let forecast = settled(sight.forecast())?;
        let approval = match forecast.waits_for_approval.is_empty() {
            true => None,
            false => Some(ApprovalDocument::new(sight, &forecast)?),
        };
        Ok(Self {
            platform: sight.validated.identity.display_name(),
            from: match sight.origin {
                Origin::Nothing => "nothing",
                Origin::Live { .. } => "live",
            },
            totals: Totals::of(&forecast),
            cost: Cost::of(&forecast, &sight.catalogue),
            approval,
            phases: phases(sight, &forecast),
            notes: notes::notes(sight, &forecast),
            stages: stages(&forecast, &sight.catalogue),
            waits_for: forecast.awaits,
        })
    }

    /// Whether anything is to be done, now or once it is approved.
    pub(super) fn has_changes(&self) -> bool {
        !self.stages.is_empty() || self.approval.is_some()
    }
}

impl ApprovalDocument {
    fn new(sight: &Sight, first: &Forecast) -> Result<Self, CliError> {
        let work = &first.waits_for_approval;
        let then = settled(sight.forecast_approved(first.world.clone()))?;
        let identity = &sight.validated.identity;
        Ok(Self {
            digest: work.digest(),
            items: work.items().cloned().collect(),
            command: approve_command(&identity.namespace, &identity.name, &work.digest()),
            stages: stages(&then, &sight.catalogue),
            totals: Totals::of(&then),
            cost: Cost::of(&then, &sight.catalogue),
            waits_for: then.awaits,
        })
    }
}

/// What approves the work of that digest.
pub(crate) fn approve_command(namespace: &str, name: &str, digest: &str) -> String {
    format!("kubectl annotate hp {name} {APPROVE}={digest} --overwrite -n {namespace}")
}

/// A forecast that came to rest.
fn settled(forecast: Forecast) -> Result<Forecast, CliError> {
    match forecast.ending {
        Ending::Settled => Ok(forecast),
        Ending::Rejected(violations) => Err(CliError::Violations(violations)),
        Ending::Endless => Err(CliError::Endless),
    }
}

impl Totals {
    fn of(forecast: &Forecast) -> Self {
        Self {
            steps: forecast.items().count(),
            hetzner_calls: forecast.hetzner_calls(),
            disruption: forecast.disruption(),
            seconds: whole_seconds(forecast.takes),
        }
    }
}

impl Cost {
    fn of(forecast: &Forecast, catalogue: &Catalogue) -> Self {
        let nothing = CloudFacts::default();
        let after = forecast.world.cloud.value().unwrap_or(&nothing);
        let monthly = cost::of_what_exists(after, catalogue);
        let delta = monthly.euros() - cost::of_what_exists(&forecast.before, catalogue).euros();
        Self { monthly: monthly.to_string(), delta: format!("{delta:+.2} EUR"), prices: catalogue.source.to_string() }
    }
}

/// A part of a second counts as a whole one.
fn whole_seconds(duration: SignedDuration) -> i64 {
    duration.as_secs() + i64::from(duration.subsec_nanos() > 0)
}

fn stages(forecast: &Forecast, catalogue: &Catalogue) -> Vec<StageDocument> {
    let stage = |(index, stage): (usize, &Stage)| StageDocument {
        stage: index + 1,
        begins_after_seconds: whole_seconds(stage.begins_after),
        waits_for: stage.awaits.clone(),
        steps: stage.items.iter().map(|item| step(item, &forecast.before, catalogue)).collect(),
    };
    forecast.stages.iter().enumerate().map(stage).collect()
}

fn step(item: &PlanItem, before: &CloudFacts, catalogue: &Catalogue) -> StepDocument {
    let (added, saved) = cost::of_step(&item.step, before, catalogue);
    let change = added.euros() - saved.euros();
    StepDocument {
        step: item.step.verb(),
        target: item.step.target().to_string(),
        placement: placement(&item.step),
        concern: item.concern.to_string(),
        disruption: item.step.disruption(),
        hetzner_calls: item.step.hetzner_calls(),
        monthly_eur: (!change.is_zero()).then(|| format!("{change:+.2}")),
        expected_seconds: durations::of_step(&item.step).map(whole_seconds),
        detail: item.step.clone(),
    }
}

fn placement(step: &Step) -> Option<String> {
    if let Step::CreateServer(new) = step {
        return Some(format!("{} in {}", new.server_type, new.location));
    }
    let Step::CreateLoadBalancer(new) = step else { return None };
    Some(format!("{} in {}", new.kind, new.location))
}

fn phases(sight: &Sight, forecast: &Forecast) -> Vec<PhaseDocument> {
    if sight.is_leaving() {
        return Vec::new();
    }
    forecast
        .phases(sight.validated.until)
        .into_iter()
        .map(|(name, report)| {
            let (state, message) = told(report);
            PhaseDocument { name, state, message }
        })
        .collect()
}

/// A phase's state as status names it, and what there is to say about it.
pub(crate) fn told(report: PhaseReport) -> (&'static str, Option<String>) {
    match report {
        PhaseReport::NotRequested => ("NotRequested", None),
        PhaseReport::Pending { after } => ("Pending", Some(format!("phase {after} comes first"))),
        PhaseReport::Progressing { message } => ("Progressing", Some(message)),
        PhaseReport::Ready { .. } => ("Ready", None),
        PhaseReport::Blocked { reason, message } => ("Blocked", Some(format!("{reason}: {message}"))),
        PhaseReport::Unknown { message } => ("Unknown", Some(message)),
    }
}
