//! The client against apid as it behaves, on real sockets: a stand-in with the state of one machine.

mod apid;
mod protos;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use helix_engine::seams::{Talos as _, TalosCredentials, TalosError, TalosRoute};
use helix_engine::secrets::{ClientIdentity, PkiMaker, SecretMaker as _, TalosRole};
use helix_plan::observed::{EtcdMember, MachineStage, ServiceState, TalosFacts};
use helix_plan::secrets::{Secret, SecretBundle};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

use super::*;
use apid::{Apid, Member};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// One bundle for all tests: its RSA key takes a while.
async fn bundle() -> SecretBundle {
    static BUNDLE: OnceCell<SecretBundle> = OnceCell::const_new();
    BUNDLE.get_or_init(new_bundle).await.clone()
}

async fn new_bundle() -> SecretBundle {
    PkiMaker.make_bundle(jiff::Timestamp::now()).await.unwrap()
}

fn route(bundle: &SecretBundle, role: TalosRole) -> TalosRoute {
    let day = Duration::from_secs(86_400);
    let certificate =
        PkiMaker.issue_client_certificate(bundle, &ClientIdentity::Talos(role), day, jiff::Timestamp::now()).unwrap();
    let credentials = TalosCredentials {
        ca_pem: bundle.os_ca.certificate.clone(),
        certificate_pem: certificate.certificate,
        key_pem: certificate.key,
    };
    TalosRoute { endpoint: HERE, node: None, credentials: Arc::new(credentials) }
}

#[tokio::test]
async fn a_machine_is_configured_once_and_then_wants_a_certificate() {
    let bundle = bundle().await;
    let apid = Apid::start(&bundle).await;
    let client = TalosClient::on_port(apid.port());

    let facts = client.maintenance(HERE).await.unwrap();
    assert_eq!(facts, TalosFacts::Maintenance { version: "v1.13.9".into() });
    client.configure(HERE, &Secret::new("machine: {}")).await.unwrap();
    assert_eq!(apid.config().as_deref(), Some("machine: {}"));

    assert_eq!(client.maintenance(HERE).await, Err(TalosError::Unauthenticated { address: HERE }));
    let facts = client.status(&route(&bundle, TalosRole::Reader)).await.unwrap();
    let services = vec![
        ServiceState { id: "apid".into(), state: "Running".into(), healthy: Some(true) },
        ServiceState { id: "etcd".into(), state: "Preparing".into(), healthy: None },
    ];
    let unmet = vec!["services".into()];
    let stage = MachineStage::Booting;
    assert_eq!(facts, TalosFacts::Configured { version: "v1.13.9".into(), stage, ready: false, unmet, services });
}

#[tokio::test]
async fn a_refused_configuration_says_why() {
    let bundle = bundle().await;
    let apid = Apid::start(&bundle).await;
    let client = TalosClient::on_port(apid.port());
    let error = client.configure(HERE, &Secret::new("nonsense")).await.unwrap_err();
    assert_eq!(error, TalosError::Invalid { address: HERE, why: "unknown keys found".into() });
    assert_eq!(apid.config(), None);
}

