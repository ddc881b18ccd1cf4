//! How long a machine takes from one state to the next, once its server has power and its firmware has run.
//!
//! Guesses from watching Talos 1.13 on shared servers, but for what is marked as a constant of Talos or Kubernetes. Boot is
//! `guest_boot` of [`crate::world::Latencies`].

use std::time::Duration;

use crate::world::latencies::{Span, TimeScale, draw};
use crate::world::rng::Rng;

/// Every latency of a machine, before scaling.
#[derive(Clone, Debug)]
pub struct GuestLatencies {
    /// From power-on until Talos listens.
    pub boot: Span,
    /// From the configuration's arrival (or boot with one) until apid asks for client certificates.
    pub configure: Span,
    /// From then until the container runtime is up; earlier, bootstrapping etcd is refused.
    pub container_runtime: Span,
    /// From then until the kubelet runs.
    pub kubelet: Span,
    /// From the call that bootstraps etcd until its data directory is made.
    pub etcd_prepare: Span,
    /// From the start of etcd until its member answers.
    pub etcd_start: Span,
    /// Between a learner's arrival and its promotion (Talos tries every 15 s).
    pub etcd_promote: Span,
    /// From a healthy etcd until the static pods serve.
    pub static_pods: Span,
    /// From a running kubelet and a serving API until the node is registered.
    pub register_node: Span,
    /// From the call until the machine goes down: services stop, disks are unmounted.
    pub go_down: Span,
    /// Writing a new system image.
    pub install: Span,
    /// From the last word of a node's kubelet until the node counts as not ready (the controller manager's default).
    pub node_grace: Span,
    /// How long a graceful reset tries to leave etcd before it gives up.
    pub leave_deadline: Span,
}

impl Default for GuestLatencies {
    fn default() -> Self {
        Self {
            boot: Span::millis(12_000, 20_000),
            configure: Span::millis(4_000, 8_000),
            container_runtime: Span::millis(2_000, 4_000),
            kubelet: Span::millis(8_000, 14_000),
            etcd_prepare: Span::millis(1_000, 3_000),
            etcd_start: Span::millis(4_000, 8_000),
            etcd_promote: Span::exactly_millis(15_000),
            static_pods: Span::millis(12_000, 20_000),
            register_node: Span::millis(3_000, 6_000),
            go_down: Span::millis(6_000, 12_000),
            install: Span::millis(15_000, 30_000),
            node_grace: Span::exactly_millis(50_000),
            leave_deadline: Span::exactly_millis(15_000),
        }
    }
}

/// Draws latencies: the bounds, the scale and the chance.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    pub(super) spans: GuestLatencies,
    pub(super) scale: TimeScale,
    pub(super) rng: Rng,
}

impl Pace {
    pub(super) fn draw(&mut self, pick: impl Fn(&GuestLatencies) -> Span) -> Duration {
        draw(&mut self.rng, pick(&self.spans), self.scale)
    }
}
