//! Private networks: ranges, subnets, routes, changed one at a time (behaviour 15). Who has which address is in
//! `attachments.rs`.

mod attachments;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use jiff::Timestamp;

use super::World;
use super::actions::{Effect, NewAction, ResourceRef};
use super::addresses::{PUBLIC_GATEWAY, first_host, is_private};
use super::catalogue::LOCATIONS;
use super::error::{ApiError, ApiResult, ErrorCode};
use super::ids::{ActionId, NetworkId, ProjectId};
use super::labels::Labels;
use super::power::{MachineRef, WorldEvent};
use super::project::{self, Meta, Update};

/// The smallest subnet.
const MAX_SUBNET_PREFIX: u8 = 30;
/// The size of a subnet that is asked for without a range.
const DEFAULT_SUBNET_PREFIX: u8 = 24;

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// `cloud`, `server` or `vswitch`.
    pub kind: SubnetKind,
    /// Its range.
    pub range: Ipv4Net,
    /// Which locations may use it.
    pub network_zone: String,
}

/// What a subnet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubnetKind {
    /// Servers and load balancers.
    Cloud,
    /// The same, by its old name.
    Server,
}

impl SubnetKind {
    /// On the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Server => "server",
        }
    }
}

/// A subnet that is asked for.
#[derive(Clone, Debug)]
pub struct NewSubnet {
    /// What it is for.
    pub kind: SubnetKind,
    /// Its range; absent for the first free /24.
    pub range: Option<Ipv4Net>,
    /// Which locations may use it.
    pub network_zone: String,
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where packets want to go.
    pub destination: Ipv4Net,
    /// Through whom.
    pub gateway: Ipv4Addr,
}

/// An order for a network.
#[derive(Clone, Debug)]
pub struct CreateNetwork {
    /// Unique name.
    pub name: String,
    /// The whole range, by RFC 1918.
    pub range: Ipv4Net,
    /// Subnets.
    pub subnets: Vec<NewSubnet>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Labels.
    pub labels: Labels,
}

/// A private network.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its number.
    pub id: NetworkId,
    /// Name, labels, age, protection.
    pub meta: Meta,
    /// The whole range.
    pub range: Ipv4Net,
    /// Subnets.
    pub subnets: Vec<Subnet>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Who has (or is about to have) which address.
    pub addresses: BTreeMap<Ipv4Addr, ResourceRef>,
    pub(super) locks: BTreeSet<ActionId>,
}

impl Network {
    /// The gateway of every subnet: the first address of the network.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        first_host(self.range)
    }

    /// Whether nobody can be given `address`: gateways, and each subnet's network and broadcast address.
    fn is_reserved(&self, address: Ipv4Addr) -> bool {
        address == self.gateway()
            || address == PUBLIC_GATEWAY
            || self.subnets.iter().any(|subnet| {
                [subnet.range.network(), subnet.range.broadcast(), first_host(subnet.range)].contains(&address)
            })
    }

    /// Checks a subnet and finds its range.
    fn place(&self, new: &NewSubnet) -> ApiResult<Subnet> {
        if !LOCATIONS.iter().any(|location| location.network_zone == new.network_zone) {
            return Err(ApiError::invalid("network_zone", "does not exist"));
        }
        let overlaps = |range: &Ipv4Net| {
            self.subnets.iter().any(|other| other.range.contains(range) || range.contains(&other.range))
        };
        let range = match new.range {
            Some(range) => range,
            None => self
                .range
                .subnets(DEFAULT_SUBNET_PREFIX)
                .ok()
                .and_then(|mut candidates| candidates.find(|range| !overlaps(range)))
                .ok_or_else(|| ApiError::new(ErrorCode::NoSubnetAvailable, "no free subnet range"))?,
        };
        if range.trunc() != range || range.prefix_len() > MAX_SUBNET_PREFIX || !self.range.contains(&range) {
            return Err(ApiError::invalid("ip_range", "must be a /30 or larger range within the network's"));
        }
        if overlaps(&range) {
            return Err(ApiError::invalid("ip_range", "overlaps with an existing subnet"));
        }
        Ok(Subnet { kind: new.kind, range, network_zone: new.network_zone.clone() })
    }

    fn check_route(&self, route: Route) -> ApiResult<()> {
        let taken = self.routes.iter().any(|other| other.destination == route.destination);
        if taken || !self.range.contains(&route.gateway) || self.is_reserved(route.gateway) {
            return Err(ApiError::invalid("gateway", "must be a usable address of the network, one per destination"));
        }
        Ok(())
    }
}

/// What becomes true when an action on a network succeeds.
#[derive(Clone, Debug)]
pub(super) enum NetworkEffect {
    SubnetAdded(NetworkId, Subnet),
    SubnetDeleted(NetworkId, Ipv4Net),
    RouteAdded(NetworkId, Route),
    RouteDeleted(NetworkId, Route),
    RangeChanged(NetworkId, Ipv4Net),
}

/// A change of a network that is asked for.
#[derive(Clone, Debug)]
pub enum NetworkChange {
    /// `add_subnet`
    AddSubnet(NewSubnet),
    /// `delete_subnet`
    DeleteSubnet(Ipv4Net),
    /// `add_route`
    AddRoute(Route),
    /// `delete_route`
    DeleteRoute(Route),
    /// `change_ip_range`: the range can only grow.
    ChangeRange(Ipv4Net),
}

