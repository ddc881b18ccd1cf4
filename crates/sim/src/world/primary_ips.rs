//! Primary IPs: public addresses as resources of their own. A server order makes what it needs; those go with the server.

use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::World;
use super::actions::{Effect, NewAction, ResourceRef};
use super::catalogue::{self, IPV4_MONTHLY, Location};
use super::error::{ApiError, ApiResult, ErrorCode};
use super::ids::{ActionId, PrimaryIpId, ProjectId, ServerId};
use super::labels::Labels;
use super::money::Money;
use super::power::MachineRef;
use super::project::{self, Meta, Project, Update};
use super::servers::{PublicNet, Server};

/// The version of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// One address, from the world's loopback block.
    V4,
    /// A /64 out of 2001:db8::/32, the documentation range: nothing listens there.
    V6,
}

impl IpVersion {
    /// On the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

/// A primary IP.
#[derive(Clone, Debug)]
pub struct PrimaryIp {
    /// Its number.
    pub id: PrimaryIpId,
    /// Name, labels, age, protection.
    pub meta: Meta,
    /// Its version.
    pub version: IpVersion,
    /// The loopback address; of a V6 network, 0.0.0.0.
    pub address: Ipv4Addr,
    /// Where it is.
    pub location: &'static Location,
    /// Whose it is.
    pub server: Option<ServerId>,
    /// Whether it goes with its server.
    pub auto_delete: bool,
}

impl PrimaryIp {
    /// The address or network as the API shows it.
    #[must_use]
    pub fn text(&self) -> String {
        match self.version {
            IpVersion::V4 => self.address.to_string(),
            IpVersion::V6 => format!("2001:db8:{:x}:{:x}::/64", (self.id.0 >> 16) & 0xffff, self.id.0 & 0xffff),
        }
    }
}

/// An order for a primary IP.
#[derive(Clone, Debug)]
pub struct CreatePrimaryIp {
    /// Unique name.
    pub name: String,
    /// Which version.
    pub version: IpVersion,
    /// Where.
    pub location: String,
    /// For which server.
    pub assign_to: Option<ServerId>,
    /// Whether it goes with its server.
    pub auto_delete: bool,
    /// Labels.
    pub labels: Labels,
}

impl Project {
    /// Refuses a primary IP that a new server can't have.
    pub(super) fn assignable_primary_ip(
        &self,
        id: PrimaryIpId,
        version: IpVersion,
        location: &Location,
    ) -> ApiResult<()> {
        let ip = project::find(&self.primary_ips, id)?;
        if ip.version != version {
            return Err(ApiError::new(ErrorCode::PrimaryIpVersionMismatch, "primary IP has the wrong IP version"));
        }
        if ip.server.is_some() {
            return Err(ApiError::new(ErrorCode::PrimaryIpAssigned, "primary IP is already assigned to a server"));
        }
        if ip.location.name != location.name {
            return Err(ApiError::new(ErrorCode::PrimaryIpDatacenterMismatch, "primary IP is in another location"));
        }
        Ok(())
    }
}

/// What becomes true when an action on a primary IP succeeds.
#[derive(Clone, Copy, Debug)]
pub(super) enum PrimaryIpEffect {
    Assigned(PrimaryIpId, ServerId),
    Unassigned(PrimaryIpId),
}

impl World {
    /// Reserves a primary IP, for a powered-off server or for nobody yet.
    ///
    /// # Errors
    /// `invalid_input`, `uniqueness_error`, `resource_limit_exceeded`, and those of
    /// [`World::assign_primary_ip`].
    pub fn create_primary_ip(
        &mut self,
        project: ProjectId,
        order: CreatePrimaryIp,
        now: Timestamp,
    ) -> ApiResult<(PrimaryIpId, Option<ActionId>)> {
        self.advance(now);
        project::check_new(&self.project(project).primary_ips, &order.name, &order.labels)?;
        let location =
            catalogue::location(&order.location).ok_or_else(|| ApiError::invalid("location", "does not exist"))?;
        if let Some(server) = order.assign_to {
            self.check_can_take(project, server, order.version)?;
        }
        let address = self.address_for(order.version)?;
        let owner = (None, order.auto_delete, order.labels);
        let id = self.insert_primary_ip(project, Some(&order.name), order.version, address, location, owner);
        let action = order.assign_to.map(|server| self.assign_primary_ip(project, id, server, now)).transpose()?;
        Ok((id, action))
    }

