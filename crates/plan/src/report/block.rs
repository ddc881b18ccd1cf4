//! What needs somebody: each block names the object, the reason and the remedy.

use std::fmt;

use helix_crds::PhaseName;
use jiff::Timestamp;

use super::restore::{RestoreRefusal, WayBack};
use super::wait::some;
use crate::approval::Destruction;
use crate::catalogue::Architecture;
use crate::names::MachineName;
use crate::versions::UpgradeRefusal;

/// Something that goes on only when somebody acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Helix cannot do this yet.
    NotImplemented {
        /// What, in words.
        what: String,
        /// What to do instead.
        remedy: String,
    },
    /// No snapshot boots what is asked for.
    ImageMissing {
        /// As in `v1.13.9`.
        talos_version: String,
        /// First 32 hex digits of the schematic's id.
        schematic: String,
        /// For which architecture.
        architecture: Architecture,
    },
    /// Somebody else's resource has our name.
    ForeignResource {
        /// Kind, in words.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Another platform of our name uses the project.
    Namesake {
        /// Kind of what it has, in words.
        kind: &'static str,
        /// The name of that.
        name: String,
    },
    /// The load balancer is in a network that is not the platform's, and can be in one only.
    AttachedElsewhere {
        /// The load balancer's name.
        name: String,
        /// The network's id.
        network: u64,
    },
    /// What is to be adopted cannot be.
    AdoptionRefused {
        /// What, as in `network 123`.
        resource: String,
        /// Why not.
        why: String,
        /// What to do about it.
        remedy: String,
    },
    /// Servers exist, but the bundle with which they were made is not in the store.
    BundleLost {
        /// How many servers there are.
        servers: usize,
    },
    /// Etcd runs, but the record that it was bootstrapped is not in the store.
    BootstrapRecordLost {
        /// Where it runs.
        machine: MachineName,
    },
    /// The server on which etcd was bootstrapped is gone, and no other member exists.
    EtcdLost {
        /// The machine it was bootstrapped on.
        machine: MachineName,
        /// Its server's id.
        server: u64,
        /// How it can be had again.
        back: WayBack,
    },
    /// So many members are lost that etcd cannot decide anything.
    QuorumLost {
        /// Voters that answer.
        healthy: usize,
        /// All voters.
        voters: usize,
        /// How it can be had again, where its members cannot.
        back: WayBack,
    },
    /// No placement of a pool can be had.
    NoCapacity {
        /// The pool.
        pool: String,
        /// What was tried, as in `cx33 in fsn1`.
        tried: Vec<String>,
    },
    /// A limit of the project.
    LimitExceeded {
        /// What was tried.
        target: String,
        /// Hetzner's words.
        message: String,
    },
    /// The token does not suffice.
    NotPermitted {
        /// What was tried.
        target: String,
        /// Hetzner's words.
        message: String,
    },
    /// A machine that was configured waits for a configuration again.
    LostConfiguration {
        /// The machine.
        machine: MachineName,
    },
    /// Two servers claim to be one machine.
    DuplicateMachine {
        /// The machine.
        machine: MachineName,
        /// Their ids.
        servers: Vec<u64>,
    },
    /// There is no way from what runs to what is wanted.
    UpgradeRefused(UpgradeRefusal),
    /// Destructive work waits for an approval.
    ApprovalNeeded {
        /// The digest that approves it.
        digest: String,
        /// What would be done to what.
        items: Vec<String>,
    },
    /// More machines of a pool are lost than remediation may replace.
    TooManyLost {
        /// The pool.
        pool: String,
        /// How many are lost.
        lost: u32,
        /// How many may be.
        most: u32,
    },
    /// A machine that was disturbed does not come back: nothing further is disturbed.
    RolloutHalted {
        /// The machine.
        machine: MachineName,
        /// Since when it has been disturbed.
        since: Timestamp,
    },
    /// The platform was built, but the project holds nothing of it.
    WrongProject {
        /// The platform's name.
        platform: String,
    },
    /// A restore that was asked for is not made.
    RestoreRefused {
        /// The snapshot, or what the annotation says.
        snapshot: String,
        /// Why.
        refusal: RestoreRefusal,
    },
    /// A plan did not pass its checks.
    PlanRejected {
        /// What the checks found.
        violations: Vec<String>,
    },
    /// A phase that is not built yet.
    PhaseNotImplemented(PhaseName),
}

