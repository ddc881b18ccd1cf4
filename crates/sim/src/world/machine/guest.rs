//! One machine: what is on its disk, where it is in its life, and what it says of itself.
//!
//! A guest changes only by the calls of [`super::Guests`], which knows the time and the other machines.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::Timestamp;

use super::config::{MachineConfig, Role};
use super::events::{EventLog, Happening};
use super::phase::{Disk, Etcd, Phase, Recovery, Uptime};
use crate::world::ids::ServerId;
use crate::world::images::extensions_of;

/// The server that a guest runs in, as far as the guest can see it.
#[derive(Clone)]
pub struct Host {
    /// The server.
    pub server: ServerId,
    /// Its name, which is the host name where the configuration sets none.
    pub name: String,
    /// The loopback address on which its sockets really listen.
    pub address: Ipv4Addr,
    /// Its public address.
    pub public_ipv4: Option<Ipv4Addr>,
    /// Its address in the private network.
    pub private_ipv4: Option<Ipv4Addr>,
    /// What the metadata service hands out as user data.
    pub user_data: Option<String>,
    /// The Talos version of the image that was put on its disk, as in `v1.13.9`.
    pub talos_version: String,
    /// The schematic of that image, if it is known.
    pub schematic: Option<String>,
}

impl fmt::Debug for Host {
    /// Without the user data, which may hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("server", &self.server).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Talos' machine stages, as far as a guest goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On the way up.
    Booting,
    /// Without a configuration.
    Maintenance,
    /// In service.
    Running,
    /// On the way down to come back.
    Rebooting,
    /// On the way down to stay down.
    ShuttingDown,
    /// Being wiped.
    Resetting,
    /// Writing a new system image.
    Upgrading,
}

/// Whether and how the API port answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apid {
    /// Not at all.
    Closed,
    /// With a self-signed certificate, for anybody.
    Maintenance,
    /// With the cluster's certificates, for clients of its authority.
    Serving,
}

/// What a process that plays a machine's etcd is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtcdIntent {
    /// Nothing yet.
    Rest,
    /// Look for a cluster to join.
    Join,
    /// Run: as the first member where there is no data yet.
    Run,
    /// Run: as the first member, with the data of the uploaded snapshot where there is no data yet.
    Recover {
        /// Whether the snapshot is taken without a look at its hash.
        skip_hash_check: bool,
    },
    /// Be gone, with the data.
    Leave,
}

/// One machine.
#[derive(Clone, Debug)]
pub struct Guest {
    pub(super) host: Host,
    pub(super) disk: Disk,
    pub(super) phase: Phase,
    /// The version that is running.
    pub(super) version: String,
    pub(super) boot_id: String,
    /// Counts the changes of what the API port demands; connections of an earlier count are cut.
    pub(super) epoch: u64,
    pub(super) events: EventLog,
    /// Whether the pod network works, so that the node can be ready.
    pub(super) node_ready: bool,
}

impl Guest {
    pub(super) fn new(host: Host) -> Self {
        let version = host.talos_version.clone();
        let disk = Disk {
            version: version.clone(),
            config: None,
            staged: None,
            etcd: None,
            snapshot: None,
            recovered: None,
            images: BTreeSet::new(),
            ephemeral: 0,
            schematic: host.schematic.clone(),
            replaced: false,
            bootable: true,
        };
        Self {
            host,
            disk,
            phase: Phase::Off,
            version,
            boot_id: String::new(),
            epoch: 0,
            events: EventLog::default(),
            node_ready: false,
        }
    }

    /// The server it runs in.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The configuration that it runs with, or would boot with.
    #[must_use]
    pub fn config(&self) -> Option<&MachineConfig> {
        self.disk.config.as_ref()
    }

    /// The configuration that counts after a reboot: the staged one, or during a trial the one before.
    #[must_use]
    pub fn persistent_config(&self) -> Option<&MachineConfig> {
        if let Some(staged) = &self.disk.staged {
            return Some(staged);
        }
        let trial = self.uptime().and_then(|up| up.trial.as_ref());
        trial.map(|(_, before)| before).or(self.config())
    }

    /// The schematic of its installed image, if it is known.
    #[must_use]
    pub fn schematic(&self) -> Option<&str> {
        self.disk.schematic.as_deref()
    }

