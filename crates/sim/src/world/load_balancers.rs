//! Load balancers: services, targets and their health, as the API shows them. Who really forwards and checks is in
//! `crate::load_balancer`; what it finds comes back through [`World::report_health`].

mod change;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use super::World;
use super::actions::{Effect, NewAction, ResourceRef};
use super::catalogue::{self, LOCATIONS, LoadBalancerType, Location};
use super::error::{ApiError, ApiResult, ErrorCode};
use super::ids::{ActionId, LoadBalancerId, NetworkId, ProjectId, ServerId};
use super::labels::Labels;
use super::power::WorldEvent;
use super::project::{self, Meta, Update};

pub use change::LoadBalancerChange;
pub(super) use change::LoadBalancerEffect;
pub use targets::{Backend, CheckResult, Frontend, Health, Probe, Target, TargetKind};

/// How targets are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest connections.
    LeastConnections,
}

impl Algorithm {
    /// On the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastConnections => "least_connections",
        }
    }
}

/// An HTTP request that a health check makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// The `Host` header.
    pub domain: Option<String>,
    /// The path.
    pub path: String,
    /// Text that the body must hold.
    pub response: Option<String>,
    /// Codes that count as healthy, `?` for any digit.
    pub status_codes: Vec<String>,
    /// Whether it speaks TLS (certificates aren't verified).
    pub tls: bool,
}

impl HttpCheck {
    /// Whether an answer with this status is healthy.
    #[must_use]
    pub fn accepts(&self, status: u16) -> bool {
        let digits = status.to_string();
        self.status_codes.iter().any(|pattern| {
            pattern.len() == digits.len() && pattern.chars().zip(digits.chars()).all(|(p, d)| p == '?' || p == d)
        })
    }
}

/// How a service's targets are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Which port.
    pub port: u16,
    /// Seconds between checks.
    pub interval_seconds: u32,
    /// Seconds until a check has failed.
    pub timeout_seconds: u32,
    /// As many failures make a target unhealthy, and as many successes healthy again.
    pub retries: u32,
    /// The request; absent for a TCP check, which only connects.
    pub http: Option<HttpCheck>,
}

/// A TCP service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The port on which it listens.
    pub listen_port: u16,
    /// The port to which it forwards.
    pub destination_port: u16,
    /// Whether the PROXY protocol is spoken to targets.
    pub proxy_protocol: bool,
    /// How targets are checked.
    pub health_check: HealthCheck,
}

/// A load balancer.
#[derive(Clone, Debug)]
pub struct LoadBalancer {
    /// Its number.
    pub id: LoadBalancerId,
    /// Name, labels, age, protection.
    pub meta: Meta,
    /// Its type.
    pub kind: &'static LoadBalancerType,
    /// Where it is.
    pub location: &'static Location,
    /// How targets are chosen.
    pub algorithm: Algorithm,
    /// Services, by listen port.
    pub services: BTreeMap<u16, Service>,
    /// Targets.
    pub targets: Vec<Target>,
    /// Whether its public interface is on.
    pub public: bool,
    /// Its public address. The simulation's body listens here also when only the private interface is on.
    pub address: Ipv4Addr,
    /// Its private network and address.
    pub private_net: Option<(NetworkId, Ipv4Addr)>,
    /// Whether its creation is done: before, nothing listens.
    pub(super) works: bool,
    /// What the checks found, by server and listen port.
    pub(super) health: BTreeMap<(ServerId, u16), Health>,
    pub(super) locks: BTreeSet<ActionId>,
}

/// An order for a load balancer.
#[derive(Clone, Debug, Default)]
pub struct CreateLoadBalancer {
    /// Unique name.
    pub name: String,
    /// Name or number of the type.
    pub kind: String,
    /// Where.
    pub location: Option<String>,
    /// Or in which zone.
    pub network_zone: Option<String>,
    /// How targets are chosen.
    pub algorithm: Algorithm,
    /// Services.
    pub services: Vec<Service>,
    /// Targets.
    pub targets: Vec<TargetKind>,
    /// Its network.
    pub network: Option<NetworkId>,
    /// Whether it has no public interface.
    pub private_only: bool,
    /// Labels.
    pub labels: Labels,
}

impl World {
    /// A load balancer.
    ///
    /// # Errors
    /// `not_found`.
    pub fn load_balancer(&self, project: ProjectId, id: LoadBalancerId) -> ApiResult<&LoadBalancer> {
        project::find(&self.project(project).load_balancers, id)
    }

