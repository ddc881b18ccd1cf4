//! From a turn to words: status, conditions, events and machine projections. Everything is derived; nothing is decided.

pub(crate) mod approvals;
pub(crate) mod backups;
mod conditions;
mod machines;
mod phases;
mod plans;
pub(crate) mod receipt;
pub(crate) mod services;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use helix_crds::{
    AdoptedResource, Adoption, ApiBudget, CostStatus, HelixMachineSpec, HelixMachineStatus, HelixPlatform,
    HelixPlatformStatus, MachineCounts, PhaseName, RecordedService, RotationStatus, SecretNames, TeardownStatus,
};
use helix_plan::Plan;
use helix_plan::catalogue::Catalogue;
use helix_plan::cost;
use helix_plan::endpoints::api_endpoints;
use helix_plan::names::MachineName;
use helix_plan::observed::{CloudFacts, Missing, Named, Observed, SetbackKind, StoreFacts};
use helix_plan::report::{PhaseReport, Report};
use helix_plan::validated::{Rejections, ValidatedPlatform, kind_of};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub(crate) use machines::machines;

use crate::budget::BudgetSnapshot;

/// Something that happened and that people should read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// A stable word.
    pub reason: &'static str,
    /// What happened.
    pub message: String,
    /// Whether it is a warning.
    pub warning: bool,
}

/// One machine as it was observed, for its `HelixMachine`.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineProjection {
    /// Its name.
    pub name: String,
    /// What it is.
    pub spec: HelixMachineSpec,
    /// How it is.
    pub status: HelixMachineStatus,
}

/// Everything that a status is told from.
pub(crate) struct Told<'a> {
    pub(crate) platform: &'a HelixPlatform,
    pub(crate) validated: &'a ValidatedPlatform,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) observed: &'a Observed,
    pub(crate) plan: &'a Plan,
    pub(crate) configured: &'a BTreeSet<MachineName>,
    pub(crate) budget: BudgetSnapshot,
    pub(crate) now: Timestamp,
}

/// The whole status after a turn.
pub(crate) fn status(told: &Told<'_>) -> HelixPlatformStatus {
    let phases = told.plan.report.phases(told.validated.until);
    let nothing = CloudFacts::default();
    let cloud = told.observed.cloud.value().unwrap_or(&nothing);
    let mut status = base(told.platform);
    status.phases = phases::statuses(&phases, told.platform.status.as_ref(), told.now);
    status.phase = Some(phases::current(&phases));
    status.waiting_for = waiting_for(&phases);
    status.plan = Some(plans::status(told.plan, cloud, told.catalogue));
    status.approval = approvals::kept(told.validated, told.plan);
    status.adopted = adopted(told.platform, cloud);
    status.machines = Some(counts(told, cloud));
    status.cost = Some(CostStatus {
        monthly: cost::of_what_exists(cloud, told.catalogue).to_string(),
        source: Some(told.catalogue.source.to_string()),
    });
    status.api_budget = Some(ApiBudget {
        limit: told.budget.limit,
        remaining: told.budget.remaining,
        resets_at: Some(Time(told.budget.resets_at)),
    });
    status.endpoint = api_endpoints(told.validated, cloud).for_clients().into_iter().next();
    status.backup = backups::status(told);
    status.secrets = told.observed.store.value().map(|store| secret_names(told.platform, store));
    status.services = services::recorded(told.platform, told.observed);
    status.conditions = conditions::of_turn(told, &phases);
    status
}

/// A status that says which generation it is about, and keeps what the user's approvals need.
fn base(platform: &HelixPlatform) -> HelixPlatformStatus {
    HelixPlatformStatus {
        observed_generation: platform.metadata.generation,
        approval: platform.status.as_ref().and_then(|status| status.approval.clone()),
        adopted: adopted(platform, &CloudFacts::default()),
        ..HelixPlatformStatus::default()
    }
}

/// What of the specification's adoptions has been carried out, now or before.
fn adopted(platform: &HelixPlatform, cloud: &CloudFacts) -> Vec<AdoptedResource> {
    let before = platform.status.as_ref().map(|status| status.adopted.as_slice()).unwrap_or_default();
    let named = |entry: &Adoption| Some(Named { kind: kind_of(entry.kind)?, id: entry.id });
    let done =
        |entry: &&Adoption| before.iter().any(|it| it == *entry) || named(entry).is_some_and(|named| cloud.has(named));
    platform.spec.adopt.iter().filter(done).map(AdoptedResource::from).collect()
}

/// The last status with new conditions: what is shown of machines and phases was true, and says when.
fn kept(platform: &HelixPlatform) -> HelixPlatformStatus {
    let status = platform.status.clone().unwrap_or_default();
    HelixPlatformStatus { observed_generation: platform.metadata.generation, ..status }
}

/// A platform that is to be left alone.
pub(crate) fn paused(platform: &HelixPlatform, now: Timestamp) -> HelixPlatformStatus {
    let message = match platform.metadata.deletion_timestamp {
        None => "spec.paused is true: Helix leaves the platform alone; set it to false to go on",
        Some(_) => "spec.paused is true: Helix leaves the platform alone; set it to false to let it be deleted",
    };
    unobserved(platform, "Paused", message, now)
}

/// A platform whose specification cannot be acted on.
pub(crate) fn rejected(platform: &HelixPlatform, rejections: &Rejections, now: Timestamp) -> HelixPlatformStatus {
    unobserved(platform, rejections.reason(), &rejections.to_string(), now)
}

