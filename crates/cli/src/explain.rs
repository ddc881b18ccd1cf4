//! `helix explain`: the one thing that a platform waits for, phase by phase.
//!
//! Of a living platform it tells what the operator wrote into its status, and whether that is up to date; of a file,
//! what would be waited for on the way from nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use helix_crds::{HelixMachine, HelixPlatform, HelixPlatformStatus, PhaseState};
use helix_plan::report::{PhaseReport, runbook};

use crate::Outcome;
use crate::arguments::ExplainArguments;
use crate::error::CliError;
use crate::live::Management;
use crate::output;
use crate::plan::{approve_command, told};
use crate::sight;

pub(crate) async fn run(arguments: &ExplainArguments) -> Result<Outcome, CliError> {
    let text = match (&arguments.file, &arguments.name) {
        (Some(path), _) => of_sight(&sight::from_nothing(path)?),
        (None, name) => {
            let management = Management::connect(&arguments.cluster).await?;
            let name = name.as_deref().unwrap_or_default();
            let platform = management.get(management.namespace(), name).await?;
            let machines = management.machines(management.namespace(), name).await?;
            of_status(&platform, &machines)
        }
    };
    output::print(&text)?;
    Ok(Outcome::Done)
}

/// What would be waited for, from nothing.
fn of_sight(sight: &sight::Sight) -> String {
    let forecast = sight.forecast();
    let mut text = format!("{}, from nothing\n\nOn the way it waits for\n", sight.validated.identity.display_name());
    for stage in &forecast.stages {
        for wait in &stage.awaits {
            let _ = writeln!(text, "  until {:>4} s  {wait}", stage.begins_after.as_secs());
        }
    }
    for wait in &forecast.awaits {
        let _ = writeln!(text, "  until {:>4} s  {wait}", forecast.takes.as_secs());
    }
    text.push_str("\nWhere it comes to rest\n");
    for (name, report) in forecast.phases(sight.validated.until) {
        let page = match &report {
            PhaseReport::Blocked { reason, .. } => read_on(reason),
            _ => String::new(),
        };
        let (state, message) = told(report);
        phase(&mut text, name.as_str(), state, message.as_deref());
        text.push_str(&page);
    }
    text
}

/// The line that says where to read what to do; empty where nobody has to act.
fn read_on(reason: &str) -> String {
    runbook::page(reason).map_or(String::new(), |page| format!("Runbook: {page}\n"))
}

fn phase(text: &mut String, name: &str, state: &str, message: Option<&str>) {
    let message = message.map_or(String::new(), |message| format!(": {message}"));
    let _ = writeln!(text, "  {name:<18}  {state}{message}");
}

/// What the operator wrote.
fn of_status(platform: &HelixPlatform, machines: &[HelixMachine]) -> String {
    let metadata = &platform.metadata;
    let name = format!(
        "{}/{}",
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default()
    );
    let Some(status) = &platform.status else {
        return format!(
            "{name} has no status yet: no operator has seen it. `kubectl -n helix-system get deploy helix-operator` \
             tells whether one runs\n"
        );
    };
    let mut text = format!("{name}: {}\n", status.phase.as_deref().unwrap_or("Unknown"));
    if let Some(waiting) = status.waiting_for.as_deref().filter(|_| status.phase.as_deref() != Some("Ready")) {
        let _ = writeln!(text, "Waiting for: {waiting}");
    }
    let asks =
        status.conditions.iter().filter(|condition| ["Ready", "PlanApproved"].contains(&condition.type_.as_str()));
    let pages: BTreeSet<String> = asks.map(|condition| read_on(&condition.reason)).collect();
    text.extend(pages);
    if let Some(approval) = approval(platform, status) {
        text.push_str(&approval);
    }
    if status.observed_generation != metadata.generation {
        let _ = writeln!(
            text,
            "This is about generation {}; the operator has not seen generation {} yet",
            shown(status.observed_generation),
            shown(metadata.generation)
        );
    }
    text.push('\n');
    for report in &status.phases {
        let since = report.since.as_ref().filter(|_| report.state != PhaseState::NotRequested);
        let state = since.map_or(report.state.to_string(), |since| format!("{} since {:.0}", report.state, since.0));
        phase(&mut text, report.name.as_str(), &state, report.message.as_deref());
    }
    if let Some(saved) = backups(status) {
        text.push_str(&saved);
    }
    if let Some(late) = status.conditions.iter().find(|it| it.type_ == "DatabasesBackedUp" && it.status != "True") {
        let _ = writeln!(text, "\nBackups of databases ({}): {}", late.reason, late.message);
    }
    let unready: Vec<String> = machines.iter().filter_map(unready).collect();
    if !unready.is_empty() {
        let _ = writeln!(text, "\nMachines that are not ready\n{}", unready.join("\n"));
    }
    text
}

