//! Pods of modelled clusters: applications with a number of replicas and a disruption budget, as far as a drain meets them.
//!
//! A scheduler, a deployment controller and the eviction API in one, without images, resources or time to start.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Guests;
use super::nodes::{Node, NodeCondition, Registry};
use crate::world::ids::ServerId;

/// How long a pod takes to end once it was told to.
const GRACE: SignedDuration = SignedDuration::from_secs(5);

/// An application: so many pods, of which so many have to be up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct App {
    /// Pods that are wanted.
    pub replicas: u32,
    /// Pods that its disruption budget wants to be up at any time.
    pub min_available: u32,
}

/// A pod of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its application.
    pub app: String,
    /// Where it runs; `None` while nobody takes it.
    pub node: Option<String>,
    /// When it has ended, once it was told to.
    pub ends_at: Option<Timestamp>,
}

impl Pod {
    fn is_up(&self, nodes: &BTreeMap<String, Node>) -> bool {
        let node = self.node.as_ref().and_then(|node| nodes.get(node));
        self.ends_at.is_none() && node.is_some_and(|node| node.condition == NodeCondition::Ready)
    }
}

/// The applications of one cluster and their pods, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Workloads {
    apps: BTreeMap<String, App>,
    pods: BTreeMap<String, Pod>,
    made: u64,
}

impl Workloads {
    /// When the next pod has ended.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.pods.values().filter_map(|pod| pod.ends_at).min()
    }

    /// Ends what has ended, makes what is missing, and finds places for it.
    pub(super) fn settle(&mut self, nodes: &BTreeMap<String, Node>, now: Timestamp) {
        self.pods.retain(|_, pod| {
            let Some(node) = pod.node.as_ref() else { return true };
            let Some(node) = nodes.get(node) else { return false };
            // A kubelet that is silent ends nothing.
            pod.ends_at.is_none_or(|at| at > now || node.condition == NodeCondition::Silent)
        });
        for (name, app) in &self.apps {
            let there = self.pods.values().filter(|pod| pod.app == *name && pod.ends_at.is_none()).count();
            for _ in there..app.replicas as usize {
                self.made += 1;
                let pod = Pod { app: name.clone(), node: None, ends_at: None };
                self.pods.insert(format!("{name}-{}", self.made), pod);
            }
        }
        let waiting: Vec<String> =
            self.pods.iter().filter(|(_, pod)| pod.node.is_none()).map(|(name, _)| name.clone()).collect();
        for name in waiting {
            let load = |node: &Node| self.pods.values().filter(|pod| pod.node.as_ref() == Some(&node.name)).count();
            let takes = |node: &&Node| {
                node.condition == NodeCondition::Ready
                    && !node.unschedulable
                    && node.taints.iter().all(|taint| taint.effect != "NoSchedule")
            };
            let place = nodes.values().filter(takes).min_by_key(|node| load(node)).map(|node| node.name.clone());
            if let Some(pod) = self.pods.get_mut(&name) {
                pod.node = place;
            }
        }
    }
}

impl Guests {
    /// Wants an application in the cluster whose API the machine `server` serves; whether it serves one.
    pub fn run_app(&mut self, server: ServerId, name: &str, app: App, now: Timestamp) -> bool {
        let Some(registry) = self.registry_at_mut(server) else { return false };
        registry.workloads.apps.insert(name.to_owned(), app);
        self.settle(now);
        true
    }

    /// The pods of that cluster, by name.
    #[must_use]
    pub fn pods_at(&self, server: ServerId) -> Option<&BTreeMap<String, Pod>> {
        Some(&self.registry_at(server)?.workloads.pods)
    }

    /// The nodes on which a pod runs that nobody has told to end.
    pub fn occupied_nodes(&self) -> impl Iterator<Item = &str> {
        let pods = self.registries().flat_map(|registry| registry.workloads.pods.values());
        pods.filter(|pod| pod.ends_at.is_none()).filter_map(|pod| pod.node.as_deref())
    }

    /// The eviction API: tells a pod to end, if its budget lets it. One that is not there is gone already.
    ///
    /// # Errors
    /// The API server's words, when the budget does not.
    pub fn evict(&mut self, server: ServerId, pod: &str, now: Timestamp) -> Result<(), String> {
        let Some(registry) = self.registry_at_mut(server) else { return Ok(()) };
        let Registry { nodes, workloads, .. } = registry;
        let Some(app) = workloads.pods.get(pod).map(|pod| pod.app.clone()) else { return Ok(()) };
        let up = workloads.pods.values().filter(|pod| pod.app == app && pod.is_up(nodes)).count();
        let wanted = workloads.apps.get(&app).map_or(0, |app| app.min_available as usize);
        if let Some(pod) = workloads.pods.get_mut(pod).filter(|pod| pod.ends_at.is_none()) {
            if up <= wanted {
                return Err(format!("Cannot evict pod as it would violate the pod's disruption budget {app}"));
            }
            pod.ends_at = Some(now + GRACE);
        }
        self.settle(now);
        Ok(())
    }
}
