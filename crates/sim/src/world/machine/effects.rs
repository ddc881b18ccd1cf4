//! What a configuration that changed while its machine runs sets in motion: the kubelet and the static pods start anew
//! where what they run with is another.

use std::sync::Arc;

use jiff::Timestamp;

use super::guest::Guest;
use super::phase::{Etcd, StaticPods};
use super::{EtcdData, Guests, Snapshot};
use crate::world::ids::ServerId;

impl Guests {
    /// Starts anew what runs with something else than its configuration says.
    pub(super) fn follow_configurations(&mut self, now: Timestamp) {
        for guest in self.guests.values_mut() {
            if !guest.is_up() {
                continue;
            }
            let Some((machine, cluster)) =
                guest.config().and_then(|config| Some((Arc::clone(config.machine()?), Arc::clone(config.cluster()?))))
            else {
                continue;
            };
            let Some(up) = guest.uptime_mut() else { continue };
            if up.kubelet_at <= now
                && up.kubelet.as_ref() != Some(machine.kubelet())
                && up.kubelet.replace(machine.kubelet().clone()).is_some()
            {
                up.kubelet_at = now + self.pace.draw(|spans| spans.kubelet);
                up.wakes.insert(up.kubelet_at);
            }
            let wanted = StaticPods::of(&cluster);
            if let Some(running) = up.static_pods.as_mut().filter(|running| **running != wanted) {
                if running.api_server == wanted.api_server {
                    *running = wanted;
                } else {
                    up.static_pods = None;
                }
            }
        }
    }

    /// A machine that was told to found a cluster does so when its moment comes, where its snapshot is any good.
    pub(super) fn begin_etcd(&mut self, server: ServerId, now: Timestamp) {
        let until = match self.membership {
            super::Membership::Modelled => now + self.pace.draw(|spans| spans.etcd_start),
            super::Membership::Processes => Timestamp::MAX,
        };
        let Some(guest) = self.guests.get(&server) else { return };
        let Some(Etcd::Bootstrapping { until: due, recovery }) = guest.uptime().map(|up| up.etcd) else { return };
        if due > now {
            return;
        }
        let hostname = guest.hostname().to_owned();
        let data = match recovery {
            None => Some(self.etcd.bootstrap(server, &hostname, 1)),
            Some(recovery) => self.recovered(server, &hostname, !recovery.skip_hash_check),
        };
        let Some(guest) = self.guests.get_mut(&server) else { return };
        guest.disk.etcd = data;
        guest.disk.recovered = recovery.filter(|_| data.is_some());
        if data.is_none() {
            guest.tell_failed_bootstrap();
        }
        if let Some(up) = guest.uptime_mut() {
            up.etcd = if data.is_some() { Etcd::Starting { until } } else { Etcd::Waiting };
        }
    }

    /// The process that was to make etcd's data from the uploaded snapshot could not: etcd waits again.
    pub fn etcd_not_recovered(&mut self, server: ServerId, now: Timestamp) {
        if let Some(guest) = self.guests.get_mut(&server).filter(|guest| guest.disk.recovered.is_some()) {
            guest.disk.etcd = None;
            guest.disk.recovered = None;
            guest.tell_failed_bootstrap();
            if let Some(up) = guest.uptime_mut() {
                up.etcd = Etcd::Waiting;
            }
        }
        self.settle(now);
    }

    /// A new cluster with what an uploaded snapshot holds; `None` where that is damaged. What a real snapshot holds and
    /// whether it is any good the processes find out: to them the model's cluster is but a mark.
    fn recovered(&mut self, server: ServerId, hostname: &str, check_hash: bool) -> Option<EtcdData> {
        let bytes = self.get(server)?.uploaded_snapshot()?;
        if self.membership == super::Membership::Processes {
            return Some(self.etcd.bootstrap(server, hostname, 1));
        }
        let snapshot = Snapshot::decode(bytes, check_hash)?;
        let data = self.etcd.bootstrap(server, hostname, snapshot.revision);
        self.nodes.restore((snapshot.cluster, snapshot.revision), data.cluster);
        Some(data)
    }
}

impl Guest {
    fn tell_failed_bootstrap(&mut self) {
        let error = Some("snapshot restore failed: the snapshot is damaged".to_owned());
        self.events.record("", super::Happening::Sequence { name: "bootstrap", began: false, error });
    }
}
