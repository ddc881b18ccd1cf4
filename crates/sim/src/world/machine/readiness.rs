//! What a machine's status says: its stage, whether it is ready, and what keeps it from that.

use jiff::Timestamp;

use super::guest::{Guest, Stage};
use super::phase::{Etcd, Phase};

impl Guest {
    /// Its stage and whether it counts as ready, at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> (Stage, bool) {
        let stage = match &self.phase {
            Phase::Off | Phase::Dead | Phase::Booting { .. } | Phase::Configuring { .. } => Stage::Booting,
            Phase::Maintenance => Stage::Maintenance,
            Phase::Down(down) => down.stage,
            Phase::Up(up) => {
                let etcd_up = matches!(up.etcd, Etcd::Absent | Etcd::Running { healthy: true, .. } | Etcd::Left);
                if up.booted || etcd_up && up.kubelet_at <= now { Stage::Running } else { Stage::Booting }
            }
        };
        (stage, stage == Stage::Running && self.unmet(now).is_empty())
    }

    /// What keeps it from being ready, as (condition, reason).
    #[must_use]
    pub fn unmet(&self, now: Timestamp) -> Vec<(&'static str, &'static str)> {
        let Some(up) = self.uptime() else {
            return vec![("services", "boot sequence is not finished")];
        };
        let mut unmet = Vec::new();
        if up.kubelet_at > now
            || matches!(
                up.etcd,
                Etcd::Waiting
                    | Etcd::Bootstrapping { .. }
                    | Etcd::Starting { .. }
                    | Etcd::Running { healthy: false, .. }
            )
        {
            unmet.push(("services", "not all services are healthy"));
        }
        if up.etcd != Etcd::Absent && !up.api_server {
            unmet.push(("staticPods", "static pods are not ready"));
        }
        if !self.node_ready {
            unmet.push(("nodeReady", "node is not ready"));
        }
        unmet
    }
}
