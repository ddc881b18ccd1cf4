//! What single calls do: configuration, bootstrap, membership, upgrade, routing.

use std::io::Read as _;

use helix_sim::talos::wire::common::Data;
use helix_sim::talos::wire::machine::apply_configuration_request::Mode;
use helix_sim::talos::wire::machine::image_service_pull_response::Response as Pulled;
use helix_sim::talos::wire::machine::lifecycle_service_install_progress::Response as Progress;
use helix_sim::talos::wire::machine::{
    BootstrapRequest, EtcdForfeitLeadershipRequest, EtcdMemberListRequest, EtcdRemoveMemberByIdRequest,
    EtcdSnapshotRequest, GenerateClientConfigurationRequest, ImageServicePullRequest, InstallArtifactsSource,
    LifecycleServiceUpgradeRequest, RebootRequest, ResetPartitionSpec, ResetRequest, ServiceRestartRequest,
    UpgradeRequest,
};
use helix_sim::world::ServerId;
use helix_sim::world::machine::{Guest, Snapshot};
use tonic::Code;

use crate::lab::{Lab, configuration, to};

/// Control planes in one etcd cluster.
async fn cluster(lab: &Lab, count: usize) -> Vec<ServerId> {
    let mut servers = Vec::new();
    for number in 1..=count {
        let server = lab.control_plane(&format!("cp-{number}")).await;
        if number == 1 {
            bootstrap(lab, server).await;
        }
        lab.until("a voter", server, Guest::etcd_healthy).await;
        servers.push(server);
    }
    servers
}

fn upgrade_to(image: &str) -> LifecycleServiceUpgradeRequest {
    let source = Some(InstallArtifactsSource { image_name: image.to_owned() });
    LifecycleServiceUpgradeRequest { containerd: None, source }
}

/// Pulls an image; the name that the last message tells.
async fn pull(lab: &Lab, server: ServerId, image: &str) -> String {
    let request = ImageServicePullRequest { containerd: None, image_ref: image.to_owned() };
    let mut messages = lab.client(server, "os:operator").images.pull(request).await.unwrap().into_inner();
    let mut name = None;
    while let Some(message) = messages.message().await.unwrap() {
        if let Some(Pulled::Name(told)) = message.response {
            name = Some(told);
        }
    }
    name.unwrap()
}

