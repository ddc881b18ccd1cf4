//! The machines that run in the world's servers: Talos as seen from outside, as a pure state machine.
//!
//! [`Guests`] takes the time with every call and does no I/O. Its owner, the world, says when servers get and lose
//! power; callers of Talos' API use the methods in [`requests`]; [`Guests::advance`] lets time pass. With
//! [`Membership::Modelled`] it also plays etcd, API servers and nodes; with [`Membership::Processes`] real processes
//! do, and report through [`Guests::report`].
//!
//! Guarantee: the same calls at the same times give the same states. What it deliberately doesn't do: certificates
//! and encryption, which need a socket to mean anything.

pub mod config;
mod copies;
mod effects;
mod etcd;
mod events;
mod guest;
mod inside;
mod latencies;
mod nodes;
mod passing;
mod phase;
mod readiness;
mod requests;
mod served;
mod services;
mod status;
mod upgrade;
mod workloads;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;

pub use copies::Replicated;
pub use etcd::{EtcdData, Member, Snapshot};
pub use events::{Entry, EventLog, Happening};
pub use guest::{Apid, EtcdIntent, Guest, Host, Stage};
pub use inside::{Claim, ExposedService, HeldObject, HeldSecret, Inside, ObjectKey};
pub(crate) use inside::{MODELS, models};
pub use latencies::GuestLatencies;
pub use nodes::{AddOns, Node, NodeCondition};
pub(crate) use nodes::{OWNED_ANNOTATIONS, OWNED_LABELS, taints_at_birth};
pub use requests::{Applied, ApplyMode, ResetRequest};
pub use services::Service;
pub use status::{RpcCode, RpcError};
pub use upgrade::Installed;
pub use workloads::{App, Pod};

use self::etcd::EtcdModel;
use self::latencies::Pace;
use self::nodes::Nodes;
use self::phase::{GoingDown, Phase, Wipe};
use super::ids::ServerId;
use super::latencies::TimeScale;
use super::rng::Rng;

/// Who plays etcd and Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// A model within the world.
    Modelled,
    /// Real processes, which report.
    Processes,
}

/// What the processes of a control plane report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessReport {
    /// Whether etcd's process answers at all.
    pub etcd_answers: bool,
    /// Whether the member is a voter that sees a leader.
    pub etcd_healthy: bool,
    /// Whether the API server says that it is ready.
    pub api_server: bool,
}

/// All machines of a world.
#[derive(Clone, Debug)]
pub struct Guests {
    guests: BTreeMap<ServerId, Guest>,
    membership: Membership,
    etcd: EtcdModel,
    nodes: Nodes,
    pace: Pace,
    ids: Rng,
    halted: Vec<ServerId>,
}

impl Guests {
    /// No machines yet.
    #[must_use]
    pub fn new(latencies: GuestLatencies, scale: TimeScale, membership: Membership, seed: u64) -> Self {
        let mut ids = Rng::new(seed);
        let etcd = EtcdModel::new(Rng::new(ids.next_u64()));
        let pace = Pace { spans: latencies, scale, rng: Rng::new(ids.next_u64()) };
        Self { guests: BTreeMap::new(), membership, etcd, nodes: Nodes::default(), pace, ids, halted: Vec::new() }
    }

    /// Who plays etcd and Kubernetes from now on; to be said before the first machine boots.
    pub fn set_membership(&mut self, membership: Membership) {
        self.membership = membership;
    }

    /// Who plays etcd and Kubernetes.
    #[must_use]
    pub fn membership(&self) -> Membership {
        self.membership
    }

    /// A server got power. Its disk is what it was, or at its first time that of its image.
    pub fn power_on(&mut self, host: Host, now: Timestamp) {
        let server = host.server;
        let guest = self.guests.entry(server).or_insert_with(|| Guest::new(host.clone()));
        if guest.disk.replaced {
            let generation = guest.disk.ephemeral + 1;
            *guest = Guest::new(host.clone());
            guest.disk.ephemeral = generation;
        }
        guest.host = host;
        self.boot(server, now);
    }

    /// A server lost power: everything in memory is gone at once.
    pub fn power_off(&mut self, server: ServerId, now: Timestamp) {
        if let Some(guest) = self.guests.get_mut(&server) {
            guest.enter(Phase::Off);
        }
        self.settle(now);
    }

    /// The power button was pressed. The machine goes down in order and then is among [`Guests::take_halted`]; `false`
    /// if nobody is there who listens to the button.
    pub fn press_power_button(&mut self, server: ServerId, now: Timestamp) -> bool {
        let until = now + self.pace.draw(|spans| spans.go_down);
        let Some(guest) = self.guests.get_mut(&server) else { return false };
        if matches!(guest.phase, Phase::Off | Phase::Dead | Phase::Booting { .. }) {
            return false;
        }
        guest.enter(Phase::Down(Box::new(GoingDown {
            until,
            stage: Stage::ShuttingDown,
            wipe: Wipe::default(),
            come_back: false,
            actor: String::new(),
            install: None,
            aborts: false,
        })));
        self.settle(now);
        true
    }

    /// A server is gone, with its disk; a cluster that was on no other disk is gone with it.
    pub fn remove(&mut self, server: ServerId, now: Timestamp) {
        let gone = self.guests.remove(&server).and_then(|guest| guest.disk.etcd);
        let on = |guest: &Guest, cluster| guest.disk.etcd.is_some_and(|data| data.cluster == cluster);
        if let Some(data) = gone
            && !self.guests.values().any(|guest| on(guest, data.cluster))
        {
            self.etcd.end(data.cluster);
            self.nodes.end(data.cluster);
        }
        self.settle(now);
    }

    /// A server got a new system disk: what was on it is gone with its next boot.
    pub fn replace_disk(&mut self, server: ServerId) {
        if let Some(guest) = self.guests.get_mut(&server) {
            guest.disk.replaced = true;
        }
    }

    /// A server's addresses changed while it runs.
    pub fn set_addresses(&mut self, server: ServerId, public: Option<Ipv4Addr>, private: Option<Ipv4Addr>) {
        if let Some(guest) = self.guests.get_mut(&server) {
            guest.host.public_ipv4 = public;
            guest.host.private_ipv4 = private;
        }
    }

    /// The servers whose machines have halted by themselves since the last call: they are off now.
    pub fn take_halted(&mut self) -> Vec<ServerId> {
        std::mem::take(&mut self.halted)
    }

    /// A machine, if the server ever had power.
    #[must_use]
    pub fn get(&self, server: ServerId) -> Option<&Guest> {
        self.guests.get(&server)
    }

    /// All machines.
    pub fn iter(&self) -> impl Iterator<Item = &Guest> {
        self.guests.values()
    }

    /// When the next machine changes by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Timestamp> {
        let guests = self.guests.values().filter_map(Guest::due).min();
        guests.into_iter().chain(self.nodes.due()).min()
    }
}

#[cfg(test)]
mod tests;
