//! Ordering a server: every rule that may refuse it, then its reservation, then the actions that make it true.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::{PrivateNet, Server, ServerEffect, ServerStatus, ordered};
use crate::world::actions::{Effect, NewAction, ResourceRef};
use crate::world::catalogue::{Location, ServerType};
use crate::world::error::{ApiError, ApiResult, ErrorCode};
use crate::world::ids::{
    ActionId, FirewallId, ImageId, NetworkId, PlacementGroupId, PrimaryIpId, ProjectId, ServerId, SshKeyId, VolumeId,
};
use crate::world::labels::Labels;
use crate::world::placement_groups;
use crate::world::power::Hardware;
use crate::world::primary_ips::IpVersion;
use crate::world::project::{self, Meta};
use crate::world::{Resource, World};

/// User data may have so many bytes (behaviour 10).
const MAX_USER_DATA: usize = 32 * 1024;
/// A server may have so many firewalls.
const MAX_FIREWALLS: usize = 5;
/// Where a server is put when nobody says where.
const DEFAULT_LOCATION: &str = "fsn1";

/// The public interface that is asked for.
#[derive(Clone, Debug)]
pub struct PublicNet {
    /// Whether it has IPv4.
    pub enable_ipv4: bool,
    /// Whether it has IPv6.
    pub enable_ipv6: bool,
    /// An IPv4 address that exists.
    pub ipv4: Option<PrimaryIpId>,
    /// An IPv6 network that exists.
    pub ipv6: Option<PrimaryIpId>,
}

impl Default for PublicNet {
    fn default() -> Self {
        Self { enable_ipv4: true, enable_ipv6: true, ipv4: None, ipv6: None }
    }
}

/// An order for a server.
#[derive(Clone, Debug, Default)]
pub struct CreateServer {
    /// A host name by RFC 1123, unique in the project: the key that makes creation idempotent.
    pub name: String,
    /// Name or number of the type.
    pub server_type: String,
    /// Number or name of the image.
    pub image: String,
    /// Name of the location.
    pub location: Option<String>,
    /// Whether it stays off.
    pub stay_off: bool,
    /// Its placement group.
    pub placement_group: Option<PlacementGroupId>,
    /// Names or numbers of keys.
    pub ssh_keys: Vec<String>,
    /// Volumes to attach.
    pub volumes: Vec<VolumeId>,
    /// Networks to attach.
    pub networks: Vec<NetworkId>,
    /// Firewalls that guard it from the first moment.
    pub firewalls: Vec<FirewallId>,
    /// For the guest.
    pub user_data: Option<String>,
    /// Labels.
    pub labels: Labels,
    /// Its public interface.
    pub public_net: PublicNet,
}

/// What an order gives.
#[derive(Clone)]
pub struct CreatedServer {
    /// The server.
    pub id: ServerId,
    /// `create_server`.
    pub action: ActionId,
    /// What follows it.
    pub next_actions: Vec<ActionId>,
    /// What Hetzner mails when no key was given.
    pub root_password: Option<String>,
}

impl fmt::Debug for CreatedServer {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedServer").field("id", &self.id).field("action", &self.action).finish_non_exhaustive()
    }
}

/// An order that was found good.
struct Checked {
    server_type: &'static ServerType,
    location: &'static Location,
    image: ImageId,
    ssh_keys: Vec<SshKeyId>,
}

impl World {
    /// Orders a server.
    ///
    /// # Errors
    /// `invalid_input`, `not_found`, `uniqueness_error`, `resource_limit_exceeded`, `resource_unavailable`,
    /// `placement_error`, `placement_group_member_limit_reached`, `no_subnet_available` and those of primary IPs and
    /// volumes. Nothing remains of a refused order (behaviour 11).
    pub fn create_server(
        &mut self,
        project: ProjectId,
        order: CreateServer,
        now: Timestamp,
    ) -> ApiResult<CreatedServer> {
        self.advance(now);
        let checked = self.check_order(project, &order)?;
        self.check_references(project, &order, checked.location)?;
        self.check_capacity(project, &order, &checked)?;
        let id = ServerId(self.next_id());
        let nets = self.reserve_private_addresses(project, id, &order, checked.location)?;
        let root_password = order.ssh_keys.is_empty().then(|| self.rng().hex(20));
        if let Err(error) = self.insert_server(project, id, &order, &checked) {
            for net in &nets {
                self.free_private_addresses_at(project, net.network, net);
            }
            return Err(error);
        }
        let (action, next_actions) = self.start_creation(project, id, &order, nets);
        self.labels_changed(project);
        Ok(CreatedServer { id, action, next_actions, root_password })
    }

    fn check_order(&self, project: ProjectId, order: &CreateServer) -> ApiResult<Checked> {
        check_host_name(&order.name)?;
        if order.user_data.as_ref().is_some_and(|data| data.len() > MAX_USER_DATA) {
            return Err(ApiError::invalid("user_data", "is too long (maximum is 32768 bytes)"));
        }
        let location = order.location.as_deref().unwrap_or(DEFAULT_LOCATION);
        let (server_type, location) = ordered(&order.server_type, location)?;
        let it = self.project(project);
        let image = it.image_named(&order.image, server_type.architecture)?;
        let ssh_keys = order.ssh_keys.iter().map(|key| it.ssh_key_named(key)).collect::<ApiResult<_>>()?;
        let reachable = order.public_net.enable_ipv4 || order.public_net.enable_ipv6 || !order.networks.is_empty();
        if !reachable && !order.stay_off {
            return Err(ApiError::invalid("public_net", "a server without public network must have a private network"));
        }
        project::check_new(&it.servers, &order.name, &order.labels)?;
        if it.servers.len() >= self.config().server_limit {
            return Err(ApiError::new(ErrorCode::ResourceLimitExceeded, "server limit exceeded"));
        }
        Ok(Checked { server_type, location, image, ssh_keys })
    }

