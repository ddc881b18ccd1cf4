//! What callers of Talos' API ask of a machine's etcd: founding a cluster, its membership, and snapshots.
//!
//! Membership is asked of the model here; where processes play etcd, `crate::talos` asks those. Founding, leaving and
//! what is on the disk are the machine's own in either case.

use std::sync::Arc;

use jiff::Timestamp;

use super::snapshot::Snapshot;
use super::{EtcdData, Member};
use crate::world::ids::ServerId;
use crate::world::machine::Guests;
use crate::world::machine::phase::{Etcd, Recovery};
use crate::world::machine::requests::refuse;
use crate::world::machine::status::{RpcCode, RpcError};

impl Guests {
    /// `Bootstrap`. The data directory is made a while later, and etcd starts.
    ///
    /// # Errors
    /// `Unimplemented` on workers, `FailedPrecondition` while the machine still comes up or etcd is being bootstrapped,
    /// `AlreadyExists` once etcd has data here.
    pub fn bootstrap(&mut self, server: ServerId, now: Timestamp) -> Result<(), RpcError> {
        self.found(server, None, now)
    }

    /// `Bootstrap` with `recover_etcd`: from the snapshot that was uploaded last. One that is damaged shows later: etcd
    /// waits again, and the sequence tells why.
    ///
    /// # Errors
    /// As [`Guests::bootstrap`], and `FailedPrecondition` without a snapshot.
    pub fn bootstrap_recovered(
        &mut self,
        server: ServerId,
        skip_hash_check: bool,
        now: Timestamp,
    ) -> Result<(), RpcError> {
        self.found(server, Some(Recovery { skip_hash_check }), now)
    }

    fn found(&mut self, server: ServerId, recovery: Option<Recovery>, now: Timestamp) -> Result<(), RpcError> {
        let until = now + self.pace.draw(|spans| spans.etcd_prepare);
        let guest = self.in_control(server, "bootstrap")?;
        if guest.uptime().is_some_and(|up| up.container_runtime_at > now) {
            return refuse(RpcCode::FailedPrecondition, "container runtime is not ready yet");
        }
        if guest.disk.etcd.is_some() {
            return refuse(RpcCode::AlreadyExists, "etcd data directory is not empty");
        }
        if guest.uptime().is_some_and(|up| matches!(up.etcd, Etcd::Bootstrapping { .. })) {
            return refuse(RpcCode::FailedPrecondition, "bootstrap is already in progress");
        }
        if recovery.is_some() && guest.disk.snapshot.is_none() {
            return refuse(RpcCode::FailedPrecondition, "no etcd snapshot was uploaded to recover from");
        }
        if let Some(up) = guest.uptime_mut() {
            up.etcd = Etcd::Bootstrapping { until, recovery };
        }
        self.settle(now);
        Ok(())
    }

    /// `EtcdRecover`: keeps a snapshot for [`Guests::bootstrap_recovered`].
    ///
    /// # Errors
    /// `Unimplemented` on workers, `FailedPrecondition` where etcd has data.
    pub fn etcd_recover(&mut self, server: ServerId, snapshot: Vec<u8>) -> Result<(), RpcError> {
        let guest = self.in_control(server, "etcd recover")?;
        if guest.disk.etcd.is_some() {
            return refuse(RpcCode::FailedPrecondition, "etcd data directory is not empty");
        }
        guest.disk.snapshot = Some(Arc::from(snapshot));
        Ok(())
    }

    /// `EtcdSnapshot` of the model, as [`Snapshot::decode`] reads it. It needs this member alone, no leader.
    ///
    /// # Errors
    /// `Unavailable` where etcd does not run, `Unimplemented` on workers.
    pub fn etcd_snapshot(&mut self, server: ServerId) -> Result<Vec<u8>, RpcError> {
        let data = self.etcd_data(server)?;
        let snapshot = Snapshot { cluster: data.cluster, revision: self.etcd.revise(data.cluster) };
        self.nodes.keep((snapshot.cluster, snapshot.revision));
        Ok(snapshot.encode())
    }

