//! Whether a machine serves, and since when one that does not has been lost.
//!
//! Before there is a pod network no node is Ready, and that is as it should be: then a machine serves when Talos and its
//! services say so. That there is a pod network is seen by a node that is Ready, never remembered: when all nodes stop
//! being Ready at once the cause is not a machine.

use jiff::{SignedDuration, Timestamp};

use super::{Context, etcd, nodes};
use crate::names::MachineName;
use crate::observed::{NodeFacts, Readiness, Server, ServerStatus, TalosFacts};

/// How long a new machine may take to be heard of: many times what it usually takes.
const COMES_UP: SignedDuration = SignedDuration::from_mins(15);

/// Whether the machine does its work: its server runs, Talos and its services are well, its node is registered (and
/// Ready, once there is a pod network), and a control plane's etcd member is healthy.
pub(super) fn serves(context: &Context<'_>, machine: &MachineName) -> bool {
    let running = context.server_of(machine).is_some_and(|server| server.status == ServerStatus::Running);
    let talos = matches!(
        context.observed.talos_of(machine),
        Some(talos @ TalosFacts::Configured { .. }) if talos.ailment().is_none()
    );
    let etcd = !machine.is_control_plane() || etcd::serves(context, machine) && etcd::votes(context, machine);
    let node = context.node_of(machine).is_some_and(|node| match node.readiness {
        Readiness::Ready => true,
        Readiness::NotReady { .. } => !context.has_pod_network,
        Readiness::Silent { .. } => false,
    });
    running && talos && etcd && node && nodes::is_registered(context, machine)
}

/// Since when the machine has been lost; `None` while it is not, or while too little is known to say so.
///
/// Lost is a machine whose server runs (one that is off is powered on first) and whose kubelet has fallen silent while
/// Talos does not answer either; with a pod network a node that is not Ready suffices.
pub(super) fn lost_since(context: &Context<'_>, machine: &MachineName, server: &Server) -> Option<Timestamp> {
    if server.status != ServerStatus::Running {
        return None;
    }
    if !nodes::is_registered(context, machine) {
        return never_came(context, machine, server);
    }
    let node = context.node_of(machine)?;
    match node.readiness {
        Readiness::Ready => None,
        Readiness::Silent { since } if context.observed.talos_of(machine).is_none() => since,
        Readiness::Silent { since } | Readiness::NotReady { since } => since.filter(|_| context.has_pod_network),
    }
}

/// Since when a machine is overdue that has never been heard of, in a cluster that others have joined. Where nobody has, the
/// reason is not a machine: it may be that Helix reaches none of them.
fn never_came(context: &Context<'_>, machine: &MachineName, server: &Server) -> Option<Timestamp> {
    let joined = context.machines().any(|(other, _)| nodes::is_registered(context, other));
    let silent = context.observed.talos_of(machine).is_none() && context.node_of(machine).is_none();
    server.created.filter(|_| joined && silent).map(|created| created + COMES_UP)
}

/// Whether the machine answers and is part of the cluster, but does not do its work. One that is young may still come up.
pub(super) fn ails(context: &Context<'_>, machine: &MachineName) -> bool {
    let talos = context.observed.talos_of(machine);
    let created = context.server_of(machine).and_then(|server| server.created);
    let is_young = created.is_none_or(|created| created + COMES_UP > context.now);
    !is_young
        && nodes::is_registered(context, machine)
        && talos.is_some_and(|talos| {
            let etcd_stopped =
                machine.is_control_plane() && etcd::votes(context, machine) && !talos.serves(etcd::SERVICE);
            etcd_stopped || talos.ailment().is_some()
        })
}

/// Whether the node's kubelet still answers to what the API asks of it, as a drain needs it.
pub(super) fn kubelet_listens(node: &NodeFacts) -> bool {
    !matches!(node.readiness, Readiness::Silent { .. })
}
