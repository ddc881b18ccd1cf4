//! What must hold of plans that change a platform which lives: its machines are disturbed one control plane at a time,
//! nothing goes that nobody agreed to, and what somebody holds is left alone.

use std::collections::BTreeSet;

use helix_crds::{ApprovalItem, ApprovalMode, Disruption};

use super::{Subject, steps};
use crate::disruption::Cause;
use crate::names::MachineName;
use crate::observed::{CloudFacts, NodeFacts, Readiness, Server, StoreFacts};
use crate::quorum::majority;
use crate::step::{ResourceKind, Step};
use crate::validated::ValidatedPlatform;

/// The server that a step deletes.
fn deleted<'c>(step: &Step, cloud: &'c CloudFacts) -> Option<&'c Server> {
    let Step::DeleteResource { kind: ResourceKind::Server, id, .. } = step else { return None };
    cloud.servers.iter().find(|server| server.id == *id)
}

fn machine_of(server: &Server) -> Option<MachineName> {
    MachineName::parse(&server.name).ok()
}

fn node_of<'a>(subject: &'a Subject<'_>, machine: &MachineName) -> Option<&'a NodeFacts> {
    let name = machine.to_string();
    subject.observed.kubernetes.value()?.nodes.iter().find(|node| node.name == name)
}

fn runs_etcd(subject: &Subject<'_>, machine: &MachineName) -> bool {
    subject.observed.talos_of(machine).is_some_and(|talos| talos.serves("etcd"))
}

/// The machine that a step makes reboot.
pub(super) fn rebooted(step: &Step) -> Option<&MachineName> {
    match step {
        Step::UpgradeTalos { machine, .. } => Some(machine),
        Step::ReconfigureMachine { inputs, reboot: true, .. } => Some(&inputs.machine),
        _ => None,
    }
}

/// Who votes besides a control plane that reboots must be a majority of all; the only voter has nobody to outlast it.
pub(super) fn quorum_outlasts_a_reboot(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let without = |machine: &MachineName| {
        let Some(etcd) = subject.observed.etcd.value() else {
            return Some(format!("{machine} is rebooted while the membership of etcd is unknown"));
        };
        let voters: Vec<MachineName> = etcd
            .members
            .iter()
            .filter(|member| !member.learner)
            .filter_map(|member| MachineName::parse(&member.hostname).ok())
            .collect();
        let left = voters.iter().filter(|voter| *voter != machine && runs_etcd(subject, voter)).count();
        let counts = voters.contains(machine) && voters.len() > 1;
        (counts && left < majority(voters.len()))
            .then(|| format!("{left} of {} voters would answer while {machine} reboots", voters.len()))
    };
    steps(subject).filter_map(rebooted).filter(|machine| machine.is_control_plane()).filter_map(without).collect()
}

/// Of control planes that work, one plan takes one away, for a while or for good. Before etcd was bootstrapped none works.
pub(super) fn one_control_plane_at_a_time(
    subject: &Subject<'_>,
    cloud: &CloudFacts,
    store: &StoreFacts,
) -> Vec<String> {
    if subject.platform.is_none() || store.bootstrap.is_none() {
        return Vec::new();
    }
    let disturbed = |step: &Step| match step {
        Step::RemoveEtcdMember { hostname, .. } => MachineName::parse(hostname).ok(),
        Step::DeleteResource { .. } => deleted(step, cloud).and_then(machine_of),
        _ => rebooted(step).cloned(),
    };
    let works = |machine: &MachineName| machine.is_control_plane() && runs_etcd(subject, machine);
    let disturbed: BTreeSet<String> =
        steps(subject).filter_map(disturbed).filter(works).map(|machine| machine.to_string()).collect();
    if disturbed.len() < 2 {
        return Vec::new();
    }
    vec![format!("control planes are disturbed at once: {}", disturbed.into_iter().collect::<Vec<_>>().join(", "))]
}

/// A control plane's server goes after its member of etcd, and only where the members are known; but for what a lost etcd
/// has left behind, as an open restore record lists it.
pub(super) fn member_goes_before_server(subject: &Subject<'_>, cloud: &CloudFacts, store: &StoreFacts) -> Vec<String> {
    if subject.platform.is_none() || store.bootstrap.is_none() {
        return Vec::new();
    }
    let restore = store.restore.as_ref().filter(|record| record.is_open());
    let left_behind = |server: &Server| restore.is_some_and(|record| record.leftovers.contains(&server.id));
    let gone = steps(subject).filter_map(|step| deleted(step, cloud)).filter(|server| !left_behind(server));
    gone.filter(|server| machine_of(server).is_some_and(|machine| machine.is_control_plane()))
        .filter_map(|server| match subject.observed.etcd.value() {
            None => Some(format!("server {} goes while the membership of etcd is unknown", server.name)),
            Some(etcd) if etcd.members.iter().any(|member| member.hostname == server.name) => {
                Some(format!("server {} goes while its member of etcd is still there", server.name))
            }
            Some(_) => None,
        })
        .collect()
}

