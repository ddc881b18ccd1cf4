//! The invariants, as a table of functions over what one call, or one turn, did to the world.
//!
//! They look at the world from outside and share no decision with the planner: what it believes, plans or reports counts
//! only where the invariant is about that very belief.

mod data;

use std::collections::BTreeSet;

use helix_crds::{ApprovalMode, HelixPlatform, PhaseName, PhaseState, Retained, WorkerPool, labels};
use helix_engine::turn::Turn;
use jiff::Timestamp;

use super::picture::{Machine, Picture};
use super::watch::Known;

/// One external call and what it did. Time stands still meanwhile, so whatever changed, the call has changed.
pub(super) struct Call<'a> {
    pub(super) name: &'static str,
    pub(super) now: Timestamp,
    pub(super) before: &'a Picture,
    pub(super) after: &'a Picture,
    pub(super) known: &'a Known,
    pub(super) platform: &'a HelixPlatform,
}

/// One turn of the engine, after it; without an answer where the engine was killed in it.
pub(super) struct AfterTurn<'a> {
    pub(super) turn: Option<&'a Turn>,
    /// Labels and user data at Hetzner, where a call has changed anything since they were last looked at.
    pub(super) published: Option<&'a str>,
    pub(super) now: Timestamp,
    /// The world as it is: taken only for who looks at it, because most turns change nothing and claim nothing.
    pub(super) picture: &'a dyn Fn() -> Picture,
    pub(super) known: &'a Known,
    pub(super) platform: &'a HelixPlatform,
}

/// Something that must hold, by its number in the documents; 0 for a promise that has none there.
pub struct Invariant<F> {
    /// The number.
    pub number: u8,
    /// The name.
    pub name: &'static str,
    pub(super) find: F,
}

