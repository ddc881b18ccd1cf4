//! Changing a load balancer: each change is an action, and one runs at a time (`conflict`, which clients retry).

use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::{Algorithm, LoadBalancer, Service, Target, TargetKind};
use crate::world::World;
use crate::world::actions::{Effect, NewAction, ResourceRef};
use crate::world::error::{ApiError, ApiResult, ErrorCode};
use crate::world::ids::{ActionId, LoadBalancerId, NetworkId, ProjectId};
use crate::world::networks::Network;
use crate::world::power::WorldEvent;
use crate::world::project;

/// A change that is asked for.
#[derive(Clone, Debug)]
pub enum LoadBalancerChange {
    /// `add_service`
    AddService(Service),
    /// `update_service`: the whole service as it shall be.
    UpdateService(Service),
    /// `delete_service`, by listen port.
    DeleteService(u16),
    /// `add_target`
    AddTarget(TargetKind),
    /// `remove_target`
    RemoveTarget(TargetKind),
    /// `attach_to_network`
    Attach {
        /// Which.
        network: NetworkId,
        /// The address; absent for any.
        ip: Option<Ipv4Addr>,
    },
    /// `detach_from_network`
    Detach(NetworkId),
    /// `enable_public_interface` or `disable_public_interface`
    PublicInterface(bool),
    /// `change_algorithm`
    Algorithm(Algorithm),
}

/// What becomes true when an action on a load balancer succeeds.
#[derive(Clone, Debug)]
pub(in crate::world) enum LoadBalancerEffect {
    Changed(LoadBalancerId, LoadBalancerChange),
    Attached(LoadBalancerId, NetworkId, Ipv4Addr),
    Created(LoadBalancerId),
    Deleted(LoadBalancerId),
}

impl World {
    /// Starts a change of a load balancer.
    ///
    /// # Errors
    /// `not_found`, `conflict`, `invalid_input` and the codes of each change.
    pub fn change_load_balancer(
        &mut self,
        project: ProjectId,
        id: LoadBalancerId,
        change: LoadBalancerChange,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        let balancer = self.load_balancer(project, id)?;
        project::check_unchanging::<LoadBalancer>(&balancer.locks)?;
        self.check_change(project, balancer, &change)?;
        let command = change.command();
        let takes = self.latencies().load_balancer_change;
        let holder = ResourceRef::LoadBalancer(id);
        let new = |effect| NewAction::new(command, holder, takes, Effect::LoadBalancer(effect));
        let new = match change {
            LoadBalancerChange::Attach { network, ip } => {
                let location = balancer.location;
                let ip = self.reserve_private_address(project, network, location, ip, holder)?;
                new(LoadBalancerEffect::Attached(id, network, ip)).holding(ResourceRef::Network(network))
            }
            LoadBalancerChange::Detach(network) => {
                new(LoadBalancerEffect::Changed(id, change)).holding(ResourceRef::Network(network))
            }
            LoadBalancerChange::AddTarget(TargetKind::Server { server, .. })
            | LoadBalancerChange::RemoveTarget(TargetKind::Server { server, .. }) => {
                new(LoadBalancerEffect::Changed(id, change)).and(ResourceRef::Server(server))
            }
            LoadBalancerChange::AddService(_)
            | LoadBalancerChange::UpdateService(_)
            | LoadBalancerChange::DeleteService(_)
            | LoadBalancerChange::AddTarget(_)
            | LoadBalancerChange::RemoveTarget(_)
            | LoadBalancerChange::PublicInterface(_)
            | LoadBalancerChange::Algorithm(_) => new(LoadBalancerEffect::Changed(id, change)),
        };
        Ok(self.start_action(project, new))
    }

    fn check_change(&self, project: ProjectId, it: &LoadBalancer, change: &LoadBalancerChange) -> ApiResult<()> {
        let network = |id: NetworkId| project::find(&self.project(project).networks, id);
        match change {
            LoadBalancerChange::AddService(service) => it.check_new_service(service),
            LoadBalancerChange::UpdateService(service) => {
                it.check_listens_on(service.listen_port)?;
                service.validate()
            }
            LoadBalancerChange::DeleteService(port) => it.check_listens_on(*port),
            LoadBalancerChange::AddTarget(target) => self.check_target(project, it, target),
            LoadBalancerChange::RemoveTarget(target) => {
                if it.targets.iter().any(|other| other.kind.is_same(target)) {
                    return Ok(());
                }
                Err(ApiError::new(ErrorCode::LoadBalancerTargetNotFound, "load balancer target not found"))
            }
            LoadBalancerChange::Attach { network: id, .. } => {
                if it.private_net.is_some() {
                    let message = "load balancer is already attached to a network";
                    return Err(ApiError::new(ErrorCode::LoadBalancerAlreadyAttached, message));
                }
                project::check_unchanging::<Network>(&network(*id)?.locks)
            }
            LoadBalancerChange::Detach(id) => {
                if it.private_net.is_none_or(|(attached, _)| attached != *id) {
                    let message = "load balancer is not attached to the network";
                    return Err(ApiError::new(ErrorCode::LoadBalancerNotAttachedToNetwork, message));
                }
                project::check_unchanging::<Network>(&network(*id)?.locks)
            }
            LoadBalancerChange::PublicInterface(false) => it.check_can_be_private(),
            LoadBalancerChange::PublicInterface(true) | LoadBalancerChange::Algorithm(_) => Ok(()),
        }
    }

