//! What ends by itself: the things that a platform waits for.

use std::fmt;

use helix_crds::PhaseName;
use jiff::Timestamp;

use super::reach::Reach;
use crate::components::Component;
use crate::data_gate::LastCopy;
use crate::names::MachineName;
use crate::phases::Concern;
use crate::quorum::Refusal;
use crate::secrets::RotationStage;

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
    /// Machines should have come up long ago, and have never been heard of.
    Unheard {
        /// Which.
        machines: Vec<MachineName>,
        /// When the oldest of them was made.
        since: Timestamp,
    },
    /// Configured machines do not answer with their credentials yet.
    Talos(Vec<MachineName>),
    /// Control planes are joining etcd.
    EtcdMembers(Vec<MachineName>),
    /// Etcd runs, but not on all members.
    EtcdHealth(Vec<MachineName>),
    /// A snapshot of etcd is taken first, or is late.
    Snapshot {
        /// When it was due.
        due: Timestamp,
    },
    /// Nobody can tell the etcd membership now.
    EtcdLeader,
    /// The API does not answer through the platform's endpoint yet.
    Api {
        /// The endpoint; empty where there is none yet.
        endpoint: String,
    },
    /// Machines have not registered as nodes yet.
    Nodes(Vec<MachineName>),
    /// Nodes have registered, but do not tell yet which configuration they run.
    NodeConfigs(Vec<MachineName>),
    /// Machines answer, but the kubelets of their nodes have fallen silent.
    Kubelets(Vec<MachineName>),
    /// Pods have still to leave a node.
    Drain {
        /// The node.
        machine: MachineName,
        /// The pods, as `namespace/name`.
        pods: Vec<String>,
        /// When they are waited for no longer.
        until: Timestamp,
    },
    /// A machine holds the last healthy copy of data.
    Data {
        /// The machine.
        machine: MachineName,
        /// Of what; nothing while the cluster has not told where copies are.
        last: Option<LastCopy>,
    },
    /// Others are being disturbed, and only so many may be at once.
    Turn {
        /// Who waits.
        machine: MachineName,
        /// For whom.
        others: Vec<MachineName>,
    },
    /// Etcd would lose its quorum.
    Quorum {
        /// Who waits.
        machine: MachineName,
        /// Why.
        refusal: Refusal,
    },
    /// The maintenance window is closed.
    Window,
    /// A control plane gets its new Talos first.
    Upgrade {
        /// Which.
        machine: MachineName,
    },
    /// A machine that was disturbed has to serve again.
    ComesBack(MachineName),
    /// The machines that stay have all to serve before one leaves.
    Successor {
        /// Who leaves.
        machine: MachineName,
    },
    /// A rotation of authorities waits for these machines to be as they are to be, and undisturbed.
    Calm(Vec<MachineName>),
    /// Machines have yet to answer to certificates of the next stage of a rotation.
    Proof {
        /// The stage that has been reached.
        stage: RotationStage,
        /// Who has not answered.
        machines: Vec<MachineName>,
    },
    /// A server is on its way out.
    Leaving(MachineName),
    /// Machines are not as specified, and somebody wants nothing of them touched.
    Held {
        /// Which.
        machines: Vec<MachineName>,
        /// Whether an upgrade of Kubernetes cannot begin because of them.
        kubernetes_waits: bool,
    },
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
    /// The cluster is to tell what was made from inside of it, before its servers go.
    ClusterTells {
        /// When it is waited for no longer.
        until: Timestamp,
    },
    /// The cluster's own controllers remove what they have made.
    Controllers {
        /// What for, as `Service shop/web`.
        objects: Vec<String>,
        /// When they are waited for no longer.
        until: Timestamp,
    },
    /// The platform has to be found from outside.
    Reach(Reach),
    /// Components have to be installed first.
    Components(Vec<Component>),
    /// The cluster has to learn of kinds, by whoever runs there.
    Definitions {
        /// Whose objects wait.
        component: Component,
        /// The kinds.
        kinds: Vec<String>,
    },
    /// Another component makes what a Secret of this one is made of.
    Source {
        /// Whose Secret it is.
        component: Component,
        /// As in `Secret namespace/name`.
        source: String,
    },
    /// A component is not healthy yet.
    Unhealthy {
        /// Which.
        component: Component,
        /// Why.
        why: String,
    },
    /// Databases whose newest backup is too old, or that have none, in words.
    DatabaseBackups(Vec<String>),
    /// Somebody has to merge the tree into the repository.
    Merge {
        /// The repository's URL.
        repository: String,
        /// The branch.
        branch: String,
        /// The platform's directory there.
        path: String,
    },
    /// An Application is not where it has to be yet.
    Application {
        /// Its name.
        name: String,
        /// Why not.
        why: String,
    },
    /// Argo CD has to apply what was published of a component.
    Synced(Component),
    /// Resources are being deleted.
    Deletion {
        /// How many are left.
        left: usize,
        /// One of them.
        example: String,
    },
}

