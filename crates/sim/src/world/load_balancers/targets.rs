//! Targets of a load balancer: which servers they are, where they answer, and whether they are healthy.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::{HealthCheck, LoadBalancer};
use crate::world::World;
use crate::world::error::{ApiError, ApiResult, ErrorCode};
use crate::world::ids::{LoadBalancerId, ProjectId, ServerId};
use crate::world::labels::Selector;
use crate::world::project;

/// What a target is, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A server.
    Server {
        /// Which.
        server: ServerId,
        /// Whether over the private network.
        use_private_ip: bool,
    },
    /// All servers with such labels, as they change.
    LabelSelector {
        /// Which.
        selector: String,
        /// Whether over the private network.
        use_private_ip: bool,
    },
    /// An address of the project.
    Ip {
        /// Which.
        ip: Ipv4Addr,
    },
}

/// A target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What was asked for.
    pub kind: TargetKind,
    /// The servers that a selector selects, as far as that is known.
    pub selected: BTreeSet<ServerId>,
}

/// What the checks of one target found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// `None` until the first verdict.
    pub healthy: Option<bool>,
    /// How many checks in a row contradict the verdict.
    against: u32,
    /// The last HTTP status, if there was one.
    pub http_status: Option<u16>,
}

/// What one check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// Whether the target answered as it should.
    pub passed: bool,
    /// The HTTP status, if one came back.
    pub http_status: Option<u16>,
}

/// A server to which a load balancer forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    /// The server.
    pub server: ServerId,
    /// Where the simulation listens for it, whichever interface is used.
    pub address: Ipv4Addr,
}

/// A check that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The project.
    pub project: ProjectId,
    /// The load balancer.
    pub balancer: LoadBalancerId,
    /// From where to ask.
    pub balancer_address: Ipv4Addr,
    /// The service, by its listen port.
    pub listen_port: u16,
    /// Whom to ask.
    pub backend: Backend,
    /// What to ask.
    pub check: HealthCheck,
}

/// Where a load balancer listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frontend {
    /// The project.
    pub project: ProjectId,
    /// The load balancer.
    pub balancer: LoadBalancerId,
    /// Its address.
    pub address: Ipv4Addr,
    /// The port.
    pub listen_port: u16,
}

impl Target {
    pub(super) fn new(kind: TargetKind) -> Self {
        Self { kind, selected: BTreeSet::new() }
    }

    /// Whether it is reached over the private network.
    #[must_use]
    pub fn use_private_ip(&self) -> bool {
        match self.kind {
            TargetKind::Server { use_private_ip, .. } | TargetKind::LabelSelector { use_private_ip, .. } => {
                use_private_ip
            }
            TargetKind::Ip { .. } => false,
        }
    }

    /// The servers that it means.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerId> {
        match &self.kind {
            TargetKind::Server { server, .. } => vec![*server],
            TargetKind::LabelSelector { .. } => self.selected.iter().copied().collect(),
            TargetKind::Ip { .. } => Vec::new(),
        }
    }
}

impl Health {
    /// Takes a check's result into account.
    fn note(&mut self, result: CheckResult, retries: u32) {
        self.http_status = result.http_status;
        match self.healthy {
            Some(verdict) if verdict == result.passed => self.against = 0,
            // The first success makes a new target healthy; a new target that fails is given its retries.
            None if result.passed => *self = Self { healthy: Some(true), against: 0, ..*self },
            Some(_) | None => {
                self.against += 1;
                if self.against >= retries {
                    *self = Self { healthy: Some(result.passed), against: 0, ..*self };
                }
            }
        }
    }
}

impl LoadBalancer {
    /// What the checks of a server found for a service.
    #[must_use]
    pub fn health(&self, server: ServerId, listen_port: u16) -> Health {
        self.health.get(&(server, listen_port)).copied().unwrap_or_default()
    }

    pub(in crate::world) fn resolve(&mut self, select: impl Fn(&str) -> BTreeSet<ServerId>) {
        for target in &mut self.targets {
            if let TargetKind::LabelSelector { selector, .. } = &target.kind {
                target.selected = select(selector);
            }
        }
    }
}

impl World {
    /// The servers behind a service that can be reached the way their target says, healthy or not.
    #[must_use]
    pub fn backends(&self, project: ProjectId, balancer: LoadBalancerId) -> Vec<Backend> {
        let it = self.project(project);
        let Some(balancer) = it.load_balancers.get(&balancer) else { return Vec::new() };
        let mut backends = BTreeSet::new();
        for target in &balancer.targets {
            for server in target.servers().into_iter().filter_map(|id| it.servers.get(&id)) {
                let reachable = match (target.use_private_ip(), balancer.private_net) {
                    (true, Some((network, _))) => server.private_ip(network).is_some(),
                    (true, None) => false,
                    (false, _) => server.ipv4.is_some() && balancer.public,
                };
                if reachable {
                    backends.insert(Backend { server: server.id, address: server.address });
                }
            }
        }
        backends.into_iter().collect()
    }

    /// The backends of a service that are healthy.
    #[must_use]
    pub fn healthy_backends(&self, project: ProjectId, balancer: LoadBalancerId, listen_port: u16) -> Vec<Backend> {
        let Ok(it) = self.load_balancer(project, balancer) else { return Vec::new() };
        let is_healthy = |backend: &Backend| it.health(backend.server, listen_port).healthy == Some(true);
        self.backends(project, balancer).into_iter().filter(is_healthy).collect()
    }