    fn check_references(&self, project: ProjectId, order: &CreateServer, location: &Location) -> ApiResult<()> {
        let it = self.project(project);
        let distinct: BTreeSet<_> = order.firewalls.iter().collect();
        if distinct.len() > MAX_FIREWALLS {
            return Err(ApiError::invalid("firewalls", "too many firewalls (maximum is 5)"));
        }
        for firewall in &order.firewalls {
            project::find(&it.firewalls, *firewall)?;
        }
        for volume in &order.volumes {
            it.attachable_volume(*volume, location)?;
        }
        for (wanted, version) in [(order.public_net.ipv4, IpVersion::V4), (order.public_net.ipv6, IpVersion::V6)] {
            if let Some(id) = wanted {
                it.assignable_primary_ip(id, version, location)?;
            }
        }
        if let Some(group) = order.placement_group {
            placement_groups::check_room(project::find(&it.placement_groups, group)?)?;
        }
        Ok(())
    }

    fn check_capacity(&mut self, project: ProjectId, order: &CreateServer, checked: &Checked) -> ApiResult<()> {
        let (kind, at) = (checked.server_type.name, checked.location.name);
        if self.faults.retirement(kind, at).is_some_and(|end| end <= self.now()) {
            return Err(ApiError::invalid("server_type", format!("server type '{kind}' is deprecated")));
        }
        if !self.faults.is_orderable(kind, at) {
            return Err(ApiError::new(ErrorCode::ResourceUnavailable, "server location disabled"));
        }
        self.check_subnets(project, &order.networks, checked.location)?;
        match self.strike_order(kind, at) {
            Some(true) => Err(ApiError::new(ErrorCode::PlacementError, "error during placement")),
            Some(false) => Err(ApiError::new(ErrorCode::ResourceUnavailable, "error during placement")),
            None => Ok(()),
        }
    }

    fn reserve_private_addresses(
        &mut self,
        project: ProjectId,
        id: ServerId,
        order: &CreateServer,
        location: &Location,
    ) -> ApiResult<Vec<PrivateNet>> {
        let mut nets = Vec::new();
        for network in &order.networks {
            let holder = ResourceRef::Server(id);
            match self.reserve_private_address(project, *network, location, None, holder) {
                Ok(ip) => nets.push(PrivateNet { network: *network, ip, alias_ips: Vec::new() }),
                Err(error) => {
                    for network in &order.networks {
                        self.free_private_addresses(project, *network, |held| held == holder);
                    }
                    return Err(error);
                }
            }
        }
        Ok(nets)
    }

    fn insert_server(
        &mut self,
        project: ProjectId,
        id: ServerId,
        order: &CreateServer,
        checked: &Checked,
    ) -> ApiResult<()> {
        let (address, ipv4, ipv6) = self.assign_at_birth(project, id, &order.public_net, checked.location)?;
        let now = self.now();
        let uuid = self.rng().uuid();
        let image = project::find(&self.project(project).images, checked.image)?.boot_image();
        let hardware = Hardware { powered: false, boots: 0, uuid, disk_generation: 1, image, restarts: false };
        let server = Server {
            id,
            meta: Meta::new(order.name.clone(), order.labels.clone(), now),
            status: ServerStatus::Initializing,
            server_type: checked.server_type,
            location: checked.location,
            image: checked.image,
            user_data: order.user_data.clone(),
            ssh_keys: checked.ssh_keys.clone(),
            ipv4,
            ipv6,
            address,
            private_net: Vec::new(),
            placement_group: order.placement_group,
            rebuild_protected: false,
            primary_disk_gb: checked.server_type.disk_gb,
            hardware,
            locks: BTreeSet::new(),
        };
        let it = self.project_mut(project);
        it.ledger.open(ResourceRef::Server(id), server.meta().name.clone(), checked.server_type.monthly, now);
        it.servers.insert(id, server);
        if let Some(group) = order.placement_group.and_then(|group| it.placement_groups.get_mut(&group)) {
            group.servers.insert(id);
        }
        for firewall in &order.firewalls {
            if let Some(firewall) = it.firewalls.get_mut(firewall) {
                firewall.direct.insert(id);
            }
        }
        Ok(())
    }

    fn start_creation(
        &mut self,
        project: ProjectId,
        id: ServerId,
        order: &CreateServer,
        nets: Vec<PrivateNet>,
    ) -> (ActionId, Vec<ActionId>) {
        let (server, latencies) = (ResourceRef::Server(id), self.latencies().clone());
        let created = Effect::Server(ServerEffect::Created { server: id, volumes: order.volumes.clone() });
        let create = NewAction::new("create_server", server, latencies.create_server, created);
        let create = self.start_action(project, create);
        let mut next = Vec::new();
        for net in nets {
            let network = ResourceRef::Network(net.network);
            let attached = Effect::Server(ServerEffect::Attached { server: id, net });
            // Part of the creation: it doesn't hold the network, so that many servers can be made at once.
            let attach = NewAction::new("attach_to_network", server, latencies.minor, attached).and(network);
            next.push(self.start_action(project, attach.after(create)));
        }
        if !order.stay_off {
            let started = Effect::Server(ServerEffect::Started { server: id });
            let start = NewAction::new("start_server", server, latencies.start_server, started);
            next.push(self.start_action(project, start.after(create)));
        }
        (create, next)
    }
}

/// Names of servers are host names by RFC 1123.
pub(super) fn check_host_name(name: &str) -> ApiResult<()> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= 253 && name.split('.').all(is_label) {
        return Ok(());
    }
    Err(ApiError::invalid("name", "is not a valid hostname"))
}
