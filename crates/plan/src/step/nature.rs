//! What can be said of a step without carrying it out: its target, its verb, its calls, its disruption, its lane.

use std::fmt;

use helix_crds::Disruption;
use serde::Serialize;

use super::{RecordChange, Step};
use crate::disruption::{Cause, Mark};

/// The kind of what steps on snapshots in the bucket are about.
pub const SNAPSHOT: &str = "snapshot";

/// The kind of what steps on the mesh are about.
pub const MESH: &str = "mesh";

/// The kind of what steps on DNS records are about.
pub const RECORD: &str = "DNS record";

/// The kind of what steps on the platform's repository are about.
pub const REPOSITORY: &str = "repository";

/// The kind of what steps on the objects of a component are about.
pub const COMPONENT: &str = "component";

/// Which part of the token's budget pays for a step; an earlier lane goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Lane {
    /// Deleting what is no longer wanted: it stops costs.
    Teardown,
    /// The control plane and what it stands on.
    ControlPlane,
    /// Worker machines.
    Workers,
    /// Looking whether all is still as it should be.
    Drift,
}

/// What a step is about: its kind and the object's name. Two steps with one target never run at the same time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Target {
    /// Kind, in words.
    pub kind: &'static str,
    /// Name.
    pub name: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

fn target(kind: &'static str, name: impl Into<String>) -> Target {
    Target { kind, name: name.into() }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb(), self.target())
    }
}

