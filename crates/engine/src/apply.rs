//! Carrying out a plan: each step is one request or one write, and nothing is decided here.
//!
//! Steps of a plan are independent and run at the same time, a bounded number at once. What an accepted request
//! answered amends the project's reading; what an attempt met becomes a setback, which the next plan sees.

mod components;
mod gitops;
mod hetzner;
mod machines;
mod names;
mod snapshots;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream;
use futures::{FutureExt, StreamExt};
use helix_plan::components::Component;
use helix_plan::gitops::Tree;
use helix_plan::names::{MachineName, PlatformIdentity};
use helix_plan::observed::{ObjectId, SetbackKind};
use helix_plan::step::{NodePatch, Step};
use helix_plan::validated::ValidatedPlatform;
use helix_plan::{Plan, PlanItem};
use jiff::{SignedDuration, Timestamp};

use crate::components::Composed;
use crate::in_hand::InHand;
use crate::observe::Access;
use crate::seams::{CloudError, MeshError, Seams, StoreError, TalosError, WorkloadError};
use crate::secrets::SecretMakerError;

/// Steps under way at once: enough to keep a hundred creations from queueing, few enough to be polite.
const AT_ONCE: usize = 16;

/// How long a bootstrap is left alone: Talos pulls and starts etcd in that time.
const BOOTSTRAP_REST: SignedDuration = SignedDuration::from_secs(30);

/// How long a machine that was told to reboot is left alone: it takes that long to go down.
const REBOOT_REST: SignedDuration = SignedDuration::from_secs(60);

/// How long a new configuration is given until the machine's node tells of it.
const CONFIGURATION_REST: SignedDuration = SignedDuration::from_secs(10);

/// How long an etcd that comes up from a snapshot, and a kubelet that starts again, are left alone.
const RECOVERY_REST: SignedDuration = SignedDuration::from_secs(60);

/// How long pods are given to leave before they are asked again.
const EVICTION_REST: SignedDuration = SignedDuration::from_secs(5);

/// What became of one step.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The kind of the step's target.
    pub(crate) kind: &'static str,
    /// The step's target, as text.
    pub(crate) target: String,
    /// What the step did, in words.
    pub(crate) what: String,
    /// Whether it has only been begun, and its end is told elsewhere.
    pub(crate) begun: bool,
    /// The machine that has its configuration now, if the step gave it one.
    pub(crate) configured: Option<MachineName>,
    /// The component whose objects or Secrets it was about.
    pub(crate) component: Option<Component>,
    /// The objects that it applied, and what they were made from.
    pub(crate) objects: Option<(String, Vec<ObjectId>)>,
    /// How long the step has to rest after it succeeded, because its effect takes that long to show.
    pub(crate) rest: Option<SignedDuration>,
    /// What it met.
    pub(crate) result: Result<(), Met>,
}

/// What a failed attempt met: the setback it becomes, and the moment before which another try is pointless.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) kind: SetbackKind,
    pub(crate) until: Option<Timestamp>,
    /// Whether the effect may have happened all the same, or the facts have turned out to be out of date.
    pub(crate) distrust: bool,
    /// Whether it belongs to the way things go: it passes by itself, and nobody has to read of it.
    pub(crate) expected: bool,
}

impl Met {
    fn from_kind(kind: SetbackKind) -> Self {
        Self { kind, until: None, distrust: false, expected: false }
    }

    fn failed(reason: &str, message: String) -> Self {
        let kind = SetbackKind::Failed { reason: reason.to_owned(), message };
        Self::from_kind(kind)
    }
}

impl From<TalosError> for Met {
    fn from(error: TalosError) -> Self {
        let expected = matches!(error, TalosError::NotReady { .. });
        Self { expected, ..Self::failed(error.reason(), error.to_string()) }
    }
}

impl From<WorkloadError> for Met {
    fn from(error: WorkloadError) -> Self {
        let expected = matches!(error, WorkloadError::EvictionRefused { .. } | WorkloadError::UnknownKind { .. });
        Self { expected, ..Self::failed(error.reason(), error.to_string()) }
    }
}

impl From<MeshError> for Met {
    fn from(error: MeshError) -> Self {
        Self::failed(error.reason(), error.to_string())
    }
}