impl Block {
    /// That this work waits for its approval.
    #[must_use]
    pub fn approval_needed(work: &Destruction) -> Self {
        let items = work.items().map(|item| format!("{} ({})", item.object, item.disruption)).collect();
        Self::ApprovalNeeded { digest: work.digest(), items }
    }

    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotImplemented { .. } | Self::PhaseNotImplemented(_) => "NotImplemented",
            Self::ImageMissing { .. } => "ImageMissing",
            Self::ForeignResource { .. } => "ForeignResource",
            Self::Namesake { .. } => "PlatformNameTaken",
            Self::AttachedElsewhere { .. } => "AttachedElsewhere",
            Self::AdoptionRefused { .. } => "AdoptionRefused",
            Self::BundleLost { .. } => "SecretBundleLost",
            Self::BootstrapRecordLost { .. } => "BootstrapRecordLost",
            Self::EtcdLost { .. } => "EtcdLost",
            Self::QuorumLost { .. } => "QuorumLost",
            Self::NoCapacity { .. } => "NoCapacity",
            Self::LimitExceeded { .. } => "LimitExceeded",
            Self::NotPermitted { .. } => "NotPermitted",
            Self::LostConfiguration { .. } => "LostConfiguration",
            Self::DuplicateMachine { .. } => "DuplicateMachine",
            Self::UpgradeRefused(refusal) => refusal.reason(),
            Self::ApprovalNeeded { .. } => "ApprovalNeeded",
            Self::TooManyLost { .. } => "TooManyUnhealthy",
            Self::RolloutHalted { .. } => "RolloutHalted",
            Self::WrongProject { .. } => "WrongProject",
            Self::RestoreRefused { .. } => "RestoreRefused",
            Self::PlanRejected { .. } => "PlanRejected",
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotImplemented { what, remedy } => write!(f, "{what} is not implemented yet. {remedy}"),
            Self::PhaseNotImplemented(phase) => write!(
                f,
                "phase {phase} is not implemented yet. Set spec.untilPhase to an earlier phase to have a platform \
                 that is Ready"
            ),
            Self::ImageMissing { talos_version, schematic, architecture } => write!(
                f,
                "the project has no available {architecture} snapshot with the labels \
                 helix.dev/talos-version={talos_version} and helix.dev/schematic={schematic}. Upload Talos' hcloud \
                 image of that version and schematic as a snapshot, and give it these labels"
            ),
            Self::ForeignResource { kind, name } => write!(
                f,
                "a {kind} named `{name}` exists and does not belong to this platform. Delete or rename it, or give \
                 the platform another name; Helix never takes over what it does not own"
            ),
            Self::Namesake { kind, name } => write!(
                f,
                "another HelixPlatform of the same name uses this project: the {kind} `{name}` is labelled as its own. \
                 Give one of the two another name or a project of its own; if the other platform is gone, delete what \
                 it left behind"
            ),
            Self::AttachedElsewhere { name, network } => write!(
                f,
                "load balancer `{name}` is attached to network {network}, which is not this platform's, and can be in \
                 one network only. Detach it there; Helix attaches it to the platform's network then"
            ),
            Self::AdoptionRefused { resource, why, remedy } => {
                write!(f, "{resource} is not adopted, and nothing of it is changed: {why}. {remedy}")
            }
            Self::NoCapacity { pool, tried } => write!(
                f,
                "no placement of pool `{pool}` can be had now ({}). Add another server type or location to its \
                 placements; the ones named are tried again later",
                tried.join(", ")
            ),
            Self::LimitExceeded { target, message } => write!(
                f,
                "{target}: a limit of the project stands in the way ({message}). Ask Hetzner to raise it, or ask \
                 for less"
            ),
            Self::NotPermitted { target, message } => write!(
                f,
                "{target}: the token does not suffice ({message}). Put an API token with read and write permission \
                 into the token Secret"
            ),
            Self::DuplicateMachine { machine, servers } => write!(
                f,
                "servers {servers:?} both carry the label helix.dev/machine={machine}. Delete the one that is not \
                 wanted; Helix touches neither until then"
            ),
            Self::PlanRejected { violations } => write!(
                f,
                "the plan was not carried out, for its checks found: {}. This is a fault in Helix; please report it",
                violations.join("; ")
            ),
            Self::UpgradeRefused(_)
            | Self::ApprovalNeeded { .. }
            | Self::TooManyLost { .. }
            | Self::RolloutHalted { .. } => self.fmt_change(f),
            Self::BundleLost { .. }
            | Self::BootstrapRecordLost { .. }
            | Self::EtcdLost { .. }
            | Self::QuorumLost { .. }
            | Self::LostConfiguration { .. }
            | Self::RestoreRefused { .. }
            | Self::WrongProject { .. } => self.fmt_loss(f),
        }
    }
}

