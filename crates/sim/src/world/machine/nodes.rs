//! The nodes of modelled clusters: what kubelets register and a cluster's API would list. Behind sockets a real API
//! server holds them and this is not used.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::Timestamp;

use super::Guests;
use super::config::{NodeTaint, Role};
use super::copies::Replicated;
use super::guest::Guest;
use super::inside::Inside;
use super::workloads::Workloads;
use crate::world::ids::ServerId;

/// What a node's `Ready` condition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeCondition {
    /// `True`
    Ready,
    /// `False`
    NotReady,
    /// `Unknown`: its kubelet has fallen silent.
    Silent,
}

/// A node object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `spec.providerID`
    pub provider_id: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<NodeTaint>,
    /// What its `Ready` condition says.
    pub condition: NodeCondition,
    /// Since when it says so.
    pub since: Timestamp,
    /// Whether no pod is scheduled to it.
    pub unschedulable: bool,
    /// The kubelet's version.
    pub kubelet_version: String,
    /// Its address in the private network.
    pub internal_ip: Option<Ipv4Addr>,
}

/// What a cluster runs besides Kubernetes itself, as far as its nodes show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddOns {
    /// A pod network, without which no node is ready.
    pub pod_network: bool,
    /// Hetzner's cloud controller manager, which gives nodes their provider id and takes a taint from them, and its volume
    /// driver.
    pub cloud_controller: bool,
}

/// What one cluster's etcd holds, as far as it is modelled.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry {
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) workloads: Workloads,
    pub(super) inside: Inside,
    add_ons: AddOns,
    /// When nodes whose kubelets have fallen silent will count as not ready.
    silent: BTreeMap<String, Timestamp>,
}

/// What all clusters hold, by etcd cluster, and what snapshots were taken of.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    registries: BTreeMap<u64, Registry>,
    kept: BTreeMap<(u64, u64), Registry>,
}

impl Nodes {
    /// When the next node stops being ready, the next pod ends, or the next copy is whole.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let silent = self.registries.values().flat_map(|registry| registry.silent.values()).min().copied();
        let copies = self.registries.values().flat_map(|registry| registry.inside.volumes.values());
        let rebuilt = copies.filter_map(Replicated::due);
        let pods = self.registries.values().filter_map(|registry| registry.workloads.due());
        pods.chain(silent).chain(rebuilt).min()
    }

    /// Nobody has a cluster's data any more; what was kept for its snapshots stays.
    pub(super) fn end(&mut self, cluster: u64) {
        self.registries.remove(&cluster);
    }

    /// Keeps what a cluster holds now for a snapshot of this cluster and revision.
    pub(super) fn keep(&mut self, snapshot: (u64, u64)) {
        let held = self.registries.get(&snapshot.0).cloned().unwrap_or_default();
        self.kept.insert(snapshot, held);
    }

    /// Gives a new cluster what a snapshot was taken of.
    pub(super) fn restore(&mut self, snapshot: (u64, u64), cluster: u64) {
        let held = self.kept.get(&snapshot).cloned().unwrap_or_default();
        self.registries.insert(cluster, Registry { silent: BTreeMap::new(), ..held });
    }
}

impl Guests {
    /// The nodes of the cluster whose API the machine `server` serves; `None` where it serves none.
    #[must_use]
    pub fn nodes_at(&self, server: ServerId) -> Option<&BTreeMap<String, Node>> {
        Some(&self.nodes.registries.get(&self.served_by(server)?)?.nodes)
    }

    /// The same, to change them as its API would.
    pub fn nodes_at_mut(&mut self, server: ServerId) -> Option<&mut BTreeMap<String, Node>> {
        let cluster = self.served_by(server)?;
        self.etcd.revise(cluster);
        Some(&mut self.nodes.registries.entry(cluster).or_default().nodes)
    }

