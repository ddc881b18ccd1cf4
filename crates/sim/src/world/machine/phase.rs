//! The states that a machine goes through, and what each holds.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::config::MachineConfig;
use super::etcd::EtcdData;
use super::guest::Stage;

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
    /// Counts how often `EPHEMERAL` was wiped: what else lies there is of this generation.
    pub(super) ephemeral: u32,
    /// The schematic of the installed image, if it is known.
    pub(super) schematic: Option<String>,
    /// Whether it was written anew, so that the next boot is a first one.
    pub(super) replaced: bool,
    /// Whether there is still a system on it.
    pub(super) bootable: bool,
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
    /// The version to boot into, where one is installed on the way.
    pub(super) install: Option<String>,
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
    pub(super) static_pods: bool,
    /// Whether the API server of this machine answers.
    pub(super) api_server: bool,
    /// When the kubelet's node will be registered, once both kubelet and an API server run.
    pub(super) register_at: Option<Timestamp>,
    /// Whether it has been, in this boot: a node that somebody deletes stays away until the next.
    pub(super) registered: bool,
    /// Moments at which something else becomes possible.
    pub(super) wakes: BTreeSet<Timestamp>,
    /// A configuration on trial, and what to go back to and when.
    pub(super) trial: Option<(Timestamp, MachineConfig)>,
}

/// The etcd service of a control plane that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Etcd {
    /// Not on this machine.
    Absent,
    /// Without data: to be bootstrapped, or to join.
    Waiting,
    /// Started, not answering yet.
    Starting { until: Timestamp },
    /// Answering; a learner is to be promoted at `promote_at`.
    Running { healthy: bool, promote_at: Option<Timestamp> },
    /// It left the cluster.
    Left,
}
