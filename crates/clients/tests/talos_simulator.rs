//! The Talos client against the simulator's machines, over real sockets: what is done to a machine that is in service.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "what the simulator's own tests need besides")]
#[path = "../../sim/tests/talos/lab.rs"]
mod lab;

use std::sync::Arc;

use helix_clients::talos::TalosClient;
use helix_engine::seams::{InForce, Recovery as _, Talos as _, TalosCredentials, TalosError, TalosRoute};
use helix_plan::secrets::Secret;
use helix_sim::talos::pki::{Signer, Usage};
use helix_sim::world::ServerId;
use helix_sim::world::machine::config::{Grammar, MachineConfig};
use helix_sim::world::machine::{Apid, Guest};
use lab::Lab;
use tonic::Status;

const IMAGE: &str = "factory.talos.dev/hcloud-installer/x";

/// An administrator's way to a control plane.
fn route(lab: &Lab, server: ServerId) -> TalosRoute {
    let issued = lab.issue("os:admin", Usage::Client);
    let config = MachineConfig::parse(&lab.sample("controlplane", "any"), Grammar::V1_13).unwrap();
    let authority = Signer::load(&config.machine().unwrap().ca, "machine.ca").unwrap();
    let credentials = TalosCredentials {
        ca_pem: authority.certificate_pem().to_owned(),
        certificate_pem: issued.certificate_pem,
        key_pem: Secret::new(issued.key_pem),
    };
    TalosRoute { endpoint: lab.address(server), node: None, credentials: Arc::new(credentials) }
}

fn labelled(lab: &Lab, pool: &str, further: &str) -> Secret {
    let labels = format!("    nodeLabels:\n        pool: {pool}\n");
    Secret::new(lab.sample("controlplane", "cp-1").replacen("    nodeLabels:\n", &(further.to_owned() + &labels), 1))
}

fn pool(lab: &Lab, server: ServerId) -> Option<String> {
    let look = |guest: &Guest, _| guest.config()?.machine()?.node_labels.get("pool").cloned();
    lab.machines.look_at(server, look).unwrap()
}

fn boot_id(lab: &Lab, server: ServerId) -> String {
    lab.machines.look_at(server, |guest, _| guest.boot_id().to_owned()).unwrap()
}

/// The laboratory's own words for a failure.
fn unavailable(error: TalosError) -> Status {
    Status::unavailable(error.to_string())
}

/// A control plane whose member is all of etcd.
async fn voter(lab: &Lab, client: &TalosClient) -> ServerId {
    let first = lab.control_plane("cp-1").await;
    lab.eventually("bootstrap", || async { client.bootstrap_etcd(&route(lab, first)).await.map_err(unavailable) })
        .await;
    lab.until("a voter", first, Guest::etcd_healthy).await;
    first
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_comes_into_force_at_once_or_with_the_next_reboot() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let (client, route) = (TalosClient::default(), route(&lab, server));
    let boot = boot_id(&lab, server);

    client.reconfigure(&route, &labelled(&lab, "blue", ""), InForce::Now).await.unwrap();
    assert_eq!(pool(&lab, server).as_deref(), Some("blue"));
    let env = labelled(&lab, "green", "    env:\n        A: b\n");
    let refused = client.reconfigure(&route, &env, InForce::Now).await;
    assert!(refused.is_err(), "it needs a reboot");
    client.reconfigure(&route, &env, InForce::AtReboot).await.unwrap();
    assert_eq!(pool(&lab, server).as_deref(), Some("blue"));
    assert_eq!(boot_id(&lab, server), boot);
    let nonsense = client.reconfigure(&route, &Secret::new("machine: ["), InForce::Now).await.unwrap_err();
    assert_eq!(nonsense.reason(), "TalosInvalidRequest", "{nonsense}");

    client.reboot(&route).await.unwrap();
    lab.until("another boot", server, |guest| guest.is_up() && guest.boot_id() != boot).await;
    assert_eq!(pool(&lab, server).as_deref(), Some("green"));
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_changes_nothing_before_a_reboot_and_tells_why_it_fails() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let (client, route) = (TalosClient::default(), route(&lab, server));

    let failed = client.install(&route, &format!("{IMAGE}:v1.99.0")).await.unwrap_err();
    assert_eq!(failed.reason(), "InstallerFailed");
    assert!(failed.to_string().contains("too far") && failed.to_string().contains("exit code 1"), "{failed}");
    let invalid = client.install(&route, "an image").await.unwrap_err();
    assert_eq!(invalid.reason(), "TalosInvalidRequest", "{invalid}");

    let image = format!("{IMAGE}:v1.14.0");
    client.install(&route, &image).await.unwrap();
    client.install(&route, &image).await.unwrap();
    assert_eq!(client.status(&route).await.unwrap().version(), "v1.13.9");
    client.reboot(&route).await.unwrap();
    lab.until("the next Talos", server, |guest| guest.apid() == Apid::Serving && guest.version() == "v1.14.0").await;
    lab.end().await;
}

