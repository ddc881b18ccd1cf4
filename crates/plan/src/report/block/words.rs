//! Blocks in words: what stands in the way of what, why, and what to do about it.

use std::fmt;

use super::Block;
use crate::report::wait::some;

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotImplemented { what, remedy } => write!(f, "{what} is not implemented yet. {remedy}"),
            Self::Component { .. } | Self::ForeignFile { .. } | Self::TreeRefused { .. } | Self::Rejected { .. } => {
                self.fmt_component(f)
            }
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
            Self::Extensions(missing) => write!(f, "{missing}"),
            Self::Ports(open) => write!(f, "{open}"),
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
    /// What stands in the way above the machines.
    fn fmt_component(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component { component, obstacle } => obstacle.tell(*component, f),
            Self::ForeignFile { path, repository } => write!(
                f,
                "{path} in {repository} was made or changed by somebody else, and is not written over. Take it away, or \
                 take the change back"
            ),
            Self::TreeRefused { why } => write!(f, "the GitOps tree is not published: {why}"),
            Self::Rejected { target, message, .. } => write!(f, "{target}: {message}"),
            _ => Ok(()),
        }
    }

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