    pub(in crate::world) fn apply_to_load_balancer(&mut self, project: ProjectId, effect: LoadBalancerEffect) {
        match effect {
            LoadBalancerEffect::Created(id) => {
                if let Some(balancer) = self.project_mut(project).load_balancers.get_mut(&id) {
                    balancer.works = true;
                }
            }
            LoadBalancerEffect::Deleted(id) => self.load_balancer_deleted(project, id),
            LoadBalancerEffect::Attached(id, network, ip) => {
                if let Some(balancer) = self.project_mut(project).load_balancers.get_mut(&id) {
                    balancer.private_net = Some((network, ip));
                }
            }
            LoadBalancerEffect::Changed(id, change) => {
                if let LoadBalancerChange::Detach(network) = change {
                    self.free_private_addresses(project, network, |holder| holder == ResourceRef::LoadBalancer(id));
                }
                if let Some(balancer) = self.project_mut(project).load_balancers.get_mut(&id) {
                    balancer.apply(change);
                }
                self.resolve_selectors(project);
            }
        }
        self.emit(WorldEvent::TopologyChanged);
    }

    /// Gives back what a failed change had reserved.
    pub(in crate::world) fn abandon_load_balancer_effect(&mut self, project: ProjectId, effect: LoadBalancerEffect) {
        if let LoadBalancerEffect::Attached(id, network, _) = effect {
            self.free_private_addresses(project, network, |holder| holder == ResourceRef::LoadBalancer(id));
        }
    }
}

impl LoadBalancerChange {
    fn command(&self) -> &'static str {
        match self {
            Self::AddService(_) => "add_service",
            Self::UpdateService(_) => "update_service",
            Self::DeleteService(_) => "delete_service",
            Self::AddTarget(_) => "add_target",
            Self::RemoveTarget(_) => "remove_target",
            Self::Attach { .. } => "attach_to_network",
            Self::Detach(_) => "detach_from_network",
            Self::PublicInterface(true) => "enable_public_interface",
            Self::PublicInterface(false) => "disable_public_interface",
            Self::Algorithm(_) => "change_algorithm",
        }
    }
}

impl LoadBalancer {
    fn check_listens_on(&self, port: u16) -> ApiResult<()> {
        if self.services.contains_key(&port) {
            return Ok(());
        }
        Err(ApiError::invalid("listen_port", "no service listens on that port"))
    }

    fn check_can_be_private(&self) -> ApiResult<()> {
        if self.private_net.is_none() {
            let message = "load balancer is not attached to a network";
            return Err(ApiError::new(ErrorCode::LoadBalancerNotAttachedToNetwork, message));
        }
        if self.targets.iter().any(|target| !target.use_private_ip()) {
            let message = "load balancer has targets that use the public IP";
            return Err(ApiError::new(ErrorCode::TargetsWithoutUsePrivateIp, message));
        }
        Ok(())
    }

    fn apply(&mut self, change: LoadBalancerChange) {
        match change {
            LoadBalancerChange::AddService(service) | LoadBalancerChange::UpdateService(service) => {
                self.services.insert(service.listen_port, service);
            }
            LoadBalancerChange::DeleteService(port) => {
                self.services.remove(&port);
                self.health.retain(|(_, listen_port), _| *listen_port != port);
            }
            LoadBalancerChange::AddTarget(target) => self.targets.push(Target::new(target)),
            LoadBalancerChange::RemoveTarget(target) => {
                let removed: Vec<_> = self.targets.extract_if(.., |other| other.kind.is_same(&target)).collect();
                for server in removed.iter().flat_map(Target::servers) {
                    self.health.retain(|(id, _), _| *id != server);
                }
            }
            LoadBalancerChange::Detach(_) => self.private_net = None,
            LoadBalancerChange::PublicInterface(on) => self.public = on,
            LoadBalancerChange::Algorithm(algorithm) => self.algorithm = algorithm,
            // Attaching reserves an address first and is an effect of its own.
            LoadBalancerChange::Attach { .. } => {}
        }
    }
}
