//! Whether a machine serves, and since when one that does not has been lost.
//!
//! Before there is a pod network no node is Ready, and that is as it should be: then a machine serves when Talos and its
//! services say so. That there is a pod network is seen by a node that is Ready, never remembered: when all nodes stop
//! being Ready at once the cause is not a machine.

use jiff::{SignedDuration, Timestamp};

use super::{Context, etcd};
use crate::names::MachineName;
use crate::observed::{NodeFacts, Readiness, Server, ServerStatus, TalosFacts};

/// How long a new machine may take to be heard of: many times what it usually takes.
const COMES_UP: SignedDuration = SignedDuration::from_mins(15);

/// How long a machine is waited for where no machine has joined: each that is replaced is paid for, and may
/// not be the reason.
const UNREACHED: SignedDuration = SignedDuration::from_mins(60);

/// Whether the machine does its work: its server runs, Talos and its services are well, its node is registered (and
/// Ready, once there is a pod network), and a control plane's etcd member is healthy.
pub(super) fn serves(context: &Context<'_>, machine: &MachineName) -> bool {
    let Some(known) = context.known.get(machine) else { return false };
    let running = known.server.status == ServerStatus::Running;
    let talos = matches!(known.talos, Some(talos @ TalosFacts::Configured { .. }) if talos.ailment().is_none());
    let etcd = !machine.is_control_plane() || etcd::serves(context, machine) && etcd::votes(context, machine);
    let node = known.node.is_some_and(|node| match node.readiness {
        Readiness::Ready => true,
        Readiness::NotReady { .. } => !context.has_pod_network,
        Readiness::Silent { .. } => false,
    });
    running && talos && etcd && node && known.is_registered
}

/// Since when the machine has been lost; `None` while it is not, or while too little is known to say so.
///
/// Lost is a machine whose server runs (one that is off is powered on first) and whose kubelet has fallen silent while
/// Talos does not answer either; with a pod network a node that is not Ready suffices.
pub(super) fn lost_since(context: &Context<'_>, machine: &MachineName, server: &Server) -> Option<Timestamp> {
    if server.status != ServerStatus::Running {
        return None;
    }
    if !context.is_registered(machine) {
        return never_came(context, machine, server);
    }
    let node = context.node_of(machine)?;
    match node.readiness {
        Readiness::Ready => None,
        Readiness::Silent { since } if context.talos_of(machine).is_none() => since,
        Readiness::Silent { since } | Readiness::NotReady { since } => since.filter(|_| context.has_pod_network),
    }
}

/// Since when a machine is overdue that has never been heard of. In a cluster that others have joined the reason is the
/// machine. Where nobody has, it may be that Helix reaches none of them: then only a control plane is given up, rarely, and
/// only before etcd has begun anywhere, when nothing can be lost with it.
fn never_came(context: &Context<'_>, machine: &MachineName, server: &Server) -> Option<Timestamp> {
    let created = server.created.filter(|_| is_unheard(context, machine))?;
    let is_first = machine.is_control_plane() && context.store.bootstrap.is_none();
    match context.known.have_joined() {
        true => Some(created + COMES_UP),
        false => is_first.then_some(created + UNREACHED),
    }
}

/// Whether neither the machine's Talos nor its node says anything.
fn is_unheard(context: &Context<'_>, machine: &MachineName) -> bool {
    context.talos_of(machine).is_none() && context.node_of(machine).is_none()
}

/// When a machine was made of which people should know that it has not been heard of in all the time since. Workers wait for
/// control planes: these give them the certificates with which they answer.
pub(super) fn overdue_since(context: &Context<'_>, machine: &MachineName) -> Option<Timestamp> {
    if !machine.is_control_plane() && !context.known.have_joined() {
        return None;
    }
    let created = context.server_of(machine)?.created.filter(|_| is_unheard(context, machine))?;
    (created + COMES_UP <= context.now).then_some(created)
}

/// Whether the machine answers and is part of the cluster, but does not do its work. One that is young may still come up.
pub(super) fn ails(context: &Context<'_>, machine: &MachineName) -> bool {
    let Some(known) = context.known.get(machine) else { return false };
    let is_young = known.server.created.is_none_or(|created| created + COMES_UP > context.now);
    !is_young
        && known.is_registered
        && known.talos.is_some_and(|talos| {
            let etcd_stopped =
                machine.is_control_plane() && etcd::votes(context, machine) && !talos.serves(etcd::SERVICE);
            etcd_stopped || talos.ailment().is_some()
        })
}

/// Whether the node's kubelet still answers to what the API asks of it, as a drain needs it.
pub(super) fn kubelet_listens(node: &NodeFacts) -> bool {
    !matches!(node.readiness, Readiness::Silent { .. })
}