/// Somebody else installs: that is no failure, and what was asked for is done afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_machine_is_asked_again() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let (client, route, image) = (TalosClient::default(), route(&lab, server), format!("{IMAGE}:v1.14.0"));
    lab.machines.ask(|guests, _| guests.pull_image(server, &image)).unwrap();
    lab.machines.ask(|guests, _| guests.begin_install(server, &image)).unwrap();
    let busy = client.install(&route, &image).await.unwrap_err();
    assert!(matches!(busy, TalosError::NotReady { .. }), "{busy:?}");
    lab.machines.ask(|guests, _| guests.install_next(server, &image)).unwrap();
    client.install(&route, &image).await.unwrap();
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_goes_to_another_member() {
    let Some(lab) = Lab::new() else { return };
    let client = TalosClient::default();
    let first = voter(&lab, &client).await;
    client.forfeit_etcd_leadership(&route(&lab, first)).await.unwrap_err();
    let second = lab.control_plane("cp-2").await;
    lab.until("a second voter", second, Guest::etcd_healthy).await;
    lab.eventually("a promoted member", || async {
        client.forfeit_etcd_leadership(&route(&lab, first)).await.map_err(unavailable)
    })
    .await;
    client.forfeit_etcd_leadership(&route(&lab, first)).await.unwrap();
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_is_founded_again_from_its_snapshot() {
    let Some(lab) = Lab::new() else { return };
    let client = TalosClient::default();
    let first = voter(&lab, &client).await;
    let snapshot = client.etcd_snapshot(&route(&lab, first), 1 << 20).await.unwrap();
    let bounded = client.etcd_snapshot(&route(&lab, first), snapshot.len() - 1).await.unwrap_err();
    assert_eq!(bounded.reason(), "TalosInvalidRequest", "{bounded}");
    assert!(bounded.to_string().contains(&format!("more than {} bytes", snapshot.len() - 1)), "{bounded}");
    client.bootstrap_recovered(&route(&lab, first)).await.expect("etcd has its data already");
    let late = client.etcd_recover(&route(&lab, first), snapshot.clone()).await.unwrap_err();
    assert!(matches!(late, TalosError::NotReady { .. }), "{late:?}");

    let second = lab.control_plane("another-1").await;
    lab.until("a second voter", second, Guest::etcd_healthy).await;
    for server in [first, second] {
        lab.world(|world, project, now| world.delete_server(project, server, now)).unwrap();
    }
    let third = lab.control_plane("cp-3").await;
    let third = route(&lab, third);
    lab.eventually("a refusal", || async {
        match client.bootstrap_recovered(&third).await {
            Err(TalosError::NotReady { why, .. }) if why.contains("uploaded") => Ok(()),
            other => Err(Status::unavailable(format!("{other:?}"))),
        }
    })
    .await;
    client.etcd_recover(&third, snapshot).await.unwrap();
    client.bootstrap_recovered(&third).await.unwrap();
    lab.eventually("one member", || async {
        match client.etcd_members(&third).await.map_err(unavailable)?.as_slice() {
            [only] if only.hostname == "cp-3" => Ok(()),
            others => Err(Status::unavailable(format!("{others:?}"))),
        }
    })
    .await;
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kubelet_starts_anew() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let since = || lab.machines.look_at(server, |guest, now| guest.kubelet_since(now)).unwrap();
    lab.until("a kubelet", server, |guest| guest.kubelet_since(jiff::Timestamp::now()).is_some()).await;
    let before = since();
    TalosClient::default().restart_kubelet(&route(&lab, server)).await.unwrap();
    lab.until("another start", server, |guest| {
        let since = guest.kubelet_since(jiff::Timestamp::now());
        since.is_some() && since != before
    })
    .await;
    lab.end().await;
}
