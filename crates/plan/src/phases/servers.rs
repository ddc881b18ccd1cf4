//! The servers: one for each slot of each pool, made where the first placement can be had.
//!
//! Slots are reused, never renumbered: what exists keeps its slot, and a missing machine takes the lowest free one.
//! A name is used again only when nothing of the former machine is left in the cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::placement_groups::Membership;
use super::{Context, Outcome, firewall, image, network, nodes, placement_groups, restore, roster};
use crate::guard::{self, Guard};
use crate::names::MachineName;
use crate::observed::{Server, ServerStatus, SetbackKind};
use crate::report::{Block, State, Wait};
use crate::step::{NewServer, Step};
use crate::validated::{Closed, Placement, Pool, Spread};

/// The machines that a pool is to have: those that stay, filled up with the lowest free slots. Found once for each plan, as
/// [`Context::wanted`].
pub(super) fn wanted_machines(context: &Context<'_>, pool: &Pool) -> Vec<MachineName> {
    let mut machines: Vec<MachineName> = roster::staying_in(context, pool).cloned().collect();
    machines.extend(missing_slots(context, pool).into_iter().map(|slot| machine(context, pool, slot)));
    machines.sort_by_key(MachineName::slot);
    machines
}

/// Every pool, and the machines that it is to have.
pub(super) fn pools<'c>(context: &'c Context<'_>) -> impl Iterator<Item = (&'c Pool, &'c [MachineName])> {
    context.platform.pools().zip(context.wanted.iter().map(Vec::as_slice))
}

/// Every machine that the platform is to have.
pub(super) fn all_wanted<'c>(context: &'c Context<'_>) -> impl Iterator<Item = &'c MachineName> {
    context.wanted.iter().flatten()
}

/// Those of them that have no server yet.
pub(super) fn all_missing<'c>(context: &'c Context<'_>) -> impl Iterator<Item = &'c MachineName> {
    all_wanted(context).filter(|machine| context.server_of(machine).is_none())
}

/// The control planes that the platform is to have.
pub(super) fn control_planes<'c>(context: &'c Context<'_>) -> &'c [MachineName] {
    context.wanted.first().map(Vec::as_slice).unwrap_or_default()
}

/// Every control plane that may hold a member of etcd: those that are to be, and those that leave.
pub(super) fn every_control_plane(context: &Context<'_>) -> Vec<MachineName> {
    let mut machines = control_planes(context).to_vec();
    let leaving = context.roster.leavers().map(|(machine, _)| machine);
    machines.extend(leaving.filter(|machine| machine.is_control_plane()).cloned());
    machines
}

/// The slots of a pool that have no server yet and should have one. A machine that leaves keeps its slot until its server
/// is gone; one that is replaced first lets the pool be greater for a while.
pub(super) fn missing_slots(context: &Context<'_>, pool: &Pool) -> Vec<u32> {
    let existing = context.known.of_pool(&pool.name).count();
    let staying = roster::staying_in(context, pool).count();
    let room = ((pool.replicas + roster::surge(context, pool)) as usize).saturating_sub(existing);
    let missing = (pool.replicas as usize).saturating_sub(staying).min(room);
    if missing == 0 {
        return Vec::new();
    }
    let taken: BTreeSet<u32> = context.known.of_pool(&pool.name).map(|known| known.name.slot()).collect();
    (0..).filter(|slot| !taken.contains(slot)).take(missing).collect()
}

fn machine(context: &Context<'_>, pool: &Pool, slot: u32) -> MachineName {
    context.platform.identity.machine(&pool.name, slot)
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    if let Some(block) = duplicate(context) {
        return Outcome::blocked(block);
    }
    let mut steps = repairs(context);
    let mut states = Vec::new();
    for pool in context.platform.pools() {
        let (creations, state) = create_missing(context, pool);
        steps.extend(creations);
        states.extend(state);
    }
    if let Some(position) = states.iter().position(|state| matches!(state, State::Blocked(_))) {
        return Outcome::steps(steps).with_state(states.swap_remove(position));
    }
    if !steps.is_empty() {
        return Outcome::steps(steps);
    }
    if let Some(state) = states.pop() {
        return Outcome::steps(Vec::new()).with_state(state);
    }
    let done = || Outcome::done(format!("{} servers run", context.cloud.servers.len()), context.observed.cloud.at());
    starting(context).unwrap_or_else(done)
}

