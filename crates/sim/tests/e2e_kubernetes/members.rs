//! Membership calls on real etcd members: joining, losing, replacing, leaving, and the loss of quorum.

use helix_sim::talos::wire::machine::{
    EtcdForfeitLeadershipRequest, EtcdMember, EtcdMemberListRequest, ResetPartitionSpec, ResetRequest,
};
use helix_sim::world::ServerId;
use helix_sim::world::machine::{Apid, Guest};
use tonic::{Code, Status};

use crate::lab::Lab;

async fn members(lab: &Lab, server: ServerId) -> Result<Vec<EtcdMember>, Status> {
    let mut admin = lab.client(server, "os:admin");
    let listed = admin.machine.etcd_member_list(EtcdMemberListRequest::default()).await?.into_inner();
    Ok(listed.messages.into_iter().flat_map(|message| message.members).collect())
}

/// The members, once they are as many voters as expected.
async fn voters(lab: &Lab, server: ServerId, count: usize) -> Vec<EtcdMember> {
    lab.eventually("voters", || async {
        let members = members(lab, server).await?;
        match members.iter().all(|member| !member.is_learner) && members.len() == count {
            true => Ok(members),
            false => Err(Status::failed_precondition(format!("{members:?}"))),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviours_33_to_35_and_39_hold_with_real_etcd_members() {
    let Some(lab) = Lab::with_processes() else { return };
    let first = lab.control_plane("cp-1").await;
    lab.bootstrap(first).await;
    let (second, third) = (lab.control_plane("cp-2").await, lab.control_plane("cp-3").await);
    let before = voters(&lab, first, 3).await;

    lab.delete(third).await;
    let listed = members(&lab, first).await.unwrap();
    assert_eq!(listed.len(), 3, "the member of a deleted server still counts");
    let third = lab.control_plane("cp-3").await;
    lab.until("the replacement's etcd", third, Guest::etcd_healthy).await;
    let after = voters(&lab, first, 3).await;
    let id = |members: &[EtcdMember]| members.iter().find(|member| member.hostname == "cp-3").map(|member| member.id);
    assert!(id(&after).is_some() && id(&after) != id(&before), "a new member took the name");

    lab.eventually("leadership elsewhere", || async {
        lab.client(second, "os:admin").machine.etcd_forfeit_leadership(EtcdForfeitLeadershipRequest {}).await
    })
    .await;
    let wipe = ["STATE", "EPHEMERAL"].map(|label| ResetPartitionSpec { label: label.to_owned(), wipe: true });
    let request = ResetRequest {
        graceful: true,
        reboot: true,
        system_partitions_to_wipe: wipe.to_vec(),
        ..ResetRequest::default()
    };
    lab.client(second, "os:admin").machine.reset(request).await.unwrap();
    voters(&lab, first, 2).await;
    lab.until("maintenance", second, |guest| guest.apid() == Apid::Maintenance).await;

    lab.machines.ask(|guests, now| guests.power_off(third, now));
    let refused = members(&lab, first).await.unwrap_err();
    let codes = [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled];
    assert!(codes.contains(&refused.code()), "{refused}");
    lab.client(first, "os:admin").machine.version(()).await.unwrap();
    lab.end().await;
}