pub(super) type OfCall = Invariant<fn(&Call<'_>) -> Option<String>>;
pub(super) type OfTurn = Invariant<fn(&AfterTurn<'_>) -> Option<String>>;

/// What must hold of every call that changes something.
pub(super) const OF_CALLS: [OfCall; 19] = [
    Invariant { number: 1, name: "one-server-per-machine", find: one_server_per_machine },
    Invariant { number: 1, name: "names-are-free-before-use", find: names_are_free },
    Invariant { number: 2, name: "nothing-foreign-is-touched", find: nothing_foreign_is_touched },
    Invariant { number: 3, name: "quorum-is-kept", find: quorum_is_kept },
    Invariant { number: 3, name: "one-control-plane-at-a-time", find: one_control_plane_at_a_time },
    Invariant { number: 4, name: "one-bootstrap", find: one_bootstrap },
    Invariant { number: 4, name: "bootstrap-is-recorded-first", find: bootstrap_is_recorded },
    Invariant { number: 4, name: "restored-as-recorded", find: restored_as_recorded },
    Invariant { number: 5, name: "one-bundle", find: one_bundle },
    Invariant { number: 7, name: "secrets-outlive-servers", find: secrets_outlive_servers },
    Invariant { number: 7, name: "written-down-before-deleted", find: written_down_before_deleted },
    Invariant { number: 7, name: "what-is-to-stay-stays", find: what_is_to_stay_stays },
    Invariant { number: 10, name: "destruction-is-approved", find: destruction_is_approved },
    Invariant { number: 16, name: "paused-is-left-alone", find: paused_is_left_alone },
    Invariant { number: 0, name: "replacements-come-first", find: replacements_come_first },
    Invariant { number: 0, name: "pods-leave-first", find: pods_leave_first },
    Invariant { number: 0, name: "disturbed-in-the-window", find: disturbed_in_the_window },
    Invariant { number: 0, name: "last-copies-stay", find: data::last_copies_stay },
    Invariant { number: 0, name: "data-is-not-pruned", find: data::is_not_pruned },
];

/// What must hold after every turn.
pub(super) const OF_TURNS: [OfTurn; 4] = [
    Invariant { number: 8, name: "limit-is-respected", find: limit_is_respected },
    Invariant { number: 9, name: "no-secret-leaks", find: no_secret_leaks },
    Invariant { number: 11, name: "ready-is-true", find: ready_is_true },
    Invariant { number: 7, name: "gone-is-gone", find: gone_is_gone },
];

/// The numbers and names of all invariants.
pub fn names() -> impl Iterator<Item = (u8, &'static str)> {
    OF_CALLS.iter().map(|it| (it.number, it.name)).chain(OF_TURNS.iter().map(|it| (it.number, it.name)))
}

/// Servers that the call has sent on their way.
fn deleted<'a>(call: &'a Call<'_>) -> impl Iterator<Item = &'a Machine> {
    let gone = |id: &u64| call.after.machines.get(id).is_none_or(|machine| machine.going);
    call.before.machines.iter().filter(move |(id, machine)| !machine.going && gone(id)).map(|(_, machine)| machine)
}

fn one_server_per_machine(call: &Call<'_>) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut machines = call.after.machines.values().filter(|machine| !machine.going);
    machines.find(|machine| !seen.insert(&machine.name)).map(|machine| format!("two servers are {}", machine.name))
}

fn names_are_free(call: &Call<'_>) -> Option<String> {
    if call.name != "create server" {
        return None;
    }
    let new = call.after.machines.iter().find(|(id, _)| !call.before.machines.contains_key(id))?.1;
    if call.before.members.contains(&new.name) {
        return Some(format!("{} is made while etcd has a member of that name", new.name));
    }
    let node = call.before.nodes.contains_key(&new.name);
    node.then(|| format!("{} is made while a node of that name is left", new.name))
}

fn nothing_foreign_is_touched(call: &Call<'_>) -> Option<String> {
    let touched = |(name, how): &(&String, &String)| call.after.foreign.get(*name) != Some(how);
    let (name, _) = call.before.foreign.iter().filter(touched).find(|(name, _)| !is_adopted(call, name))?;
    Some(format!("{name} is not this platform's, and was changed or deleted"))
}

/// Whether the specification names it, and all that has become of it is that it is the platform's.
fn is_adopted(call: &Call<'_>, name: &String) -> bool {
    let Some(id) = call.before.ids.get(name) else { return false };
    let named = call.platform.spec.adopt.iter().any(|entry| entry.id == *id);
    let ours = call.after.ids.iter().any(|(name, other)| other == id && call.after.ours.contains(name));
    call.name == "relabel" && named && ours
}

fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

fn quorum_is_kept(call: &Call<'_>) -> Option<String> {
    if call.platform.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let ((before, voters), (after, left)) = (call.before.voters, call.after.voters);
    // A single voter is its own quorum: that it pauses is approved, and judged elsewhere.
    let broken = voters > 1 && before >= majority(voters) && after < majority(left);
    broken.then(|| format!("{before} of {voters} voters were healthy, now {after} of {left}"))
}

fn one_control_plane_at_a_time(call: &Call<'_>) -> Option<String> {
    if call.platform.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let disturbed = super::watch::disturbed(call.before, call.after).next()?;
    let other = call.known.disturbed.iter().find(|id| **id != disturbed)?;
    let name = |id: &u64| call.before.machines.get(id).map(|machine| machine.name.clone()).unwrap_or_default();
    Some(format!("{} is disturbed while {} has not come back", name(&disturbed), name(other)))
}

fn one_bootstrap(call: &Call<'_>) -> Option<String> {
    let number = call.after.bootstraps;
    (number > 1).then(|| format!("etcd was bootstrapped {number} times"))
}

fn bootstrap_is_recorded(call: &Call<'_>) -> Option<String> {
    let bootstrapped = call.after.bootstraps > call.before.bootstraps;
    (bootstrapped && !call.before.recorded).then(|| "etcd is bootstrapped without a record".to_owned())
}

/// Each restore is asked for, written down first, made once, and not beside what is left of the lost etcd.
fn restored_as_recorded(call: &Call<'_>) -> Option<String> {
    let (recoveries, restores) = call.after.recoveries;
    if recoveries == call.before.recoveries.0 {
        return None;
    }
    if recoveries > restores {
        return Some(format!("etcd was restored {recoveries} times, and {restores} restores are written down"));
    }
    let asked = call.known.restores_asked.len();
    if recoveries > u64::try_from(asked).unwrap_or(u64::MAX) {
        return Some(format!("etcd was restored {recoveries} times, and that was asked for {asked} times"));
    }
    let left = call.before.members.first()?;
    Some(format!("etcd is restored while {left} is still a member of the lost one"))
}

fn one_bundle(call: &Call<'_>) -> Option<String> {
    let number = call.after.bundles;
    (number > 1).then(|| format!("{number} secret bundles were made"))
}

fn secrets_outlive_servers(call: &Call<'_>) -> Option<String> {
    let left = call.before.machines.values().filter(|machine| !machine.adopted).count();
    (call.name == "forget" && left > 0).then(|| format!("the secrets are forgotten while {left} servers are left"))
}

fn written_down_before_deleted(call: &Call<'_>) -> Option<String> {
    call.platform.metadata.deletion_timestamp.as_ref()?;
    let account = call.platform.status.as_ref().and_then(|status| status.teardown.as_ref());
    let written = account.map(|account| account.left.as_slice()).unwrap_or_default();
    let kept = account.map(|account| account.kept.as_slice()).unwrap_or_default();
    let stands = |name: &String| written.contains(name) || kept.iter().any(|it| it.starts_with(&format!("{name} (")));
    let unwritten = call.before.ours.difference(&call.after.ours).find(|name| !stands(name))?;
    Some(format!("{unwritten} is deleted and stands in no status"))
}

fn what_is_to_stay_stays(call: &Call<'_>) -> Option<String> {
    let retain = &call.platform.spec.on_delete.retain;
    let address = format!("load balancer {}-api", call.platform.metadata.name.as_deref().unwrap_or_default());
    let stays = |name: &String| {
        (retain.contains(&Retained::Volumes) && name.starts_with("volume "))
            || (retain.contains(&Retained::LoadBalancerIp) && *name == address)
    };
    let there = |name: &String| call.after.ours.contains(name) || call.after.foreign.contains_key(name);
    let lost = call.before.ours.iter().find(|name| stays(name) && !there(name))?;
    Some(format!("{lost} is deleted, which was asked to stay"))
}

fn destruction_is_approved(call: &Call<'_>) -> Option<String> {
    if call.platform.spec.approval == ApprovalMode::Automatic || call.known.approved {
        return None;
    }
    call.platform.metadata.deletion_timestamp.is_none().then_some(())?;
    let lost = deleted(call).find(|machine| machine.serves)?;
    Some(format!("{} serves and is deleted without an approval", lost.name))
}

fn paused_is_left_alone(call: &Call<'_>) -> Option<String> {
    call.platform.spec.paused.then(|| "a paused platform is changed".to_owned())
}

/// Nodes that the call has marked, and why.
fn marked<'a>(call: &'a Call<'_>) -> impl Iterator<Item = (&'a String, &'a str)> {
    let marks = call.after.nodes.iter().filter_map(|(name, node)| Some((name, node.mark.as_ref()?)));
    marks
        .filter(|(name, _)| call.before.nodes.get(*name).is_some_and(|node| node.mark.is_none()))
        .map(|(name, (cause, _))| (name, cause.as_str()))
}

/// The number of machines that a pool is to have and whether a placement is one of its own; `None` for a pool that is not
/// to be.
fn wanted(platform: &HelixPlatform, machine: &Machine) -> Option<(usize, bool)> {
    let (replicas, placements) = if machine.pool == labels::CONTROL_PLANE_POOL {
        (platform.spec.control_plane.replicas, &platform.spec.control_plane.placements)
    } else {
        let pool: &WorkerPool = platform.spec.worker_pools.iter().find(|pool| pool.name == machine.pool)?;
        (pool.replicas.unwrap_or_default(), &pool.placements)
    };
    let fits = placements.iter().any(|it| (it.server_type.as_str(), it.location.as_str()) == machine.placement);
    Some((replicas as usize, fits))
}

fn replacements_come_first(call: &Call<'_>) -> Option<String> {
    let (name, _) = marked(call).find(|(_, cause)| *cause == "leave")?;
    let machine = call.before.machines.values().find(|machine| machine.name == *name && machine.serves)?;
    let (replicas, fits) = wanted(call.platform, machine)?;
    let others = call.before.machines.values().filter(|it| it.pool == machine.pool && it.name != *name && it.serves);
    let others = others.count();
    (!fits && others < replicas)
        .then(|| format!("{name} is to leave while only {others} of {replicas} others of its pool serve"))
}

fn pods_leave_first(call: &Call<'_>) -> Option<String> {
    if call.platform.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let patience = i64::from(call.platform.spec.upgrade.drain_timeout_seconds);
    let hit = call.before.machines.iter().find(|(id, machine)| {
        let node = call.before.nodes.get(&machine.name).filter(|node| node.occupied && !node.silent);
        let in_time = node
            .is_some_and(|node| node.mark.as_ref().is_none_or(|(_, since)| call.now.as_second() < since + patience));
        machine.serves && in_time && call.after.machines.get(id).is_none_or(|after| after.going || !after.up)
    });
    hit.map(|(_, machine)| format!("{} is disturbed while pods run on it that nobody has told to end", machine.name))
}

/// The hours of a daily window, as in `Daily 22:00-02:00 UTC`; other windows no life asks for.
fn hours(window: &str) -> Option<(i64, i64)> {
    let (from, to) = window.strip_prefix("Daily ")?.strip_suffix(" UTC")?.split_once('-')?;
    let hour = |time: &str| time.split_once(':')?.0.parse().ok();
    Some((hour(from)?, hour(to)?))
}

fn disturbed_in_the_window(call: &Call<'_>) -> Option<String> {
    let (from, to) = hours(call.platform.spec.upgrade.window.as_deref()?)?;
    let hour = call.now.as_second().rem_euclid(24 * 3_600) / 3_600;
    let is_open = if from < to { from <= hour && hour < to } else { from <= hour || hour < to };
    let (name, cause) = marked(call).find(|(_, cause)| matches!(*cause, "upgrade" | "reboot"))?;
    (!is_open).then(|| format!("{name} is marked for its {cause} while the window is closed"))
}

fn limit_is_respected(after: &AfterTurn<'_>) -> Option<String> {
    let refused = after.known.refused_by_limit;
    (refused > 0 && !after.known.others_use_the_token).then(|| format!("{refused} requests were beyond the limit"))
}

fn no_secret_leaks(after: &AfterTurn<'_>) -> Option<String> {
    let turn = after.turn?;
    if after.known.secrets.is_empty() {
        return None;
    }
    let mut told = serde_json::to_string(&turn.status).unwrap_or_default();
    told.push_str(after.published.unwrap_or_default());
    told.extend(turn.events.iter().map(|event| event.message.as_str()));
    let in_status = after.known.secrets.iter().any(|secret| told.contains(secret));
    in_status.then(|| "a secret stands in the status, an event, a label or user data".to_owned())
}

/// How long a reading may serve: nothing that hands did since is known for certain.
const SWEEP_SECONDS: i64 = 15 * 60;

fn ready_is_true(after: &AfterTurn<'_>) -> Option<String> {
    let phases = &after.turn?.status.phases;
    let ready = phases.iter().any(|it| it.name == PhaseName::ImmutableSubstrate && it.state == PhaseState::Ready);
    let quiet = after.known.hands_at.is_none_or(|at| at.as_second() + SWEEP_SECONDS < after.now.as_second());
    let looked_at = !after.platform.spec.paused && after.platform.metadata.deletion_timestamp.is_none();
    if ready && !looked_at {
        return Some("ImmutableSubstrate is Ready, and nobody looks at it".to_owned());
    }
    if !ready || !quiet {
        return None;
    }
    unlike(&(after.picture)(), after.platform).map(|what| format!("ImmutableSubstrate is Ready, and yet {what}"))
}

/// What is not as the specification says; `None` where all is.
pub(super) fn unlike(picture: &Picture, platform: &HelixPlatform) -> Option<String> {
    let spec = &platform.spec;
    let staying = || picture.machines.values().filter(|machine| !machine.going);
    let workers = spec.worker_pools.iter().map(|pool| (pool.name.as_str(), pool.replicas.unwrap_or_default()));
    let pools = workers.chain([(labels::CONTROL_PLANE_POOL, spec.control_plane.replicas)]);
    for (name, replicas) in pools {
        let number = staying().filter(|machine| machine.pool == name).count();
        if number != replicas as usize {
            return Some(format!("pool {name} has {number} machines of {replicas}"));
        }
    }
    for machine in staying() {
        let name = &machine.name;
        match wanted(platform, machine) {
            None => return Some(format!("{name} is of no pool")),
            Some((_, false)) => return Some(format!("{name} is of type and location {:?}", machine.placement)),
            Some((_, true)) => {}
        }
        if !machine.serves {
            return Some(format!("{name} does not serve"));
        }
        if machine.talos != spec.versions.talos {
            return Some(format!("{name} runs Talos {}", machine.talos));
        }
    }
    let voters = spec.control_plane.replicas as usize;
    if picture.voters != (voters, voters) {
        return Some(format!("{:?} of {voters} voters are healthy, of all", picture.voters));
    }
    nodes_unlike(picture, platform)
}

fn nodes_unlike(picture: &Picture, platform: &HelixPlatform) -> Option<String> {
    let spec = &platform.spec;
    for (name, node) in &picture.nodes {
        let Some(machine) = picture.machines.values().find(|machine| machine.name == *name) else {
            return Some(format!("node {name} has no machine"));
        };
        if node.kubelet != spec.versions.kubernetes {
            return Some(format!("node {name} runs {}", node.kubelet));
        }
        if let Some((cause, _)) = &node.mark {
            return Some(format!("node {name} is marked: {cause}"));
        }
        let pool = spec.worker_pools.iter().find(|pool| pool.name == machine.pool);
        let missing =
            pool.and_then(|pool| pool.labels.iter().find(|(key, value)| node.labels.get(*key) != Some(value)));
        if let Some((key, value)) = missing {
            return Some(format!("node {name} has not the label {key}={value}"));
        }
    }
    None
}

fn gone_is_gone(after: &AfterTurn<'_>) -> Option<String> {
    if !after.turn?.gone {
        return None;
    }
    let quiet = after.known.hands_at.is_none_or(|at| at < after.now);
    let picture = (after.picture)();
    let left = picture.ours.first().filter(|_| quiet)?;
    Some(format!("the platform is gone, and {left} is left"))
}
