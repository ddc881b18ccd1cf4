//! The nodes of the workload cluster: registered with the right provider id, labels and taints.
//!
//! Until `SecurityWeave` there is no pod network, so a node that is not Ready is as it should be; one whose kubelet has
//! fallen silent is not. What its machine says of itself counts, once all are registered: before that, static pods and
//! services are only coming up.

use std::collections::BTreeMap;

use helix_crds::labels;

use super::{Context, Outcome, etcd, health, machine_configs, servers};
use crate::names::MachineName;
use crate::observed::{Fact, NodeFacts, NodeTaint, RestoreRecord};
use crate::owned::Owned;
use crate::render::machine_config::split_labels;
use crate::report::{State, Wait};
use crate::step::{NodePatch, Step};
use crate::validated::Pool;

/// The service's name in Talos.
const KUBELET: &str = "kubelet";

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let kubernetes = match &context.observed.kubernetes {
        Fact::Known { value, .. } => value,
        Fact::Missing(_) if coming_up(context) => return Outcome::waiting(Wait::Concern(super::Concern::Etcd)),
        Fact::Missing(missing) => return Outcome::unknown(missing.clone()),
    };
    let mut steps: Vec<Step> = former(context, &kubernetes.nodes);
    let (mut missing, mut silent, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for pool in context.platform.pools() {
        for machine in servers::wanted_machines(context, pool) {
            match context.node_of(&machine) {
                Some(node) if is_this_server(context, &machine, node) => {
                    match repair(&machine, pool, node) {
                        Some(_) if context.is_held(&machine) => held.push(machine.clone()),
                        repair => steps.extend(repair),
                    }
                    if !health::kubelet_listens(node) {
                        silent.push(machine);
                    }
                }
                _ => missing.push(machine),
            }
        }
    }
    if !steps.is_empty() {
        return Outcome::steps(steps);
    }
    if !missing.is_empty() {
        let restart = forgotten(context, &missing);
        if !restart.is_empty() {
            return Outcome::steps(restart).with_state(State::WaitingOn(Wait::Nodes(missing)));
        }
        return Outcome::waiting(Wait::Nodes(missing));
    }
    let untold: Vec<MachineName> = servers::all_wanted(context)
        .into_iter()
        .filter(|machine| machine_configs::running_digest(context, machine).is_none())
        .collect();
    if !untold.is_empty() {
        return Outcome::waiting(Wait::NodeConfigs(untold));
    }
    let unhealthy = machine_configs::unhealthy(context);
    if !unhealthy.is_empty() {
        return Outcome::waiting(Wait::MachineHealth(unhealthy));
    }
    if !silent.is_empty() {
        return Outcome::waiting(Wait::Kubelets(silent));
    }
    if !held.is_empty() {
        return Outcome::resting(context.held(held));
    }
    Outcome::done(format!("{} nodes are registered", kubernetes.nodes.len()), context.observed.kubernetes.at())
}

/// Whether the cluster is so young that nobody has to wonder about an API that does not answer yet.
pub(super) fn coming_up(context: &Context<'_>) -> bool {
    context.store.bootstrap.as_ref().is_none_or(|record| record.at + etcd::BIRTH > context.now)
}

/// Whether this very server has registered as the machine's node: then it had its configuration.
pub(super) fn is_registered(context: &Context<'_>, machine: &MachineName) -> bool {
    context.node_of(machine).is_some_and(|node| is_this_server(context, machine, node))
}

fn is_this_server(context: &Context<'_>, machine: &MachineName, node: &NodeFacts) -> bool {
    let provider_id = context.server_of(machine).map(|server| format!("hcloud://{}", server.id));
    provider_id.is_some() && provider_id == node.provider_id
}

/// Machines whose node a restored cluster does not have (any more): a kubelet registers once, when it starts.
fn forgotten(context: &Context<'_>, missing: &[MachineName]) -> Vec<Step> {
    if context.store.restore.as_ref().is_none_or(RestoreRecord::is_open) {
        return Vec::new();
    }
    let running = |machine: &&MachineName| {
        context.node_of(machine).is_none()
            && context.observed.talos_of(machine).is_some_and(|talos| talos.runs(KUBELET))
    };
    missing.iter().filter(running).map(|machine| Step::RestartKubelet { machine: machine.clone() }).collect()
}

/// Nodes of machines whose server is gone, or is another one by now.
fn former(context: &Context<'_>, nodes: &[NodeFacts]) -> Vec<Step> {
    nodes
        .iter()
        .filter_map(|node| Some((context.platform.identity.machine_of(&node.name)?, node)))
        .filter(|(machine, node)| node.provider_id.is_some() && !is_this_server(context, machine, node))
        .map(|(machine, _)| Step::DeleteNode { machine })
        .collect()
}

/// What a kubelet may not say of itself, what somebody took away, and what Helix has set and is not wanted any more.
fn repair(machine: &MachineName, pool: &Pool, node: &NodeFacts) -> Option<Step> {
    let wanted = split_labels(&pool.labels).by_api;
    let note = Owned {
        labels: wanted.keys().cloned().collect(),
        taints: pool.taints.iter().map(|taint| (taint.key.clone(), taint.effect.clone())).collect(),
    };
    let labels: BTreeMap<String, String> =
        wanted.into_iter().filter(|(key, value)| node.labels.get(key) != Some(value)).collect();
    let remove_labels: Vec<String> =
        node.owned.labels.difference(&note.labels).filter(|key| node.labels.contains_key(*key)).cloned().collect();
    let taints = taints(pool, node, &note);
    let noted = node.owned == note;
    if labels.is_empty() && remove_labels.is_empty() && taints.is_none() && noted {
        return None;
    }
    let annotations = match noted {
        true => BTreeMap::new(),
        false => BTreeMap::from([(labels::OWNED.to_owned(), (!note.is_empty()).then(|| note.to_string()))]),
    };
    let patch = NodePatch { labels, remove_labels, taints, annotations, unschedulable: None };
    Some(Step::PatchNode { machine: machine.clone(), patch })
}

/// The node's taints as they should be: others' stay, ours are those of the pool; `None` where they are so already.
fn taints(pool: &Pool, node: &NodeFacts, note: &Owned) -> Option<Vec<NodeTaint>> {
    let others = node.taints.iter().filter(|taint| !node.owned.has(taint) && !note.has(taint));
    let mut wanted: Vec<NodeTaint> = others.chain(&pool.taints).cloned().collect();
    let mut found = node.taints.clone();
    wanted.sort();
    found.sort();
    (wanted != found).then_some(wanted)
}
