//! What single calls do: configuration, bootstrap, membership, upgrade, routing.

use std::io::Read as _;

use helix_sim::talos::wire::machine::apply_configuration_request::Mode;
use helix_sim::talos::wire::machine::lifecycle_service_install_progress::Response as Progress;
use helix_sim::talos::wire::machine::{
    BootstrapRequest, EtcdForfeitLeadershipRequest, EtcdMemberListRequest, EtcdRemoveMemberByIdRequest,
    GenerateClientConfigurationRequest, InstallArtifactsSource, LifecycleServiceUpgradeRequest, UpgradeRequest,
};
use helix_sim::world::ServerId;
use helix_sim::world::machine::Guest;
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
    let mut admin = lab.client(server, "os:admin");
    let again = admin.machine.bootstrap(BootstrapRequest::default()).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
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
    for (image, good) in [("ghcr.io/siderolabs/installer:v1.99.0".to_owned(), false), (image, true)] {
        let source = Some(InstallArtifactsSource { image_name: image });
        let request = LifecycleServiceUpgradeRequest { containerd: None, source };
        let mut progress = admin.lifecycle.upgrade(request).await.unwrap().into_inner();
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