/// Two servers that claim to be one machine: only hands can have done that, and only hands can tell which is right.
fn duplicate(context: &Context<'_>) -> Option<Block> {
    let servers = context.cloud.servers.iter();
    let mut claims: Vec<(&String, u64)> =
        servers.filter_map(|server| Some((server.labels.get(helix_crds::labels::MACHINE)?, server.id))).collect();
    claims.sort();
    let mut same = claims.chunk_by(|one, other| one.0 == other.0).filter(|same| same.len() > 1);
    same.find_map(|same| {
        let machine = context.platform.identity.machine_of(same.first()?.0)?;
        Some(Block::DuplicateMachine { machine, servers: same.iter().map(|(_, id)| *id).collect() })
    })
}

/// What is not as it should be about servers that exist.
fn repairs(context: &Context<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let network = network::ready(context);
    let firewall = firewall::of(context);
    for (machine, server) in context.machines().filter(|(machine, server)| !server.locked && !context.is_held(machine))
    {
        match (firewall, network) {
            (Some(firewall), _) if !server.firewalls.contains(&firewall.id) => {
                let machine = machine.clone();
                steps.push(Step::ApplyFirewall { firewall: firewall.id, server: server.id, machine });
            }
            (_, Some(network)) if server.status == ServerStatus::Running && !server.is_in(network.id) => {
                let machine = machine.clone();
                steps.push(Step::AttachServer { server: server.id, machine, network: network.id });
            }
            _ if server.status == ServerStatus::Off => {
                steps.push(Step::PowerOnServer { server: server.id, machine: machine.clone() });
            }
            _ => {}
        }
    }
    steps
}

fn create_missing(context: &Context<'_>, pool: &Pool) -> (Vec<Step>, Option<State>) {
    let slots = missing_slots(context, pool);
    if slots.is_empty() {
        return (Vec::new(), None);
    }
    let mut per_location: BTreeMap<&str, usize> = BTreeMap::new();
    for known in context.known.of_pool(&pool.name) {
        *per_location.entry(known.server.location.as_str()).or_default() += 1;
    }
    let mut steps = Vec::new();
    for slot in slots {
        let machine = machine(context, pool, slot);
        if let Some(wait) = left_behind(context, &machine) {
            return (steps, Some(State::WaitingOn(wait)));
        }
        let Some(placement) = choose(context, pool, &per_location) else {
            return (steps, Some(State::Blocked(no_capacity(context, pool))));
        };
        let Some(step) = create(context, pool, machine, placement) else {
            return (steps, None);
        };
        *per_location.entry(placement.location.as_str()).or_default() += 1;
        steps.push(step);
    }
    (steps, None)
}

/// What has to go or to be known before the name of a machine without a server is used (again): what the former
/// machine left in the cluster. Before the bootstrap there is no cluster.
fn left_behind(context: &Context<'_>, machine: &MachineName) -> Option<Wait> {
    context.store.bootstrap.as_ref().filter(|_| guard::holds(Guard::NameIsFree))?;
    if machine.is_control_plane() && restore::makes_anew(context) {
        return None;
    }
    if machine.is_control_plane() && context.observed.etcd.value().is_none() {
        return Some(Wait::EtcdLeader);
    }
    if context.observed.kubernetes.value().is_none() && !nodes::coming_up(context) {
        return Some(context.api());
    }
    let name = machine.to_string();
    let member = context.observed.etcd.value().is_some_and(|etcd| etcd.members.iter().any(|m| m.hostname == name));
    (member || context.node_of(machine).is_some()).then(|| Wait::FormerMachine(machine.clone()))
}

