//! What a machine's service list says.

use jiff::Timestamp;

use super::config::Role;
use super::guest::Guest;
use super::phase::{Etcd, Phase};

/// A Talos service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub id: &'static str,
    /// `Preparing`, `Waiting`, `Starting`, `Running` or `Finished`.
    pub state: &'static str,
    /// What its health check says; `None` where there is none or it has not run yet.
    pub healthy: Option<bool>,
}

const fn running(id: &'static str, healthy: Option<bool>) -> Service {
    Service { id, state: "Running", healthy }
}

impl Guest {
    /// The services at `now`, by name.
    #[must_use]
    pub fn services(&self, now: Timestamp) -> Vec<Service> {
        let mut services =
            vec![running("containerd", Some(true)), running("machined", Some(true)), running("udevd", Some(true))];
        if let Phase::Up(up) = &self.phase {
            services.push(running("apid", Some(true)));
            let waits = |id, since: Timestamp| match since <= now {
                true => running(id, Some(true)),
                false => Service { id, state: "Waiting", healthy: None },
            };
            services.push(waits("cri", up.container_runtime_at));
            services.push(waits("kubelet", up.kubelet_at));
            if self.role() == Some(Role::ControlPlane) {
                services.push(running("trustd", Some(true)));
                services.push(etcd(up.etcd));
            }
        }
        services.sort_by_key(|service| service.id);
        services
    }
}

fn etcd(state: Etcd) -> Service {
    let service = |state, healthy| Service { id: "etcd", state, healthy };
    match state {
        Etcd::Absent | Etcd::Left => service("Finished", None),
        Etcd::Waiting | Etcd::Bootstrapping { .. } => service("Preparing", None),
        Etcd::Starting { .. } => service("Running", None),
        Etcd::Running { healthy, .. } => service("Running", Some(healthy)),
    }
}
