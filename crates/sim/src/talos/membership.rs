//! Calls on etcd's membership: on the real member where processes play etcd, else on the model.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

use super::caller::status;
use super::machines::{Machines, cluster_of};
use super::pki::{Leaf, PkiError, Signer, Usage};
use super::tls::{self, Protocol};
use super::wire::etcdserverpb::Member;
use super::wire::machine::{EtcdMember, EtcdMemberStatus};
use crate::kubernetes::Etcd;
use crate::world::ServerId;
use crate::world::machine::{Guest, Guests, Membership, RpcError};

/// How long the certificates for a call count.
const LIFETIME: Duration = Duration::from_secs(600);

/// How long leaving may take, and between two attempts.
const PATIENCE: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_millis(500);

/// The etcd of one machine.
enum Access {
    Model,
    Process(Etcd),
}

fn internal(error: impl std::fmt::Display) -> Status {
    Status::internal(error.to_string())
}

fn access(machines: &Machines, server: ServerId) -> Result<Access, Status> {
    let seen = machines.ask(|guests, _| {
        guests.check_etcd(server)?;
        let guest = guests.get(server);
        Ok((guests.membership(), guest.map(|guest| (guest.host().address, cluster_of(guest)))))
    });
    match seen.map_err(|error: RpcError| status(error))? {
        (Membership::Processes, Some((address, Some(cluster)))) => {
            let tls = client(&cluster).map_err(internal)?;
            Ok(Access::Process(Etcd::at(address, tls).map_err(internal)?))
        }
        (Membership::Processes | Membership::Modelled, _) => Ok(Access::Model),
    }
}

fn client(cluster: &crate::world::machine::config::Cluster) -> Result<Arc<ClientConfig>, PkiError> {
    let signer = Signer::load(cluster.etcd_ca(), "cluster.etcd.ca")?;
    let leaf = Leaf { common_name: "talos", organization: "", names: &[], usage: Usage::Client, lifetime: LIFETIME };
    tls::client(signer.certificate_pem(), &signer.issue(&leaf)?, Protocol::Http2)
}

fn model<R>(
    machines: &Machines,
    ask: impl FnOnce(&mut Guests, jiff::Timestamp) -> Result<R, RpcError>,
) -> Result<R, Status> {
    machines.ask(ask).map_err(status)
}

fn told(member: Member) -> EtcdMember {
    EtcdMember {
        id: member.id,
        hostname: member.name,
        peer_urls: member.peer_ur_ls,
        client_urls: member.client_ur_ls,
        is_learner: member.is_learner,
    }
}

/// The members.
pub(super) async fn members(machines: &Machines, server: ServerId) -> Result<Vec<EtcdMember>, Status> {
    match access(machines, server)? {
        Access::Process(etcd) => Ok(etcd.members().await?.into_iter().map(told).collect()),
        Access::Model => {
            let members = model(machines, |guests, _| guests.etcd_members(server))?;
            let address = |server| machines.look_at(server, |guest, _| guest.host().private_ipv4).flatten();
            Ok(members
                .into_iter()
                .map(|member| {
                    let url = |port: u16| address(member.server).map(|it| format!("https://{it}:{port}")).into_iter();
                    EtcdMember {
                        id: member.id,
                        peer_urls: url(2380).collect(),
                        client_urls: url(2379).collect(),
                        hostname: member.hostname,
                        is_learner: member.learner,
                    }
                })
                .collect())
        }
    }
}

/// Removes a member.
pub(super) async fn remove(machines: &Machines, server: ServerId, member: u64) -> Result<(), Status> {
    match access(machines, server)? {
        Access::Process(etcd) => etcd.remove(member).await,
        Access::Model => model(machines, |guests, now| guests.etcd_remove_member(server, member, now)),
    }
}