impl Block {
    /// What a change of machines waits for, and who can let it go on.
    fn fmt_change(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpgradeRefused(refusal) => write!(f, "{refusal}"),
            Self::ApprovalNeeded { digest, items } => write!(
                f,
                "work waits for an approval: {}. Approve it by the annotation helix.dev/approve: \"{digest}\" on the \
                 platform, or take the change of the specification back",
                some(items)
            ),
            Self::TooManyLost { pool, lost, most } => write!(
                f,
                "{lost} machines of pool `{pool}` are lost at once, and spec.remediation.maxUnhealthy lets at most {most} be \
                 replaced: the cause is likely elsewhere. Look for it, or raise the bound"
            ),
            Self::RolloutHalted { machine, since } => write!(
                f,
                "{machine} has been away since {since} and does not serve yet: no further machine is disturbed. Look at it \
                 with talosctl, or have it replaced by the annotation helix.dev/replace on its HelixMachine"
            ),
            _ => Ok(()),
        }
    }

    /// What a platform has lost, and the way back.
    fn fmt_loss(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RestoreRefused { snapshot, refusal } => {
                write!(f, "etcd is not restored from `{snapshot}`: {refusal}. Nothing was changed")
            }
            Self::BundleLost { servers } => write!(
                f,
                "{servers} servers exist, but the secret bundle with which they were made is not in the store. Bring \
                 it back with `helix secrets import` from an earlier export; a new one would lock everybody out"
            ),
            Self::BootstrapRecordLost { machine } => write!(
                f,
                "etcd runs on {machine}, but the store has no record of its bootstrap. Bring the store back with \
                 `helix secrets import`; etcd is never bootstrapped twice"
            ),
            Self::EtcdLost { machine, server, back } => write!(
                f,
                "etcd was bootstrapped on {machine} (server {server}), which is gone, and no other member is left. \
                 {back}. Or delete the platform and make it anew; etcd is never bootstrapped twice"
            ),
            Self::QuorumLost { healthy, voters, back } => write!(
                f,
                "etcd has lost its quorum: {healthy} of {voters} voters answer. Bring a control plane's server back \
                 up; nothing is removed meanwhile. If that cannot be: {back}"
            ),
            Self::LostConfiguration { machine } => write!(
                f,
                "{machine} had its configuration and now waits for one, as if it were new. Delete its server to have the \
                 machine made anew; Helix does not send secrets to it a second time"
            ),
            Self::WrongProject { platform } => write!(
                f,
                "the store knows this platform as built, but the token's project holds nothing of it. Put the token of \
                 the right project into the token Secret. If everything was deleted by hand, delete the platform, and \
                 the Secret `{platform}-bootstrap` beside it, which says that it was built"
            ),
            _ => Ok(()),
        }
    }
}