#[tokio::test]
async fn etcd_is_bootstrapped_once_and_its_members_go_by_id() {
    let bundle = bundle().await;
    let apid = Apid::configured(&bundle).await;
    let client = TalosClient::on_port(apid.port());
    let admin = route(&bundle, TalosRole::Admin);

    apid.change(|machine| machine.ready_for_bootstrap = false);
    let early = client.bootstrap_etcd(&admin).await.unwrap_err();
    assert_eq!(early, TalosError::NotReady { address: HERE, why: "time is not in sync yet".into() });
    apid.change(|machine| machine.ready_for_bootstrap = true);
    client.bootstrap_etcd(&admin).await.unwrap();
    client.bootstrap_etcd(&admin).await.unwrap();
    assert_eq!(apid.machine().bootstraps, 1);

    apid.change(|machine| machine.members.push(Member { id: 7, hostname: "p-cp-1".into(), learner: true }));
    let members = client.etcd_members(&admin).await.unwrap();
    let member = |id, hostname: &str, learner| EtcdMember { id, hostname: hostname.into(), learner };
    assert_eq!(members, [member(1, "p-cp-0", false), member(7, "p-cp-1", true)]);
    client.remove_etcd_member(&admin, 7).await.unwrap();
    client.remove_etcd_member(&admin, 7).await.unwrap();
    assert_eq!(client.etcd_members(&admin).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_role_that_does_not_suffice_is_told_from_an_authority_that_does_not() {
    let (bundle, other) = (bundle().await, new_bundle().await);
    let apid = Apid::configured(&bundle).await;
    let client = TalosClient::on_port(apid.port());

    let reader = client.bootstrap_etcd(&route(&bundle, TalosRole::Reader)).await.unwrap_err();
    assert_eq!(reader, TalosError::PermissionDenied { address: HERE, why: "not authorized".into() });

    // We do not know its authority.
    let stranger = client.status(&route(&other, TalosRole::Admin)).await.unwrap_err();
    assert!(matches!(stranger, TalosError::WrongAuthority { .. }), "{stranger:?}");
    // It does not know ours.
    let mut mixed = route(&other, TalosRole::Admin);
    Arc::make_mut(&mut mixed.credentials).ca_pem.clone_from(&bundle.os_ca.certificate);
    let refused = client.status(&mixed).await.unwrap_err();
    assert!(matches!(refused, TalosError::WrongAuthority { .. }), "{refused:?}");
    // Ours cannot even be read.
    Arc::make_mut(&mut mixed.credentials).key_pem = Secret::new("hush");
    Arc::make_mut(&mut mixed.credentials).certificate_pem.push('\n');
    let unreadable = client.status(&mixed).await.unwrap_err();
    assert_eq!(unreadable.reason(), "TalosWrongAuthority");
    assert!(!format!("{unreadable} {unreadable:?} {mixed:?}").contains("hush"));
}

#[tokio::test]
async fn an_installation_goes_on_between_calls() {
    let bundle = bundle().await;
    let apid = Apid::configured(&bundle).await;
    let installations = Arc::new(Installations::waiting(Duration::from_millis(50)));
    let client = TalosClient { installations, ..TalosClient::on_port(apid.port()) };
    let admin = route(&bundle, TalosRole::Admin);
    for _ in 0..2 {
        let under_way = client.install(&admin, "installer:v1").await.unwrap_err();
        assert_eq!(
            under_way,
            TalosError::NotReady { address: HERE, why: "the installer installer:v1 is at work".into() }
        );
    }
    let other = client.install(&admin, "installer:v2").await.unwrap_err();
    assert_eq!(other, TalosError::NotReady { address: HERE, why: "the installer installer:v1 is at work".into() });
    apid.machine().installer.notify_one();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while let Err(error) = client.install(&admin, "installer:v1").await {
        assert!(matches!(error, TalosError::NotReady { .. }) && std::time::Instant::now() < deadline, "{error}");
    }
    assert_eq!(apid.machine().pulls, 1, "one installation, whose end was heard of");
}

#[tokio::test]
async fn calls_are_forwarded_by_node_over_one_kept_connection() {
    let bundle = bundle().await;
    let apid = Apid::configured(&bundle).await;
    let client = TalosClient::on_port(apid.port());
    let node = Ipv4Addr::new(10, 0, 1, 9);
    let forwarded = TalosRoute { node: Some(node), ..route(&bundle, TalosRole::Admin) };
    for _ in 0..3 {
        client.status(&forwarded).await.unwrap();
    }
    assert_eq!(apid.machine().asked_for.into_iter().collect::<Vec<_>>(), ["10.0.1.9"]);
    assert_eq!(apid.machine().connections, 1);

    // An error is about the machine that was meant, not the one that forwards.
    apid.change(|machine| machine.members.clear());
    let error = client.etcd_members(&forwarded).await.unwrap_err();
    let why = "etcdserver: no leader".into();
    assert_eq!(error, TalosError::NodeUnreachable { address: node, through: HERE, why });
}

#[tokio::test]
async fn a_control_plane_that_is_away_is_told_from_a_machine_behind_it() {
    let bundle = bundle().await;
    let mut apid = Apid::configured(&bundle).await;
    let client = TalosClient::on_port(apid.port());
    let forwarded = TalosRoute { node: Some(Ipv4Addr::new(10, 0, 1, 9)), ..route(&bundle, TalosRole::Admin) };
    client.status(&forwarded).await.unwrap();
    apid.stop().await;
    let error = client.status(&forwarded).await.unwrap_err();
    assert!(matches!(error, TalosError::Unreachable { address: HERE, .. }), "{error:?}");
}

#[tokio::test]
async fn a_kept_connection_that_broke_is_made_again() {
    let bundle = bundle().await;
    let mut apid = Apid::configured(&bundle).await;
    let client = TalosClient::on_port(apid.port());
    let admin = route(&bundle, TalosRole::Admin);
    client.status(&admin).await.unwrap();
    apid.stop().await;
    let down = client.status(&admin).await.unwrap_err();
    assert!(matches!(down, TalosError::Unreachable { address: HERE, .. }), "{down:?}");
    apid.restart().await;
    client.status(&admin).await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let client = TalosClient::on_port(listener.local_addr().unwrap().port());
    drop(listener);
    let error = client.maintenance(HERE).await.unwrap_err();
    assert_eq!(error, TalosError::Unreachable { address: HERE, why: "connection refused".into() });
    assert_eq!(error.reason(), "TalosUnreachable");
}

#[tokio::test]
async fn what_does_not_speak_tls_is_unreachable() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let client = TalosClient::on_port(listener.local_addr().unwrap().port());
    let garbage = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.0 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let error = client.maintenance(HERE).await.unwrap_err();
    assert!(matches!(error, TalosError::Unreachable { .. }), "{error:?}");
    garbage.await.unwrap();
}

/// Virtual time: it runs to the bound as soon as nothing else can happen.
#[tokio::test(start_paused = true)]
async fn whoever_is_silent_is_not_waited_for_endlessly() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let client = TalosClient::on_port(listener.local_addr().unwrap().port());
    let begun = tokio::time::Instant::now();
    let error = client.maintenance(HERE).await.unwrap_err();
    assert_eq!(error, TalosError::Unreachable { address: HERE, why: "no answer within 5 s".into() });
    assert!(begun.elapsed() <= LOOK);
}

#[test]
fn a_stage_that_is_new_to_us_is_kept() {
    assert_eq!(stage(4), MachineStage::Running);
    assert_eq!(stage(5), MachineStage::Rebooting);
    assert_eq!(stage(8), MachineStage::Other("MACHINE_STAGE_UPGRADING".into()));
    assert_eq!(stage(77), MachineStage::Other("stage 77".into()));
}