/// The placement for the next machine, of those that can be had now.
fn choose<'p>(context: &Context<'_>, pool: &'p Pool, per_location: &BTreeMap<&str, usize>) -> Option<&'p Placement> {
    let open = pool.placements.iter().filter(|placement| refusal(context, placement).is_none());
    preferred(pool.spread, open, |location| per_location.get(location).copied().unwrap_or(0))
}

/// Of placements that can be had, the first; spread over locations, the first of those with the fewest machines.
pub(crate) fn preferred<'p>(
    spread: Spread,
    mut open: impl Iterator<Item = &'p Placement>,
    machines_in: impl Fn(&str) -> usize,
) -> Option<&'p Placement> {
    match spread {
        Spread::Location => open.min_by_key(|placement| machines_in(&placement.location)),
        Spread::Host | Spread::None => open.next(),
    }
}

/// Why a placement cannot be had now, in words; `None` if it can.
fn refusal(context: &Context<'_>, placement: &Placement) -> Option<String> {
    let reason = match placement.closed {
        Some(Closed::Retired) => "no longer sold".to_owned(),
        Some(Closed::TooDear) => format!("{} is above maxMonthlyPrice", placement.monthly),
        Some(Closed::NotOrderable) => "not orderable now".to_owned(),
        None => {
            let setback = context.observed.setbacks.iter().find(|setback| {
                setback.until > context.now
                    && matches!(&setback.kind, SetbackKind::PlacementUnavailable { server_type, location }
                        if *server_type == placement.server_type && *location == placement.location)
            })?;
            format!("sold out, tried again at {:.0}", setback.until)
        }
    };
    Some(format!("{} in {}: {reason}", placement.server_type, placement.location))
}

fn no_capacity(context: &Context<'_>, pool: &Pool) -> Block {
    let tried = pool.placements.iter().filter_map(|placement| refusal(context, placement)).collect();
    Block::NoCapacity { pool: pool.name.clone(), tried }
}

/// The step that makes the machine, if all that it needs exists.
fn create(context: &Context<'_>, pool: &Pool, machine: MachineName, placement: &Placement) -> Option<Step> {
    let placement_group = match placement_groups::membership(context, pool, &machine) {
        Membership::In(group) => Some(group),
        Membership::Without => None,
        Membership::NotYet => return None,
    };
    Some(Step::CreateServer(NewServer {
        labels: context.platform.identity.machine_labels(&machine),
        server_type: placement.server_type.clone(),
        location: placement.location.clone(),
        image: image::of(context, placement.architecture)?.id,
        network: network::ready(context)?.id,
        firewall: firewall::of(context)?.id,
        ssh_key: context.cloud.ssh_keys.first()?.id,
        placement_group,
        machine,
    }))
}

/// What servers are waited for: those that come up before those that go, and last those that somebody holds.
fn starting(context: &Context<'_>) -> Option<Outcome> {
    let servers = context.machines().filter(|(_, server)| {
        server.status != ServerStatus::Running || context.cloud.private_ipv4(&server.private).is_none()
    });
    let (leaving, coming): (Vec<_>, Vec<_>) = servers.partition(|(_, server)| server.status == ServerStatus::Deleting);
    let (held, coming): (Vec<_>, Vec<_>) = coming.into_iter().partition(|(machine, _)| context.is_held(machine));
    let names = |servers: &[(&MachineName, &Server)]| servers.iter().map(|(machine, _)| (*machine).clone()).collect();
    if let Some(since) = coming.iter().map(|(_, server)| server.created.unwrap_or(context.now)).max() {
        return Some(Outcome::waiting_for_servers(Wait::Boot(names(&coming)), since));
    }
    // A server may be old, but it has not been on its way for longer than its machine has been marked.
    let leaves = |(machine, server): &(&MachineName, &Server)| {
        context.mark_of(machine).map(|mark| mark.since).or(server.created).unwrap_or(context.now)
    };
    if let (Some((first, _)), Some(since)) = (leaving.first(), leaving.iter().map(leaves).max()) {
        return Some(Outcome::waiting_for_servers(Wait::Leaving((*first).clone()), since));
    }
    (!held.is_empty()).then(|| Outcome::resting(context.held(names(&held))))
}