/// Whether etcd is saved as often as it is to be, and until when.
fn backups(status: &HelixPlatformStatus) -> Option<String> {
    let condition = status.conditions.iter().find(|condition| condition.type_ == "EtcdBackedUp")?;
    let state = match condition.status.as_str() {
        "True" => "in time",
        "False" => "late",
        _ => "unknown",
    };
    let pointer = runbook::pointer(&condition.reason);
    let message = condition.message.strip_suffix(&pointer).unwrap_or(&condition.message);
    let mut text = format!("\nSnapshots of etcd are {state}: {message}\n{}", read_on(&condition.reason));
    if let Some(backup) = &status.backup {
        if let Some(newest) = &backup.newest {
            let _ = writeln!(text, "  the newest   {:.0}  {}/{}", newest.taken_at.0, backup.bucket, newest.key);
        }
        if let Some(next) = &backup.next_at {
            let _ = writeln!(text, "  the next     {:.0}", next.0);
        }
    }
    Some(text)
}

/// What waits for an approval, and how to give it.
fn approval(platform: &HelixPlatform, status: &HelixPlatformStatus) -> Option<String> {
    let plan = status.plan.as_ref().filter(|plan| plan.awaiting_approval > 0)?;
    let asked: Vec<_> = plan.items.iter().filter(|item| item.awaits_approval).collect();
    let mut text = "\nWaits for an approval\n".to_owned();
    for item in &asked {
        let cost = item.monthly_cost_delta.as_ref().map_or(String::new(), |cost| format!(", {cost} per month"));
        let _ = writeln!(text, "  {} {} ({}{cost})", item.step, item.target, item.disruption);
    }
    let untold = usize::try_from(plan.awaiting_approval).unwrap_or(usize::MAX).saturating_sub(asked.len());
    if untold > 0 {
        let _ = writeln!(text, "  and {untold} more");
    }
    let metadata = &platform.metadata;
    let (namespace, name) = (metadata.namespace.as_deref()?, metadata.name.as_deref()?);
    let _ = writeln!(text, "It is given by\n  {}", approve_command(namespace, name, plan.digest.as_deref()?));
    Some(text)
}

fn shown(generation: Option<i64>) -> String {
    generation.map_or("none".to_owned(), |generation| generation.to_string())
}

/// A machine that is not ready, with what it does instead.
fn unready(machine: &HelixMachine) -> Option<String> {
    let status = machine.status.as_ref();
    if status.is_some_and(|status| status.ready) {
        return None;
    }
    let state = status.and_then(|status| status.state.as_deref()).unwrap_or("not seen yet");
    Some(format!("  {}  {state}", machine.metadata.name.as_deref().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(reason: &str, kind: &str, message: &str) -> String {
        let condition = serde_json::json!({
            "type": kind, "status": "False", "reason": reason, "message": message,
            "lastTransitionTime": "2026-11-21T09:00:00Z",
        });
        let platform = serde_json::from_value(serde_json::json!({
            "apiVersion": "helix.dev/v1alpha1",
            "kind": "HelixPlatform",
            "metadata": {"name": "dev", "namespace": "here"},
            "spec": {
                "provider": {"hetzner": {"tokenSecretRef": {"name": "hcloud"}, "apiAllowlist": ["203.0.113.7/32"]}},
                "controlPlane": {"placements": [{"serverType": "cx33", "location": "fsn1"}]},
            },
            "status": {"phase": "ImmutableSubstrate", "waitingFor": "it", "conditions": [condition]},
        }));
        of_status(&platform.unwrap(), &[])
    }

    #[test]
    fn what_somebody_has_to_act_on_names_its_runbook_on_a_line_of_its_own() {
        let page = "\nRunbook: docs/runbooks/QuorumLost.md\n";
        assert!(explained("QuorumLost", "Ready", "").contains(page), "{}", explained("QuorumLost", "Ready", ""));
        assert!(!explained("Progressing", "Ready", "").contains("Runbook"));
    }

    #[test]
    fn what_snapshots_wait_for_stands_apart_from_its_runbook() {
        let told = explained("SnapshotFailed", "EtcdBackedUp", "why. See docs/runbooks/SnapshotFailed.md");
        assert!(told.contains("are late: why\nRunbook: docs/runbooks/SnapshotFailed.md\n"), "{told}");
    }
}
