//! The states that a machine goes through, and what each holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::config::{Cluster, Machine, MachineConfig, Program};
use super::etcd::EtcdData;
use super::guest::Stage;
use super::upgrade::SystemImage;

/// What lies on the disk and so survives a reboot.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    /// The version that boots next.
    pub(super) version: String,
    /// `STATE`: the configuration.
    pub(super) config: Option<MachineConfig>,
    /// `STATE`: a configuration for the next boot.
    pub(super) staged: Option<MachineConfig>,
    /// `EPHEMERAL`: etcd's data.
    pub(super) etcd: Option<EtcdData>,
    /// `EPHEMERAL`: an uploaded snapshot of etcd.
    pub(super) snapshot: Option<Arc<[u8]>>,
    /// How etcd's data were made from the snapshot, if they were.
    pub(super) recovered: Option<Recovery>,
    /// `EPHEMERAL`: what was pulled for the container runtime of the system.
    pub(super) images: BTreeSet<String>,
    /// Counts how often `EPHEMERAL` was wiped: what else lies there is of this generation.
    pub(super) ephemeral: u32,
    /// The schematic of the installed image, if it is known.
    pub(super) schematic: Option<String>,
    /// Whether it was written anew, so that the next boot is a first one.
    pub(super) replaced: bool,
    /// Whether there is still a system on it.
    pub(super) bootable: bool,
}

impl Disk {
    /// Makes `EPHEMERAL` anew.
    pub(super) fn wipe_ephemeral(&mut self) {
        self.etcd = None;
        self.snapshot = None;
        self.recovered = None;
        self.images.clear();
        self.ephemeral += 1;
    }

    /// Writes the system of an installer image.
    pub(super) fn install(&mut self, image: &SystemImage) {
        self.version.clone_from(&image.version);
        if let Some(schematic) = &image.schematic {
            self.schematic = Some(schematic.clone());
        }
    }
}

/// What is to be done once a machine is down.
#[derive(Clone, Debug, Default)]
pub(super) struct Wipe {
    pub(super) state: bool,
    pub(super) ephemeral: bool,
    pub(super) system: bool,
}

/// Why a machine goes down, and what comes then.
#[derive(Clone, Debug)]
pub(super) struct GoingDown {
    pub(super) until: Timestamp,
    pub(super) stage: Stage,
    pub(super) wipe: Wipe,
    pub(super) come_back: bool,
    pub(super) actor: String,
    /// The system to boot into, where one is installed on the way.
    pub(super) install: Option<SystemImage>,
    /// A reset that could not leave etcd: it ends where it began.
    pub(super) aborts: bool,
}

/// Where a machine is in its life.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Without power, or halted.
    Off,
    /// With power and nothing to boot.
    Dead,
    /// Firmware and kernel.
    Booting { until: Timestamp },
    /// Waiting for a configuration.
    Maintenance,
    /// It has its configuration and brings its network and apid up.
    Configuring { until: Timestamp },
    /// Everything that can run does.
    Up(Box<Uptime>),
    /// On the way down.
    Down(Box<GoingDown>),
}

/// What is going on in a machine that is up.
#[derive(Clone, Debug)]
pub(super) struct Uptime {
    pub(super) container_runtime_at: Timestamp,
    pub(super) kubelet_at: Timestamp,
    /// Whether its boot sequence has ended once: it counts as running from then on.
    pub(super) booted: bool,
    /// Whether apid has its certificate; a worker's comes from a control plane.
    pub(super) certified: bool,
    pub(super) etcd: Etcd,
    /// When the static pods will serve; `None` before etcd was healthy and once they do.
    pub(super) static_pods_at: Option<Timestamp>,
    pub(super) static_pods: Option<StaticPods>,
    /// What the kubelet runs with, once it does.
    pub(super) kubelet: Option<Program>,
    /// Whether an installer is writing the next system.
    pub(super) installing: bool,
    /// Whether the API server of this machine answers.
    pub(super) api_server: bool,
    /// When the kubelet's node will be registered, once both kubelet and an API server run.
    pub(super) register_at: Option<Timestamp>,
    /// Whether it has been, in this boot: a node that somebody deletes stays away until the next.
    pub(super) registered: bool,
    /// The configuration whose labels and annotations the node has, in this boot.
    pub(super) decorated: Option<Arc<Machine>>,
    /// Moments at which something else becomes possible.
    pub(super) wakes: BTreeSet<Timestamp>,
    /// A configuration on trial, and what to go back to and when.
    pub(super) trial: Option<(Timestamp, MachineConfig)>,
}

/// How etcd is to begin with an uploaded snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recovery {
    /// Whether the snapshot is taken without a look at its hash.
    pub(super) skip_hash_check: bool,
}

/// What the static pods of a control plane run with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StaticPods {
    pub(super) api_server: Program,
    pub(super) controller_manager: Program,
    pub(super) scheduler: Program,
}

impl StaticPods {
    pub(super) fn of(cluster: &Cluster) -> Self {
        Self {
            api_server: cluster.api_server().clone(),
            controller_manager: cluster.controller_manager.clone(),
            scheduler: cluster.scheduler.clone(),
        }
    }
}

/// The etcd service of a control plane that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Etcd {
    /// Not on this machine.
    Absent,
    /// Without data: to be bootstrapped, or to join.
    Waiting,
    /// Told to found a cluster; there are no data yet.
    Bootstrapping { until: Timestamp, recovery: Option<Recovery> },
    /// Started, not answering yet.
    Starting { until: Timestamp },
    /// Answering; a learner is to be promoted at `promote_at`.
    Running { healthy: bool, promote_at: Option<Timestamp> },
    /// It left the cluster.
    Left,
}
