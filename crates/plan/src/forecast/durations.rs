//! How long things typically take, for the duration that a forecast tells. Nothing waits by these.
//!
//! "Seen" are times that were seen at Hetzner; the rest are estimates from watching Talos 1.13 on shared servers, and
//! are marked as such. All are middles, not bounds.

use jiff::SignedDuration;

use crate::plan::Plan;
use crate::step::{ResourceKind, Step};

/// A call of Hetzner's API (seen: 0.2 s for a create call).
const HETZNER_CALL: SignedDuration = SignedDuration::from_millis(200);

/// Calls under way at once.
const CALLS_AT_ONCE: u32 = 16;

/// From the request until a server runs (seen: 17–28 s from a small snapshot, minutes from a large one).
pub(super) const SERVER_CREATED: SignedDuration = SignedDuration::from_secs(23);

/// From power-on until the server runs (estimate).
pub(super) const SERVER_STARTED: SignedDuration = SignedDuration::from_secs(3);

/// From the request until a server is gone (seen: 2 s) and its firewall may go, too (seen: up to 1 min).
pub(super) const SERVER_DELETED: SignedDuration = SignedDuration::from_secs(32);

/// Until something is in a network (seen: 7 s for the way out; the way in is taken to be as long).
pub(super) const NETWORK_ATTACHED: SignedDuration = SignedDuration::from_secs(7);

/// From a running server until Talos listens (estimate).
pub(super) const BOOTED: SignedDuration = SignedDuration::from_secs(16);

/// From its configuration until a machine answers with credentials and could be bootstrapped (estimate).
pub(super) const CONFIGURED: SignedDuration = SignedDuration::from_secs(9);

/// From the start of etcd until its member answers (estimate).
pub(super) const ETCD_STARTED: SignedDuration = SignedDuration::from_secs(6);

/// Until a learner is promoted (Talos tries every 15 s).
pub(super) const ETCD_PROMOTED: SignedDuration = SignedDuration::from_secs(15);

/// From a healthy etcd until the API server answers (estimate).
pub(super) const API_SERVED: SignedDuration = SignedDuration::from_secs(16);

/// From a served API until a machine is registered as a node (estimate).
pub(super) const NODE_REGISTERED: SignedDuration = SignedDuration::from_secs(5);

/// Until the load balancer counts a target as healthy: its check comes every 3 s.
pub(super) const TARGET_HEALTHY: SignedDuration = SignedDuration::from_secs(3);

/// Until services have restarted by another configuration (estimate).
const RECONFIGURED: SignedDuration = SignedDuration::from_secs(10);

/// From the request until a machine is back after a reboot (estimate).
pub(super) const REBOOTED: SignedDuration = SignedDuration::from_secs(45);

/// From the request until a machine is back with another Talos: an image pulled, installed and booted (estimate).
pub(super) const UPGRADED: SignedDuration = SignedDuration::from_secs(90);

/// Until the pods of a node are known after it was marked.
pub(super) const PODS_LISTED: SignedDuration = SignedDuration::from_secs(1);

/// From the request until pods have left: Kubernetes' own grace period.
pub(super) const PODS_LEFT: SignedDuration = SignedDuration::from_secs(30);

/// From the request until the cluster's own controllers have removed a load balancer or a volume: pods' grace period, and
/// what it takes to leave a server (seen: 3 s).
pub(super) const REMOVED_INSIDE: SignedDuration = SignedDuration::from_secs(33);

/// Until a node whose machine is up says that it is Ready, where there is a pod network (estimate).
pub(super) const NODE_READY: SignedDuration = SignedDuration::from_secs(10);

/// From its objects until a component is well: images pulled, pods started (estimate).
pub(super) const COMPONENT_UP: SignedDuration = SignedDuration::from_secs(40);

/// Until Cilium's operator has made its kinds known (estimate).
pub(super) const KIND_KNOWN: SignedDuration = SignedDuration::from_secs(10);

/// To fetch and render a chart (seen: 1 s each, several at once).
const RENDERED: SignedDuration = SignedDuration::from_secs(3);

/// How long it typically takes until what a step does has come true; `None` where it is so at once, or where that is
/// anybody's guess, as with pods that are asked to leave.
#[must_use]
pub fn of_step(step: &Step) -> Option<SignedDuration> {
    match step {
        Step::CreateServer(_) => Some(SERVER_CREATED + BOOTED),
        Step::PowerOnServer { .. } => Some(SERVER_STARTED + BOOTED),
        Step::CreateLoadBalancer(_) | Step::AttachLoadBalancer { .. } | Step::AttachServer { .. } => {
            Some(NETWORK_ATTACHED)
        }
        Step::AddLoadBalancerTarget { .. } => Some(TARGET_HEALTHY),
        Step::ConfigureMachine { .. } => Some(CONFIGURED),
        Step::BootstrapEtcd { .. } => Some(ETCD_STARTED + API_SERVED),
        Step::UpgradeTalos { .. } => Some(UPGRADED),
        Step::ReconfigureMachine { reboot: true, .. } => Some(REBOOTED),
        Step::ReconfigureMachine { reboot: false, .. } => Some(RECONFIGURED),
        Step::DeleteResource { kind: ResourceKind::Server, .. } => Some(SERVER_DELETED),
        Step::DeleteService(_) | Step::DeleteClaim(_) => Some(REMOVED_INSIDE),
        Step::RenderChart { .. } => Some(RENDERED),
        Step::ApplyObjects { .. } => Some(COMPONENT_UP),
        _ => None,
    }
}

/// How long the steps of a plan take by themselves.
pub(super) fn of_steps(plan: &Plan) -> SignedDuration {
    let in_turn = plan.hetzner_calls().div_ceil(CALLS_AT_ONCE);
    let restarts = plan.items.iter().any(|item| matches!(item.step, Step::ReconfigureMachine { reboot: false, .. }));
    let restarted = if restarts { RECONFIGURED } else { SignedDuration::ZERO };
    (HETZNER_CALL * i32::try_from(in_turn).unwrap_or(i32::MAX)).max(restarted)
}
