//! A plan as one document: what `-o json` and `-o yaml` write, and what the table is drawn from. Field names are a
//! contract with scripts.

use helix_crds::{Disruption, PhaseName};
use helix_plan::PlanItem;
use helix_plan::catalogue::Catalogue;
use helix_plan::cost;
use helix_plan::forecast::{Ending, Forecast, Stage};
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
    /// Where each phase comes to rest.
    pub(super) phases: Vec<PhaseDocument>,
    pub(super) notes: Vec<String>,
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
        let forecast = sight.forecast();
        let forecast = match forecast.ending {
            Ending::Settled => forecast,
            Ending::Rejected(violations) => return Err(CliError::Violations(violations)),
            Ending::Endless => return Err(CliError::Endless),
        };
        let nothing = CloudFacts::default();
        let after = forecast.world.cloud.value().unwrap_or(&nothing);
        let monthly = cost::of_what_exists(after, &sight.catalogue);
        let delta = monthly.euros() - cost::of_what_exists(&forecast.before, &sight.catalogue).euros();
        Ok(Self {
            platform: sight.validated.identity.display_name(),
            from: match sight.origin {
                Origin::Nothing => "nothing",
                Origin::Live { .. } => "live",
            },
            totals: Totals {
                steps: forecast.items().count(),
                hetzner_calls: forecast.hetzner_calls(),
                disruption: forecast.disruption(),
                seconds: whole_seconds(forecast.takes),
            },
            cost: Cost {
                monthly: monthly.to_string(),
                delta: format!("{delta:+.2} EUR"),
                prices: sight.catalogue.source.to_string(),
            },
            phases: phases(sight, &forecast),
            notes: notes::notes(sight, &forecast),
            stages: stages(&forecast, &sight.catalogue),
            waits_for: forecast.awaits,
        })
    }

    /// Whether anything is to be done.
    pub(super) fn has_changes(&self) -> bool {
        !self.stages.is_empty()
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
