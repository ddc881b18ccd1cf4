//! Components that nothing asks for any more, and what is left of them: the last that was installed goes first, and what
//! holds data or content of others stays.

use std::collections::BTreeMap;

use helix_crds::PhaseName;

use super::stage::{kept, removable};
use crate::components::{Component, asked};
use crate::observed::Fact;
use crate::phases::{Context, Outcome};
use crate::step::Step;

pub(in crate::phases) fn plan(context: &Context<'_>) -> Outcome {
    let asked = asked(&context.platform.layers);
    let mut told = Vec::new();
    let mut seen_at = context.observed.kubernetes.at();
    let mut removable_of = BTreeMap::new();
    for (component, facts) in &context.observed.components {
        if asked.contains(component) {
            continue;
        }
        match &facts.installed {
            Fact::Known { value, at } => {
                seen_at = seen_at.min(Some(*at));
                told.extend(kept(&value.surplus));
                let objects = removable(&value.surplus);
                if !objects.is_empty() {
                    removable_of.insert(*component, objects);
                }
            }
            Fact::Missing(missing) => return Outcome::unknown(missing.clone()),
        }
    }
    let uses = |user: &Component, used: Component| {
        let entry = user.entry();
        *user != used && entry.needs.iter().chain(entry.after).any(|it| *it == used)
    };
    let phase = |component: &Component| -> PhaseName { component.entry().phase };
    // Whoever is used by nobody that is still there; the latest phase first, should they all use one another.
    let last = removable_of
        .keys()
        .copied()
        .max_by_key(|component| (!removable_of.keys().any(|user| uses(user, *component)), phase(component)));
    if let Some((component, objects)) = last.and_then(|it| removable_of.remove_entry(&it)) {
        return Outcome::step(Step::PruneObjects { component, objects });
    }
    if told.is_empty() {
        return Outcome::done("nothing is left of components that nothing asks for", seen_at);
    }
    Outcome::done(told.join("; "), seen_at)
}
