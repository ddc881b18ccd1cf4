//! Placement groups keep a pool's machines on different hosts. Hetzner admits ten servers to a group, so a pool has one
//! group for every ten slots, and a machine's slot says which is its group. A group that no machine needs is deleted.
//!
//! A project has few groups, and all its platforms share them. Where there is none left, workers go without, since their
//! pods can move, and so do control planes that have a location each; others wait until theirs can be had.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Outcome, servers};
use crate::names::MachineName;
use crate::observed::{SetbackKind, is_adopted};
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

/// Where a machine that is to be made stands with its group.
pub(super) enum Membership {
    /// It is made in that group, by id.
    In(u64),
    /// It is made without one.
    Without,
    /// The group has to be made first.
    NotYet,
}

/// The group that a machine is to be made in.
pub(super) fn membership(context: &Context<'_>, pool: &Pool, machine: &MachineName) -> Membership {
    if pool.spread == Spread::None {
        return Membership::Without;
    }
    let name = shard_name(context, pool, machine.slot() / GROUP_SIZE);
    match context.groups.get(name.as_str()) {
        Some(group) => Membership::In(group.id),
        None if needs_none(context, pool) && is_refused(context, &creation(context, &name)) => Membership::Without,
        None => Membership::NotYet,
    }
}

fn is_control_plane(context: &Context<'_>, pool: &Pool) -> bool {
    pool.name == context.platform.control_plane.name
}

/// Whether a pool's machines can do without their groups.
fn needs_none(context: &Context<'_>, pool: &Pool) -> bool {
    let locations: BTreeSet<&str> = pool.placements.iter().map(|placement| placement.location.as_str()).collect();
    let one_each = pool.spread == Spread::Location && locations.len() >= pool.replicas as usize;
    !is_control_plane(context, pool) || one_each
}

fn shard_name(context: &Context<'_>, pool: &Pool, shard: u32) -> String {
    context.platform.identity.placement_group_name(&pool.name, shard)
}

fn creation(context: &Context<'_>, name: &str) -> Step {
    Step::CreatePlacementGroup { name: name.to_owned(), labels: context.platform.identity.labels() }
}

/// Whether the project had no group left when this one was last asked for.
fn is_refused(context: &Context<'_>, creation: &Step) -> bool {
    let target = creation.target().to_string();
    let full = |kind: &SetbackKind| matches!(kind, SetbackKind::LimitExceeded { .. });
    let mut fresh = context.observed.setbacks.iter().filter(|setback| setback.until > context.now);
    fresh.any(|setback| full(&setback.kind) && setback.target == target)
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let wanted = wanted(context);
    let missing = wanted.iter().filter(|(name, _)| !context.groups.contains_key(name.as_str()));
    let missing = missing.map(|(name, pool)| (*pool, creation(context, name)));
    let (done_without, mut missing): (Vec<_>, Vec<_>) =
        missing.partition(|(pool, creation)| needs_none(context, pool) && is_refused(context, creation));
    // Those of control planes come first: the project may have room for no more.
    if missing.iter().any(|(pool, _)| is_control_plane(context, pool)) {
        missing.retain(|(pool, _)| is_control_plane(context, pool));
    }
    let left_over = context
        .cloud
        .placement_groups
        .iter()
        .filter(|group| group.servers.is_empty() && !wanted.contains_key(&group.name) && !is_adopted(&group.labels))
        .map(|group| Step::DeleteResource {
            kind: ResourceKind::PlacementGroup,
            id: group.id,
            name: group.name.clone(),
        });
    let steps: Vec<Step> = missing.into_iter().map(|(_, creation)| creation).chain(left_over).collect();
    if steps.is_empty() {
        let existing = wanted.len() - done_without.len();
        let told = match done_without.len() {
            0 => format!("{existing} placement groups exist"),
            without => format!("{existing} placement groups exist; the project has no room for {without} more"),
        };
        return Outcome::done(told, context.observed.cloud.at());
    }
    Outcome::steps(steps)
}

/// The groups that machines are in or are to be made in, each with its pool. A machine that was made without its group
/// stays so, and a machine that stands in for another for a while may be in a slot beyond the pool's size.
pub(super) fn wanted<'a>(context: &Context<'a>) -> BTreeMap<String, &'a Pool> {
    let spread = context.platform.pools().filter(|pool| pool.spread != Spread::None);
    spread
        .flat_map(|pool| {
            let known = context.known.of_pool(&pool.name);
            let inside = known.filter(|known| known.server.placement_group.is_some()).map(|known| known.name.slot());
            let coming = servers::missing_slots(context, pool);
            let shards: BTreeSet<u32> = inside.chain(coming).map(|slot| slot / GROUP_SIZE).collect();
            shards.into_iter().map(move |shard| (shard_name(context, pool, shard), pool))
        })
        .collect()
}
