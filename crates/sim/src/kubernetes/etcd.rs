//! A client of etcd's membership service, over mutual TLS with the certificates that the configuration's authority
//! issued: what Talos itself does to join, promote, remove and list members.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, transport};

use crate::talos::wire::etcdserverpb::cluster_client::ClusterClient;
use crate::talos::wire::etcdserverpb::maintenance_client::MaintenanceClient;
use crate::talos::wire::etcdserverpb::{
    Member, MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest, MoveLeaderRequest,
    SnapshotRequest, StatusRequest, StatusResponse,
};

/// How long a call may take; Talos gives up after 15 s, and a simulation has less patience.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One member's etcd.
#[derive(Clone, Debug)]
pub struct Etcd {
    channel: Channel,
}

impl Etcd {
    /// The etcd on `address`. Nothing is sent before the first call.
    ///
    /// # Errors
    /// Never for an IPv4 address, but the type of the URL says otherwise.
    pub fn at(address: Ipv4Addr, tls: Arc<ClientConfig>) -> Result<Self, transport::Error> {
        let connect = tower::service_fn(move |_| {
            let tls = Arc::clone(&tls);
            async move {
                let stream = TcpStream::connect((address, 2379)).await?;
                let name = ServerName::IpAddress(std::net::IpAddr::from(address).into());
                TlsConnector::from(tls).connect(name, stream).await.map(TokioIo::new)
            }
        });
        let endpoint =
            Endpoint::from_shared(format!("http://{address}:2379"))?.timeout(TIMEOUT).connect_timeout(TIMEOUT);
        Ok(Self { channel: endpoint.connect_with_connector_lazy(connect) })
    }

    fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel.clone())
    }

    fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel.clone())
    }

    /// The members, as the majority knows them.
    ///
    /// # Errors
    /// Without a leader.
    pub async fn members(&self) -> Result<Vec<Member>, Status> {
        let request = MemberListRequest { linearizable: true };
        Ok(self.cluster().member_list(request).await?.into_inner().members)
    }

    /// This member's own state.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn status(&self) -> Result<StatusResponse, Status> {
        Ok(self.maintenance().status(StatusRequest {}).await?.into_inner())
    }

    /// Adds a learner; returns all members with it.
    ///
    /// # Errors
    /// Without a leader, or while another learner is there.
    pub async fn add_learner(&self, peer_url: String) -> Result<Vec<Member>, Status> {
        let request = MemberAddRequest { peer_ur_ls: vec![peer_url], is_learner: true };
        Ok(self.cluster().member_add(request).await?.into_inner().members)
    }

    /// Gives a learner its vote.
    ///
    /// # Errors
    /// Until it has learnt enough.
    pub async fn promote(&self, member: u64) -> Result<(), Status> {
        self.cluster().member_promote(MemberPromoteRequest { id: member }).await.map(drop)
    }

    /// Removes a member.
    ///
    /// # Errors
    /// `NotFound`, or without a leader.
    pub async fn remove(&self, member: u64) -> Result<(), Status> {
        self.cluster().member_remove(MemberRemoveRequest { id: member }).await.map(drop)
    }

    /// A snapshot of this member's database, in the pieces in which it comes.
    ///
    /// # Errors
    /// Where it does not answer, or breaks off.
    pub async fn snapshot(&self) -> Result<Vec<Vec<u8>>, Status> {
        let mut stream = self.maintenance().snapshot(SnapshotRequest {}).await?.into_inner();
        let mut blobs = Vec::new();
        while let Some(piece) = stream.message().await? {
            blobs.push(piece.blob);
        }
        Ok(blobs)
    }

    /// Hands leadership to another member; only the leader can.
    ///
    /// # Errors
    /// Where this member does not lead.
    pub async fn move_leader(&self, to: u64) -> Result<(), Status> {
        self.maintenance().move_leader(MoveLeaderRequest { target_id: to }).await.map(drop)
    }
}
