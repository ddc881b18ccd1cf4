//! Servers: what they are, and what becomes true when their actions end. `create.rs` makes them, `change.rs` changes them.

mod change;
mod create;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::actions::ResourceRef;
use super::catalogue::{self, Location, ServerType};
use super::error::ApiResult;
use super::ids::{
    ActionId, ImageId, NetworkId, PlacementGroupId, PrimaryIpId, ProjectId, ServerId, SshKeyId, VolumeId,
};
use super::power::{Hardware, MachineRef, WorldEvent};
use super::project::{self, Meta, Update};
use super::{Due, World};

pub use change::PowerAction;
pub use create::{CreateServer, CreatedServer, PublicNet};

/// A server's status, in Hetzner's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerStatus {
    /// Being made.
    Initializing,
    /// Being powered on.
    Starting,
    /// Powered on.
    Running,
    /// Being powered off.
    Stopping,
    /// Powered off.
    Off,
    /// Being deleted.
    Deleting,
    /// Being moved to another type.
    Migrating,
    /// Its disk is being written anew.
    Rebuilding,
}

impl ServerStatus {
    /// On the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Off => "off",
            Self::Deleting => "deleting",
            Self::Migrating => "migrating",
            Self::Rebuilding => "rebuilding",
        }
    }
}

/// A server's place in a private network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateNet {
    /// The network.
    pub network: NetworkId,
    /// The server's address.
    pub ip: Ipv4Addr,
    /// More addresses that it may use.
    pub alias_ips: Vec<Ipv4Addr>,
}

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its number.
    pub id: ServerId,
    /// Name, labels, age, protection.
    pub meta: Meta,
    /// Where it stands.
    pub status: ServerStatus,
    /// Its type.
    pub server_type: &'static ServerType,
    /// Where it is.
    pub location: &'static Location,
    /// What it was made from.
    pub image: ImageId,
    /// What the metadata service tells the guest.
    pub user_data: Option<String>,
    /// Keys that were asked for.
    pub ssh_keys: Vec<SshKeyId>,
    /// Its public IPv4 address.
    pub ipv4: Option<PrimaryIpId>,
    /// Its public IPv6 network.
    pub ipv6: Option<PrimaryIpId>,
    /// Where the simulation listens for it: its public IPv4 address, or a loopback address of its own if it has none.
    pub address: Ipv4Addr,
    /// Its private networks.
    pub private_net: Vec<PrivateNet>,
    /// Its placement group.
    pub placement_group: Option<PlacementGroupId>,
    /// Whether rebuilding is refused.
    pub rebuild_protected: bool,
    /// Its disk in GB; grows only.
    pub primary_disk_gb: u32,
    /// What is in it.
    pub hardware: Hardware,
    pub(super) locks: BTreeSet<ActionId>,
}

impl Server {
    /// Whether an action holds it.
    #[must_use]
    pub fn locked(&self) -> bool {
        !self.locks.is_empty()
    }

    /// Its address in a network.
    #[must_use]
    pub fn private_ip(&self, network: NetworkId) -> Option<Ipv4Addr> {
        self.private_net.iter().find(|net| net.network == network).map(|net| net.ip)
    }
}

/// What becomes true when an action on a server succeeds.
#[derive(Clone, Debug)]
pub(super) enum ServerEffect {
    Created { server: ServerId, volumes: Vec<VolumeId> },
    Started { server: ServerId },
    Stopped { server: ServerId },
    Signalled { server: ServerId, restart: bool },
    Reset { server: ServerId },
    Deleted { server: ServerId },
    Attached { server: ServerId, net: PrivateNet },
    Detached { server: ServerId, network: NetworkId },
    TypeChanged { server: ServerId, to: &'static ServerType, upgrade_disk: bool },
    Rebuilt { server: ServerId, image: ImageId },
    GroupJoined { server: ServerId, group: PlacementGroupId },
    GroupLeft { server: ServerId },
}

impl World {
    /// A server.
    ///
    /// # Errors
    /// `not_found`.
    pub fn server(&self, project: ProjectId, id: ServerId) -> ApiResult<&Server> {
        project::find(&self.project(project).servers, id)
    }