fn list(machines: &[impl fmt::Display]) -> String {
    some(&machines.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// The first few of many.
pub(super) fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
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
            Self::Unheard { machines, since } => write!(
                f,
                "{} should have come up by now, made at {since:.0}: look at the console at Hetzner, and whether \
                 spec.provider.hetzner.apiAllowlist lets Helix through to port 50000; what may be replaced under \
                 spec.remediation is",
                list(machines)
            ),
            Self::Talos(machines) => write!(f, "Talos does not answer yet on {}", list(machines)),
            Self::EtcdMembers(machines) => write!(f, "joining etcd: {}", list(machines)),
            Self::EtcdHealth(machines) => write!(f, "etcd is not healthy on {}", list(machines)),
            Self::Snapshot { due } => write!(f, "a snapshot of etcd is being taken, due since {due:.0}"),
            Self::EtcdLeader => f.write_str("etcd has no leader that could tell its members"),
            Self::Api { endpoint } if endpoint.is_empty() => f.write_str("the Kubernetes API does not answer yet"),
            Self::Api { endpoint } => write!(f, "the Kubernetes API does not answer at {endpoint} yet"),
            Self::Nodes(machines) => write!(f, "not registered as nodes yet: {}", list(machines)),
            Self::NodeConfigs(machines) => {
                write!(f, "registered, but not telling their configuration yet: {}", list(machines))
            }
            Self::Kubelets(machines) => write!(f, "the kubelet tells the API nothing on {}", list(machines)),
            Self::MachineHealth(machines) => {
                let told: Vec<String> = machines.iter().map(|(machine, why)| format!("{machine} ({why})")).collect();
                write!(f, "not healthy: {}", list(&told))
            }
            Self::FormerMachine(machine) => {
                write!(f, "what the former machine {machine} left in the cluster has to go first")
            }
            Self::Drain { .. } | Self::Data { .. } => self.fmt_drain(f),
            Self::Turn { machine, others } => write!(f, "{machine} waits for {} to serve again", list(others)),
            Self::Quorum { machine, refusal } => write!(f, "{machine} cannot be spared: of etcd's members {refusal}"),
            Self::Window => f.write_str("the maintenance window (spec.upgrade.window) is closed"),
            Self::Upgrade { machine } => write!(f, "{machine} gets its new Talos first"),
            Self::ComesBack(machine) => write!(f, "{machine} is coming back"),
            Self::Successor { machine } => write!(f, "{machine} leaves once all others of its pool serve"),
            Self::Calm(machines) => {
                write!(f, "the rotation of certificate authorities waits until {} are as specified", list(machines))
            }
            Self::Proof { stage, machines } => {
                write!(f, "{stage}; {} do not answer to the certificates that come next yet", list(machines))
            }
            Self::Leaving(machine) => write!(f, "{machine} is leaving"),
            Self::Held { machines, kubernetes_waits } => {
                let machines = list(machines);
                let too = if *kubernetes_waits { ", and Kubernetes waits for that, too" } else { "" };
                write!(f, "held by helix.dev/hold, and so not as specified: {machines}{too}")
            }
            Self::Effect { target } => write!(f, "{target} is coming up"),
            Self::Reach(reach) => write!(f, "{reach}"),
            Self::Retry { target, message, at } => write!(f, "{target}: {message} (next try at {at:.0})"),
            Self::ClusterTells { .. } | Self::Controllers { .. } | Self::Deletion { .. } => self.fmt_farewell(f),
            Self::Components(_)
            | Self::Definitions { .. }
            | Self::Source { .. }
            | Self::Unhealthy { .. }
            | Self::DatabaseBackups(_)
            | Self::Merge { .. }
            | Self::Application { .. }
            | Self::Synced(_) => self.fmt_component(f),
        }
    }
}

impl Wait {
    /// What is waited for before a machine is empty.
    fn fmt_drain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drain { machine, pods, until } if pods.is_empty() => {
                write!(f, "{machine} is being drained, until {until:.0} at the latest")
            }
            Self::Drain { machine, pods, until } => {
                write!(f, "{machine} is being drained: {} (until {until:.0} at the latest)", some(pods))
            }
            Self::Data { machine, last: Some(last) } => write!(f, "{machine} is not emptied: it holds {last}"),
            Self::Data { machine, last: None } => {
                write!(f, "{machine} is not emptied until the cluster tells where copies of data are")
            }
            _ => Ok(()),
        }
    }

    /// What is waited for before a platform is gone.
    fn fmt_farewell(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClusterTells { until } => {
                write!(f, "the cluster is asked what was made from inside of it (until {until:.0} at the latest)")
            }
            Self::Controllers { objects, until } => write!(
                f,
                "the cluster's own controllers remove what they have made for {} (until {until:.0}; what is left then \
                 Helix deletes itself, where it is proved to be the cluster's)",
                some(objects)
            ),
            Self::Deletion { left, example } => write!(f, "{left} resources are still being deleted, as {example}"),
            _ => Ok(()),
        }
    }

    /// What is waited for above the machines.
    fn fmt_component(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Components(components) => write!(f, "installed first: {}", list(components)),
            Self::Definitions { component, kinds } => {
                write!(f, "{component} waits until the cluster knows {}", some(kinds))
            }
            Self::Source { component, source } => write!(f, "{component} waits for {source}, which is being made"),
            Self::Unhealthy { component, why } => write!(f, "{component} is coming up: {why}"),
            Self::DatabaseBackups(late) => write!(f, "{}, though two were due since", some(late)),
            Self::Merge { repository, branch, path } => write!(
                f,
                "the GitOps tree is to be merged into {branch} of {repository}, at {path}: write it there with \
                 `helix render --gitops`"
            ),
            Self::Application { name, why } => write!(f, "Application {name}: {why}"),
            Self::Synced(component) => write!(f, "Argo CD applies what was published of {component}"),
            _ => Ok(()),
        }
    }
}
