//! A forecast as text, for people who read a difference in a golden file.

use std::fmt::Write as _;

use helix_crds::PhaseName;
use helix_plan::forecast::{Ending, Forecast};
use helix_plan::observed::Observed;
use helix_plan::render::machine_config::MachineRole;
use helix_plan::report::PhaseReport;
use helix_plan::step::Step;

pub(crate) fn listing(forecast: &Forecast, until: Option<PhaseName>) -> String {
    let mut text = String::new();
    for (index, stage) in forecast.stages.iter().enumerate() {
        waits(&mut text, &stage.awaits);
        let _ = writeln!(text, "stage {} (after {} s)", index + 1, stage.begins_after.as_secs());
        for item in &stage.items {
            let _ = writeln!(text, "  {}{}", item.step, detail(&item.step));
        }
    }
    waits(&mut text, &forecast.awaits);
    for item in forecast.waits_for_approval.items() {
        let _ = writeln!(text, "  ? {} ({})", item.object, item.disruption);
    }
    let ending = match &forecast.ending {
        Ending::Settled => "at rest".to_owned(),
        Ending::Rejected(violations) => format!("rejected: {violations:?}"),
        Ending::Endless => "endless".to_owned(),
    };
    let calls = forecast.hetzner_calls();
    let _ = writeln!(text, "{ending} after {} s, {calls} calls, {}", forecast.takes.as_secs(), forecast.disruption());
    for (phase, report) in until.map(|until| forecast.phases(until)).unwrap_or_default() {
        let _ = writeln!(text, "{phase}: {}", state(&report));
    }
    text.push_str(&left(&forecast.world));
    text
}

fn waits(text: &mut String, awaits: &[String]) {
    for awaited in awaits {
        let _ = writeln!(text, "  … {awaited}");
    }
}

/// What the name of a step does not tell and a reader wants to see.
fn detail(step: &Step) -> String {
    match step {
        Step::CreateServer(new) => {
            let group = new.placement_group.map_or(String::new(), |group| format!(", group {group}"));
            format!(" ({} in {}{group})", new.server_type, new.location)
        }
        Step::StoreKubeconfig { endpoints } | Step::StoreTalosconfig { endpoints } => {
            format!(" ({})", endpoints.join(", "))
        }
        Step::UpgradeTalos { version, .. } => format!(" ({version})"),
        Step::ReconfigureMachine { inputs, reboot, .. } => {
            let versions = &inputs.kubernetes;
            let parts = match inputs.role {
                MachineRole::ControlPlane => {
                    format!("{}, {}, {}", versions.api_server, versions.controllers, versions.kubelet)
                }
                MachineRole::Worker => versions.kubelet.to_string(),
            };
            format!(" (Kubernetes {parts}{})", if *reboot { ", by a reboot" } else { "" })
        }
        _ => String::new(),
    }
}

fn state(report: &PhaseReport) -> String {
    match report {
        PhaseReport::NotRequested => "not requested".to_owned(),
        PhaseReport::Pending { after } => format!("after {after}"),
        PhaseReport::Progressing { message } => format!("waits: {message}"),
        PhaseReport::Ready { .. } => "Ready".to_owned(),
        PhaseReport::Blocked { reason, message } => format!("blocked ({reason}): {message}"),
        PhaseReport::Unknown { message } => format!("unknown: {message}"),
    }
}

fn left(world: &Observed) -> String {
    let cloud = world.cloud.value().expect("Hetzner is known");
    let members = world.etcd.value().map_or(0, |etcd| etcd.members.len());
    let nodes = world.kubernetes.value().map_or(0, |kubernetes| kubernetes.nodes.len());
    format!(
        "{} servers, {} load balancers, {} networks, {members} etcd members, {nodes} nodes\n",
        cloud.servers.len(),
        cloud.load_balancers.len(),
        cloud.networks.len()
    )
}
