//! What ends by itself: the things that a platform waits for.

use std::fmt;

use helix_crds::PhaseName;
use jiff::Timestamp;

use crate::names::MachineName;
use crate::phases::Concern;

/// Something under way that ends without anybody's help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// An earlier phase has to be Ready first.
    Phase(PhaseName),
    /// Another concern has to be done first.
    Concern(Concern),
    /// Hetzner is still carrying out what it accepted.
    Hetzner {
        /// What for, in words.
        what: String,
    },
    /// Machines are starting.
    Boot(Vec<MachineName>),
    /// Configured machines do not answer with their credentials yet.
    Talos(Vec<MachineName>),
    /// Control planes are joining etcd.
    EtcdMembers(Vec<MachineName>),
    /// Etcd runs, but not on all members.
    EtcdHealth(Vec<MachineName>),
    /// Nobody can tell the etcd membership now.
    EtcdLeader,
    /// The API does not answer through the platform's endpoint yet.
    Api {
        /// The endpoint.
        endpoint: String,
    },
    /// Machines have not registered as nodes yet.
    Nodes(Vec<MachineName>),
    /// Nodes have registered, but do not tell yet which configuration they run.
    NodeConfigs(Vec<MachineName>),
    /// Machines say of themselves that they are not healthy, and why.
    MachineHealth(Vec<(MachineName, String)>),
    /// A name is still in use by what the former machine left in the cluster.
    FormerMachine(MachineName),
    /// What was accepted takes a while to show.
    Effect {
        /// What was done.
        target: String,
    },
    /// A failed attempt is repeated later.
    Retry {
        /// What was tried.
        target: String,
        /// What it met.
        message: String,
        /// When it is tried again.
        at: Timestamp,
    },
    /// Resources are being deleted.
    Deletion {
        /// How many are left.
        left: usize,
        /// One of them.
        example: String,
    },
}

fn list(machines: &[impl fmt::Display]) -> String {
    const SHOWN: usize = 5;
    let mut text = machines.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if machines.len() > SHOWN {
        text.push_str(&format!(" and {} more", machines.len() - SHOWN));
    }
    text
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phase(phase) => write!(f, "phase {phase} comes first"),
            Self::Concern(concern) => write!(f, "the {concern} come first"),
            Self::Hetzner { what } => write!(f, "Hetzner is still at work on {what}"),
            Self::Boot(machines) => write!(f, "machines are starting: {}", list(machines)),
            Self::Talos(machines) => write!(f, "Talos does not answer yet on {}", list(machines)),
            Self::EtcdMembers(machines) => write!(f, "joining etcd: {}", list(machines)),
            Self::EtcdHealth(machines) => write!(f, "etcd is not healthy on {}", list(machines)),
            Self::EtcdLeader => f.write_str("etcd has no leader that could tell its members"),
            Self::Api { endpoint } => write!(f, "the Kubernetes API does not answer at {endpoint} yet"),
            Self::Nodes(machines) => write!(f, "not registered as nodes yet: {}", list(machines)),
            Self::NodeConfigs(machines) => {
                write!(f, "registered, but not telling their configuration yet: {}", list(machines))
            }
            Self::MachineHealth(machines) => {
                let told: Vec<String> = machines.iter().map(|(machine, why)| format!("{machine} ({why})")).collect();
                write!(f, "not healthy: {}", list(&told))
            }
            Self::FormerMachine(machine) => {
                write!(f, "what the former machine {machine} left in the cluster has to go first")
            }
            Self::Effect { target } => write!(f, "{target} is coming up"),
            Self::Retry { target, message, at } => write!(f, "{target}: {message} (next try at {at:.0})"),
            Self::Deletion { left, example } => write!(f, "{left} resources are still being deleted, as {example}"),
        }
    }
}
