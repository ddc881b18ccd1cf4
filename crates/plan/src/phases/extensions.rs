//! System extensions: whether the image of every machine holds what its components need.
//!
//! An image cannot be changed while it runs, and Talos' extensions come with the image alone: where one is missing,
//! somebody has to name another schematic, and machines have to be made of it.

use std::collections::BTreeSet;

use super::{Context, Outcome, servers};
use crate::names::MachineName;
use crate::observed::Fact;
use crate::report::{Block, ExtensionsMissing, State, Wait};
use crate::schematic;

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let needed = &context.platform.extensions;
    if needed.is_empty() {
        return Outcome::done("no component needs a system extension", context.observed.cloud.at());
    }
    let (mut silent, mut lacking) = (Vec::new(), Vec::new());
    let mut missing = BTreeSet::new();
    for machine in servers::all_wanted(context) {
        match context.observed.extensions.get(machine) {
            Some(Fact::Known { value: held, .. }) => {
                let lacks = lacked(needed, held);
                if !lacks.is_empty() {
                    missing.extend(lacks);
                    lacking.push(machine.clone());
                }
            }
            Some(Fact::Missing(_)) | None => silent.push(machine.clone()),
        }
    }
    if !lacking.is_empty() {
        return Outcome::blocked(block(context, lacking, missing));
    }
    if !silent.is_empty() {
        return Outcome::waiting(Wait::Talos(silent));
    }
    let names: Vec<&str> = needed.iter().copied().collect();
    let seen = context.observed.extensions.values().filter_map(Fact::at).min();
    Outcome::done(format!("every machine's image holds {}", names.join(", ")), seen)
}

/// Whether machines are known to lack some.
pub(super) fn are_missing(context: &Context<'_>) -> bool {
    matches!(plan(context).state, State::Blocked(_))
}

fn lacked(needed: &BTreeSet<&'static str>, held: &BTreeSet<String>) -> BTreeSet<&'static str> {
    needed.iter().copied().filter(|name| !held.contains(schematic::name_on_machines(name))).collect()
}

fn block(context: &Context<'_>, machines: Vec<MachineName>, missing: BTreeSet<&'static str>) -> Block {
    Block::Extensions(ExtensionsMissing {
        machines,
        missing,
        schematic: context.platform.schematic.clone(),
        needed: context.platform.extensions.clone(),
    })
}