    /// A process joined the etcd cluster of `peer`.
    pub fn etcd_joined(&mut self, server: ServerId, peer: ServerId) {
        let cluster = self.get(peer).and_then(|guest| guest.disk.etcd).map(|data| data.cluster);
        let member = self.ids.next_u64();
        if let (Some(cluster), Some(guest)) = (cluster, self.guests.get_mut(&server)) {
            guest.disk.etcd = Some(EtcdData { cluster, member });
            if let Some(up) = guest.uptime_mut() {
                up.etcd = Etcd::Starting { until: Timestamp::MAX };
            }
        }
    }

    /// The members of every cluster of the model, as nobody but the world itself can see them.
    pub fn etcd_memberships(&self) -> impl Iterator<Item = &[Member]> {
        self.etcd.memberships()
    }

    /// `EtcdMemberList` of the model.
    ///
    /// # Errors
    /// `Unavailable` without a leader, `Unimplemented` on workers.
    pub fn etcd_members(&mut self, server: ServerId) -> Result<Vec<Member>, RpcError> {
        let data = self.etcd_data(server)?;
        self.etcd.members(data).map(<[Member]>::to_vec)
    }

    /// `EtcdRemoveMemberByID` of the model.
    ///
    /// # Errors
    /// `NotFound`, or `Unavailable` without a leader.
    pub fn etcd_remove_member(&mut self, server: ServerId, member: u64, now: Timestamp) -> Result<(), RpcError> {
        let data = self.etcd_data(server)?;
        self.etcd.remove(data, member)?;
        self.settle(now);
        Ok(())
    }

    /// `EtcdForfeitLeadership` of the model: the new leader's name, or none where the member did not lead.
    ///
    /// # Errors
    /// With one member, or without a leader.
    pub fn etcd_forfeit_leadership(&mut self, server: ServerId) -> Result<Option<String>, RpcError> {
        let data = self.etcd_data(server)?;
        let guests = &self.guests;
        self.etcd.forfeit(data, &|server| guests.get(&server).is_some_and(|guest| guest.etcd_answers()))
    }

    /// `EtcdLeaveCluster` of the model: the member goes, and its data.
    ///
    /// # Errors
    /// Without a leader, or as the last member.
    pub fn etcd_leave_cluster(&mut self, server: ServerId, now: Timestamp) -> Result<(), RpcError> {
        let data = self.etcd_data(server)?;
        if self.etcd.members(data)?.len() == 1 {
            return refuse(
                RpcCode::FailedPrecondition,
                "etcdserver: re-configuration failed due to not enough started members",
            );
        }
        self.etcd.remove(data, data.member)?;
        self.etcd_left(server, now);
        Ok(())
    }

    /// The member on this machine has left its cluster.
    pub fn etcd_left(&mut self, server: ServerId, now: Timestamp) {
        if let Some(guest) = self.guests.get_mut(&server) {
            guest.disk.etcd = None;
            guest.disk.recovered = None;
            if let Some(up) = guest.uptime_mut() {
                up.etcd = Etcd::Left;
                up.api_server = false;
            }
        }
        self.settle(now);
    }

    /// Whether the member on this machine leads its cluster, by the model.
    #[must_use]
    pub fn leads_etcd(&self, server: ServerId) -> bool {
        self.get(server).and_then(|guest| guest.disk.etcd).is_some_and(|data| self.etcd.is_leader(data))
    }

    /// Whether etcd can be asked about on this machine at all.
    ///
    /// # Errors
    /// `Unimplemented` on workers, `Unavailable` where etcd does not run.
    pub fn check_etcd(&mut self, server: ServerId) -> Result<(), RpcError> {
        self.etcd_data(server).map(drop)
    }

    fn etcd_data(&mut self, server: ServerId) -> Result<EtcdData, RpcError> {
        let guest = self.in_control(server, "etcd")?;
        let answers = guest.etcd_answers();
        guest.disk.etcd.filter(|_| answers).ok_or_else(|| RpcError::new(RpcCode::Unavailable, "etcd is not running"))
    }
}
