//! Placement groups keep a pool's machines on different hosts. Hetzner admits ten servers to a group, so a pool has one
//! group for every ten slots, and a machine's slot says which is its group. A group that no machine needs is deleted.

use std::collections::BTreeSet;

use super::{Context, Outcome, servers};
use crate::names::MachineName;
use crate::observed::PlacementGroup;
use crate::step::{ResourceKind, Step};
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
    let wanted = wanted(context);
    let exists = |name: &String| context.cloud.placement_groups.iter().any(|group| group.name == *name);
    let missing = wanted
        .iter()
        .filter(|name| !exists(name))
        .map(|name| Step::CreatePlacementGroup { name: name.clone(), labels: identity.labels() });
    let left_over = context
        .cloud
        .placement_groups
        .iter()
        .filter(|group| group.servers.is_empty() && !wanted.contains(&group.name))
        .map(|group| Step::DeleteResource {
            kind: ResourceKind::PlacementGroup,
            id: group.id,
            name: group.name.clone(),
        });
    let steps: Vec<Step> = missing.chain(left_over).collect();
    if steps.is_empty() {
        return Outcome::done(format!("{} placement groups exist", wanted.len()), context.observed.cloud.at());
    }
    Outcome::steps(steps)
}

/// The groups of all machines that there are and that are to be. A machine that stands in for another for a while may be
/// in a slot beyond the pool's size.
fn wanted(context: &Context<'_>) -> BTreeSet<String> {
    let spreads =
        |machine: &MachineName| context.platform.pool(machine.pool()).is_some_and(|pool| pool.spread != Spread::None);
    let existing = context.machines().map(|(machine, _)| machine).cloned();
    existing
        .chain(servers::all_wanted(context))
        .filter(spreads)
        .map(|machine| context.platform.identity.placement_group_name(machine.pool(), machine.slot() / GROUP_SIZE))
        .collect()
}
