//! Machines by location and pool: those that are wanted, where they would be made, and in a living platform those that were
//! seen, where they are.

use std::collections::BTreeMap;

use super::MOST_DRAWN;
use super::seen::{Mark, Seen, SeenMachine};
use super::text::{Chart, Handle, Label, Shape};
use crate::names::MachineName;
use crate::phases::servers::preferred;
use crate::validated::{Placement, Pool, ValidatedPlatform};

/// A machine as it is drawn.
struct Drawn {
    name: String,
    server_type: String,
    seen: Option<(Mark, String)>,
}

/// The machines of one pool in one location.
type Places = BTreeMap<String, Vec<Drawn>>;

/// Draws every machine, the locations in alphabetical order, in each the pools in theirs; gives back the groups in which
/// the control planes are.
pub(super) fn draw(chart: &mut Chart, platform: &ValidatedPlatform, seen: Option<&Seen>) -> Vec<Handle> {
    let mut locations: BTreeMap<String, Vec<(&Pool, Vec<Drawn>)>> = BTreeMap::new();
    for pool in platform.pools() {
        for (location, machines) in places(platform, pool, seen) {
            locations.entry(location).or_default().push((pool, machines));
        }
    }
    let mut control_planes = Vec::new();
    for (location, pools) in locations {
        chart.group(format!("Location {location}"), |chart| {
            for (pool, machines) in pools {
                let group = draw_pool(chart, pool, &machines);
                control_planes.extend(Some(group).filter(|_| pool.is_control_plane()));
            }
        });
    }
    control_planes
}

fn draw_pool(chart: &mut Chart, pool: &Pool, machines: &[Drawn]) -> Handle {
    let what = if pool.is_control_plane() { "Control planes" } else { "Pool" };
    chart.group(format!("{what} {}", pool.name), |chart| {
        if pool.replicas > MOST_DRAWN || machines.len() > MOST_DRAWN as usize {
            chart.node(Shape::Thing, &counted(machines), worst(machines));
            return;
        }
        for machine in machines {
            let label = Label::of(&machine.name).and(&machine.server_type);
            let (label, mark) = match &machine.seen {
                Some((mark, words)) => (label.and(words), Some(*mark)),
                None => (label, None),
            };
            chart.node(Shape::Thing, &label, mark);
        }
    })
}

/// Many machines in one node: how many, of which types, and how many of them are how.
fn counted(machines: &[Drawn]) -> Label {
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    let mut states: BTreeMap<Mark, usize> = BTreeMap::new();
    for machine in machines {
        *types.entry(&machine.server_type).or_default() += 1;
        if let Some((mark, _)) = &machine.seen {
            *states.entry(*mark).or_default() += 1;
        }
    }
    let types: Vec<String> = types.into_iter().map(|(name, count)| format!("{count} x {name}")).collect();
    let states: Vec<String> = states.into_iter().map(|(mark, count)| format!("{count} {}", mark.class())).collect();
    Label::of(format!("{} machines", machines.len())).and(types.join(", ")).and(states.join(", "))
}

/// The mark that needs most attention.
fn worst(machines: &[Drawn]) -> Option<Mark> {
    machines.iter().filter_map(|machine| machine.seen.as_ref().map(|(mark, _)| *mark)).max()
}

/// Where the machines of a pool are, or would be.
fn places(platform: &ValidatedPlatform, pool: &Pool, seen: Option<&Seen>) -> Places {
    let mut places = Places::new();
    let mut per_location: BTreeMap<String, usize> = BTreeMap::new();
    let there = seen.iter().flat_map(|seen| &seen.machines).filter(|(_, machine)| machine.pool == pool.name);
    let there: Vec<(&String, &SeenMachine)> = there.collect();
    for (name, machine) in &there {
        let location = machine.location.clone().unwrap_or_else(|| "not known".to_owned());
        *per_location.entry(location.clone()).or_default() += 1;
        places.entry(location).or_default().push(Drawn {
            name: (*name).clone(),
            server_type: machine.server_type.clone().unwrap_or_default(),
            seen: Some((machine.mark, machine.words.clone())),
        });
    }
    let missing = (pool.replicas as usize).saturating_sub(there.len());
    let names = (0..).map(|slot| platform.identity.machine(&pool.name, slot).to_string());
    for name in names.filter(|name| !there.iter().any(|(other, _)| *other == name)).take(missing) {
        let (location, server_type) = match next(pool, &per_location) {
            Some(placement) => (placement.location.clone(), placement.server_type.clone()),
            None => ("not to be had".to_owned(), String::new()),
        };
        *per_location.entry(location.clone()).or_default() += 1;
        let seen = seen.map(|_| (Mark::Unknown, "not made yet".to_owned()));
        places.entry(location).or_default().push(Drawn { name, server_type, seen });
    }
    let slot = |drawn: &Drawn| MachineName::parse(&drawn.name).ok().map(|name| name.slot());
    places.values_mut().for_each(|machines| machines.sort_by_key(slot));
    places
}

/// Where the planner would make the pool's next machine, were everything to be had that is sold.
fn next<'p>(pool: &'p Pool, per_location: &BTreeMap<String, usize>) -> Option<&'p Placement> {
    let open = pool.placements.iter().filter(|placement| placement.closed.is_none());
    preferred(pool.spread, open, |location| per_location.get(location).copied().unwrap_or(0))
}