impl Step {
    /// What the step is about.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::CreateSecretBundle | Self::ForgetSecrets => target("secrets", "bundle"),
            Self::CreateNetwork(new) => target("network", &new.name),
            Self::AddSubnet { subnet, .. } => target("subnet", subnet.to_string()),
            Self::CreateFirewall(new) => target("firewall", &new.name),
            Self::SetFirewallRules { name, .. } => target("firewall", name),
            Self::CreateSshKey { name, .. } => target("SSH key", name),
            Self::CreatePlacementGroup { name, .. } => target("placement group", name),
            Self::CreateLoadBalancer(new) => target("load balancer", &new.name),
            Self::SetLoadBalancerService { name, .. }
            | Self::SetLoadBalancerPublic { name, .. }
            | Self::AttachLoadBalancer { name, .. }
            | Self::RemoveLoadBalancerService { name, .. }
            | Self::DetachLoadBalancer { name, .. } => target("load balancer", name),
            Self::AddLoadBalancerTarget { machine, .. } => target("load balancer target", machine.to_string()),
            Self::RemoveLoadBalancerTarget { server, machine, .. } => target(
                "load balancer target",
                machine.as_ref().map_or_else(|| format!("#{server}"), ToString::to_string),
            ),
            Self::CreateServer(new) => target("server", new.machine.to_string()),
            Self::AttachServer { machine, .. }
            | Self::ApplyFirewall { machine, .. }
            | Self::PowerOnServer { machine, .. } => target("server", machine.to_string()),
            Self::ConfigureMachine { inputs, .. } => target("machine", inputs.machine.to_string()),
            Self::RecordBootstrap { machine, .. } => target("bootstrap record", machine.to_string()),
            Self::BootstrapEtcd { machine, .. } => target("etcd", machine.to_string()),
            Self::RecordRestore(record) => target("restore record", &record.snapshot),
            Self::RecoverEtcd { machine, .. } => target("etcd", machine.to_string()),
            Self::TakeSnapshot { .. } => target(SNAPSHOT, "of etcd"),
            Self::PruneSnapshot { key } => target(SNAPSHOT, key),
            Self::RestartKubelet { machine } => target("kubelet of", machine.to_string()),
            Self::RemoveEtcdMember { hostname, .. } => target("etcd member", hostname),
            Self::BeginRotation { .. } | Self::AdvanceRotation { .. } => target("certificate", "authorities"),
            Self::StoreKubeconfig { .. } => target("secrets", "kubeconfig"),
            Self::StoreTalosconfig { .. } => target("secrets", "talosconfig"),
            Self::PatchNode { machine, .. }
            | Self::MarkNode { machine, .. }
            | Self::UnmarkNode { machine, .. }
            | Self::DeleteNode { machine } => target("node", machine.to_string()),
            Self::EvictPods { machine, .. } => target("pods on", machine.to_string()),
            Self::UpgradeTalos { machine, .. } => target("Talos on", machine.to_string()),
            Self::ReconfigureMachine { inputs, .. } => target("configuration of", inputs.machine.to_string()),
            Self::DeleteService(it) => target("Service", format!("{}/{}", it.namespace, it.name)),
            Self::DeleteClaim(it) => target("claim", format!("{}/{}", it.namespace, it.name)),
            Self::PublishTree { repository, .. } => target(REPOSITORY, repository),
            Self::RenderChart { component, version } => target("chart", format!("{component} {version}")),
            Self::ApplyObjects { component, .. } | Self::PruneObjects { component, .. } => {
                target(COMPONENT, component.name())
            }
            Self::PutSecret { namespace, name, .. } => target("Secret", format!("{namespace}/{name}")),
            Self::DetachVolume { name, .. } => target("volume", name),
            Self::ChangeRecord(change) => target(RECORD, change.host()),
            Self::ChangeMesh(change) => target(MESH, change.name()),
            Self::AdoptResource { kind, name, .. }
            | Self::DeleteResource { kind, name, .. }
            | Self::ReleaseResource { kind, name, .. } => target(kind.words(), name),
        }
    }

    /// What the step does, as a verb in the imperative.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::CreateSecretBundle
            | Self::CreateNetwork(_)
            | Self::CreateFirewall(_)
            | Self::CreateSshKey { .. }
            | Self::CreatePlacementGroup { .. }
            | Self::CreateLoadBalancer(_)
            | Self::CreateServer(_)
            | Self::StoreKubeconfig { .. }
            | Self::StoreTalosconfig { .. } => "create",
            Self::AddSubnet { .. } | Self::AddLoadBalancerTarget { .. } => "add",
            Self::SetFirewallRules { .. }
            | Self::SetLoadBalancerService { .. }
            | Self::SetLoadBalancerPublic { .. }
            | Self::ReconfigureMachine { .. }
            | Self::PatchNode { .. } => "change",
            Self::MarkNode { mark: Mark { cause: Cause::Ailing, .. }, .. } => "watch",
            Self::MarkNode { .. } => "cordon",
            Self::UnmarkNode { .. } => "uncordon",
            Self::EvictPods { .. } => "evict",
            Self::UpgradeTalos { .. } => "upgrade",
            Self::BeginRotation { .. } => "begin to rotate",
            Self::AdvanceRotation { .. } => "go on to rotate",
            Self::AdoptResource { .. } => "adopt",
            Self::RenderChart { .. } => "render",
            Self::ApplyObjects { .. } => "apply",
            Self::PutSecret { .. } => "fill",
            Self::PruneObjects { .. } => "prune",
            Self::PublishTree { .. } => "publish to",
            Self::AttachLoadBalancer { .. } | Self::AttachServer { .. } => "attach",
            Self::ApplyFirewall { .. } => "guard",
            Self::PowerOnServer { .. } => "power on",
            Self::ConfigureMachine { .. } => "configure",
            Self::RecordBootstrap { .. } | Self::RecordRestore(_) => "record",
            Self::RecoverEtcd { .. } => "restore",
            Self::TakeSnapshot { .. } => "take",
            Self::RestartKubelet { .. } => "restart",
            Self::BootstrapEtcd { .. } => "bootstrap",
            Self::RemoveLoadBalancerTarget { .. } | Self::RemoveEtcdMember { .. } => "remove",
            Self::RemoveLoadBalancerService { .. } => "strip",
            Self::DetachVolume { .. } | Self::DetachLoadBalancer { .. } => "detach",
            Self::ReleaseResource { .. } => "release",
            Self::ChangeRecord(change) => change.verb(),
            Self::ChangeMesh(change) => change.verb(),
            Self::DeleteNode { .. }
            | Self::DeleteService(_)
            | Self::DeleteClaim(_)
            | Self::DeleteResource { .. }
            | Self::PruneSnapshot { .. }
            | Self::ForgetSecrets => "delete",
        }
    }

    /// Calls of Hetzner's API that the step costs.
    #[must_use]
    pub fn hetzner_calls(&self) -> u32 {
        match self {
            Self::CreateSecretBundle
            | Self::ConfigureMachine { .. }
            | Self::RecordBootstrap { .. }
            | Self::BootstrapEtcd { .. }
            | Self::RecordRestore(_)
            | Self::RecoverEtcd { .. }
            | Self::TakeSnapshot { .. }
            | Self::PruneSnapshot { .. }
            | Self::RestartKubelet { .. }
            | Self::RemoveEtcdMember { .. }
            | Self::BeginRotation { .. }
            | Self::AdvanceRotation { .. }
            | Self::StoreKubeconfig { .. }
            | Self::StoreTalosconfig { .. }
            | Self::PatchNode { .. }
            | Self::MarkNode { .. }
            | Self::UnmarkNode { .. }
            | Self::EvictPods { .. }
            | Self::UpgradeTalos { .. }
            | Self::ReconfigureMachine { .. }
            | Self::DeleteNode { .. }
            | Self::DeleteService(_)
            | Self::DeleteClaim(_)
            | Self::ChangeMesh(_)
            | Self::RenderChart { .. }
            | Self::ApplyObjects { .. }
            | Self::PutSecret { .. }
            | Self::PruneObjects { .. }
            | Self::PublishTree { .. }
            | Self::ForgetSecrets => 0,
            Self::CreateNetwork(_)
            | Self::AddSubnet { .. }
            | Self::CreateFirewall(_)
            | Self::SetFirewallRules { .. }
            | Self::CreateSshKey { .. }
            | Self::CreatePlacementGroup { .. }
            | Self::CreateLoadBalancer(_)
            | Self::SetLoadBalancerService { .. }
            | Self::SetLoadBalancerPublic { .. }
            | Self::AttachLoadBalancer { .. }
            | Self::AddLoadBalancerTarget { .. }
            | Self::RemoveLoadBalancerTarget { .. }
            | Self::CreateServer(_)
            | Self::AttachServer { .. }
            | Self::ApplyFirewall { .. }
            | Self::PowerOnServer { .. }
            | Self::AdoptResource { .. }
            | Self::DetachVolume { .. }
            | Self::RemoveLoadBalancerService { .. }
            | Self::DetachLoadBalancer { .. }
            | Self::ReleaseResource { .. }
            | Self::ChangeRecord(_)
            | Self::DeleteResource { .. } => 1,
        }
    }

    /// How much the step disturbs what runs.
    #[must_use]
    pub fn disruption(&self) -> Disruption {
        match self {
            Self::DeleteService(_) | Self::DeleteClaim(_) | Self::DeleteResource { .. } | Self::ForgetSecrets => {
                Disruption::Destroy
            }
            Self::MarkNode { mark: Mark { cause: Cause::Leave, .. }, .. } | Self::EvictPods { .. } => Disruption::Drain,
            Self::UpgradeTalos { .. } | Self::ReconfigureMachine { reboot: true, .. } => Disruption::Reboot,
            _ => Disruption::None,
        }
    }

    /// Which lane of the token's budget pays for the step.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::DeleteService(_)
            | Self::DeleteClaim(_)
            | Self::DetachVolume { .. }
            | Self::RemoveLoadBalancerService { .. }
            | Self::DetachLoadBalancer { .. }
            | Self::ReleaseResource { .. }
            | Self::DeleteResource { .. }
            | Self::ChangeRecord(RecordChange::Delete { .. })
            | Self::ForgetSecrets => Lane::Teardown,
            Self::CreateServer(new) if !new.machine.is_control_plane() => Lane::Workers,
            Self::AttachServer { machine, .. }
            | Self::ApplyFirewall { machine, .. }
            | Self::PowerOnServer { machine, .. }
                if !machine.is_control_plane() =>
            {
                Lane::Workers
            }
            _ => Lane::ControlPlane,
        }
    }
}
