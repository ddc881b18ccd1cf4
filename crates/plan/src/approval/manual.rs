//! Approval of every change, as `approval: Manual` asks for it.
//!
//! What would be changed from here on is found by playing the plan forward as if all of it were approved. The set shrinks
//! while it is carried out, so one approval lasts to its end; whatever comes up besides asks again. An approval is for one
//! specification: another one makes another digest of the same work.
//!
//! A change is what makes, alters or deletes a resource at Hetzner, a machine, a component, or a node's labels and taints. What only goes
//! along with an approved change is none of its own ([`Part::Along`]): a new machine's configuration and its etcd, cordon
//! and drain, the member and the node that a machine leaves behind. And some work never waits ([`Part::Free`]): looking, what
//! the load balancer forwards to (its rotation by health), noting that a machine ails, giving a node back to its pods,
//! renewing the administrator's files. A teardown does not come here: deleting the platform is its approval.

use helix_crds::{ApprovalItem, ApprovalMode};
use jiff::Timestamp;

use super::Destruction;
use crate::disruption::{Cause, Mark};
use crate::forecast::forecast;
use crate::observed::Observed;
use crate::step::Step;
use crate::validated::ValidatedPlatform;

/// What a step is to somebody who approves changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A change: asked about.
    Change,
    /// Goes along with a change, and waits with it.
    Along,
    /// Waits for nobody.
    Free,
}

/// Every change that is to come, and whether it may.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// The specification as if everything were approved: what it would do is what is asked about.
    pub(crate) platform: ValidatedPlatform,
    /// The changes.
    pub(crate) changes: Destruction,
    /// Whether they are approved.
    pub(crate) approved: bool,
}

impl Gate {
    /// The gate of a platform whose every change has to be approved; `None` for any other.
    pub(crate) fn of(platform: &ValidatedPlatform, observed: &Observed, now: Timestamp) -> Option<Self> {
        if platform.approval != ApprovalMode::Manual {
            return None;
        }
        let automatic = ValidatedPlatform { approval: ApprovalMode::Automatic, ..platform.clone() };
        let steps = forecast(&automatic, observed.clone(), now);
        let wanted = &platform.approved.specification;
        let changes = steps.items().filter(|item| part(&item.step) == Part::Change).map(|item| ApprovalItem {
            object: item.step.target().to_string(),
            digest: wanted.clone(),
            disruption: item.step.disruption(),
        });
        let changes = Destruction::new(changes);
        let approved = changes.is_approved(platform.approval, &platform.approved);
        Some(Self { platform: automatic, changes, approved })
    }

    /// Whether a step may be carried out now.
    pub(crate) fn lets_pass(&self, step: &Step) -> bool {
        self.approved || part(step) == Part::Free
    }
}

fn part(step: &Step) -> Part {
    match step {
        Step::MarkNode { mark: Mark { cause: Cause::Ailing, .. }, .. } => Part::Free,
        Step::CreateSecretBundle
        | Step::CreateNetwork(_)
        | Step::AddSubnet { .. }
        | Step::CreateFirewall(_)
        | Step::SetFirewallRules { .. }
        | Step::CreateSshKey { .. }
        | Step::CreatePlacementGroup { .. }
        | Step::CreateLoadBalancer(_)
        | Step::SetLoadBalancerService { .. }
        | Step::SetLoadBalancerPublic { .. }
        | Step::AttachLoadBalancer { .. }
        | Step::CreateServer(_)
        | Step::AttachServer { .. }
        | Step::ApplyFirewall { .. }
        | Step::PowerOnServer { .. }
        | Step::PatchNode { .. }
        | Step::UpgradeTalos { .. }
        | Step::ReconfigureMachine { .. }
        | Step::BeginRotation { .. }
        | Step::AdoptResource { .. }
        | Step::ChangeRecord(_)
        | Step::ChangeMesh(_)
        | Step::ApplyObjects { .. }
        | Step::PruneObjects { .. }
        | Step::PublishTree { .. }
        | Step::DeleteResource { .. } => Part::Change,
        Step::ConfigureMachine { .. }
        | Step::RecordBootstrap { .. }
        | Step::BootstrapEtcd { .. }
        | Step::RecordRestore(_)
        | Step::RecoverEtcd { .. }
        | Step::RestartKubelet { .. }
        | Step::RemoveEtcdMember { .. }
        | Step::DeleteNode { .. }
        | Step::MarkNode { .. }
        | Step::AdvanceRotation { .. }
        | Step::EvictPods { .. }
        | Step::PutSecret { .. }
        | Step::DeleteService(_)
        | Step::DeleteClaim(_)
        | Step::DetachVolume { .. }
        | Step::RemoveLoadBalancerService { .. }
        | Step::DetachLoadBalancer { .. }
        | Step::ReleaseResource { .. }
        | Step::ForgetSecrets => Part::Along,
        Step::AddLoadBalancerTarget { .. }
        | Step::RemoveLoadBalancerTarget { .. }
        | Step::UnmarkNode { .. }
        | Step::RenderChart { .. }
        | Step::TakeSnapshot { .. }
        | Step::PruneSnapshot { .. }
        | Step::StoreKubeconfig { .. }
        | Step::StoreTalosconfig { .. } => Part::Free,
    }
}
