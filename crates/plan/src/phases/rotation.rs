//! Rotation of the certificate authorities of Talos' API and of the Kubernetes API, asked for by the annotation
//! `helix.dev/rotate-ca`: each other text is another rotation.
//!
//! Three stages change what every machine is told: the new authorities are accepted, the new ones issue, the old ones are
//! accepted no longer. The machines are changed by [`super::rollout`], one after the other and without a reboot, because what
//! they are to be follows from the stage. A stage begins only when every machine is at the one before, serves, and has
//! answered to certificates as the next stage makes them; so nobody is ever locked out. A rotation that was begun is carried
//! to its end, whatever becomes of the annotation.

use super::{Context, Outcome, health, rollout, servers};
use crate::names::MachineName;
use crate::report::{Block, Wait};
use crate::secrets::{RotationFacts, RotationStage};
use crate::step::Step;

/// Requests for what Talos cannot exchange under a running cluster.
const FIXED: [&str; 3] = ["etcd", "aggregator", "service-account"];

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let rotation = context.store.rotation.as_ref();
    if let Some(facts) = rotation.filter(|facts| facts.stage != RotationStage::Done) {
        return go_on(context, facts);
    }
    let answered = rotation.map(|facts| &facts.request);
    match context.platform.rotate_authorities.as_ref().filter(|request| Some(*request) != answered) {
        Some(request) if FIXED.contains(&request.as_str()) => Outcome::blocked(Block::NotImplemented {
            what: format!("rotating the {request} authority"),
            remedy:
                "Write any other text as helix.dev/rotate-ca to have the authorities of Talos' and Kubernetes' APIs \
                     rotated, or take the annotation away"
                    .to_owned(),
        }),
        Some(request) => match restless(context) {
            Some(wait) => Outcome::waiting(wait),
            None => Outcome::step(Step::BeginRotation { request: request.clone() }),
        },
        None => Outcome::done(told(rotation), context.observed.store.at()),
    }
}

fn told(rotation: Option<&RotationFacts>) -> String {
    match rotation {
        Some(facts) => format!("the certificate authorities were rotated as asked for by `{}`", facts.request),
        None => "the certificate authorities are those of the bundle".to_owned(),
    }
}

fn go_on(context: &Context<'_>, facts: &RotationFacts) -> Outcome {
    let (Some(to), None) = (facts.stage.next(), restless(context)) else {
        return Outcome::waiting(restless(context).unwrap_or(Wait::EtcdLeader));
    };
    let step = Step::AdvanceRotation { from: facts.stage, to };
    let unproved = unproved(context);
    if to == RotationStage::Done || unproved.is_empty() {
        return Outcome::step(step);
    }
    Outcome::waiting(Wait::Proof { stage: facts.stage, machines: unproved })
}

/// Why nothing about authorities may change now: some machine is not as it is to be, or is being disturbed.
fn restless(context: &Context<'_>) -> Option<Wait> {
    let unlike = |machine: &&MachineName| {
        context.server_of(machine).is_none()
            || !health::serves(context, machine)
            || context.mark_of(machine).is_some()
            || rollout::change(context, machine).is_some()
            || context.is_held(machine)
    };
    let mut others: Vec<MachineName> = servers::all_wanted(context).filter(unlike).cloned().collect();
    others.extend(context.roster.leavers().map(|(machine, _)| machine.clone()));
    (!others.is_empty()).then_some(Wait::Calm(others))
}

/// Machines that have not answered to certificates of the next stage yet.
fn unproved(context: &Context<'_>) -> Vec<MachineName> {
    let proofs = &context.observed.proofs;
    let lacks = |machine: &&MachineName| {
        let api_server = !machine.is_control_plane() || proofs.api_servers.contains(*machine);
        !proofs.machines.contains(*machine) || !api_server
    };
    servers::all_wanted(context).filter(lacks).cloned().collect()
}

/// A control plane that goes first while a rotation is under way: a worker gets its certificate from one.
pub(super) fn control_plane_to_change_first(context: &Context<'_>, machine: &MachineName) -> Option<MachineName> {
    let under_way = context.store.rotation.as_ref().is_some_and(|facts| facts.stage != RotationStage::Done);
    if machine.is_control_plane() || !under_way {
        return None;
    }
    servers::control_planes(context).iter().find(|machine| rollout::change(context, machine).is_some()).cloned()
}
