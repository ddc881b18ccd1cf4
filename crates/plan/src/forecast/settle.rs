//! How the world moves by itself: each call lets everything that is under way take one step, and tells how long that
//! takes. What is furthest along the chain moves first, so that nothing takes two steps in one call.
//!
//! Machines and servers are here, etcd and what stands on it in [`cluster`].

mod cluster;

use jiff::SignedDuration;

use super::{World, assumed, durations};
use crate::names::MachineName;
use crate::observed::{
    CloudFacts, Fact, MachineStage, Missing, NodeFacts, Readiness, Server, ServerStatus, ServiceState, TalosFacts,
};
use crate::validated::ValidatedPlatform;

impl World<'_> {
    /// Lets everything that is under way take one step; `None` when nothing is.
    pub(super) fn settle(&mut self) -> Option<SignedDuration> {
        let platform = self.platform;
        let cluster = platform.and_then(|platform| self.settle_cluster(platform));
        let machines = platform.and_then(|platform| self.settle_machines(platform));
        let balancers = self.settle_load_balancers();
        let servers = self.settle_servers();
        let inside = self.settle_inside();
        self.settle_gitops();
        let components = self.settle_components();
        [cluster, machines, balancers, servers, inside, components].into_iter().flatten().max()
    }

    /// Servers come up, get their addresses, and go.
    fn settle_servers(&mut self) -> Option<SignedDuration> {
        let subnet = self.platform.map(|platform| platform.network.subnet);
        let cloud = self.observed.cloud.value_mut()?;
        let mut took = leave(cloud);
        for index in 0..cloud.servers.len() {
            let address = subnet.and_then(|subnet| assumed::private_address(cloud, subnet));
            let server = &mut cloud.servers[index];
            let step = match server.status {
                ServerStatus::Initializing => Some(durations::SERVER_CREATED),
                ServerStatus::Starting => Some(durations::SERVER_STARTED),
                ServerStatus::Running if server.locked => Some(durations::SERVER_STARTED),
                ServerStatus::Running if server.private.iter().any(|place| place.ip.is_none()) => {
                    address.map(|_| durations::NETWORK_ATTACHED)
                }
                ServerStatus::Stopping => {
                    server.status = ServerStatus::Off;
                    Some(durations::SERVER_STARTED)
                }
                ServerStatus::Running | ServerStatus::Off | ServerStatus::Deleting | ServerStatus::Other(_) => None,
            };
            let Some(step) = step else { continue };
            took = took.max(Some(step));
            server.locked = false;
            if server.status != ServerStatus::Off {
                server.status = ServerStatus::Running;
                server.private.iter_mut().filter(|place| place.ip.is_none()).for_each(|place| place.ip = address);
            }
        }
        took
    }

    /// Load balancers get their address in the network.
    fn settle_load_balancers(&mut self) -> Option<SignedDuration> {
        let mut took = None;
        for balancer in &mut self.observed.cloud.value_mut()?.load_balancers {
            for place in balancer.private.iter_mut().filter(|place| place.ip.is_none()) {
                place.ip = Some(assumed::ENDPOINT);
                took = Some(durations::NETWORK_ATTACHED);
            }
        }
        took
    }

    /// Talos comes up on running servers: with its configuration where it has one, else it waits for one.
    fn settle_machines(&mut self, platform: &ValidatedPlatform) -> Option<SignedDuration> {
        let servers = self.observed.cloud.value()?.servers.clone();
        let trusted = self.observed.talos.iter().any(|(machine, _)| self.is_configured_control_plane(machine));
        let mut took = None;
        for server in servers.iter().filter(|server| server.status == ServerStatus::Running) {
            let Ok(machine) = MachineName::parse(&server.name) else { continue };
            if !self.may_come_up(&machine) {
                continue;
            }
            let wanted = || format!("v{}", platform.versions.talos);
            let version = self.installed.get(&machine).cloned().unwrap_or_else(wanted);
            let configured = self.has_configuration(&machine, server);
            if configured && !machine.is_control_plane() && !trusted {
                // A worker's apid gets its certificate from a control plane.
                continue;
            }
            let (facts, step) = match configured {
                true => {
                    let took = self.away.remove(&machine).unwrap_or(durations::CONFIGURED);
                    (configured_machine(version, &machine), took)
                }
                false => (TalosFacts::Maintenance { version }, durations::BOOTED),
            };
            self.observed.talos.insert(machine.clone(), Fact::known(facts, self.now));
            if configured && self.is_member(&machine) {
                self.start_etcd(&machine);
            }
            took = took.max(Some(step));
        }
        took
    }

    /// Whether nothing is known of the machine, and nothing speaks against its coming up.
    fn may_come_up(&self, machine: &MachineName) -> bool {
        match self.observed.talos.get(machine) {
            None | Some(Fact::Missing(Missing::NotThereYet)) => true,
            Some(Fact::Missing(Missing::Unreachable { .. })) => !self.has_fallen_silent(machine),
            Some(Fact::Known { .. } | Fact::Missing(Missing::Refused { .. })) => false,
        }
    }

    /// Whether the cluster has not heard of the machine either, and nobody has made it go away: it may stay away.
    fn has_fallen_silent(&self, machine: &MachineName) -> bool {
        let name = machine.to_string();
        let nodes = self.observed.kubernetes.value().map(|it| it.nodes.as_slice()).unwrap_or_default();
        let silent = |node: &NodeFacts| matches!(node.readiness, Readiness::Silent { .. }) && node.mark.is_none();
        nodes.iter().any(|node| node.name == name && silent(node))
    }

    /// Whether etcd knows the machine: its member comes up with it.
    fn is_member(&self, machine: &MachineName) -> bool {
        let name = machine.to_string();
        self.observed.etcd.value().is_some_and(|etcd| etcd.members.iter().any(|member| member.hostname == name))
    }

    fn is_configured_control_plane(&self, machine: &MachineName) -> bool {
        machine.is_control_plane() && matches!(self.observed.talos_of(machine), Some(TalosFacts::Configured { .. }))
    }

    /// Whether the machine has its configuration: this forecast gave it one, or its node shows that it has one. Where
    /// the nodes cannot be seen, a server of a bootstrapped platform that is not new is taken to have one.
    fn has_configuration(&self, machine: &MachineName, server: &Server) -> bool {
        if self.configured.contains_key(machine) {
            return true;
        }
        let bootstrapped = self.observed.store.value().is_some_and(|store| store.bootstrap.is_some());
        match self.observed.kubernetes.value() {
            Some(kubernetes) => {
                let provider_id = format!("hcloud://{}", server.id);
                kubernetes.nodes.iter().any(|node| node.provider_id.as_ref() == Some(&provider_id))
            }
            None => bootstrapped && server.id < self.first_id,
        }
    }
}