/// A platform that cannot be looked at, for a reason that the caller found.
pub(crate) fn refused(platform: &HelixPlatform, reason: &str, message: &str, now: Timestamp) -> HelixPlatformStatus {
    unobserved(platform, reason, message, now)
}

/// A platform whose project at Hetzner does not answer.
pub(crate) fn unreachable(platform: &HelixPlatform, missing: &Missing, now: Timestamp) -> HelixPlatformStatus {
    let reason = match missing {
        Missing::Refused { .. } => "AccessRefused",
        Missing::NotThereYet | Missing::Unreachable { .. } => "HetznerUnreachable",
    };
    refused(platform, reason, &missing.to_string(), now)
}

/// A platform at whose phases nobody has looked in this turn: they are `Unknown`, not what they were last.
fn unobserved(platform: &HelixPlatform, reason: &str, message: &str, now: Timestamp) -> HelixPlatformStatus {
    let until = platform.spec.until_phase;
    let unknown = PhaseReport::Unknown { message: message.to_owned() };
    let state = |phase: PhaseName| {
        if phase <= until { unknown.clone() } else { PhaseReport::NotRequested }
    };
    let reports: Vec<(PhaseName, PhaseReport)> =
        PhaseName::ALL.into_iter().map(|phase| (phase, state(phase))).collect();
    let mut status = kept(platform);
    status.phases = phases::statuses(&reports, platform.status.as_ref(), now);
    status.phase = Some(phases::current(&reports));
    conditions::into_status(status, platform, &reports, (reason, message), now)
}

/// The status of a platform on its way out.
pub(crate) fn teardown_status(
    platform: &HelixPlatform,
    plan: &Plan,
    account: Option<TeardownStatus>,
    services: Vec<RecordedService>,
    now: Timestamp,
) -> HelixPlatformStatus {
    let (reason, message) = match plan.report.phase(PhaseName::HardenedCore) {
        PhaseReport::Ready { .. } => ("Deleting", "nothing of the platform is left".to_owned()),
        PhaseReport::Progressing { message } | PhaseReport::Unknown { message } => ("Deleting", message),
        PhaseReport::Blocked { reason, message } => (reason, message),
        PhaseReport::NotRequested | PhaseReport::Pending { .. } => {
            ("Deleting", "the platform is being deleted".to_owned())
        }
    };
    let mut status = unobserved(platform, reason, &message, now);
    status.phase = Some("Deleting".to_owned());
    status.teardown = account;
    status.services = services;
    status
}

/// A setback in words.
pub(crate) fn setback(kind: &SetbackKind) -> String {
    match kind {
        SetbackKind::PlacementUnavailable { server_type, location } => {
            format!("{server_type} is sold out in {location}; the next placement is tried")
        }
        SetbackKind::ForeignResource { kind, name } => {
            format!("a {kind} named {name} exists and is not this platform's")
        }
        SetbackKind::Namesake { kind, name } => {
            format!(
                "another HelixPlatform of the same name uses this project: the {kind} {name} is labelled as its own"
            )
        }
        SetbackKind::LimitExceeded { message }
        | SetbackKind::NotPermitted { message }
        | SetbackKind::Rejected { message, .. } => message.clone(),
        SetbackKind::UnderWay => "it is under way".to_owned(),
        SetbackKind::Failed { message, .. } => message.clone(),
    }
}

/// The one line that says what the platform waits for: the first phase that is not Ready.
fn waiting_for(phases: &[(PhaseName, PhaseReport)]) -> Option<String> {
    phases.iter().find_map(|(_, report)| match report {
        PhaseReport::Progressing { message }
        | PhaseReport::Blocked { message, .. }
        | PhaseReport::Unknown { message } => Some(message.clone()),
        PhaseReport::Ready { .. } | PhaseReport::NotRequested | PhaseReport::Pending { .. } => None,
    })
}

fn counts(told: &Told<'_>, cloud: &CloudFacts) -> MachineCounts {
    let projections = machines(told).unwrap_or_default();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let ready = projections.iter().filter(|machine| machine.status.ready).count();
    let updated = projections.iter().filter(|machine| machines::is_updated(told, machine)).count();
    let desired = told.validated.machines().max(number(cloud.servers.len()));
    MachineCounts::new(desired, number(ready), number(updated))
}

fn secret_names(platform: &HelixPlatform, store: &StoreFacts) -> SecretNames {
    let name = platform.metadata.name.clone().unwrap_or_default();
    SecretNames {
        bundle: store.bundle.as_ref().map(|_| format!("{name}-secrets")),
        kubeconfig: store.kubeconfig.as_ref().map(|_| format!("{name}-kubeconfig")),
        talosconfig: store.talosconfig.as_ref().map(|_| format!("{name}-talosconfig")),
        kubeconfig_expires_at: store.kubeconfig.as_ref().map(|facts| Time(facts.expires_at)),
        talosconfig_expires_at: store.talosconfig.as_ref().map(|facts| Time(facts.expires_at)),
        rotation: store.rotation.as_ref().map(|facts| RotationStatus {
            request: facts.request.clone(),
            stage: format!("{:?}", facts.stage),
            since: Time(facts.since),
        }),
    }
}

/// The report's own view of which phases are Ready, for conditions.
pub(crate) fn all_ready(report: &Report, until: PhaseName) -> bool {
    report.phases(until).iter().all(|(_, report)| report.is_ready() || *report == PhaseReport::NotRequested)
}