    /// Orders a load balancer. It exists at once with everything asked for, and works once the action is done.
    ///
    /// # Errors
    /// `invalid_input`, `uniqueness_error`, `not_found`, `no_subnet_available`, and those of services and targets.
    pub fn create_load_balancer(
        &mut self,
        project: ProjectId,
        order: CreateLoadBalancer,
        now: Timestamp,
    ) -> ApiResult<(LoadBalancerId, ActionId)> {
        self.advance(now);
        project::check_new(&self.project(project).load_balancers, &order.name, &order.labels)?;
        let kind = catalogue::load_balancer_type(&order.kind)
            .ok_or_else(|| ApiError::invalid("load_balancer_type", "does not exist"))?;
        let location = location_of(&order)?;
        let mut balancer = LoadBalancer {
            id: LoadBalancerId(self.next_id()),
            meta: Meta::new(order.name.clone(), order.labels, self.now()),
            kind,
            location,
            algorithm: order.algorithm,
            services: BTreeMap::new(),
            targets: Vec::new(),
            public: !order.private_only,
            address: Ipv4Addr::UNSPECIFIED,
            private_net: order.network.map(|network| (network, Ipv4Addr::UNSPECIFIED)),
            works: false,
            health: BTreeMap::new(),
            locks: BTreeSet::new(),
        };
        for service in order.services {
            balancer.check_new_service(&service)?;
            balancer.services.insert(service.listen_port, service);
        }
        for target in order.targets {
            self.check_target(project, &balancer, &target)?;
            balancer.targets.push(Target::new(target));
        }
        let (id, holder) = (balancer.id, ResourceRef::LoadBalancer(balancer.id));
        if let Some(network) = order.network {
            let ip = self.reserve_private_address(project, network, location, None, holder)?;
            balancer.private_net = Some((network, ip));
        }
        balancer.address = self
            .addresses
            .take()
            .ok_or_else(|| ApiError::new(ErrorCode::ResourceLimitExceeded, "load balancer limit exceeded"))?;
        let now = self.now();
        let it = self.project_mut(project);
        it.ledger.open(holder, order.name, kind.monthly, now);
        it.load_balancers.insert(id, balancer);
        self.resolve_selectors(project);
        let takes = self.latencies().load_balancer_change;
        let effect = Effect::LoadBalancer(LoadBalancerEffect::Created(id));
        let action = self.start_action(project, NewAction::new("create_load_balancer", holder, takes, effect));
        Ok((id, action))
    }

    /// Changes name or labels.
    ///
    /// # Errors
    /// `not_found`, `uniqueness_error`, `invalid_input`.
    pub fn update_load_balancer(
        &mut self,
        project: ProjectId,
        id: LoadBalancerId,
        update: Update,
        now: Timestamp,
    ) -> ApiResult<()> {
        self.advance(now);
        project::update(&mut self.project_mut(project).load_balancers, id, update)
    }

    /// Deletes a load balancer: it is gone when the action is done (since 2026-10-05, behaviour 22).
    ///
    /// # Errors
    /// `not_found`, `protected`, `conflict` while it is being changed.
    pub fn delete_load_balancer(
        &mut self,
        project: ProjectId,
        id: LoadBalancerId,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        let balancer = self.load_balancer(project, id)?;
        project::check_deletable(balancer)?;
        project::check_unchanging::<LoadBalancer>(&balancer.locks)?;
        let effect = Effect::LoadBalancer(LoadBalancerEffect::Deleted(id));
        let takes = self.latencies().load_balancer_change;
        let new = NewAction::new("delete_load_balancer", ResourceRef::LoadBalancer(id), takes, effect);
        Ok(self.start_action(project, new))
    }

    /// How long a health check waits between two tries, scaled like every simulated latency.
    #[must_use]
    pub fn check_interval(&self, check: &HealthCheck) -> Duration {
        self.config().time_scale.shorten(Duration::from_secs(u64::from(check.interval_seconds)))
    }

    pub(super) fn load_balancer_deleted(&mut self, project: ProjectId, id: LoadBalancerId) {
        let now = self.now();
        let it = self.project_mut(project);
        let Some(balancer) = it.load_balancers.remove(&id) else { return };
        it.ledger.close(ResourceRef::LoadBalancer(id), now);
        if let Some((network, _)) = balancer.private_net {
            self.free_private_addresses(project, network, |holder| holder == ResourceRef::LoadBalancer(id));
        }
        self.addresses.free(balancer.address);
        self.emit(WorldEvent::TopologyChanged);
    }
}

impl LoadBalancer {
    /// What is under way with it, as `attach_to_network`.
    pub fn under_way<'a>(&'a self, project: &'a super::Project) -> impl Iterator<Item = &'static str> + 'a {
        self.locks.iter().filter_map(|action| project.actions.get(action)).map(|action| action.command)
    }

    /// Refuses a service that can't be added.
    fn check_new_service(&self, service: &Service) -> ApiResult<()> {
        if self.services.contains_key(&service.listen_port) {
            return Err(ApiError::new(ErrorCode::SourcePortAlreadyUsed, "source port is already in use"));
        }
        if self.services.len() >= self.kind.max_services {
            return Err(ApiError::new(ErrorCode::ResourceLimitExceeded, "load balancer service limit exceeded"));
        }
        service.validate()
    }
}

impl Service {
    fn validate(&self) -> ApiResult<()> {
        if self.proxy_protocol {
            return Err(ApiError::new(ErrorCode::UnsupportedError, "the PROXY protocol is not simulated"));
        }
        self.health_check.validate()
    }
}

impl HealthCheck {
    fn validate(&self) -> ApiResult<()> {
        let within = |value: u32, from: u32, to: u32| (from..=to).contains(&value);
        if !within(self.interval_seconds, 3, 60) {
            return Err(ApiError::invalid("health_check.interval", "must be between 3 and 60"));
        }
        if !within(self.timeout_seconds, 1, 60) {
            return Err(ApiError::invalid("health_check.timeout", "must be between 1 and 60"));
        }
        if !within(self.retries, 1, 5) {
            return Err(ApiError::invalid("health_check.retries", "must be between 1 and 5"));
        }
        Ok(())
    }
}

fn location_of(order: &CreateLoadBalancer) -> ApiResult<&'static Location> {
    match (&order.location, &order.network_zone) {
        (Some(name), None) => catalogue::location(name).ok_or_else(|| ApiError::invalid("location", "does not exist")),
        (None, Some(zone)) => LOCATIONS
            .iter()
            .find(|location| location.network_zone == zone)
            .ok_or_else(|| ApiError::invalid("network_zone", "does not exist")),
        (Some(_), Some(_)) | (None, None) => {
            Err(ApiError::invalid("location", "either location or network_zone must be given"))
        }
    }
}
