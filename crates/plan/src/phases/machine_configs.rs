//! Machine configurations: given in maintenance mode to a machine whose server is known. Those of machines that run are
//! changed by [`super::rollout`].
//!
//! What a machine runs is told by its node's annotation `helix.dev/config`, which the configuration itself carries.

use super::{Context, Outcome, load_balancer, nodes, servers};
use crate::endpoints::machine_endpoint;
use crate::names::MachineName;
use crate::observed::{Readiness, Server, TalosFacts};
use crate::render::machine_config::{ConfigDigest, MachineConfigInputs, MachineRole, cert_sans, config_digest};
use crate::report::{Block, Wait};
use crate::step::Step;
use crate::validated::{Endpoint, Pool};

/// What a machine is to be: the inputs of its configuration, and their identity.
pub(super) type Wanted = (Box<MachineConfigInputs>, ConfigDigest);

/// What a machine with a server is to be; `None` while something that goes into it is unknown. Found once for each plan,
/// because several concerns compare it.
pub(super) fn wanted<'c>(context: &'c Context<'_>, machine: &MachineName) -> Option<&'c Wanted> {
    let all = context.wanted.get_or_init(|| {
        let machines = context.machines().map(|(machine, _)| machine);
        machines.filter_map(|machine| Some((machine.clone(), find(context, machine)?))).collect()
    });
    all.get(machine)
}

fn find(context: &Context<'_>, machine: &MachineName) -> Option<Wanted> {
    let platform = context.platform;
    let pool = platform.pool(machine.pool())?;
    let server = context.server_of(machine)?;
    let bundle = context.store.bundle.as_ref()?;
    let inputs = inputs(context, pool, machine, server, machine_endpoint(platform, context.cloud)?);
    let digest = config_digest(&inputs, &bundle.digest);
    Some((Box::new(inputs), digest))
}

fn inputs(
    context: &Context<'_>,
    pool: &Pool,
    machine: &MachineName,
    server: &Server,
    endpoint: String,
) -> MachineConfigInputs {
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
    MachineConfigInputs {
        talos_version: platform.versions.talos.clone(),
        kubernetes: context.kubernetes.wanted.clone(),
        role: if machine.is_control_plane() { MachineRole::ControlPlane } else { MachineRole::Worker },
        machine: machine.clone(),
        server_id: server.id,
        cluster_name: platform.identity.name.clone(),
        endpoint,
        cert_sans: sans,
        node_subnet: platform.network.subnet,
        pod_cidr: platform.network.pods,
        service_cidr: platform.network.services,
        schematic: platform.schematic.clone(),
        labels: pool.labels.clone(),
        taints: pool.taints.clone(),
        schedulable_control_planes: platform.schedulable_control_planes(),
        storage: pool.storage,
        patches: pool.patches.clone(),
    }
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let mut steps = Vec::new();
    let (mut starting, mut silent, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for machine in servers::all_wanted(context) {
        let Some(server) = context.server_of(&machine) else {
            starting.push(machine);
            continue;
        };
        let Some((inputs, digest)) = wanted(context, &machine) else {
            return Outcome::waiting(Wait::Concern(super::Concern::LoadBalancer));
        };
        match (context.observed.talos_of(&machine), server.public_ipv4) {
            (Some(TalosFacts::Maintenance { .. }), _) if nodes::is_registered(context, &machine) => {
                return Outcome::blocked(Block::LostConfiguration { machine });
            }
            (Some(TalosFacts::Maintenance { .. }), Some(address)) if !context.is_held(&machine) => {
                let (inputs, digest) = (inputs.clone(), digest.clone());
                steps.push(Step::ConfigureMachine { address, inputs, digest });
            }
            (Some(TalosFacts::Maintenance { .. }), Some(_)) => held.push(machine),
            (Some(TalosFacts::Configured { .. }), _) => {}
            _ if running_digest(context, &machine).is_some() => silent.push(machine),
            _ => starting.push(machine),
        }
    }
    if !steps.is_empty() {
        return Outcome::steps(steps);
    }
    if !starting.is_empty() {
        return Outcome::waiting(Wait::Boot(starting));
    }
    if !silent.is_empty() {
        let since = silent.iter().filter_map(|machine| silent_since(context, machine)).min();
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
    let talos = |machine: MachineName| Some((context.observed.talos_of(&machine)?.ailment()?, machine));
    servers::all_wanted(context).into_iter().filter_map(talos).map(|(ailment, machine)| (machine, ailment)).collect()
}

/// When Talos was last heard.
fn newest(context: &Context<'_>) -> Option<jiff::Timestamp> {
    context.observed.talos.values().filter_map(crate::observed::Fact::at).max()
}
