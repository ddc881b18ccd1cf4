//! The policies of the whole cluster: default-deny and what is allowed everywhere. They are applied with Cilium's name on
//! them as soon as the cluster knows their kinds, and before anything else of the platform runs. Those of one namespace
//! come with the component whose namespace it is.

use super::{Outcome, facts, refused};
use crate::components::Component;
use crate::observed::{Fact, Missing, ObjectId, ObjectState};
use crate::phases::Context;
use crate::report::{Block, Obstacle, Wait};
use crate::step::Step;

const CILIUM: Component = Component::Cilium;

/// Whether an object is one of these policies.
pub(super) fn is_policy_of_the_cluster(object: &ObjectId) -> bool {
    match object.kind.as_str() {
        "CiliumClusterwideNetworkPolicy" => true,
        "CiliumNetworkPolicy" => object.namespace.as_deref() == Some("kube-system"),
        _ => false,
    }
}

/// How each of them stands.
fn standing<'a>(context: &Context<'a>) -> Vec<(&'a ObjectId, &'a ObjectState)> {
    let installed = facts(context, CILIUM).installed.value();
    let objects = installed.into_iter().flat_map(|installed| &installed.objects);
    objects.filter(|(object, _)| is_policy_of_the_cluster(object)).collect()
}

/// Whether all of them are there.
pub(super) fn are_in_force(context: &Context<'_>) -> bool {
    let policies = standing(context);
    !policies.is_empty() && policies.iter().all(|(_, state)| **state == ObjectState::AsWanted)
}

pub(in crate::phases) fn plan(context: &Context<'_>) -> Outcome {
    let outcome = apply(context);
    let rejections = refused::of_the_cluster(context.platform);
    if outcome.is_done() && !rejections.is_empty() {
        // What could be read of the specification is in force all the same: less is allowed, and nothing more.
        return super::blocked(CILIUM, Obstacle::Refused(rejections));
    }
    outcome
}

fn apply(context: &Context<'_>) -> Outcome {
    let facts = facts(context, CILIUM);
    let at = match &facts.installed {
        Fact::Known { at, .. } => *at,
        Fact::Missing(Missing::NotThereYet) => return Outcome::resting(Wait::Components(vec![CILIUM])),
        Fact::Missing(missing) => return Outcome::unknown(missing.clone()),
    };
    let Some(rendered) = facts.rendered.value() else {
        return Outcome::resting(Wait::Components(vec![CILIUM]));
    };
    let policies = standing(context);
    let of =
        |wanted: fn(&ObjectState) -> bool| policies.iter().filter(move |(_, state)| wanted(state)).map(|(id, _)| *id);
    let unknown = of(|state| *state == ObjectState::UnknownKind);
    let kinds: std::collections::BTreeSet<String> = unknown.map(|object| object.kind.clone()).collect();
    if !kinds.is_empty() {
        return Outcome::waiting(Wait::Definitions { component: CILIUM, kinds: kinds.into_iter().collect() });
    }
    let differing: Vec<ObjectId> =
        of(|state| matches!(state, ObjectState::Missing | ObjectState::Differs)).cloned().collect();
    if !differing.is_empty() {
        let key = rendered.key.clone();
        return Outcome::step(Step::ApplyObjects { component: CILIUM, key, objects: differing });
    }
    for (object, state) in &policies {
        let obstacle = match state {
            ObjectState::Foreign { manager } => {
                Obstacle::Foreign { object: (*object).clone(), manager: manager.clone() }
            }
            ObjectState::Conflict { fields } => {
                Obstacle::Conflict { object: (*object).clone(), fields: fields.clone() }
            }
            ObjectState::Missing | ObjectState::AsWanted | ObjectState::Differs | ObjectState::UnknownKind => continue,
        };
        return Outcome::blocked(Block::Component { component: CILIUM, obstacle });
    }
    Outcome::done(format!("{} policies of the whole cluster are in force", policies.len()), Some(at))
}