    /// Changes name, labels or whether it goes with its server.
    ///
    /// # Errors
    /// `not_found`, `uniqueness_error`, `invalid_input`.
    pub fn update_primary_ip(
        &mut self,
        project: ProjectId,
        id: PrimaryIpId,
        update: Update,
        auto_delete: Option<bool>,
        now: Timestamp,
    ) -> ApiResult<()> {
        self.advance(now);
        let ips = &mut self.project_mut(project).primary_ips;
        project::update(ips, id, update)?;
        let ip = project::find_mut(ips, id)?;
        ip.auto_delete = auto_delete.unwrap_or(ip.auto_delete);
        Ok(())
    }

    /// Gives a primary IP back.
    ///
    /// # Errors
    /// `not_found`, `protected`, `must_be_unassigned`.
    pub fn delete_primary_ip(&mut self, project: ProjectId, id: PrimaryIpId, now: Timestamp) -> ApiResult<()> {
        self.advance(now);
        let ip = project::find(&self.project(project).primary_ips, id)?;
        project::check_deletable(ip)?;
        if ip.server.is_some() {
            return Err(ApiError::new(ErrorCode::MustBeUnassigned, "primary IP must be unassigned"));
        }
        self.remove_primary_ip(project, id);
        Ok(())
    }

    /// Assigns a primary IP to a powered-off server.
    ///
    /// # Errors
    /// `not_found`, `locked`, `server_not_stopped`, `primary_ip_already_assigned`, `server_has_ipv4`,
    /// `server_has_ipv6`.
    pub fn assign_primary_ip(
        &mut self,
        project: ProjectId,
        id: PrimaryIpId,
        server: ServerId,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        let ip = project::find(&self.project(project).primary_ips, id)?;
        if ip.server.is_some() {
            return Err(ApiError::new(ErrorCode::PrimaryIpAlreadyAssigned, "primary IP is already assigned"));
        }
        self.check_can_take(project, server, ip.version)?;
        let effect = Effect::PrimaryIp(PrimaryIpEffect::Assigned(id, server));
        let new = NewAction::new("assign_primary_ip", ResourceRef::PrimaryIp(id), self.latencies().minor, effect);
        Ok(self.start_action(project, new.holding(ResourceRef::Server(server))))
    }

    /// Takes a primary IP from its powered-off server.
    ///
    /// # Errors
    /// `not_found`, `locked`, `server_not_stopped`, `invalid_input` when it belongs to nobody.
    pub fn unassign_primary_ip(&mut self, project: ProjectId, id: PrimaryIpId, now: Timestamp) -> ApiResult<ActionId> {
        self.advance(now);
        let ip = project::find(&self.project(project).primary_ips, id)?;
        let server = ip.server.ok_or_else(|| ApiError::new(ErrorCode::InvalidInput, "primary IP is not assigned"))?;
        self.powered_off_server(project, server)?;
        let effect = Effect::PrimaryIp(PrimaryIpEffect::Unassigned(id));
        let new = NewAction::new("unassign_primary_ip", ResourceRef::PrimaryIp(id), self.latencies().minor, effect);
        Ok(self.start_action(project, new.holding(ResourceRef::Server(server))))
    }

    pub(super) fn apply_to_primary_ip(&mut self, project: ProjectId, effect: PrimaryIpEffect) {
        match effect {
            PrimaryIpEffect::Assigned(id, server) => {
                let Some(ip) = self.project_mut(project).primary_ips.get_mut(&id) else { return };
                ip.server = Some(server);
                let (version, address) = (ip.version, ip.address);
                self.set_public_address(MachineRef { project, server }, version, Some((id, address)));
            }
            PrimaryIpEffect::Unassigned(id) => {
                let Some(ip) = self.project_mut(project).primary_ips.get_mut(&id) else { return };
                let version = ip.version;
                if let Some(server) = ip.server.take() {
                    self.set_public_address(MachineRef { project, server }, version, None);
                }
            }
        }
    }