    /// The machine that listens on a loopback address.
    #[must_use]
    pub fn machine_at(&self, address: Ipv4Addr) -> Option<MachineRef> {
        self.projects().find_map(|(project, it)| {
            let server = it.servers.values().find(|server| server.address == address)?.id;
            Some(MachineRef { project, server })
        })
    }

    /// Changes name or labels, at once.
    ///
    /// # Errors
    /// `not_found`, `uniqueness_error`, `invalid_input`.
    pub fn update_server(&mut self, project: ProjectId, id: ServerId, update: Update, now: Timestamp) -> ApiResult<()> {
        self.advance(now);
        if let Some(name) = &update.name {
            project::find(&self.project(project).servers, id)?;
            create::check_host_name(name)?;
        }
        project::update(&mut self.project_mut(project).servers, id, update)?;
        self.labels_changed(project);
        Ok(())
    }

    /// The server, if no action holds it (behaviour 2).
    pub(super) fn unlocked_server(&self, project: ProjectId, id: ServerId) -> ApiResult<&Server> {
        let server = self.server(project, id)?;
        project::check_unlocked::<Server>(&server.locks)?;
        Ok(server)
    }

    /// Notes that labels or servers changed: selectors see it later (behaviour 14).
    pub(super) fn labels_changed(&mut self, project: ProjectId) {
        let takes = self.draw(self.latencies().selector_update);
        self.schedule(self.now() + takes, Due::Selectors { project });
    }

    pub(super) fn server_mut(&mut self, project: ProjectId, id: ServerId) -> Option<&mut Server> {
        self.project_mut(project).servers.get_mut(&id)
    }

    /// Sets the status to what the machine's power says.
    pub(super) fn note_power(&mut self, machine: MachineRef) {
        if let Some(server) = self.server_mut(machine.project, machine.server)
            && server.status != ServerStatus::Deleting
        {
            server.status = if server.hardware.powered { ServerStatus::Running } else { ServerStatus::Off };
        }
    }

    pub(super) fn apply_to_server(&mut self, project: ProjectId, effect: ServerEffect) {
        match effect {
            ServerEffect::Created { server, volumes } => self.server_created(project, server, &volumes),
            ServerEffect::Started { server } => {
                self.power_on(MachineRef { project, server });
                self.note_power(MachineRef { project, server });
            }
            ServerEffect::Stopped { server } => {
                self.power_off(MachineRef { project, server });
            }
            ServerEffect::Signalled { server, restart } => self.signal_guest(MachineRef { project, server }, restart),
            ServerEffect::Reset { server } => self.reset_machine(MachineRef { project, server }),
            ServerEffect::Deleted { server } => self.server_deleted(project, server),
            ServerEffect::Attached { server, net } => {
                if let Some(it) = self.server_mut(project, server) {
                    it.private_net.push(net);
                }
                self.note_addresses(MachineRef { project, server });
            }
            ServerEffect::Detached { server, network } => {
                if let Some(it) = self.server_mut(project, server) {
                    it.private_net.retain(|net| net.network != network);
                }
                self.free_private_addresses(project, network, |holder| holder == ResourceRef::Server(server));
                self.note_addresses(MachineRef { project, server });
            }
            ServerEffect::TypeChanged { server, to, upgrade_disk } => {
                self.type_changed(project, server, to, upgrade_disk);
            }
            ServerEffect::Rebuilt { server, image } => self.server_rebuilt(project, server, image),
            ServerEffect::GroupJoined { server, group } => {
                if let Some(server) = self.server_mut(project, server) {
                    server.placement_group = Some(group);
                }
            }
            ServerEffect::GroupLeft { server } => {
                let group = self.server_mut(project, server).and_then(|server| server.placement_group.take());
                if let Some(group) = group.and_then(|id| self.project_mut(project).placement_groups.get_mut(&id)) {
                    group.servers.remove(&server);
                }
            }
        }
    }

