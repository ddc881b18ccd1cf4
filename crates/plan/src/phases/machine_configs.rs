//! Machine configurations: given in maintenance mode to a machine whose server is known. Those of machines that run are
//! changed by [`super::rollout`].
//!
//! What a machine runs is told by its node's annotation `helix.dev/config`, which the configuration itself carries.

use std::collections::BTreeMap;

use super::{Context, Outcome, health, load_balancer, servers};
use crate::endpoints::machine_endpoint;
use crate::names::MachineName;
use crate::observed::{Readiness, TalosFacts};
use crate::render::machine_config::{AlikeDigests, ConfigDigest, MachineConfigInputs, MachineRole, cert_sans};
use crate::report::{Block, Wait};
use crate::step::Step;
use crate::validated::{Endpoint, Pool};

/// What a machine with a server is to be; `None` while something that goes into it is unknown. Found once for each plan,
/// because several concerns compare it.
pub(super) fn wanted<'c>(context: &'c Context<'_>, machine: &MachineName) -> Option<&'c ConfigDigest> {
    let known = context.known.get(machine)?;
    let digest = || Some(alike(context).get(machine.pool())?.of_machine(machine, known.server.id));
    known.wanted.get_or_init(digest).as_ref()
}

/// The digests of each pool's configurations, as far as they can be told.
fn alike<'c>(context: &'c Context<'_>) -> &'c BTreeMap<String, AlikeDigests> {
    context.alike.get_or_init(|| {
        let digests = |pool: &Pool| {
            let any = context.platform.identity.machine(&pool.name, 0);
            let bundle = context.store.bundle.as_ref()?;
            Some((pool.name.clone(), AlikeDigests::of(&inputs(context, pool, &any, 0)?, &bundle.digest)))
        };
        context.platform.pools().filter_map(digests).collect()
    })
}

/// The inputs of the machine's configuration, once all that goes into them is known.
pub(super) fn inputs_of(context: &Context<'_>, machine: &MachineName) -> Option<Box<MachineConfigInputs>> {
    let pool = context.platform.pool(machine.pool())?;
    inputs(context, pool, machine, context.server_of(machine)?.id).map(Box::new)
}

fn inputs(context: &Context<'_>, pool: &Pool, machine: &MachineName, server_id: u64) -> Option<MachineConfigInputs> {
    let platform = context.platform;
    let balancer = load_balancer::of(context);
    let front: Vec<_> = balancer
        .into_iter()
        .flat_map(|it| [it.public_ipv4, context.cloud.private_ipv4(&it.private)])
        .flatten()
        .collect();
    let sans = match &platform.endpoint {
        Endpoint::LoadBalancer { .. } => front.iter().map(ToString::to_string).collect(),
        Endpoint::Dns { host } => cert_sans(host, &front),
    };
    Some(MachineConfigInputs {
        talos_version: platform.versions.talos.clone(),
        kubernetes: context.kubernetes.wanted.clone(),
        role: if machine.is_control_plane() { MachineRole::ControlPlane } else { MachineRole::Worker },
        machine: machine.clone(),
        server_id,
        cluster_name: platform.identity.name.clone(),
        endpoint: machine_endpoint(platform, context.cloud)?,
        cert_sans: sans,
        node_subnet: platform.network.subnet,
        pod_cidr: platform.network.pods,
        service_cidr: platform.network.services,
        schematic: platform.schematic.clone(),
        labels: pool.labels.clone(),
        taints: pool.taints.clone(),
        schedulable_control_planes: platform.schedulable_control_planes(),
        storage: pool.storage,
        trusted_issuer: platform.trusted_issuer.clone(),
        patches: pool.patches.clone(),
    })
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let mut steps = Vec::new();
    let (mut starting, mut silent, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for machine in servers::all_wanted(context) {
        let Some(known) = context.known.get(machine) else {
            starting.push(machine.clone());
            continue;
        };
        let Some(digest) = wanted(context, machine) else {
            return Outcome::waiting(Wait::Concern(super::Concern::LoadBalancer));
        };
        match (known.talos, known.server.public_ipv4) {
            (Some(TalosFacts::Maintenance { .. }), _) if known.is_registered => {
                return Outcome::blocked(Block::LostConfiguration { machine: machine.clone() });
            }
            (Some(TalosFacts::Maintenance { .. }), Some(address)) if !context.is_held(machine) => {
                let inputs = inputs_of(context, machine);
                steps.extend(inputs.map(|inputs| Step::ConfigureMachine { address, inputs, digest: digest.clone() }));
            }
            (Some(TalosFacts::Maintenance { .. }), Some(_)) => held.push(machine.clone()),
            (Some(TalosFacts::Configured { .. }), _) => {}
            _ if running_digest(context, machine).is_some() => silent.push(machine.clone()),
            _ => starting.push(machine.clone()),
        }
    }
    if !steps.is_empty() {
        return Outcome::steps(steps);
    }
    if !starting.is_empty() {
        return Outcome::waiting(coming_up(context, starting));
    }
    if !silent.is_empty() {
        let since = silent.iter().filter_map(|machine| silent_since(context, machine)).max();
        return match since {
            // One that was switched off shows it at Hetzner alone.
            Some(since) => Outcome::waiting_for_servers(Wait::Talos(silent), since),
            None => Outcome::waiting(Wait::Talos(silent)),
        };
    }
    if !held.is_empty() {
        return Outcome::resting(context.held(held));
    }
    let number = context.platform.machines();
    Outcome::done(format!("Talos v{} answers on {number} machines", context.platform.versions.talos), newest(context))
}

/// What to say of machines that do not answer yet: that they start, unless some should have come up long ago.
fn coming_up(context: &Context<'_>, starting: Vec<MachineName>) -> Wait {
    let overdue = |machine: &MachineName| Some((health::overdue_since(context, machine)?, machine.clone()));
    let (since, machines): (Vec<_>, Vec<_>) = starting.iter().filter_map(overdue).unzip();
    match since.into_iter().min() {
        Some(since) => Wait::Unheard { machines, since },
        None => Wait::Boot(starting),
    }
}

/// Since when the machine's kubelet has been silent, too, without Helix having disturbed it.
fn silent_since(context: &Context<'_>, machine: &MachineName) -> Option<jiff::Timestamp> {
    match context.node_of(machine)?.readiness {
        Readiness::Silent { since } if context.mark_of(machine).is_none() => since,
        _ => None,
    }
}

/// The digest of what the machine runs, once its node tells it.
pub(super) fn running_digest<'a>(context: &Context<'a>, machine: &MachineName) -> Option<&'a str> {
    context.node_of(machine)?.config_digest.as_deref()
}

/// Machines that say of themselves that they are not healthy, and why. Not a reason for this concern to wait: without
/// etcd no control plane is healthy, and etcd comes after the configurations.
pub(super) fn unhealthy(context: &Context<'_>) -> Vec<(MachineName, String)> {
    let ailing = |machine: &MachineName| Some((machine.clone(), context.talos_of(machine)?.ailment()?));
    servers::all_wanted(context).filter_map(ailing).collect()
}

/// When Talos was last heard.
fn newest(context: &Context<'_>) -> Option<jiff::Timestamp> {
    context.observed.talos.values().filter_map(crate::observed::Fact::at).max()
}
