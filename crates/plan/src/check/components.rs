//! What must hold of every step on a component.

use super::{Subject, steps};
use crate::components::Component;
use crate::observed::{CloudFacts, ComponentFacts, Fact, Health, ObjectId, ObjectState, StoreFacts};
use crate::step::Step;

fn facts<'a>(subject: &'a Subject<'_>, component: Component) -> Option<&'a ComponentFacts> {
    subject.observed.components.get(&component)
}

/// Objects that are applied, each with its component.
fn applied<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = (Component, &'a ObjectId)> {
    steps(subject)
        .filter_map(|step| match step {
            Step::ApplyObjects { component, objects, .. } => Some((*component, objects)),
            _ => None,
        })
        .flat_map(|(component, objects)| objects.iter().map(move |object| (component, object)))
}

pub(super) fn only_ingress_is_exposed(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let exposed = |component: Component, object: &ObjectId| {
        let rendered = facts(subject, component).and_then(|facts| facts.rendered.value());
        component != Component::Traefik && rendered.is_some_and(|rendered| rendered.exposed.contains(object))
    };
    let found = applied(subject).filter(|(component, object)| exposed(*component, object));
    found.map(|(component, object)| format!("{object} of {component} is open to the world")).collect()
}

pub(super) fn no_rendered_secret(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let secrets = applied(subject).filter(|(_, object)| object.kind == "Secret");
    secrets.map(|(component, object)| format!("{object} of {component} comes from a rendering")).collect()
}

/// Whether all of a component is there and well.
fn stands(facts: &ComponentFacts) -> bool {
    let Fact::Known { value: installed, .. } = &facts.installed else { return false };
    let policy = |object: &ObjectId| object.api_version.starts_with("cilium.io/");
    installed.objects.iter().all(|(object, state)| *state == ObjectState::AsWanted || policy(object))
        && installed.health.iter().all(|health| matches!(health, Health::Healthy { .. }))
}

pub(super) fn each_after_its_needs(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let Some(platform) = subject.platform else { return Vec::new() };
    let mut found = Vec::new();
    for (component, object) in applied(subject) {
        let entry = component.entry();
        let needed = entry.needs.iter().filter(|it| platform.component(**it).is_some());
        let missing = needed.filter(|it| !facts(subject, **it).is_some_and(stands));
        found.extend(missing.map(|needed| format!("{object} of {component} before {needed}")));
        let cilium = facts(subject, Component::Cilium).and_then(|facts| facts.installed.value());
        let in_force = cilium.is_some_and(|installed| {
            let mut policies = installed.objects.iter().filter(|(it, _)| it.kind == "CiliumClusterwideNetworkPolicy");
            policies.all(|(_, state)| *state == ObjectState::AsWanted)
        });
        if component != Component::Cilium && !in_force {
            found.push(format!("{object} of {component} before the network policies"));
        }
    }
    found
}