/// Of a platform that lives only servers go, and only those that are approved, lost, asked for, or on their way already;
/// and placement groups that hold no server.
pub(super) fn destroyed_only_as_approved(subject: &Subject<'_>, cloud: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let Some(platform) = subject.platform else { return Vec::new() };
    let unfounded = |step: &Step| match step {
        Step::ForgetSecrets => true,
        Step::DeleteResource { kind: ResourceKind::PlacementGroup, id, .. } => {
            cloud.placement_groups.iter().any(|group| group.id == *id && !group.servers.is_empty())
        }
        Step::DeleteResource { .. } => deleted(step, cloud)
            .is_none_or(|server| !is_approved(subject, platform, server) && !may_go(subject, platform, server)),
        _ => false,
    };
    steps(subject).filter(|step| unfounded(step)).map(|step| format!("{step}, to which nobody agreed")).collect()
}

/// Whether the plan asked for this server's end, and somebody agreed to all that it asked for.
fn is_approved(subject: &Subject<'_>, platform: &ValidatedPlatform, server: &Server) -> bool {
    let destruction = &subject.plan.destruction;
    let names = |item: &ApprovalItem| {
        item.object == format!("server {}", server.name)
            || item.object == format!("machine {}", server.name) && item.digest == server.id.to_string()
    };
    let destroys = |item: &ApprovalItem| matches!(item.disruption, Disruption::Replace | Disruption::Destroy);
    destruction.items().any(|item| destroys(item) && names(item))
        && destruction.is_approved(platform.approval, &platform.approved)
}

/// Whether a server goes without an approval of its own: asked for by its `HelixMachine`, lost while remediation is on, or a
/// control plane whose member of etcd has gone ahead.
fn may_go(subject: &Subject<'_>, platform: &ValidatedPlatform, server: &Server) -> bool {
    let Some(machine) = machine_of(server) else { return false };
    let node = node_of(subject, &machine);
    let talos = subject.observed.talos_of(&machine);
    let unready = |node: &NodeFacts| {
        matches!(node.readiness, Readiness::NotReady { since: Some(_) } | Readiness::Silent { since: Some(_) })
    };
    let ails = talos.is_some_and(|talos| talos.ailment().is_some())
        || talos.is_some() && machine.is_control_plane() && !runs_etcd(subject, &machine);
    let never_came = node.is_none() && talos.is_none();
    let lost = node.is_some_and(unready) || ails || never_came;
    let leaves = node.and_then(|node| node.mark).is_some_and(|mark| mark.cause == Cause::Leave);
    let has_member = || {
        let etcd = subject.observed.etcd.value();
        etcd.is_none_or(|etcd| etcd.members.iter().any(|member| member.hostname == server.name))
    };
    subject.observed.intents.replace.contains(&server.id)
        || platform.remediation.enabled && lost
        || machine.is_control_plane() && leaves && !has_member()
}

/// Where every change has to be approved, what makes or alters a server, or reboots one, is in the approved set.
pub(super) fn changed_only_as_approved(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let Some(platform) = subject.platform.filter(|platform| platform.approval == ApprovalMode::Manual) else {
        return Vec::new();
    };
    let asked = &subject.plan.destruction;
    let approved = asked.is_approved(platform.approval, &platform.approved);
    let is_asked = |step: &Step| asked.items().any(|item| item.object == step.target().to_string());
    let changes = |step: &&Step| {
        matches!(step, Step::CreateServer(_) | Step::ReconfigureMachine { .. } | Step::UpgradeTalos { .. })
    };
    steps(subject)
        .filter(changes)
        .filter(|step| !approved || !is_asked(step))
        .map(|step| format!("{step}, to which nobody agreed"))
        .collect()
}

/// Whoever holds a machine finds it as it was; the load balancer alone may pass it by.
pub(super) fn held_machines_are_left_alone(subject: &Subject<'_>, cloud: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    if subject.platform.is_none() {
        return Vec::new();
    }
    let touched = |step: &Step| match step {
        Step::AttachServer { machine, .. }
        | Step::ApplyFirewall { machine, .. }
        | Step::PowerOnServer { machine, .. }
        | Step::PatchNode { machine, .. }
        | Step::MarkNode { machine, .. }
        | Step::UnmarkNode { machine, .. }
        | Step::EvictPods { machine, .. }
        | Step::UpgradeTalos { machine, .. } => Some(machine.clone()),
        Step::ConfigureMachine { inputs, .. } | Step::ReconfigureMachine { inputs, .. } => Some(inputs.machine.clone()),
        // A member whose machine is gone is nobody's any more.
        Step::RemoveEtcdMember { hostname, .. } => {
            cloud.servers.iter().find(|server| server.name == *hostname).and_then(machine_of)
        }
        Step::DeleteResource { .. } => deleted(step, cloud).and_then(machine_of),
        _ => None,
    };
    steps(subject)
        .filter(|step| touched(step).is_some_and(|machine| subject.observed.intents.hold.contains(&machine)))
        .map(|step| format!("{step}, whose machine is held"))
        .collect()
}

#[cfg(test)]
mod tests;
