//! Changing a server: power, networks, type, disk, placement group, deletion. Each starts an action, and refuses to while
//! another one holds the server.

use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::{PrivateNet, Server, ServerEffect, ServerStatus};
use crate::world::World;
use crate::world::actions::{Effect, NewAction, ResourceRef};
use crate::world::catalogue;
use crate::world::error::{ApiError, ApiResult, ErrorCode};
use crate::world::ids::{ActionId, NetworkId, PlacementGroupId, ProjectId, ServerId};
use crate::world::latencies::Span;
use crate::world::networks::Network;
use crate::world::placement_groups;
use crate::world::project;

/// What the power button does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerAction {
    /// Switch on.
    PowerOn,
    /// Pull the plug.
    PowerOff,
    /// Ask the guest to stop (behaviour 19).
    Shutdown,
    /// Ask the guest to restart.
    Reboot,
    /// Pull the plug and put it back.
    Reset,
}

impl World {
    /// Presses the power button.
    ///
    /// # Errors
    /// `not_found`, `locked`.
    pub fn power(
        &mut self,
        project: ProjectId,
        server: ServerId,
        press: PowerAction,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        self.unlocked_server(project, server)?;
        let latencies = self.latencies().clone();
        let (command, takes, effect, status) = match press {
            PowerAction::PowerOn => {
                let status = Some(ServerStatus::Starting);
                ("start_server", latencies.start_server, ServerEffect::Started { server }, status)
            }
            PowerAction::PowerOff => {
                let status = Some(ServerStatus::Stopping);
                ("stop_server", latencies.stop_server, ServerEffect::Stopped { server }, status)
            }
            PowerAction::Shutdown => {
                ("shutdown_server", latencies.send_signal, ServerEffect::Signalled { server, restart: false }, None)
            }
            PowerAction::Reboot => {
                ("reboot_server", latencies.send_signal, ServerEffect::Signalled { server, restart: true }, None)
            }
            PowerAction::Reset => ("reset_server", latencies.stop_server, ServerEffect::Reset { server }, None),
        };
        if let (Some(status), Some(it)) = (status, self.server_mut(project, server))
            && it.hardware.powered != (status == ServerStatus::Starting)
        {
            it.status = status;
        }
        Ok(self.start_server_action(project, server, command, takes, effect))
    }

    /// Deletes a server.
    ///
    /// # Errors
    /// `not_found`, `locked`, `protected`.
    pub fn delete_server(&mut self, project: ProjectId, server: ServerId, now: Timestamp) -> ApiResult<ActionId> {
        self.advance(now);
        project::check_deletable(self.unlocked_server(project, server)?)?;
        if let Some(it) = self.server_mut(project, server) {
            it.status = ServerStatus::Deleting;
        }
        let takes = self.latencies().delete_server;
        Ok(self.start_server_action(project, server, "delete_server", takes, ServerEffect::Deleted { server }))
    }

    /// Attaches a server to a network.
    ///
    /// # Errors
    /// `not_found`, `locked`, `conflict`, `server_already_attached`, `ip_not_available`, `no_subnet_available`,
    /// `networks_overlap`.
    pub fn attach_to_network(
        &mut self,
        project: ProjectId,
        server: ServerId,
        network: NetworkId,
        ip: Option<Ipv4Addr>,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        let it = self.unlocked_server(project, server)?;
        let (location, attached) = (it.location, it.private_net.clone());
        let networks = &self.project(project).networks;
        let joined = project::find(networks, network)?;
        if attached.iter().any(|net| net.network == network) {
            return Err(ApiError::new(ErrorCode::ServerAlreadyAttached, "server is already attached to network"));
        }
        let overlaps = |other: &Network| other.range.contains(&joined.range) || joined.range.contains(&other.range);
        if attached.iter().filter_map(|net| networks.get(&net.network)).any(overlaps) {
            return Err(ApiError::new(ErrorCode::NetworksOverlap, "network overlaps with an attached network"));
        }
        project::check_unchanging::<Network>(&joined.locks)?;
        let ip = self.reserve_private_address(project, network, location, ip, ResourceRef::Server(server))?;
        let net = PrivateNet { network, ip, alias_ips: Vec::new() };
        let effect = Effect::Server(ServerEffect::Attached { server, net });
        let takes = self.latencies().attach_to_network;
        let new = NewAction::new("attach_to_network", ResourceRef::Server(server), takes, effect);
        Ok(self.start_action(project, new.holding(ResourceRef::Network(network))))
    }