    /// Every port on which the world's load balancers listen.
    #[must_use]
    pub fn frontends(&self) -> Vec<Frontend> {
        let mut frontends = Vec::new();
        for (project, it) in self.projects() {
            for balancer in it.load_balancers.values().filter(|balancer| balancer.works) {
                frontends.extend(balancer.services.keys().map(|port| Frontend {
                    project,
                    balancer: balancer.id,
                    address: balancer.address,
                    listen_port: *port,
                }));
            }
        }
        frontends
    }

    /// Whether a connection from `source` reaches a load balancer: from anywhere while its public interface is on (no
    /// firewall guards it), else only from a server in its network.
    #[must_use]
    pub fn reaches_load_balancer(&self, source: Ipv4Addr, frontend: &Frontend) -> bool {
        let Ok(balancer) = self.load_balancer(frontend.project, frontend.balancer) else { return false };
        let in_network = |network| {
            let mut servers = self.project(frontend.project).servers.values();
            servers.any(|server| server.address == source && server.private_ip(network).is_some())
        };
        balancer.public || balancer.private_net.is_some_and(|(network, _)| in_network(network))
    }

    /// Every check that the world's load balancers make.
    #[must_use]
    pub fn probes(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        for (project, it) in self.projects() {
            for balancer in it.load_balancers.values().filter(|balancer| balancer.works) {
                for backend in self.backends(project, balancer.id) {
                    probes.extend(balancer.services.values().map(|service| Probe {
                        project,
                        balancer: balancer.id,
                        balancer_address: balancer.address,
                        listen_port: service.listen_port,
                        backend,
                        check: service.health_check.clone(),
                    }));
                }
            }
        }
        probes
    }

    /// Takes in what a check found (behaviour 18).
    pub fn report_health(&mut self, probe: &Probe, result: CheckResult) {
        let Some(balancer) = self.project_mut(probe.project).load_balancers.get_mut(&probe.balancer) else { return };
        let health = balancer.health.entry((probe.backend.server, probe.listen_port)).or_default();
        health.note(result, probe.check.retries);
    }

    /// Refuses a target that can't be added.
    pub(super) fn check_target(
        &self,
        project: ProjectId,
        balancer: &LoadBalancer,
        target: &TargetKind,
    ) -> ApiResult<()> {
        if balancer.targets.iter().any(|other| other.kind.is_same(target)) {
            return Err(ApiError::new(ErrorCode::TargetAlreadyDefined, "load balancer target is already defined"));
        }
        if balancer.targets.len() >= balancer.kind.max_targets {
            return Err(ApiError::new(ErrorCode::ResourceLimitExceeded, "load balancer target limit exceeded"));
        }
        match target {
            TargetKind::Server { server, use_private_ip } => {
                let server = project::find(&self.project(project).servers, *server)?;
                balancer.check_interface(*use_private_ip)?;
                let attached = balancer.private_net.is_some_and(|(network, _)| server.private_ip(network).is_some());
                if *use_private_ip && !attached {
                    let message = "server is not attached to the load balancer's network";
                    return Err(ApiError::new(ErrorCode::ResolveCloudPrivateTargetsError, message));
                }
                if !use_private_ip && server.ipv4.is_none() {
                    let message = "server has no public IPv4 address";
                    return Err(ApiError::new(ErrorCode::ResolveCloudPublicTargetsError, message));
                }
                Ok(())
            }
            TargetKind::LabelSelector { selector, use_private_ip } => {
                Selector::parse(selector)?;
                balancer.check_interface(*use_private_ip)
            }
            // Addresses outside of the project are dedicated servers', of which the simulator has none.
            TargetKind::Ip { .. } => Err(ApiError::new(ErrorCode::IpNotOwned, "IP is not owned by the project owner")),
        }
    }

    /// Forgets a deleted server as a target.
    pub(in crate::world) fn remove_server_targets(&mut self, project: ProjectId, server: ServerId) {
        for balancer in self.project_mut(project).load_balancers.values_mut() {
            let is_it = |kind: &TargetKind| matches!(kind, TargetKind::Server { server: id, .. } if *id == server);
            balancer.targets.retain(|target| !is_it(&target.kind));
            balancer.health.retain(|(id, _), _| *id != server);
        }
    }
}

impl LoadBalancer {
    /// Refuses a target over an interface that the load balancer doesn't have (behaviour 17).
    fn check_interface(&self, use_private_ip: bool) -> ApiResult<()> {
        if use_private_ip && self.private_net.is_none() {
            let message = "load balancer is not attached to a network";
            return Err(ApiError::new(ErrorCode::LoadBalancerNotAttachedToNetwork, message));
        }
        if !use_private_ip && !self.public {
            let message = "the public interface of the load balancer is disabled";
            return Err(ApiError::new(ErrorCode::LoadBalancerPublicInterfaceDisabled, message));
        }
        Ok(())
    }
}

impl TargetKind {
    /// Whether both mean the same, over whichever interface.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Server { server: a, .. }, Self::Server { server: b, .. }) => a == b,
            (Self::LabelSelector { selector: a, .. }, Self::LabelSelector { selector: b, .. }) => a == b,
            (Self::Ip { ip: a }, Self::Ip { ip: b }) => a == b,
            (Self::Server { .. } | Self::LabelSelector { .. } | Self::Ip { .. }, _) => false,
        }
    }
}