impl From<StoreError> for Met {
    fn from(error: StoreError) -> Self {
        Self::failed(error.reason(), error.to_string())
    }
}

impl From<SecretMakerError> for Met {
    fn from(error: SecretMakerError) -> Self {
        Self::failed(error.reason(), error.to_string())
    }
}

impl From<CloudError> for Met {
    fn from(error: CloudError) -> Self {
        let distrust = error.is_ambiguous() || matches!(error, CloudError::NotFound { .. });
        // Hetzner changes a resource once at a time, and lets go of what a deleted server used only after a while.
        let expected =
            matches!(error, CloudError::Conflict { .. } | CloudError::Locked { .. } | CloudError::InUse { .. });
        let until = match &error {
            CloudError::RateLimited { resets_at } => Some(*resets_at),
            CloudError::BudgetExhausted { until } => Some(*until),
            _ => None,
        };
        let kind = match error {
            CloudError::Unauthorized { message } | CloudError::Forbidden { message } => {
                SetbackKind::NotPermitted { message }
            }
            CloudError::LimitExceeded { message } => SetbackKind::LimitExceeded { message },
            other => SetbackKind::Failed { reason: other.reason().to_owned(), message: other.to_string() },
        };
        Self { kind, until, distrust, expected }
    }
}

/// What steps are carried out with.
#[derive(Clone, Copy)]
pub(crate) struct Applier<'a> {
    pub(crate) seams: &'a Seams,
    pub(crate) platform: &'a PlatformIdentity,
    pub(crate) access: &'a Access,
    pub(crate) in_hand: &'a InHand,
    /// What is wanted; none in a teardown.
    pub(crate) wanted: Option<&'a ValidatedPlatform>,
    /// The GitOps tree that is wanted.
    pub(crate) tree: Option<&'a Arc<Tree>>,
    /// What components are to be.
    pub(crate) composed: &'a BTreeMap<Component, Arc<Composed>>,
    pub(crate) now: Timestamp,
}

/// Carries out all steps of a plan, and tells what became of each, in the plan's order.
pub(crate) async fn apply(applier: Applier<'_>, plan: &Plan) -> Vec<Applied> {
    // Boxed, because a stream of borrowing futures is not `Send` for the compiler.
    let steps: Vec<BoxFuture<'_, Applied>> = plan.items.iter().map(|item| carry_out(applier, item).boxed()).collect();
    stream::iter(steps).buffered(AT_ONCE).collect().await
}

async fn carry_out(applier: Applier<'_>, item: &PlanItem) -> Applied {
    let step = &item.step;
    let result = applier.execute(step).await;
    let what = step.to_string();
    match &result {
        Ok(()) => tracing::info!(step = %what, "done"),
        Err(met) if met.expected => tracing::debug!(step = %what, met = ?met.kind, "not yet"),
        Err(met) => {
            tracing::warn!(step = %what, met = ?met.kind, "not done");
            if met.distrust {
                applier.seams.project.distrust().await;
            }
        }
    }
    let done = result.is_ok();
    let rest = rest_after(step);
    Applied {
        kind: step.target().kind,
        target: step.target().to_string(),
        what,
        begun: matches!(step, Step::TakeSnapshot { .. }),
        configured: match step {
            Step::ConfigureMachine { inputs, .. } if done => Some(inputs.machine.clone()),
            _ => None,
        },
        component: match step {
            Step::ApplyObjects { component, .. }
            | Step::PruneObjects { component, .. }
            | Step::PutSecret { component, .. } => Some(*component),
            _ => None,
        },
        objects: match step {
            Step::ApplyObjects { key, objects, .. } => Some((key.clone(), objects.clone())),
            _ => None,
        },
        rest,
        result,
    }
}

/// How long a step is not repeated after it succeeded, because its effect takes that long to show.
fn rest_after(step: &Step) -> Option<SignedDuration> {
    match step {
        // A second bootstrap before the first has left data would begin it anew.
        Step::BootstrapEtcd { .. } => Some(BOOTSTRAP_REST),
        // A second reboot would undo the first one's boot.
        Step::UpgradeTalos { .. } | Step::ReconfigureMachine { reboot: true, .. } => Some(REBOOT_REST),
        Step::ReconfigureMachine { reboot: false, .. } => Some(CONFIGURATION_REST),
        Step::EvictPods { .. } => Some(EVICTION_REST),
        Step::RecoverEtcd { .. } | Step::RestartKubelet { .. } => Some(RECOVERY_REST),
        _ => None,
    }
}

