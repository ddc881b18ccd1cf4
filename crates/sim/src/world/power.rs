//! The hardware inside a server: whether it has power, and what its disk was made from. What boots on it is a guest
//! (`machine.rs`), to which the world passes on every change of power.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::Serialize;

use super::World;
use super::ids::{ProjectId, ServerId};
use super::machine::{Guests, Host};

/// What a disk was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BootImage {
    /// As in `v1.13.9`; `None` when the image holds no Talos, and then nothing ever listens.
    pub talos_version: Option<String>,
    /// The first 32 digits of the schematic id, from the image's label.
    pub schematic: Option<String>,
}

/// The hardware of one server.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// Whether it has power.
    pub powered: bool,
    /// How often it got power.
    pub boots: u64,
    /// SMBIOS UUID, the same for the server's whole life.
    pub uuid: String,
    /// Counts up when the disk is written anew by a rebuild.
    pub disk_generation: u64,
    /// What the disk was made from.
    pub image: BootImage,
    /// The guest was asked to restart: once it has halted, power comes back.
    pub(super) restarts: bool,
}

/// Where to find a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MachineRef {
    /// The project that its server belongs to.
    pub project: ProjectId,
    /// Its server.
    pub server: ServerId,
}

/// What changed, for whoever gives the world a body (sockets, processes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum WorldEvent {
    /// A machine has power and begins to boot.
    PoweredOn {
        /// Which.
        machine: MachineRef,
    },
    /// A machine has no power any more: nothing of it runs. A reset shows as this and then `PoweredOn`.
    PoweredOff {
        /// Which.
        machine: MachineRef,
    },
    /// A server is gone, with its disk.
    Deleted {
        /// Which.
        machine: MachineRef,
        /// Where it listened.
        address: Ipv4Addr,
    },
    /// Load balancers, firewalls or networks changed: who may connect to what is to be looked up again.
    TopologyChanged,
    /// A guest moved on by itself (booted, got ready, went down).
    GuestsChanged,
}

impl World {
    /// The machines, from inside.
    #[must_use]
    pub fn guests(&self) -> &Guests {
        &self.guests
    }

    /// The machines, for a call of Talos' API at `now`. What the call leads to (a machine that halts) the world takes
    /// up with the next [`World::advance`].
    pub fn guests_mut(&mut self, now: Timestamp) -> &mut Guests {
        self.advance(now);
        self.emit(WorldEvent::GuestsChanged);
        &mut self.guests
    }

    /// Gives the machine power: it boots, unless a fault keeps it from that.
    pub(super) fn power_on(&mut self, machine: MachineRef) {
        let Some(host) = self.host_of(machine) else { return };
        let Some(it) = self.server_mut(machine.project, machine.server) else { return };
        if it.hardware.powered {
            return;
        }
        it.hardware.powered = true;
        it.hardware.restarts = false;
        it.hardware.boots += 1;
        let (name, boots_talos) = (it.meta.name.clone(), it.hardware.image.talos_version.is_some());
        if boots_talos && !self.strike_boot(&name) {
            let now = self.now();
            self.guests.power_on(host, now);
        }
        self.emit(WorldEvent::PoweredOn { machine });
        self.note_power(machine);
    }

    /// Takes the machine's power, at once.
    pub(super) fn power_off(&mut self, machine: MachineRef) {
        let Some(it) = self.server_mut(machine.project, machine.server) else { return };
        if std::mem::take(&mut it.hardware.powered) {
            let now = self.now();
            self.guests.power_off(machine.server, now);
            self.emit(WorldEvent::PoweredOff { machine });
        }
        self.note_power(machine);
    }

    /// Restarts the machine, at once.
    pub(super) fn reset_machine(&mut self, machine: MachineRef) {
        if self.server(machine.project, machine.server).is_ok_and(|server| server.hardware.powered) {
            self.power_off(machine);
            self.power_on(machine);
        }
    }

    /// Signals the guest by ACPI. It halts later, if it hears; a restart that nobody hears is forced.
    pub(super) fn signal_guest(&mut self, machine: MachineRef, restart: bool) {
        let now = self.now();
        let heard = self.guests.press_power_button(machine.server, now);
        if restart && !heard {
            self.reset_machine(machine);
        } else if let Some(it) = self.server_mut(machine.project, machine.server) {
            it.hardware.restarts = restart;
        }
    }

    /// Takes up what guests did to their own power.
    pub(super) fn take_up_halts(&mut self) {
        for server in self.guests.take_halted() {
            let found = self.projects().find(|(_, project)| project.servers.contains_key(&server));
            let Some((project, _)) = found else { continue };
            let machine = MachineRef { project, server };
            let restarts = self.server(project, server).is_ok_and(|it| it.hardware.restarts);
            self.power_off(machine);
            if restarts {
                self.power_on(machine);
            }
        }
    }

    /// Tells the guest its addresses.
    pub(super) fn note_addresses(&mut self, machine: MachineRef) {
        if let Some(host) = self.host_of(machine) {
            self.guests.set_addresses(machine.server, host.public_ipv4, host.private_ipv4);
        }
        self.emit(WorldEvent::TopologyChanged);
    }

    fn host_of(&self, machine: MachineRef) -> Option<Host> {
        let server = self.server(machine.project, machine.server).ok()?;
        Some(Host {
            server: server.id,
            name: server.meta.name.clone(),
            address: server.address,
            public_ipv4: server.ipv4.map(|_| server.address),
            private_ipv4: server.private_net.first().map(|net| net.ip),
            user_data: server.user_data.clone(),
            talos_version: server.hardware.image.talos_version.clone().unwrap_or_default(),
            schematic: server.hardware.image.schematic.clone(),
        })
    }
}