    /// The nodes of every cluster, whether its API answers or not.
    pub fn all_nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.registries.values().flat_map(|registry| registry.nodes.values())
    }

    pub(super) fn registries(&self) -> impl Iterator<Item = &Registry> {
        self.nodes.registries.values()
    }

    pub(super) fn registry_at(&self, server: ServerId) -> Option<&Registry> {
        self.nodes.registries.get(&self.served_by(server)?)
    }

    pub(super) fn registry_at_mut(&mut self, server: ServerId) -> Option<&mut Registry> {
        let cluster = self.served_by(server)?;
        self.etcd.revise(cluster);
        Some(self.nodes.registries.entry(cluster).or_default())
    }

    /// What the cluster whose API the machine `server` serves runs besides Kubernetes itself.
    #[must_use]
    pub fn add_ons_at(&self, server: ServerId) -> Option<AddOns> {
        Some(self.nodes.registries.get(&self.served_by(server)?).map(|registry| registry.add_ons).unwrap_or_default())
    }

    /// Installs or removes add-ons through the API that the machine `server` serves; whether it serves one.
    pub fn set_add_ons(&mut self, server: ServerId, add_ons: AddOns, now: Timestamp) -> bool {
        let Some(cluster) = self.served_by(server) else { return false };
        self.etcd.revise(cluster);
        self.nodes.registries.entry(cluster).or_default().add_ons = add_ons;
        self.settle(now);
        true
    }

    pub(super) fn registries_by_cluster(&self) -> impl Iterator<Item = (&u64, &Registry)> {
        self.nodes.registries.iter()
    }

    pub(super) fn registry_of_mut(&mut self, cluster: u64) -> Option<&mut Registry> {
        self.etcd.revise(cluster);
        self.nodes.registries.get_mut(&cluster)
    }

    fn served_by(&self, server: ServerId) -> Option<u64> {
        let guest = self.get(server).filter(|guest| guest.api_server_healthy())?;
        Some(guest.disk.etcd?.cluster)
    }

    /// Kubelets register their nodes as soon as an API server of their authority answers.
    pub(super) fn register_nodes(&mut self, now: Timestamp) {
        let waits = |guest: &Guest| guest.uptime().is_some_and(|up| !up.registered && up.kubelet_at <= now);
        if !self.guests.values().any(waits) {
            return;
        }
        let served = self.served();
        for guest in self.guests.values_mut().filter(|guest| waits(guest)) {
            let Some(cluster) = served.cluster_of(guest) else { continue };
            let Some(up) = guest.uptime_mut() else { continue };
            let at = *up.register_at.get_or_insert_with(|| {
                let at = now + self.pace.draw(|spans| spans.register_node);
                up.wakes.insert(at);
                at
            });
            if at <= now {
                up.registered = true;
                let node = node_of(guest, now);
                let registry = self.nodes.registries.entry(cluster).or_default();
                registry.nodes.entry(node.name.clone()).or_insert(node);
                self.etcd.revise(cluster);
            }
        }
    }

    /// Nodes follow their machines: a kubelet tells its version, readiness and labels while it runs; one that has fallen
    /// silent is given up after a while.
    pub(super) fn follow_nodes(&mut self, now: Timestamp) {
        if self.nodes.registries.values().all(|registry| registry.nodes.is_empty()) {
            return;
        }
        let served = self.served();
        for guest in self.guests.values_mut() {
            let cluster = served.cluster_of(guest);
            let Some(registry) = cluster.and_then(|cluster| self.nodes.registries.get_mut(&cluster)) else { continue };
            let Some(node) = registry.nodes.get_mut(guest.hostname()) else { continue };
            let add_ons = registry.add_ons;
            let speaks = guest.uptime().is_some_and(|up| up.registered && up.kubelet_at <= now);
            if speaks {
                registry.silent.remove(&node.name);
                let said = if add_ons.pod_network { NodeCondition::Ready } else { NodeCondition::NotReady };
                node.say(said, now);
                guest.node_ready = add_ons.pod_network;
                tell(guest, node);
            }
            if add_ons.cloud_controller {
                node.taints.retain(|taint| taint.key != UNINITIALIZED);
                node.provider_id.get_or_insert_with(|| format!("hcloud://{}", guest.host.server));
            }
        }
        let grace = self.pace.spans.node_grace;
        let Self { guests, nodes, pace, .. } = self;
        for (cluster, registry) in &mut nodes.registries {
            if served.has(*cluster) {
                let spoken_for = |node: &Node| {
                    guests.values().any(|guest| {
                        guest.hostname() == node.name
                            && served.cluster_of(guest) == Some(*cluster)
                            && guest.uptime().is_some_and(|up| up.registered && up.kubelet_at <= now)
                    })
                };
                let speaking = |node: &&Node| node.condition != NodeCondition::Silent;
                for node in registry.nodes.values().filter(speaking).filter(|node| !spoken_for(node)) {
                    registry.silent.entry(node.name.clone()).or_insert_with(|| now + pace.draw(|_| grace));
                }
            }
            registry.give_up(now);
            registry.workloads.settle(&registry.nodes, now);
            if !registry.inside.volumes.is_empty() {
                let runs = guests.values().filter(|guest| guest.is_up() && guest.kubelet_runs(now));
                let running: BTreeSet<&str> = runs.map(Guest::hostname).collect();
                registry.inside.volumes.values_mut().for_each(|it| it.follow(&registry.nodes, &running, now));
            }
        }
    }
}

impl Node {
    fn say(&mut self, condition: NodeCondition, now: Timestamp) {
        if self.condition != condition {
            (self.condition, self.since) = (condition, now);
        }
    }
}

impl Registry {
    /// Whether Hetzner's controllers are installed.
    pub(super) fn runs_cloud_controller(&self) -> bool {
        self.add_ons.cloud_controller
    }