impl Applier<'_> {
    async fn execute(&self, step: &Step) -> Result<(), Met> {
        match step {
            Step::CreateSecretBundle => self.create_secret_bundle().await,
            Step::RecordBootstrap { machine, server } => self.record_bootstrap(machine, *server).await,
            Step::BeginRotation { request } => self.begin_rotation(request).await,
            Step::AdvanceRotation { from, to } => self.advance_rotation(*from, *to).await,
            Step::StoreKubeconfig { endpoints } => self.store_kubeconfig(endpoints).await,
            Step::StoreTalosconfig { endpoints } => self.store_talosconfig(endpoints).await,
            Step::ForgetSecrets => Ok(self.seams.store.forget(self.platform).await?),
            Step::ConfigureMachine { address, inputs, .. } => self.configure_machine(*address, inputs).await,
            Step::BootstrapEtcd { machine, .. } => self.bootstrap_etcd(machine).await,
            Step::RecordRestore(record) => self.record_restore(record).await,
            Step::RecoverEtcd { machine, snapshot, .. } => self.recover_etcd(machine, snapshot).await,
            Step::TakeSnapshot { machine, key } => self.take_snapshot(machine, key).await,
            Step::PruneSnapshot { key } => self.prune_snapshot(key).await,
            Step::RestartKubelet { machine } => self.restart_kubelet(machine).await,
            Step::RemoveEtcdMember { member, leads, .. } => self.remove_etcd_member(*member, leads.as_ref()).await,
            Step::PatchNode { machine, patch } => self.patch_node(machine, patch).await,
            Step::MarkNode { machine, mark } => self.patch_node(machine, &NodePatch::mark(mark)).await,
            Step::UnmarkNode { machine, stays_cordoned } => {
                self.patch_node(machine, &NodePatch::unmark(*stays_cordoned)).await
            }
            Step::EvictPods { pods, .. } => self.evict(pods).await,
            Step::UpgradeTalos { machine, image, .. } => self.upgrade_talos(machine, image).await,
            Step::ReconfigureMachine { inputs, reboot, .. } => self.reconfigure_machine(inputs, *reboot).await,
            Step::DeleteNode { machine } => self.delete_node(machine).await,
            Step::DeleteService(service) => {
                self.in_cluster(|workload, route| async move { workload.delete_service(&route, service).await }).await
            }
            Step::DeleteClaim(claim) => {
                self.in_cluster(|workload, route| async move { workload.delete_claim(&route, claim).await }).await
            }
            Step::ChangeRecord(change) => self.change_record(change, step).await,
            Step::ChangeMesh(change) => self.change_mesh(change).await,
            Step::RenderChart { component, .. } => self.render_chart(*component).await,
            Step::ApplyObjects { component, key, objects } => self.apply_objects(*component, key, objects).await,
            Step::PutSecret { component, namespace, name } => self.put_secret(*component, namespace, name).await,
            Step::PublishTree { digest, .. } => self.publish_tree(digest).await,
            Step::PruneObjects { objects, .. } => self.prune_objects(objects).await,
            Step::CreateNetwork(_)
            | Step::AddSubnet { .. }
            | Step::CreateFirewall(_)
            | Step::SetFirewallRules { .. }
            | Step::CreateSshKey { .. }
            | Step::CreatePlacementGroup { .. }
            | Step::CreateLoadBalancer(_)
            | Step::SetLoadBalancerService { .. }
            | Step::SetLoadBalancerPublic { .. }
            | Step::AttachLoadBalancer { .. }
            | Step::AddLoadBalancerTarget { .. }
            | Step::RemoveLoadBalancerTarget { .. }
            | Step::CreateServer(_)
            | Step::AttachServer { .. }
            | Step::ApplyFirewall { .. }
            | Step::PowerOnServer { .. }
            | Step::AdoptResource { .. }
            | Step::DetachVolume { .. }
            | Step::RemoveLoadBalancerService { .. }
            | Step::DetachLoadBalancer { .. }
            | Step::ReleaseResource { .. }
            | Step::DeleteResource { .. } => self.at_hetzner(step).await,
        }
    }
}