async fn bootstrap(lab: &Lab, server: ServerId) {
    lab.eventually("bootstrap", || async {
        lab.client(server, "os:admin").machine.bootstrap(BootstrapRequest::default()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_30_a_worker_configuration_with_a_ca_key_is_an_invalid_argument() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let control_plane = lab.sample("controlplane", "x");
    let key = control_plane.lines().find(|line| line.trim_start().starts_with("key: LS0")).unwrap();
    let text = lab.sample("worker", "x").replacen("        key: \"\"", key, 1);
    let refused = lab.client(server, "os:admin").machine.apply_configuration(configuration(&text, Mode::Auto)).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_31_a_second_bootstrap_exists_already_and_workers_have_none() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    bootstrap(&lab, server).await;
    let again = lab.eventually("data of etcd", || async {
        match lab.client(server, "os:admin").machine.bootstrap(BootstrapRequest::default()).await {
            Err(error) if error.code() == Code::AlreadyExists => Ok(()),
            Err(error) => Err(error),
            Ok(_) => panic!("a second bootstrap"),
        }
    });
    again.await;
    let worker = lab.machine("worker", "w-1").await;
    lab.until("a certified worker", worker, |guest| guest.apid() != helix_sim::world::machine::Apid::Closed).await;
    let refused = lab.eventually("an answer", || async {
        let answer = lab.client(worker, "os:admin").machine.bootstrap(BootstrapRequest::default()).await;
        match answer {
            Err(error) if error.code() == Code::Unimplemented => Ok(error),
            Err(error) => Err(error),
            Ok(_) => panic!("a worker has no etcd"),
        }
    });
    refused.await;
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_34_without_quorum_membership_calls_fail_and_reading_works() {
    let Some(lab) = Lab::new() else { return };
    let servers = cluster(&lab, 3).await;
    let mut admin = lab.client(servers[0], "os:admin");
    let listed = admin.machine.etcd_member_list(EtcdMemberListRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.messages[0].members.iter().filter(|member| !member.is_learner).count(), 3);
    for server in &servers[1..] {
        lab.machines.ask(|guests, now| guests.power_off(*server, now));
    }
    let member_id = listed.messages[0].members[2].id;
    let codes = [
        admin.machine.etcd_member_list(EtcdMemberListRequest::default()).await.unwrap_err().code(),
        admin.machine.etcd_remove_member_by_id(EtcdRemoveMemberByIdRequest { member_id }).await.unwrap_err().code(),
        admin.machine.etcd_forfeit_leadership(EtcdForfeitLeadershipRequest {}).await.unwrap_err().code(),
    ];
    assert!(codes.iter().all(|code| *code == Code::Unavailable), "{codes:?}");
    admin.machine.version(()).await.unwrap();
    admin.machine.service_list(()).await.unwrap();
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_36_and_37_upgrades_check_members_or_tell_by_exit_code() {
    let Some(lab) = Lab::new() else { return };
    let servers = cluster(&lab, 2).await;
    let mut admin = lab.client(servers[0], "os:admin");
    let image = "factory.talos.dev/hcloud-installer/x:v1.14.0".to_owned();
    let legacy = UpgradeRequest { image: image.clone(), ..UpgradeRequest::default() };
    let refused = admin.machine.upgrade(legacy).await.unwrap_err();
    assert!(refused.message().contains("member count(2)"), "{refused}");
    let mut refused = admin.lifecycle.upgrade(upgrade_to(&image)).await;
    assert_eq!(refused.as_mut().unwrap_err().code(), Code::NotFound, "it was not pulled");
    for (image, good) in [("ghcr.io/siderolabs/installer:v1.99.0".to_owned(), false), (image, true)] {
        assert_eq!(pull(&lab, servers[0], &image).await, image);
        let request = upgrade_to(&image);
        let mut progress = admin.lifecycle.upgrade(request).await.unwrap().into_inner();
        let busy = admin.lifecycle.upgrade(upgrade_to(&image)).await.unwrap_err();
        assert_eq!(busy.code(), Code::FailedPrecondition);
        let mut exit_code = None;
        while let Some(message) = progress.message().await.unwrap() {
            if let Some(Progress::ExitCode(code)) = message.progress.and_then(|it| it.response) {
                exit_code = Some(code);
            }
        }
        assert_eq!(exit_code.unwrap() == 0, good);
    }
    let version = admin.machine.version(()).await.unwrap().into_inner();
    assert_eq!(version.messages[0].version.as_ref().unwrap().tag, "v1.13.9", "nothing changes before a reboot");
    admin.machine.reboot(RebootRequest::default()).await.unwrap();
    lab.until("the new version", servers[0], |guest| guest.is_up() && guest.version() == "v1.14.0").await;
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_41_kubeconfig_is_a_tar_that_ends_with_its_file() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let mut messages = lab.client(server, "os:admin").machine.kubeconfig(()).await.unwrap().into_inner();
    let bytes = messages.message().await.unwrap().unwrap().bytes;
    assert!(messages.message().await.unwrap().is_none(), "one message holds it all");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
    let mut archive = tar::Archive::new(plain.as_slice());
    let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(entry.path().unwrap().to_str(), Some("kubeconfig"));
    let mut text = String::new();
    entry.read_to_string(&mut text).unwrap();
    assert!(text.contains("server: https://10.0.0.5:6443"));
    assert_eq!(plain.len(), 512 + text.len(), "neither padding nor trailer");
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_planes_pass_calls_on_and_workers_do_not() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let worker = lab.machine("worker", "w-1").await;
    lab.until("a certified worker", worker, |guest| guest.apid() != helix_sim::world::machine::Apid::Closed).await;
    let private = lab.machines.look_at(worker, |guest, _| guest.host().private_ipv4).flatten().unwrap().to_string();
    let mut admin = lab.client(server, "os:admin");
    let listed = admin.machine.service_list(to((), "node", &[&private])).await.unwrap().into_inner();
    assert_eq!(listed.messages.len(), 1);
    assert!(listed.messages[0].metadata.is_none());
    assert!(listed.messages[0].services.iter().all(|service| service.id != "etcd"), "it is the worker that answers");
    let both = admin.machine.version(to((), "nodes", &["cp-1", &private, "10.9.9.9"])).await.unwrap().into_inner();
    let told: Vec<_> = both.messages.iter().map(|it| it.metadata.clone().unwrap()).collect();
    assert_eq!(told.iter().map(|it| it.hostname.as_str()).collect::<Vec<_>>(), ["cp-1", &private, "10.9.9.9"]);
    assert_eq!(told.iter().map(|it| it.error.is_empty()).collect::<Vec<_>>(), [true, true, false]);
    let through_worker = lab.eventually("an answer", || async {
        match lab.client(worker, "os:admin").machine.version(to((), "node", &["cp-1"])).await {
            Err(error) if error.code() == Code::PermissionDenied => Ok(()),
            Err(error) => Err(error),
            Ok(_) => panic!("a worker passed a call on"),
        }
    });
    through_worker.await;
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_configurations_are_issued_and_get_in() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let request = GenerateClientConfigurationRequest {
        roles: vec!["os:reader".to_owned()],
        crt_ttl: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
    };
    let issued = lab.client(server, "os:admin").machine.generate_client_configuration(request).await.unwrap();
    let issued = issued.into_inner().messages.remove(0);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let identity = helix_sim::talos::pki::Issued { certificate_pem: text(issued.crt), key_pem: text(issued.key) };
    let mut reader = crate::lab::client(lab.address(server), lab.trusting(&identity));
    reader.machine.version(()).await.unwrap();
    assert!(text(issued.talosconfig).contains("contexts:"));
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_streamed_and_a_cluster_founded_from_it() {
    let Some(lab) = Lab::new() else { return };
    let server = cluster(&lab, 1).await[0];
    let mut backup = lab.client(server, "os:etcd:backup");
    let mut stream = backup.machine.etcd_snapshot(EtcdSnapshotRequest {}).await.unwrap().into_inner();
    let mut snapshot = Vec::new();
    while let Some(data) = stream.message().await.unwrap() {
        snapshot.extend(data.bytes);
    }
    assert!(Snapshot::decode(&snapshot, true).is_some());
    let wiped = ResetPartitionSpec { label: "EPHEMERAL".to_owned(), wipe: true };
    let request = ResetRequest { reboot: true, system_partitions_to_wipe: vec![wiped], ..ResetRequest::default() };
    lab.client(server, "os:admin").machine.reset(request).await.unwrap();
    lab.until("an empty disk", server, |guest| guest.is_up() && guest.etcd_member_id().is_none()).await;
    lab.eventually("an upload", || async {
        let pieces: Vec<Data> =
            snapshot.chunks(100).map(|bytes| Data { metadata: None, bytes: bytes.to_vec() }).collect();
        lab.client(server, "os:admin").machine.etcd_recover(tokio_stream::iter(pieces)).await
    })
    .await;
    lab.eventually("a recovery", || async {
        let request = BootstrapRequest { recover_etcd: true, recover_skip_hash_check: false };
        lab.client(server, "os:admin").machine.bootstrap(request).await
    })
    .await;
    lab.until("a voter", server, Guest::etcd_healthy).await;
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kubelet_is_restarted_by_whoever_may() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let restart = async |role: &str, id: &str| {
        let request = ServiceRestartRequest { id: id.to_owned() };
        lab.client(server, role).machine.service_restart(request).await.map(drop).map_err(|status| status.code())
    };
    assert_eq!(restart("os:reader", "kubelet").await, Err(Code::PermissionDenied));
    assert_eq!(restart("os:operator", "nothing").await, Err(Code::NotFound));
    assert_eq!(restart("os:operator", "etcd").await, Err(Code::Unimplemented));
    assert_eq!(restart("os:operator", "kubelet").await, Ok(()));
    lab.end().await;
}
