//! A plan as status shows it: what waits for an approval, then what is done now.

use helix_crds::{ApprovalItem, Disruption, PlanItem, PlanStatus};
use helix_plan::catalogue::{Catalogue, EurMonthly};
use helix_plan::cost;
use helix_plan::forecast::durations;
use helix_plan::observed::CloudFacts;
use helix_plan::{Plan, PlanItem as Planned};
use jiff::SignedDuration;

/// Items of a plan that status shows.
const SHOWN_ITEMS: usize = 20;

pub(super) fn status(plan: &Plan, cloud: &CloudFacts, catalogue: &Catalogue) -> PlanStatus {
    let waiting: Vec<&ApprovalItem> = if plan.approved { Vec::new() } else { plan.destruction.items().collect() };
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let shown = waiting.iter().map(|item| asked(item, cloud, catalogue));
    let shown = shown.chain(plan.items.iter().map(|item| step(item, cloud, catalogue)));
    PlanStatus {
        digest: (!plan.destruction.is_empty()).then(|| plan.destruction.digest()),
        steps: number(plan.items.len()),
        disruption: plan.disruption(),
        api_calls: plan.hetzner_calls(),
        monthly_cost_delta: Some(cost::delta(plan, cloud, catalogue)),
        expected_seconds: plan.items.iter().filter_map(|item| durations::of_step(&item.step)).max().map(seconds),
        awaiting_approval: number(waiting.len()),
        items: shown.take(SHOWN_ITEMS).collect(),
    }
}

fn step(item: &Planned, cloud: &CloudFacts, catalogue: &Catalogue) -> PlanItem {
    PlanItem {
        step: item.step.verb().to_owned(),
        target: item.step.target().to_string(),
        disruption: item.step.disruption(),
        api_calls: item.step.hetzner_calls(),
        monthly_cost_delta: difference(cost::of_step(&item.step, cloud, catalogue)),
        expected_seconds: durations::of_step(&item.step).map(seconds),
        awaits_approval: false,
        reason: Some(item.concern.to_string()),
    }
}

/// Work that waits for an approval. Of its steps only those are known that are planned once it is approved.
fn asked(item: &ApprovalItem, cloud: &CloudFacts, catalogue: &Catalogue) -> PlanItem {
    let verb = match item.disruption {
        Disruption::Destroy => "delete",
        Disruption::Replace => "replace",
        Disruption::Reboot | Disruption::Downtime => "reboot",
        Disruption::None | Disruption::Drain => "change",
    };
    let server = cloud.servers.iter().find(|server| item.object.split(' ').next_back() == Some(&server.name));
    let price = server.and_then(|server| catalogue.server_monthly(&server.server_type, &server.location));
    let saved = price.filter(|_| item.disruption == Disruption::Destroy).unwrap_or_default();
    PlanItem {
        step: verb.to_owned(),
        target: item.object.clone(),
        disruption: item.disruption,
        monthly_cost_delta: difference((EurMonthly::default(), saved)),
        awaits_approval: true,
        ..PlanItem::default()
    }
}

/// What is added and saved, as in `+5.49 EUR`.
fn difference((added, saved): (EurMonthly, EurMonthly)) -> Option<String> {
    let change = added.euros() - saved.euros();
    (!change.is_zero()).then(|| format!("{change:+.2} EUR"))
}

/// A part of a second counts as a whole one.
fn seconds(duration: SignedDuration) -> u32 {
    u32::try_from(duration.as_secs() + i64::from(duration.subsec_nanos() > 0)).unwrap_or(u32::MAX)
}