    /// The addresses of a new server: those asked for, new ones, and one to listen on where it has no public one.
    pub(super) fn assign_at_birth(
        &mut self,
        project: ProjectId,
        server: ServerId,
        wanted: &PublicNet,
        location: &'static Location,
    ) -> ApiResult<(Ipv4Addr, Option<PrimaryIpId>, Option<PrimaryIpId>)> {
        let existing = wanted.ipv4.and_then(|id| self.project(project).primary_ips.get(&id)).map(|ip| ip.address);
        let address = match existing {
            Some(address) => address,
            None => self.address_for(IpVersion::V4)?,
        };
        let mut give = |enabled: bool, existing: Option<PrimaryIpId>, version, address| {
            let existing = existing.filter(|_| enabled);
            if let Some(ip) = existing.and_then(|id| self.project_mut(project).primary_ips.get_mut(&id)) {
                ip.server = Some(server);
                return existing;
            }
            let owner = (Some(server), true, Labels::new());
            enabled.then(|| self.insert_primary_ip(project, None, version, address, location, owner))
        };
        let ipv4 = give(wanted.enable_ipv4, wanted.ipv4, IpVersion::V4, address);
        let ipv6 = give(wanted.enable_ipv6, wanted.ipv6, IpVersion::V6, Ipv4Addr::UNSPECIFIED);
        Ok((address, ipv4, ipv6))
    }

    /// What becomes of a deleted server's addresses.
    pub(super) fn release_primary_ips(&mut self, project: ProjectId, server: &Server) {
        if server.ipv4.is_none() {
            self.addresses.free(server.address);
        }
        for id in [server.ipv4, server.ipv6].into_iter().flatten() {
            let Some(ip) = self.project_mut(project).primary_ips.get_mut(&id) else { continue };
            ip.server = None;
            if ip.auto_delete {
                self.remove_primary_ip(project, id);
            }
        }
    }

    fn check_can_take(&self, project: ProjectId, server: ServerId, version: IpVersion) -> ApiResult<()> {
        let it = self.powered_off_server(project, server)?;
        match version {
            IpVersion::V4 if it.ipv4.is_some() => {
                Err(ApiError::new(ErrorCode::ServerHasIpv4, "the server already has an IPv4 address"))
            }
            IpVersion::V6 if it.ipv6.is_some() => {
                Err(ApiError::new(ErrorCode::ServerHasIpv6, "the server already has an IPv6 address"))
            }
            IpVersion::V4 | IpVersion::V6 => Ok(()),
        }
    }

    fn powered_off_server(&self, project: ProjectId, server: ServerId) -> ApiResult<&Server> {
        let it = self.unlocked_server(project, server)?;
        if it.hardware.powered {
            return Err(ApiError::new(ErrorCode::ServerNotStopped, "server must be powered off"));
        }
        Ok(it)
    }

    fn set_public_address(&mut self, machine: MachineRef, version: IpVersion, given: Option<(PrimaryIpId, Ipv4Addr)>) {
        let without = if given.is_none() && version == IpVersion::V4 { self.addresses.take() } else { None };
        let Some(server) = self.server_mut(machine.project, machine.server) else { return };
        match version {
            IpVersion::V6 => server.ipv6 = given.map(|(id, _)| id),
            IpVersion::V4 => {
                server.ipv4 = given.map(|(id, _)| id);
                let before = server.address;
                server.address = given.map(|(_, address)| address).or(without).unwrap_or(before);
                if given.is_some() {
                    self.addresses.free(before);
                }
            }
        }
        self.note_addresses(machine);
    }

    fn address_for(&mut self, version: IpVersion) -> ApiResult<Ipv4Addr> {
        match version {
            IpVersion::V6 => Ok(Ipv4Addr::UNSPECIFIED),
            IpVersion::V4 => self
                .addresses
                .take()
                .ok_or_else(|| ApiError::new(ErrorCode::ResourceLimitExceeded, "primary IP limit exceeded")),
        }
    }

    fn insert_primary_ip(
        &mut self,
        project: ProjectId,
        name: Option<&str>,
        version: IpVersion,
        address: Ipv4Addr,
        location: &'static Location,
        (server, auto_delete, labels): (Option<ServerId>, bool, Labels),
    ) -> PrimaryIpId {
        let id = PrimaryIpId(self.next_id());
        let now = self.now();
        let name = name.map_or_else(|| format!("primary_ip-{id}"), str::to_owned);
        let meta = Meta::new(name.clone(), labels, now);
        let ip = PrimaryIp { id, meta, version, address, location, server, auto_delete };
        let it = self.project_mut(project);
        it.primary_ips.insert(id, ip);
        let monthly = if version == IpVersion::V4 { IPV4_MONTHLY } else { Money::default() };
        it.ledger.open(ResourceRef::PrimaryIp(id), name, monthly, now);
        id
    }

    fn remove_primary_ip(&mut self, project: ProjectId, id: PrimaryIpId) {
        let now = self.now();
        let it = self.project_mut(project);
        it.ledger.close(ResourceRef::PrimaryIp(id), now);
        if let Some(ip) = it.primary_ips.remove(&id) {
            self.addresses.free(ip.address);
        }
    }
}