/// Hands leadership on; the new leader's name, empty where this member did not lead.
pub(super) async fn forfeit(machines: &Machines, server: ServerId) -> Result<String, Status> {
    let Access::Process(etcd) = access(machines, server)? else {
        return Ok(model(machines, |guests, _| guests.etcd_forfeit_leadership(server))?.unwrap_or_default());
    };
    let members = etcd.members().await?;
    let own = etcd.status().await?;
    let id = own.header.map(|header| header.member_id).unwrap_or_default();
    if own.leader != id {
        return Ok(String::new());
    }
    let mut refused = Status::unknown("cannot forfeit leadership, only one member");
    for heir in members.into_iter().filter(|member| member.id != id && !member.is_learner) {
        match etcd.move_leader(heir.id).await {
            Ok(()) => return Ok(heir.name),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// A snapshot of the member's database, with its hash at the end, in the pieces in which it comes.
pub(super) async fn snapshot(machines: &Machines, server: ServerId) -> Result<Vec<Vec<u8>>, Status> {
    match access(machines, server)? {
        Access::Process(etcd) => etcd.snapshot().await,
        Access::Model => Ok(vec![model(machines, |guests, _| guests.etcd_snapshot(server))?]),
    }
}

/// Leaves the cluster; the data go.
pub(super) async fn leave(machines: &Machines, server: ServerId) -> Result<(), Status> {
    let Access::Process(etcd) = access(machines, server)? else {
        return model(machines, |guests, now| guests.etcd_leave_cluster(server, now));
    };
    if etcd.members().await?.len() == 1 {
        return Err(Status::failed_precondition("the last member cannot leave"));
    }
    if let Err(error) = forfeit(machines, server).await {
        // A leader that is removed steps down by itself; this only makes it quicker.
        tracing::debug!(%server, %error, "leadership is not handed on before leaving");
    }
    let own = etcd.status().await?.header.map(|header| header.member_id).unwrap_or_default();
    if let Err(error) = remove_patiently(&etcd, own).await
        && !is_gone(machines, server, own).await
    {
        return Err(error);
    }
    machines.ask(|guests, now| guests.etcd_left(server, now));
    Ok(())
}

/// Whether the others know a member no more: one that is removed ends, often before it has answered.
async fn is_gone(machines: &Machines, server: ServerId, member: u64) -> bool {
    for peer in machines.control_planes(server, Guest::etcd_healthy) {
        if peer.server != server
            && let Ok(Access::Process(etcd)) = access(machines, peer.server)
            && let Ok(members) = etcd.members().await
        {
            return members.iter().all(|it| it.id != member);
        }
    }
    false
}

/// Removes a member, again and again while etcd is unavailable for it: it consents only once all members have been
/// connected for five seconds. Talos tries for longer.
async fn remove_patiently(etcd: &Etcd, member: u64) -> Result<(), Status> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match etcd.remove(member).await {
            Err(error) if error.code() == Code::Unavailable && Instant::now() < deadline => sleep(RETRY).await,
            // An attempt whose answer was lost has removed it.
            Err(error) if error.code() == Code::NotFound => return Ok(()),
            removed => return removed,
        }
    }
}

/// The member's own state.
pub(super) async fn member_status(machines: &Machines, server: ServerId) -> Result<EtcdMemberStatus, Status> {
    match access(machines, server)? {
        Access::Process(etcd) => {
            let it = etcd.status().await?;
            let member_id = it.header.map(|header| header.member_id).unwrap_or_default();
            Ok(EtcdMemberStatus {
                protocol_version: it.version,
                db_size: it.db_size,
                db_size_in_use: it.db_size_in_use,
                leader: it.leader,
                raft_index: it.raft_index,
                raft_term: it.raft_term,
                raft_applied_index: it.raft_applied_index,
                errors: it.errors,
                is_learner: it.is_learner,
                member_id,
                storage_version: it.storage_version,
            })
        }
        Access::Model => {
            let members = model(machines, |guests, _| guests.etcd_members(server))?;
            let leads = |member: ServerId| machines.look(|guests, _| guests.leads_etcd(member));
            let own = members.iter().find(|member| member.server == server);
            Ok(EtcdMemberStatus {
                protocol_version: "3.6.12".to_owned(),
                leader: members.iter().find(|member| leads(member.server)).map(|member| member.id).unwrap_or_default(),
                is_learner: own.is_some_and(|member| member.learner),
                member_id: own.map(|member| member.id).unwrap_or_default(),
                storage_version: "3.6.0".to_owned(),
                ..EtcdMemberStatus::default()
            })
        }
    }
}