    /// Nodes that were silent for too long are not ready.
    fn give_up(&mut self, now: Timestamp) {
        for (name, at) in &self.silent {
            if let Some(node) = self.nodes.get_mut(name).filter(|_| *at <= now) {
                node.say(NodeCondition::Silent, now);
            }
        }
        self.silent.retain(|_, at| *at > now);
    }
}

/// What a running kubelet says of itself, and what Talos writes onto its node where the configuration changed.
fn tell(guest: &mut Guest, node: &mut Node) {
    if let Some(version) = guest.kubelet_version().filter(|version| *version != node.kubelet_version) {
        version.clone_into(&mut node.kubelet_version);
    }
    node.internal_ip = guest.host.private_ipv4;
    let Some(machine) = guest.config().and_then(|config| config.machine()).map(Arc::clone) else { return };
    let Some(up) = guest.uptime_mut() else { return };
    if up.decorated.as_ref().is_some_and(|told| Arc::ptr_eq(told, &machine)) {
        return;
    }
    let mut labels = machine.node_labels.clone();
    match machine.role {
        Role::ControlPlane => drop(labels.insert(CONTROL_PLANE.to_owned(), String::new())),
        Role::Worker => labels.retain(|key, _| kubelet_may_set(key)),
    }
    let (owned_labels, owned_annotations) = (own(&labels), own(&machine.node_annotations));
    replace_owned(&mut node.labels, node.annotations.get(OWNED_LABELS), labels);
    let owned = node.annotations.get(OWNED_ANNOTATIONS).cloned();
    replace_owned(&mut node.annotations, owned.as_ref(), machine.node_annotations.clone());
    node.annotations.insert(OWNED_LABELS.to_owned(), owned_labels);
    node.annotations.insert(OWNED_ANNOTATIONS.to_owned(), owned_annotations);
    up.decorated = Some(machine);
}

/// The keys that Talos has set, as it notes them on the node.
fn own(values: &BTreeMap<String, String>) -> String {
    serde_json::json!(values.keys().collect::<Vec<_>>()).to_string()
}

/// Puts `wanted` in place of what was set before and noted as `owned`; what others set stays.
fn replace_owned(values: &mut BTreeMap<String, String>, owned: Option<&String>, wanted: BTreeMap<String, String>) {
    let owned: Vec<String> = owned.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    values.retain(|key, _| !owned.contains(key));
    values.extend(wanted);
}

/// The node object as this machine's kubelet registers it; Talos' labels and annotations come after.
fn node_of(guest: &Guest, now: Timestamp) -> Node {
    let machine = guest.config().and_then(|config| config.machine());
    Node {
        name: guest.hostname().to_owned(),
        provider_id: machine.and_then(|machine| machine.provider_id().map(str::to_owned)),
        labels: [("kubernetes.io/hostname".to_owned(), guest.hostname().to_owned())].into(),
        annotations: BTreeMap::new(),
        taints: taints_at_birth(guest),
        condition: NodeCondition::NotReady,
        since: now,
        unschedulable: false,
        kubelet_version: machine.and_then(|m| m.kubelet().version().map(str::to_owned)).unwrap_or_default(),
        internal_ip: guest.host().private_ipv4,
    }
}

/// Whether the NodeRestriction plug-in lets a kubelet set a label on its own node.
fn kubelet_may_set(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let within = |parent: &str| domain == parent || domain.ends_with(&format!(".{parent}"));
    let reserved = within("kubernetes.io") || within("k8s.io");
    !reserved
        || within("kubelet.kubernetes.io")
        || within("node.kubernetes.io") && !within("node-restriction.kubernetes.io")
}

const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
/// Nodes have this taint until a cloud controller manager has seen them.
const UNINITIALIZED: &str = "node.cloudprovider.kubernetes.io/uninitialized";
/// The annotation in which Talos notes which labels it has set on a node.
pub(crate) const OWNED_LABELS: &str = "talos.dev/owned-labels";
/// And which annotations.
pub(crate) const OWNED_ANNOTATIONS: &str = "talos.dev/owned-annotations";

/// The taints that a kubelet registers its node with.
pub(crate) fn taints_at_birth(guest: &Guest) -> Vec<NodeTaint> {
    let Some((machine, cluster)) = guest.config().and_then(|config| Some((config.machine()?, config.cluster()?)))
    else {
        return Vec::new();
    };
    let taint = |key: &str, value: &str| NodeTaint {
        key: key.to_owned(),
        value: value.to_owned(),
        effect: "NoSchedule".to_owned(),
    };
    let mut taints = machine.register_with_taints().to_vec();
    if machine.role == Role::ControlPlane && !cluster.allow_scheduling_on_control_planes {
        taints.push(taint(CONTROL_PLANE, ""));
    }
    if cluster.external_cloud_provider() {
        taints.push(taint(UNINITIALIZED, "true"));
    }
    taints
}