    /// What a failed action on a server leaves.
    pub(super) fn abandon_server_effect(&mut self, project: ProjectId, effect: ServerEffect) {
        match effect {
            // The server stays, switched off: it is billed, and whoever asked for it has to look after it.
            ServerEffect::Created { server, .. }
            | ServerEffect::Started { server }
            | ServerEffect::Stopped { server }
            | ServerEffect::TypeChanged { server, .. }
            | ServerEffect::Rebuilt { server, .. } => self.note_power(MachineRef { project, server }),
            ServerEffect::Deleted { server } => {
                if let Some(it) = self.server_mut(project, server) {
                    it.status = ServerStatus::Off;
                }
                self.note_power(MachineRef { project, server });
            }
            ServerEffect::Attached { net, .. } => {
                self.free_private_addresses_at(project, net.network, &net);
            }
            ServerEffect::GroupJoined { server, group } => {
                if let Some(group) = self.project_mut(project).placement_groups.get_mut(&group) {
                    group.servers.remove(&server);
                }
            }
            ServerEffect::Signalled { .. }
            | ServerEffect::Reset { .. }
            | ServerEffect::Detached { .. }
            | ServerEffect::GroupLeft { .. } => {}
        }
    }

    fn server_created(&mut self, project: ProjectId, server: ServerId, volumes: &[VolumeId]) {
        if let Some(it) = self.server_mut(project, server) {
            it.status = if it.locks.is_empty() { ServerStatus::Off } else { ServerStatus::Starting };
        }
        for volume in volumes {
            self.volume_attached(project, *volume, server);
        }
        self.emit(WorldEvent::TopologyChanged);
    }

    /// The server goes; volumes stay, addresses are free at once, firewalls and the group only after a while
    /// (behaviours 12, 13, 20).
    fn server_deleted(&mut self, project: ProjectId, server: ServerId) {
        let machine = MachineRef { project, server };
        self.power_off(machine);
        let now = self.now();
        self.guests.remove(server, now);
        let Some(it) = self.project_mut(project).servers.remove(&server) else { return };
        for net in &it.private_net {
            self.free_private_addresses(project, net.network, |holder| holder == ResourceRef::Server(server));
        }
        self.release_primary_ips(project, &it);
        for volume in self.project_mut(project).volumes.values_mut().filter(|volume| volume.server == Some(server)) {
            volume.server = None;
        }
        self.leave_group_later(project, it.placement_group, server);
        self.leave_firewalls_later(project, server);
        self.remove_server_targets(project, server);
        self.project_mut(project).ledger.close(ResourceRef::Server(server), now);
        self.labels_changed(project);
        self.emit(WorldEvent::Deleted { machine, address: it.address });
        self.emit(WorldEvent::TopologyChanged);
    }

    fn type_changed(&mut self, project: ProjectId, server: ServerId, to: &'static ServerType, upgrade_disk: bool) {
        let now = self.now();
        if let Some(it) = self.server_mut(project, server) {
            it.server_type = to;
            it.status = ServerStatus::Off;
            if upgrade_disk {
                it.primary_disk_gb = it.primary_disk_gb.max(to.disk_gb);
            }
        }
        self.project_mut(project).ledger.reprice(ResourceRef::Server(server), to.monthly, now);
        // "This copies the content of its disk, and starts it again."
        self.power_on(MachineRef { project, server });
    }

    fn server_rebuilt(&mut self, project: ProjectId, server: ServerId, image: ImageId) {
        let made_from = self.project(project).images.get(&image).map(|image| image.boot_image());
        let machine = MachineRef { project, server };
        self.power_off(machine);
        if let (Some(it), Some(made_from)) = (self.server_mut(project, server), made_from) {
            it.image = image;
            it.hardware.image = made_from;
            it.hardware.disk_generation += 1;
        }
        self.guests.replace_disk(server);
        self.power_on(machine);
    }
}

/// The location and type that a request names.
pub(super) fn ordered(server_type: &str, location: &str) -> ApiResult<(&'static ServerType, &'static Location)> {
    use super::error::ApiError;
    let kind = catalogue::server_type(server_type)
        .ok_or_else(|| ApiError::invalid("server_type", format!("server type '{server_type}' does not exist")))?;
    let location = catalogue::location(location)
        .ok_or_else(|| ApiError::invalid("location", format!("location '{location}' does not exist")))?;
    if !kind.is_sold_in(location.name) {
        return Err(ApiError::invalid("location", "unsupported location for server type"));
    }
    Ok((kind, location))
}
