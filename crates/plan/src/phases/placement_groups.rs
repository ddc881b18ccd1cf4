//! Placement groups keep a pool's machines on different hosts. Hetzner admits ten servers to a group, so a pool has one
//! group for every ten slots, and a machine's slot says which is its group.

use super::{Context, Outcome};
use crate::names::MachineName;
use crate::observed::PlacementGroup;
use crate::step::Step;
use crate::validated::{Pool, Spread};

/// Servers that Hetzner admits to one placement group.
pub const GROUP_SIZE: u32 = 10;

/// How many groups a pool needs.
#[must_use]
pub fn groups_of(pool: &Pool) -> u32 {
    match pool.spread {
        Spread::None => 0,
        Spread::Host | Spread::Location => pool.replicas.div_ceil(GROUP_SIZE),
    }
}

/// The group of a machine; `None` while it does not exist.
pub(super) fn of<'a>(context: &Context<'a>, machine: &MachineName) -> Option<&'a PlacementGroup> {
    let name = context.platform.identity.placement_group_name(machine.pool(), machine.slot() / GROUP_SIZE);
    context.cloud.placement_groups.iter().find(|group| group.name == name)
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let identity = &context.platform.identity;
    let wanted: Vec<String> = context
        .platform
        .pools()
        .flat_map(|pool| (0..groups_of(pool)).map(|shard| identity.placement_group_name(&pool.name, shard)))
        .collect();
    let exists = |name: &String| context.cloud.placement_groups.iter().any(|group| group.name == *name);
    let missing: Vec<Step> = wanted
        .iter()
        .filter(|name| !exists(name))
        .map(|name| Step::CreatePlacementGroup { name: name.clone(), labels: identity.labels() })
        .collect();
    if missing.is_empty() {
        return Outcome::done(format!("{} placement groups exist", wanted.len()), context.observed.cloud.at());
    }
    Outcome::steps(missing)
}
