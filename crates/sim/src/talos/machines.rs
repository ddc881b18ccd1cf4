//! The machines of a shared world, as the servers and processes behind sockets use them.

use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::clock::SharedWorld;
use crate::world::catalogue::ServerType;
use crate::world::machine::config::{Cluster, Role};
use crate::world::machine::{Guest, Guests};
use crate::world::{ServerId, World, WorldEvent};

/// All machines of a world. Clones share the same ones.
#[derive(Clone, Debug)]
pub struct Machines {
    world: SharedWorld,
}

/// Another machine of the same cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its server.
    pub server: ServerId,
    /// Where its sockets listen.
    pub address: Ipv4Addr,
}

impl Machines {
    /// The machines of `world`.
    #[must_use]
    pub fn of(world: SharedWorld) -> Self {
        Self { world }
    }

    /// Looks at the machines at the present moment.
    pub fn look<R>(&self, look: impl FnOnce(&Guests, Timestamp) -> R) -> R {
        self.world.with(|world, now| look(world.guests(), now))
    }

    /// Looks at one machine, if it exists.
    pub fn look_at<R>(&self, server: ServerId, look: impl FnOnce(&Guest, Timestamp) -> R) -> Option<R> {
        self.look(|guests, now| guests.get(server).map(|guest| look(guest, now)))
    }

    /// Asks something of the machines at the present moment.
    pub fn ask<R>(&self, ask: impl FnOnce(&mut Guests, Timestamp) -> R) -> R {
        self.world.with(|world, now| ask(world.guests_mut(now), now))
    }

    /// Acts on the whole world, as a controller in a cluster does with the cluster's token.
    pub fn with_world<R>(&self, act: impl FnOnce(&mut World, Timestamp) -> R) -> R {
        self.world.with(act)
    }

    /// Whether a connection from `source` gets through the firewalls to a port of the machine on `address`.
    #[must_use]
    pub fn admits(&self, source: Ipv4Addr, address: Ipv4Addr, port: u16) -> bool {
        self.world.with(|world, _| world.machine_at(address).is_some_and(|machine| world.allows(source, machine, port)))
    }

    /// What kind of server the machine on `address` runs in, if it is known.
    #[must_use]
    pub fn server_type(&self, address: Ipv4Addr) -> Option<&'static ServerType> {
        self.world.with(|world, _| {
            let machine = world.machine_at(address)?;
            world.server(machine.project, machine.server).ok().map(|server| server.server_type)
        })
    }

    /// Hears of every change from now on.
    #[must_use]
    pub fn changes(&self) -> UnboundedReceiver<WorldEvent> {
        self.world.subscribe()
    }

    /// The other control planes of this machine's cluster that are fit for something.
    #[must_use]
    pub fn control_planes(&self, server: ServerId, fit: impl Fn(&Guest) -> bool) -> Vec<Peer> {
        self.look(|guests, _| {
            let Some(known) = guests.get(server).and_then(cluster_of).map(|cluster| cluster.known_authorities()) else {
                return Vec::new();
            };
            guests
                .iter()
                .filter(|guest| guest.is_up() && guest.role() == Some(Role::ControlPlane) && fit(guest))
                .filter(|guest| cluster_of(guest).is_some_and(|cluster| known.contains(&cluster.ca.crt)))
                .map(|guest| Peer { server: guest.host().server, address: guest.host().address })
                .collect()
        })
    }
}

/// The `cluster` section of a machine's configuration.
#[must_use]
pub fn cluster_of(guest: &Guest) -> Option<Arc<Cluster>> {
    Some(Arc::clone(guest.config()?.cluster()?))
}