/// Servers that are being deleted go, and leave their groups and load balancers.
fn leave(cloud: &mut CloudFacts) -> Option<SignedDuration> {
    let left: Vec<u64> =
        cloud.servers.iter().filter(|server| server.status == ServerStatus::Deleting).map(|server| server.id).collect();
    if left.is_empty() {
        return None;
    }
    cloud.servers.retain(|server| !left.contains(&server.id));
    for group in &mut cloud.placement_groups {
        group.servers.retain(|server| !left.contains(server));
    }
    for balancer in cloud.load_balancers.iter_mut().chain(&mut cloud.unlabelled.load_balancers) {
        balancer.targets.retain(|target| !left.contains(&target.server));
    }
    for volume in cloud.volumes.iter_mut().chain(&mut cloud.unlabelled.volumes) {
        volume.server = volume.server.filter(|server| !left.contains(server));
    }
    Some(durations::SERVER_DELETED)
}

/// A machine that has just taken its configuration: a control plane still waits for etcd.
fn configured_machine(version: String, machine: &MachineName) -> TalosFacts {
    let stage = if machine.is_control_plane() { MachineStage::Booting } else { MachineStage::Running };
    let unmet =
        if machine.is_control_plane() { vec!["services".to_owned(), "nodeReady".to_owned()] } else { pod_network() };
    let services = vec![running("apid"), running("kubelet")];
    TalosFacts::Configured { version, stage, ready: false, unmet, services }
}

/// What is unmet on every machine until there is a pod network.
fn pod_network() -> Vec<String> {
    vec!["nodeReady".to_owned()]
}

/// A service in good health.
fn running(id: &str) -> ServiceState {
    ServiceState { id: id.to_owned(), state: "Running".to_owned(), healthy: Some(true) }
}
