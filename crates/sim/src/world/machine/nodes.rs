//! The nodes of modelled clusters: what kubelets register and a cluster's API would list. Behind sockets a real API
//! server holds them and this is not used.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::Guests;
use super::config::{NodeTaint, Role};
use super::guest::Guest;
use crate::world::ids::ServerId;

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
    /// Whether it is ready.
    pub ready: bool,
    /// The kubelet's version.
    pub kubelet_version: String,
    /// Its address in the private network.
    pub internal_ip: Option<Ipv4Addr>,
}

/// The nodes of all clusters, by etcd cluster.
pub(super) type Nodes = BTreeMap<u64, BTreeMap<String, Node>>;

impl Guests {
    /// The nodes of the cluster whose API the machine `server` serves; `None` where it serves none.
    #[must_use]
    pub fn nodes_at(&self, server: ServerId) -> Option<&BTreeMap<String, Node>> {
        self.nodes.get(&self.served_by(server)?)
    }

    /// The same, to change them as its API would.
    pub fn nodes_at_mut(&mut self, server: ServerId) -> Option<&mut BTreeMap<String, Node>> {
        let cluster = self.served_by(server)?;
        Some(self.nodes.entry(cluster).or_default())
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
        let mut served = BTreeMap::new();
        for guest in self.guests.values().filter(|guest| guest.api_server_healthy()) {
            if let (Some(authority), Some(data)) = (kubernetes_authority(guest), guest.disk.etcd) {
                served.entry(authority).or_insert(data.cluster);
            }
        }
        for guest in self.guests.values_mut().filter(|guest| waits(guest)) {
            let Some(cluster) = kubernetes_authority(guest).and_then(|authority| served.get(&authority)) else {
                continue;
            };
            let Some(up) = guest.uptime_mut() else { continue };
            let at = *up.register_at.get_or_insert_with(|| {
                let at = now + self.pace.draw(|spans| spans.register_node);
                up.wakes.insert(at);
                at
            });
            if at <= now {
                up.registered = true;
                let node = node_of(guest);
                self.nodes.entry(*cluster).or_default().entry(node.name.clone()).or_insert(node);
            }
        }
    }
}

fn kubernetes_authority(guest: &Guest) -> Option<String> {
    Some(guest.config()?.cluster()?.ca.crt.clone())
}

/// The node object as this machine's kubelet registers it.
fn node_of(guest: &Guest) -> Node {
    let machine = guest.config().and_then(|config| config.machine());
    let mut labels = machine.map(|machine| machine.node_labels.clone()).unwrap_or_default();
    if guest.role() == Some(Role::ControlPlane) {
        labels.insert(CONTROL_PLANE.to_owned(), String::new());
    } else {
        labels.retain(|key, _| kubelet_may_set(key));
    }
    labels.insert("kubernetes.io/hostname".to_owned(), guest.hostname().to_owned());
    Node {
        name: guest.hostname().to_owned(),
        provider_id: machine.and_then(|machine| machine.provider_id().map(str::to_owned)),
        labels,
        annotations: machine.map(|machine| machine.node_annotations.clone()).unwrap_or_default(),
        taints: taints_at_birth(guest),
        ready: false,
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
        taints.push(taint("node.cloudprovider.kubernetes.io/uninitialized", "true"));
    }
    taints
}
