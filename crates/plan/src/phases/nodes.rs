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
    for (pool, machines) in servers::pools(context) {
        let wanted = Decoration::of(pool);
        for machine in machines {
            match context.known.get(machine).filter(|known| known.is_registered).and_then(|known| known.node) {
                Some(node) => {
                    match wanted.repair(machine, node) {
                        Some(_) if context.is_held(machine) => held.push(machine.clone()),
                        repair => steps.extend(repair),
                    }
                    if !health::kubelet_listens(node) {
                        silent.push(machine.clone());
                    }
                }
                None => missing.push(machine.clone()),
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
        .filter(|machine| machine_configs::running_digest(context, machine).is_none())
        .cloned()
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

/// Machines whose node a restored cluster does not have (any more): a kubelet registers once, when it starts.
fn forgotten(context: &Context<'_>, missing: &[MachineName]) -> Vec<Step> {
    if context.store.restore.as_ref().is_none_or(RestoreRecord::is_open) {
        return Vec::new();
    }
    let running = |machine: &&MachineName| {
        context.node_of(machine).is_none() && context.talos_of(machine).is_some_and(|talos| talos.runs(KUBELET))
    };
    missing.iter().filter(running).map(|machine| Step::RestartKubelet { machine: machine.clone() }).collect()
}

/// Nodes of machines whose server is gone, or is another one by now.
fn former(context: &Context<'_>, nodes: &[NodeFacts]) -> Vec<Step> {
    nodes
        .iter()
        .filter(|node| node.provider_id.is_some())
        .filter_map(|node| context.platform.identity.machine_of(&node.name))
        .filter(|machine| !context.is_registered(machine))
        .map(|machine| Step::DeleteNode { machine })
        .collect()
}

/// What Helix sets on the nodes of a pool.
struct Decoration<'a> {
    pool: &'a Pool,
    /// Labels that a kubelet may not set on itself.
    labels: BTreeMap<String, String>,
    note: Owned,
}

impl<'a> Decoration<'a> {
    fn of(pool: &'a Pool) -> Self {
        let labels = split_labels(&pool.labels).by_api;
        let note = Owned {
            labels: labels.keys().cloned().collect(),
            taints: pool.taints.iter().map(|taint| (taint.key.clone(), taint.effect.clone())).collect(),
        };
        Self { pool, labels, note }
    }

    /// What a kubelet may not say of itself, what somebody took away, and what Helix has set and is not wanted any more.
    fn repair(&self, machine: &MachineName, node: &NodeFacts) -> Option<Step> {
        let missing = self.labels.iter().filter(|(key, value)| node.labels.get(*key) != Some(*value));
        let labels: BTreeMap<String, String> = missing.map(|(key, value)| (key.clone(), value.clone())).collect();
        let remove_labels: Vec<String> = node
            .owned
            .labels
            .difference(&self.note.labels)
            .filter(|key| node.labels.contains_key(*key))
            .cloned()
            .collect();
        let taints = self.taints(node);
        let noted = node.owned == self.note;
        if labels.is_empty() && remove_labels.is_empty() && taints.is_none() && noted {
            return None;
        }
        let annotations = match noted {
            true => BTreeMap::new(),
            false => {
                let note = (!self.note.is_empty()).then(|| self.note.to_string());
                BTreeMap::from([(labels::OWNED.to_owned(), note)])
            }
        };
        let patch = NodePatch { labels, remove_labels, taints, annotations, unschedulable: None };
        Some(Step::PatchNode { machine: machine.clone(), patch })
    }

    /// The node's taints as they should be: others' stay, ours are those of the pool; `None` where they are so already.
    fn taints(&self, node: &NodeFacts) -> Option<Vec<NodeTaint>> {
        let others = node.taints.iter().filter(|taint| !node.owned.has(taint) && !self.note.has(taint));
        let mut wanted: Vec<&NodeTaint> = others.chain(&self.pool.taints).collect();
        let mut found: Vec<&NodeTaint> = node.taints.iter().collect();
        wanted.sort();
        found.sort();
        (wanted != found).then(|| wanted.into_iter().cloned().collect())
    }
}
