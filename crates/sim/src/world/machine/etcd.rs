//! The membership of etcd as a model, for runs without processes: members, learners, votes, one leader.
//!
//! It knows nothing of keys and values, and nothing of time: who is alive is told with each call. Behind sockets the
//! real etcd is the truth and this is not used.

mod calls;
mod snapshot;

use std::collections::BTreeMap;

pub use snapshot::Snapshot;

use super::status::{RpcCode, RpcError};
use crate::world::ids::ServerId;
use crate::world::rng::Rng;

/// A member of an etcd cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Etcd's id of it.
    pub id: u64,
    /// The machine's host name.
    pub hostname: String,
    /// The server that it was started on.
    pub server: ServerId,
    /// Whether it still learns; a learner has no vote.
    pub learner: bool,
}

/// Which cluster and member a machine's etcd data belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtcdData {
    /// The cluster's id; clusters that were bootstrapped separately have different ones.
    pub cluster: u64,
    /// The member's id.
    pub member: u64,
}

#[derive(Clone, Debug, Default)]
struct EtcdCluster {
    members: Vec<Member>,
    leader: Option<u64>,
    /// Counts its changes, as far as the model knows of them.
    revision: u64,
}

/// All etcd clusters of a world.
#[derive(Clone, Debug)]
pub(super) struct EtcdModel {
    clusters: BTreeMap<u64, EtcdCluster>,
    rng: Rng,
}

fn no_leader() -> RpcError {
    RpcError::new(RpcCode::Unavailable, "etcdserver: no leader")
}

impl EtcdModel {
    pub(super) fn new(rng: Rng) -> Self {
        Self { clusters: BTreeMap::new(), rng }
    }

    /// A new cluster of one voter, at the given revision.
    pub(super) fn bootstrap(&mut self, server: ServerId, hostname: &str, revision: u64) -> EtcdData {
        let data = EtcdData { cluster: self.rng.next_u64() | 1, member: self.rng.next_u64() | 1 };
        let member = Member { id: data.member, hostname: hostname.to_owned(), server, learner: false };
        self.clusters.insert(data.cluster, EtcdCluster { members: vec![member], leader: None, revision });
        data
    }

    /// Nobody has a cluster's data any more.
    pub(super) fn end(&mut self, cluster: u64) {
        self.clusters.remove(&cluster);
    }

    /// Counts one more change; the revision after it.
    pub(super) fn revise(&mut self, cluster: u64) -> u64 {
        self.clusters.get_mut(&cluster).map_or(0, |cluster| {
            cluster.revision += 1;
            cluster.revision
        })
    }

    /// Elects where there is none, or none alive: a leader needs the votes of a majority of all voters.
    pub(super) fn elect(&mut self, alive: &impl Fn(ServerId, EtcdData) -> bool) {
        for (&id, cluster) in &mut self.clusters {
            let living = |member: &Member| alive(member.server, EtcdData { cluster: id, member: member.id });
            let voters = cluster.members.iter().filter(|member| !member.learner);
            let able: Vec<u64> = voters.clone().filter(|member| living(member)).map(|member| member.id).collect();
            if able.len() * 2 <= voters.count() {
                cluster.leader = None;
            } else if !cluster.leader.is_some_and(|leader| able.contains(&leader)) {
                cluster.leader = able.first().copied();
            }
        }
    }

    /// The members, if there is a leader to vouch for them.
    pub(super) fn members(&self, data: EtcdData) -> Result<&[Member], RpcError> {
        let cluster = self.led(data)?;
        Ok(&cluster.members)
    }

    /// The members of every cluster, whether it has a leader or not.
    pub(super) fn memberships(&self) -> impl Iterator<Item = &[Member]> {
        self.clusters.values().map(|cluster| cluster.members.as_slice())
    }

    pub(super) fn has_leader(&self, data: EtcdData) -> bool {
        self.led(data).is_ok()
    }

    pub(super) fn is_leader(&self, data: EtcdData) -> bool {
        self.led(data).is_ok_and(|cluster| cluster.leader == Some(data.member))
    }

    pub(super) fn is_member(&self, data: EtcdData) -> bool {
        self.clusters.get(&data.cluster).is_some_and(|cluster| cluster.members.iter().any(|m| m.id == data.member))
    }

    pub(super) fn is_learner(&self, data: EtcdData) -> bool {
        let cluster = self.clusters.get(&data.cluster);
        cluster.is_some_and(|cluster| cluster.members.iter().any(|m| m.id == data.member && m.learner))
    }

    /// Adds a learner, in place of a stale member of the same name.
    pub(super) fn join(&mut self, cluster_id: u64, server: ServerId, hostname: &str) -> Result<EtcdData, RpcError> {
        let data = EtcdData { cluster: cluster_id, member: self.rng.next_u64() | 1 };
        let cluster = self.led_mut(cluster_id)?;
        cluster.members.retain(|member| member.hostname != hostname);
        if cluster.members.iter().any(|member| member.learner) {
            return Err(RpcError::new(RpcCode::FailedPrecondition, "etcdserver: too many learner members in cluster"));
        }
        cluster.members.push(Member { id: data.member, hostname: hostname.to_owned(), server, learner: true });
        Ok(data)
    }

    /// Gives a learner its vote.
    pub(super) fn promote(&mut self, data: EtcdData) -> Result<(), RpcError> {
        let cluster = self.led_mut(data.cluster)?;
        let member = cluster.members.iter_mut().find(|member| member.id == data.member);
        member
            .map(|member| member.learner = false)
            .ok_or_else(|| RpcError::new(RpcCode::NotFound, "etcdserver: can only promote a learner member"))
    }

    /// Removes a member, with the consent of the majority.
    pub(super) fn remove(&mut self, asked: EtcdData, member: u64) -> Result<(), RpcError> {
        let cluster = self.led_mut(asked.cluster)?;
        let before = cluster.members.len();
        cluster.members.retain(|candidate| candidate.id != member);
        if cluster.members.len() == before {
            return Err(RpcError::new(RpcCode::NotFound, "etcdserver: member not found"));
        }
        if cluster.leader == Some(member) {
            cluster.leader = None;
        }
        Ok(())
    }

    /// Moves leadership away from a member to one that is alive; the new leader's name, or none where it did not lead.
    pub(super) fn forfeit(
        &mut self,
        data: EtcdData,
        alive: &impl Fn(ServerId) -> bool,
    ) -> Result<Option<String>, RpcError> {
        let cluster = self.led_mut(data.cluster)?;
        if cluster.leader != Some(data.member) {
            return Ok(None);
        }
        let heir =
            cluster.members.iter().find(|member| member.id != data.member && !member.learner && alive(member.server));
        let Some(heir) = heir else {
            return Err(RpcError::new(RpcCode::Unknown, "cannot forfeit leadership, only one member"));
        };
        cluster.leader = Some(heir.id);
        Ok(Some(heir.hostname.clone()))
    }

    fn led(&self, data: EtcdData) -> Result<&EtcdCluster, RpcError> {
        self.clusters.get(&data.cluster).filter(|cluster| cluster.leader.is_some()).ok_or_else(no_leader)
    }

    fn led_mut(&mut self, cluster: u64) -> Result<&mut EtcdCluster, RpcError> {
        self.clusters.get_mut(&cluster).filter(|cluster| cluster.leader.is_some()).ok_or_else(no_leader)
    }
}