impl World {
    /// Makes a network. It is usable at once.
    ///
    /// # Errors
    /// `invalid_input`, `uniqueness_error`.
    pub fn create_network(&mut self, project: ProjectId, order: CreateNetwork, now: Timestamp) -> ApiResult<NetworkId> {
        self.advance(now);
        let CreateNetwork { name, range, subnets, routes, labels } = order;
        project::check_new(&self.project(project).networks, &name, &labels)?;
        if !is_private(range) || range.trunc() != range {
            return Err(ApiError::invalid("ip_range", "must be a private range by RFC 1918 in CIDR notation"));
        }
        let mut network = Network {
            id: NetworkId(0),
            meta: Meta::new(name, labels, self.now()),
            range,
            subnets: Vec::new(),
            routes: Vec::new(),
            addresses: BTreeMap::new(),
            locks: BTreeSet::new(),
        };
        for subnet in &subnets {
            let placed = network.place(subnet)?;
            network.subnets.push(placed);
        }
        for route in routes {
            network.check_route(route)?;
            network.routes.push(route);
        }
        network.id = NetworkId(self.next_id());
        let id = network.id;
        self.project_mut(project).networks.insert(id, network);
        Ok(id)
    }

    /// Changes name or labels.
    ///
    /// # Errors
    /// `not_found`, `uniqueness_error`, `invalid_input`.
    pub fn update_network(
        &mut self,
        project: ProjectId,
        id: NetworkId,
        update: Update,
        now: Timestamp,
    ) -> ApiResult<()> {
        self.advance(now);
        project::update(&mut self.project_mut(project).networks, id, update)
    }

    /// Deletes a network. What is attached is detached.
    ///
    /// # Errors
    /// `not_found`, `protected`, `conflict` while it is being changed.
    pub fn delete_network(&mut self, project: ProjectId, id: NetworkId, now: Timestamp) -> ApiResult<()> {
        self.advance(now);
        let network = project::find(&self.project(project).networks, id)?;
        project::check_deletable(network)?;
        project::check_unchanging::<Network>(&network.locks)?;
        let it = self.project_mut(project);
        it.networks.remove(&id);
        let attached: Vec<_> =
            it.servers.values().filter(|server| server.private_ip(id).is_some()).map(|server| server.id).collect();
        for server in it.servers.values_mut() {
            server.private_net.retain(|net| net.network != id);
        }
        for balancer in it.load_balancers.values_mut() {
            balancer.private_net = balancer.private_net.filter(|(network, _)| *network != id);
        }
        for server in attached {
            self.note_addresses(MachineRef { project, server });
        }
        self.emit(WorldEvent::TopologyChanged);
        Ok(())
    }

    /// Starts a change of a network.
    ///
    /// # Errors
    /// `not_found`, `conflict`, `invalid_input`, `service_error` for a subnet with servers in it.
    pub fn change_network(
        &mut self,
        project: ProjectId,
        id: NetworkId,
        change: NetworkChange,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        let network = project::find(&self.project(project).networks, id)?;
        project::check_unchanging::<Network>(&network.locks)?;
        let (command, effect) = match change {
            NetworkChange::AddSubnet(subnet) => ("add_subnet", NetworkEffect::SubnetAdded(id, network.place(&subnet)?)),
            NetworkChange::DeleteSubnet(range) => {
                if !network.subnets.iter().any(|subnet| subnet.range == range) {
                    return Err(ApiError::invalid("ip_range", "is no subnet of the network"));
                }
                if network.addresses.keys().any(|address| range.contains(address)) {
                    return Err(ApiError::new(ErrorCode::ServiceError, "servers are attached"));
                }
                ("delete_subnet", NetworkEffect::SubnetDeleted(id, range))
            }
            NetworkChange::AddRoute(route) => {
                network.check_route(route)?;
                ("add_route", NetworkEffect::RouteAdded(id, route))
            }
            NetworkChange::DeleteRoute(route) => {
                if !network.routes.contains(&route) {
                    return Err(ApiError::invalid("destination", "is no route of the network"));
                }
                ("delete_route", NetworkEffect::RouteDeleted(id, route))
            }
            NetworkChange::ChangeRange(range) => {
                if !is_private(range) || range.trunc() != range || !range.contains(&network.range) {
                    return Err(ApiError::invalid("ip_range", "can only grow"));
                }
                ("change_ip_range", NetworkEffect::RangeChanged(id, range))
            }
        };
        let takes = self.latencies().network_change;
        let new = NewAction::new(command, ResourceRef::Network(id), takes, Effect::Network(effect));
        Ok(self.start_action(project, new))
    }

    pub(super) fn apply_to_network(&mut self, project: ProjectId, effect: NetworkEffect) {
        let networks = &mut self.project_mut(project).networks;
        match effect {
            NetworkEffect::SubnetAdded(id, subnet) => {
                if let Some(network) = networks.get_mut(&id) {
                    network.subnets.push(subnet);
                }
            }
            NetworkEffect::SubnetDeleted(id, range) => {
                if let Some(network) = networks.get_mut(&id) {
                    network.subnets.retain(|subnet| subnet.range != range);
                }
            }
            NetworkEffect::RouteAdded(id, route) => {
                if let Some(network) = networks.get_mut(&id) {
                    network.routes.push(route);
                }
            }
            NetworkEffect::RouteDeleted(id, route) => {
                if let Some(network) = networks.get_mut(&id) {
                    network.routes.retain(|other| *other != route);
                }
            }
            NetworkEffect::RangeChanged(id, range) => {
                if let Some(network) = networks.get_mut(&id) {
                    network.range = range;
                }
            }
        }
    }
}