    /// The system extensions of its installed image: what its schematic asks for, as far as the simulator knows it.
    #[must_use]
    pub fn extensions(&self) -> &'static [&'static str] {
        self.schematic().map(extensions_of).unwrap_or_default()
    }

    /// The id of its etcd member, if it has etcd's data.
    #[must_use]
    pub fn etcd_member_id(&self) -> Option<u64> {
        Some(self.disk.etcd?.member)
    }

    /// What the configuration makes of it; `None` without one.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        Some(self.config()?.machine()?.role)
    }

    /// The host name.
    #[must_use]
    pub fn hostname(&self) -> &str {
        self.config().and_then(MachineConfig::hostname).unwrap_or(&self.host.name)
    }

    /// The running version, as in `v1.13.9`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Names this boot.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Counts the changes of what the API port demands.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Counts how often its `EPHEMERAL` partition was wiped.
    #[must_use]
    pub fn ephemeral_generation(&self) -> u32 {
        self.disk.ephemeral
    }

    /// Its event log.
    #[must_use]
    pub fn events(&self) -> &EventLog {
        &self.events
    }

    /// Whether and how the API port answers.
    #[must_use]
    pub fn apid(&self) -> Apid {
        match &self.phase {
            Phase::Off | Phase::Dead | Phase::Booting { .. } | Phase::Configuring { .. } => Apid::Closed,
            Phase::Maintenance => Apid::Maintenance,
            Phase::Up(up) if !up.certified => Apid::Closed,
            Phase::Down(_) if !self.config().is_some_and(MachineConfig::is_complete) => Apid::Maintenance,
            Phase::Up(_) | Phase::Down(_) => Apid::Serving,
        }
    }

    /// Whether its server has power and something to boot.
    #[must_use]
    pub fn has_power(&self) -> bool {
        !matches!(self.phase, Phase::Off | Phase::Dead)
    }

    /// Whether it is configured, up and not on its way down: its services run.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up(_))
    }

    pub(super) fn uptime(&self) -> Option<&Uptime> {
        match &self.phase {
            Phase::Up(up) => Some(up),
            _ => None,
        }
    }

    pub(super) fn uptime_mut(&mut self) -> Option<&mut Uptime> {
        match &mut self.phase {
            Phase::Up(up) => Some(up),
            _ => None,
        }
    }

    /// Whether its etcd process runs and answers to its peers.
    pub(super) fn etcd_answers(&self) -> bool {
        self.uptime().is_some_and(|up| matches!(up.etcd, Etcd::Running { .. }))
    }

    /// Whether its etcd service is healthy: a voter that sees a leader.
    #[must_use]
    pub fn etcd_healthy(&self) -> bool {
        self.uptime().is_some_and(|up| matches!(up.etcd, Etcd::Running { healthy: true, .. }))
    }

    /// What a process that plays its etcd is to do at `now`.
    #[must_use]
    pub fn etcd_intent(&self, now: Timestamp) -> EtcdIntent {
        match self.uptime() {
            Some(up) if up.container_runtime_at <= now => match up.etcd {
                Etcd::Absent | Etcd::Bootstrapping { .. } => EtcdIntent::Rest,
                Etcd::Waiting => EtcdIntent::Join,
                Etcd::Starting { .. } | Etcd::Running { .. } => match self.disk.recovered {
                    Some(Recovery { skip_hash_check }) => EtcdIntent::Recover { skip_hash_check },
                    None => EtcdIntent::Run,
                },
                Etcd::Left => EtcdIntent::Leave,
            },
            Some(_) | None => EtcdIntent::Rest,
        }
    }

    /// Whether its kubelet runs at `now`.
    #[must_use]
    pub fn kubelet_runs(&self, now: Timestamp) -> bool {
        self.kubelet_since(now).is_some()
    }

    /// Since when its kubelet runs, where it does at `now`: another moment is another start.
    #[must_use]
    pub fn kubelet_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.uptime().map(|up| up.kubelet_at).filter(|since| *since <= now)
    }

    /// Whether its node has a pod network to be ready with.
    #[must_use]
    pub fn node_ready(&self) -> bool {
        self.node_ready
    }

    /// The snapshot of etcd that was uploaded to it.
    #[must_use]
    pub fn uploaded_snapshot(&self) -> Option<&Arc<[u8]>> {
        self.disk.snapshot.as_ref()
    }

    /// The version that boots next.
    #[must_use]
    pub fn installed_version(&self) -> &str {
        &self.disk.version
    }

    /// The version of the kubelet that runs, by its image.
    #[must_use]
    pub fn kubelet_version(&self) -> Option<&str> {
        self.uptime()?.kubelet.as_ref()?.version()
    }

    /// The versions of API server, controller manager and scheduler that serve here, by their images. Of the model:
    /// `None` where processes play them.
    #[must_use]
    pub fn control_plane_versions(&self) -> Option<[&str; 3]> {
        let pods = self.uptime()?.static_pods.as_ref()?;
        Some([pods.api_server.version()?, pods.controller_manager.version()?, pods.scheduler.version()?])
    }

    /// Whether its API server answers.
    #[must_use]
    pub fn api_server_healthy(&self) -> bool {
        self.uptime().is_some_and(|up| up.api_server)
    }

    /// The earliest moment at which it changes by itself.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Off | Phase::Dead | Phase::Maintenance => None,
            Phase::Booting { until } | Phase::Configuring { until } => Some(*until),
            Phase::Down(down) => Some(down.until),
            Phase::Up(up) => {
                let etcd = match up.etcd {
                    Etcd::Starting { until } => Some(until).filter(|until| *until < Timestamp::MAX),
                    Etcd::Bootstrapping { until, .. } => Some(until),
                    Etcd::Running { promote_at, .. } => promote_at,
                    Etcd::Absent | Etcd::Waiting | Etcd::Left => None,
                };
                let trial = up.trial.as_ref().map(|(until, _)| *until);
                [etcd, trial, up.wakes.first().copied()].into_iter().flatten().min()
            }
        }
    }

    /// Forgets a configuration on trial: what was before it counts again.
    pub(super) fn end_trial(&mut self) {
        if let Some((_, before)) = self.uptime_mut().and_then(|up| up.trial.take()) {
            self.disk.config = Some(before);
        }
    }

    /// Moves on to `phase`, with connections cut where the API port demands something else from now on.
    pub(super) fn enter(&mut self, phase: Phase) {
        let before = self.apid();
        if !matches!(phase, Phase::Up(_)) {
            self.end_trial();
        }
        self.phase = phase;
        if self.apid() != before {
            self.epoch += 1;
        }
    }

    /// Tells of a changed status.
    pub(super) fn tell_status(&mut self, now: Timestamp) {
        let (stage, ready) = self.status(now);
        if let Some(up) = self.uptime_mut() {
            up.booted |= stage == Stage::Running;
        }
        if self.events.last_status() != Some((stage, ready)) {
            self.events.record("", Happening::Status { stage, ready });
        }
    }
}
