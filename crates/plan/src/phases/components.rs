//! Components: from what one renders to and what of it is in the cluster to the next stage of its installation.
//!
//! A component waits for those that it needs and comes after, and all but Cilium for the policies of the whole cluster; what
//! needs system extensions is not installed beside machines without them.
//! Its objects come in stages: definitions and namespaces, the Secrets, everything else, and last the custom resources of
//! its own kinds, once whoever looks after them runs. What differs afterwards is applied again. Nothing of others is
//! taken over, and nothing that holds data is deleted.

mod former;
mod policies;
mod refused;
mod stage;

pub(super) use former::plan as former;
pub(super) use policies::plan as policies;

use std::collections::BTreeMap;

use self::stage::Standing;
use super::{Concern, Context, Outcome, extensions};
use crate::components::{Component, Wanted};
use crate::observed::{ComponentFacts, Fact, Installed, Missing, ObjectId, Rendered};
use crate::report::{Block, Obstacle, Wait};
use crate::step::Step;

pub(super) fn plan(context: &Context<'_>, component: Component) -> Outcome {
    let Some(wanted) = context.platform.component(component) else {
        return Outcome::done("nothing asks for it", None);
    };
    let rejections = refused::of(context.platform, component);
    if !rejections.is_empty() {
        return blocked(component, Obstacle::Refused(rejections));
    }
    let rendered = match rendered(context, wanted) {
        Ok(rendered) => rendered,
        Err(outcome) => return *outcome,
    };
    if let Some(obstacle) = unfit(context, component, rendered) {
        return blocked(component, obstacle);
    }
    let first: Vec<Component> =
        predecessors(context, component).into_iter().filter(|it| !is_installed(context, *it)).collect();
    if !first.is_empty() {
        return Outcome::resting(Wait::Components(first));
    }
    if component != Component::Cilium && !policies::are_in_force(context) {
        return Outcome::resting(Wait::Concern(Concern::NetworkPolicies));
    }
    if !component.entry().talos_extensions.is_empty() && extensions::are_missing(context) {
        return Outcome::resting(Wait::Concern(Concern::Extensions));
    }
    match &facts(context, component).installed {
        Fact::Known { value, at } => Standing { context, wanted, rendered, installed: value, at: *at }.next(),
        Fact::Missing(Missing::NotThereYet) => Outcome::waiting(context.api()),
        Fact::Missing(missing) => Outcome::unknown(missing.clone()),
    }
}

fn blocked(component: Component, obstacle: Obstacle) -> Outcome {
    Outcome::blocked(Block::Component { component, obstacle })
}

/// What nobody has looked at yet.
static UNKNOWN: ComponentFacts =
    ComponentFacts { rendered: Fact::Missing(Missing::NotThereYet), installed: Fact::Missing(Missing::NotThereYet) };

fn facts<'a>(context: &Context<'a>, component: Component) -> &'a ComponentFacts {
    context.observed.components.get(&component).unwrap_or(&UNKNOWN)
}

/// What it renders to, or what has to be done to know.
fn rendered<'a>(context: &Context<'a>, wanted: &Wanted) -> Result<&'a Rendered, Box<Outcome>> {
    match &facts(context, wanted.component).rendered {
        Fact::Known { value, .. } => Ok(value),
        Fact::Missing(Missing::NotThereYet) => {
            let version = wanted.chart.as_ref().map(|chart| chart.version.clone()).unwrap_or_default();
            Err(Box::new(Outcome::step(Step::RenderChart { component: wanted.component, version })))
        }
        Fact::Missing(missing) => Err(Box::new(Outcome::unknown(missing.clone()))),
    }
}

/// What keeps a rendering from being applied.
fn unfit(context: &Context<'_>, component: Component, rendered: &Rendered) -> Option<Obstacle> {
    if !rendered.unknown_values.is_empty() {
        return Some(Obstacle::UnknownValues(rendered.unknown_values.clone()));
    }
    if !rendered.forbidden.is_empty() {
        return Some(Obstacle::Forbidden(rendered.forbidden.clone()));
    }
    if component != Component::Traefik && !rendered.exposed.is_empty() {
        return Some(Obstacle::Exposed(rendered.exposed.clone()));
    }
    let claims = context.claims.get_or_init(|| claims(context));
    let taken = rendered.objects.keys().find_map(|object| {
        let other = claims.get(object).copied().filter(|other| *other != component)?;
        Some((object.clone(), other))
    });
    taken.map(|(object, other)| Obstacle::ClaimedTwice { object, other })
}

/// Whose each object is: the first component's that renders it, in the order of installation.
fn claims(context: &Context<'_>) -> BTreeMap<ObjectId, Component> {
    let mut claims = BTreeMap::new();
    for wanted in context.platform.components.iter() {
        let rendered = facts(context, wanted.component).rendered.value();
        for object in rendered.into_iter().flat_map(|rendered| rendered.objects.keys()) {
            claims.entry(object.clone()).or_insert(wanted.component);
        }
    }
    claims
}

/// The components that come before one, as far as the platform has them in the same phase or an earlier one.
fn predecessors(context: &Context<'_>, component: Component) -> Vec<Component> {
    let entry = component.entry();
    let phase = |component: Component| context.platform.component(component).map(|wanted| wanted.phase);
    let in_time = |earlier: &Component| phase(*earlier).is_some_and(|it| Some(it) <= phase(component));
    entry.needs.iter().chain(entry.after).copied().filter(in_time).collect()
}

/// Whether all of a component is there, as it should be, and well.
fn is_installed(context: &Context<'_>, component: Component) -> bool {
    let facts = facts(context, component);
    let (Some(wanted), Some(rendered), Fact::Known { value: installed, at }) =
        (context.platform.component(component), facts.rendered.value(), &facts.installed)
    else {
        return false;
    };
    Standing { context, wanted, rendered, installed, at: *at }.is_reached()
}

/// How the objects of a component stand that are not its policies' concern.
fn objects(installed: &Installed) -> impl Iterator<Item = (&ObjectId, &crate::observed::ObjectState)> {
    installed.objects.iter().filter(|(object, _)| !policies::is_policy_of_the_cluster(object))
}