    /// Detaches a server from a network.
    ///
    /// # Errors
    /// `not_found`, `locked`, `conflict`, `invalid_input` when it isn't attached.
    pub fn detach_from_network(
        &mut self,
        project: ProjectId,
        server: ServerId,
        network: NetworkId,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        let it = self.unlocked_server(project, server)?;
        if it.private_ip(network).is_none() {
            return Err(ApiError::invalid("network", "server is not attached to network"));
        }
        project::check_unchanging::<Network>(&project::find(&self.project(project).networks, network)?.locks)?;
        let effect = Effect::Server(ServerEffect::Detached { server, network });
        let takes = self.latencies().detach_from_network;
        let new = NewAction::new("detach_from_network", ResourceRef::Server(server), takes, effect);
        Ok(self.start_action(project, new.holding(ResourceRef::Network(network))))
    }

    /// Moves a powered-off server to another type.
    ///
    /// # Errors
    /// `not_found`, `locked`, `server_not_stopped`, `invalid_server_type`, `resource_unavailable`.
    pub fn change_server_type(
        &mut self,
        project: ProjectId,
        server: ServerId,
        to: &str,
        upgrade_disk: bool,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        let it = self.stopped_server(project, server)?;
        let fits = |to: &&catalogue::ServerType| {
            to.architecture == it.server_type.architecture
                && to.disk_gb >= it.primary_disk_gb
                && to.is_sold_in(it.location.name)
        };
        let Some(to) = catalogue::server_type(to).filter(fits) else {
            return Err(ApiError::new(ErrorCode::InvalidServerType, "server type does not fit for the given server"));
        };
        let at = it.location.name;
        if !self.faults.is_orderable(to.name, at) || self.strike_order(to.name, at).is_some() {
            return Err(ApiError::new(ErrorCode::ResourceUnavailable, "error during placement"));
        }
        if let Some(it) = self.server_mut(project, server) {
            it.status = ServerStatus::Migrating;
        }
        let takes = self.latencies().change_type;
        let effect = ServerEffect::TypeChanged { server, to, upgrade_disk };
        Ok(self.start_server_action(project, server, "change_server_type", takes, effect))
    }

    /// Writes a server's disk anew.
    ///
    /// # Errors
    /// `not_found`, `locked`, `protected`, `invalid_input`.
    pub fn rebuild_server(
        &mut self,
        project: ProjectId,
        server: ServerId,
        image: &str,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        let it = self.unlocked_server(project, server)?;
        if it.rebuild_protected {
            return Err(ApiError::new(ErrorCode::Protected, "server rebuild is protected"));
        }
        let image = self.project(project).image_named(image, it.server_type.architecture)?;
        if let Some(it) = self.server_mut(project, server) {
            it.status = ServerStatus::Rebuilding;
        }
        let takes = self.latencies().rebuild_server;
        let effect = ServerEffect::Rebuilt { server, image };
        Ok(self.start_server_action(project, server, "rebuild_server", takes, effect))
    }

    /// Puts a powered-off server into a placement group.
    ///
    /// # Errors
    /// `not_found`, `locked`, `server_not_stopped`, `already_in_placement_group`,
    /// `placement_group_member_limit_reached`.
    pub fn add_to_placement_group(
        &mut self,
        project: ProjectId,
        server: ServerId,
        group: PlacementGroupId,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        if self.stopped_server(project, server)?.placement_group.is_some() {
            return Err(ApiError::new(ErrorCode::AlreadyInPlacementGroup, "server is already in a placement group"));
        }
        let joined = project::find_mut(&mut self.project_mut(project).placement_groups, group)?;
        placement_groups::check_room(joined)?;
        joined.servers.insert(server);
        let effect = Effect::Server(ServerEffect::GroupJoined { server, group });
        let takes = self.latencies().minor;
        let new = NewAction::new("add_to_placement_group", ResourceRef::Server(server), takes, effect);
        Ok(self.start_action(project, new.and(ResourceRef::PlacementGroup(group))))
    }

    /// Takes a server out of its placement group.
    ///
    /// # Errors
    /// `not_found`, `locked`, `invalid_input` when it is in none.
    pub fn remove_from_placement_group(
        &mut self,
        project: ProjectId,
        server: ServerId,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        if self.unlocked_server(project, server)?.placement_group.is_none() {
            return Err(ApiError::new(ErrorCode::InvalidInput, "server is in no placement group"));
        }
        let takes = self.latencies().minor;
        let effect = ServerEffect::GroupLeft { server };
        Ok(self.start_server_action(project, server, "remove_from_placement_group", takes, effect))
    }

    fn stopped_server(&self, project: ProjectId, server: ServerId) -> ApiResult<&Server> {
        let it = self.unlocked_server(project, server)?;
        if it.hardware.powered {
            return Err(ApiError::new(ErrorCode::ServerNotStopped, "server is not stopped"));
        }
        Ok(it)
    }

    fn start_server_action(
        &mut self,
        project: ProjectId,
        server: ServerId,
        command: &'static str,
        takes: Span,
        effect: ServerEffect,
    ) -> ActionId {
        let new = NewAction::new(command, ResourceRef::Server(server), takes, Effect::Server(effect));
        self.start_action(project, new)
    }
}
