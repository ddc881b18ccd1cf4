//! Who gets in, and what they may: maintenance, mutual TLS, roles and firewalls.

use std::time::Duration;

use helix_sim::talos::pki::{Leaf, Signer, Usage};
use helix_sim::talos::tls::{self, Protocol};
use helix_sim::talos::wire::machine::apply_configuration_request::Mode;
use helix_sim::talos::wire::machine::{RebootRequest, ResetRequest};
use helix_sim::world::firewalls::{CreateFirewall, Direction, Protocol as Transport, Rule};
use helix_sim::world::machine::{Apid, Guest};
use tonic::Code;

use crate::lab::{Lab, client, configuration, insecure};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_25_port_refuses_until_boot_and_then_is_in_maintenance() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.server("a", None, Vec::new());
    let mut early = client(lab.address(server), insecure(None));
    assert_eq!(early.machine.version(()).await.unwrap_err().code(), Code::Unavailable);
    lab.until("maintenance", server, |guest| guest.apid() == Apid::Maintenance).await;
    let version =
        lab.eventually("version", || async { client(lab.address(server), insecure(None)).machine.version(()).await });
    let version = version.await.into_inner().messages.remove(0).version.unwrap();
    assert_eq!(version.tag, "v1.13.9");
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_26_maintenance_reads_and_ignores_certificates() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.server("a", None, Vec::new());
    lab.until("maintenance", server, |guest| guest.apid() == Apid::Maintenance).await;
    let admin = lab.issue("os:admin", Usage::Client);
    for tls in [insecure(None), insecure(Some(&admin))] {
        let call = || async { client(lab.address(server), tls.clone()).machine.version(()).await };
        lab.eventually("version", call).await;
        let mut client = client(lab.address(server), tls.clone());
        client.machine.service_list(()).await.unwrap();
        let refused = client.machine.reboot(RebootRequest::default()).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::PermissionDenied, "not authorized"));
    }
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_27_after_apply_the_connection_drops_and_the_port_demands_mutual_tls() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.server("cp-1", None, Vec::new());
    lab.until("maintenance", server, |guest| guest.apid() == Apid::Maintenance).await;
    let address = lab.address(server);
    lab.eventually("version", || async { client(address, insecure(None)).machine.version(()).await }).await;
    let mut anybody = client(address, insecure(None));
    let text = lab.sample("controlplane", "cp-1");
    let mut events =
        anybody.machine.events(helix_sim::talos::wire::machine::EventsRequest::default()).await.unwrap().into_inner();
    events.message().await.unwrap();
    anybody.machine.apply_configuration(configuration(&text, Mode::Auto)).await.unwrap();
    while let Ok(Some(_)) = events.message().await {}
    lab.until("an open port", server, |guest| guest.apid() == Apid::Serving).await;
    let mut admin = lab.client(server, "os:admin");
    lab.eventually("version", || async { admin.machine.clone().version(()).await }).await;
    assert!(anybody.machine.version(()).await.is_err(), "nobody without a certificate gets in any more");
    let refused = admin.machine.apply_configuration(configuration("version: v1alpha1", Mode::Auto)).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_28_wrong_authority_usage_and_role_are_refused() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let address = lab.address(server);
    let foreign = Signer::throw_away().unwrap();
    let lifetime = Duration::from_secs(60);
    let leaf = Leaf { common_name: "", organization: "os:admin", names: &[], usage: Usage::Client, lifetime };
    let foreign = foreign.issue(&leaf).unwrap();
    let wrong = [
        ("of another authority", lab.trusting(&foreign)),
        ("for servers", lab.trusting(&lab.issue("os:admin", Usage::Server))),
        ("for both", lab.trusting(&lab.issue("os:admin", Usage::Both))),
        ("absent", insecure(None)),
        ("of a server we don't trust", {
            let own = Signer::throw_away().unwrap();
            tls::client(own.certificate_pem(), &lab.issue("os:admin", Usage::Client), Protocol::Http2).unwrap()
        }),
    ];
    for (what, tls) in wrong {
        assert!(client(address, tls).machine.version(()).await.is_err(), "a certificate {what} gets in");
    }
    let mut reader = lab.client(server, "os:reader");
    reader.machine.version(()).await.unwrap();
    let refused = reader.machine.reset(ResetRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::PermissionDenied, "not authorized"));
    let text = lab.sample("controlplane", "cp-1");
    let refused = reader.machine.apply_configuration(configuration(&text, Mode::Auto)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "readers may apply in maintenance only");
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_29_a_workers_port_stays_closed_until_a_control_plane_answers() {
    let Some(lab) = Lab::new() else { return };
    let worker = lab.machine("worker", "w-1").await;
    let mut early = lab.client(worker, "os:admin");
    assert_eq!(early.machine.version(()).await.unwrap_err().code(), Code::Unavailable);
    lab.control_plane("cp-1").await;
    lab.eventually("version", || async { lab.client(worker, "os:admin").machine.version(()).await }).await;
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_43_server_certificates_are_renewed_and_clients_live_on() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let mut standing = lab.client(server, "os:admin");
    standing.machine.version(()).await.unwrap();
    let before = presented(&lab, server).await;
    assert_eq!(presented(&lab, server).await, before);
    lab.world.set_forward(Duration::from_secs(13 * 3600));
    assert_ne!(presented(&lab, server).await, before);
    standing.machine.version(()).await.unwrap();
    lab.end().await;
}

/// The certificate that a server shows.
async fn presented(lab: &Lab, server: helix_sim::world::ServerId) -> Vec<u8> {
    let tls = lab.trusting(&lab.issue("os:admin", Usage::Client));
    let stream = tokio::net::TcpStream::connect((lab.address(server), helix_sim::talos::PORT)).await.unwrap();
    let name = rustls::pki_types::ServerName::IpAddress(std::net::IpAddr::from(lab.address(server)).into());
    let stream = tokio_rustls::TlsConnector::from(tls).connect(name, stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_firewall_cuts_off_whom_it_does_not_list() {
    let Some(lab) = Lab::new() else { return };
    let rule = |source: &str| Rule {
        description: None,
        direction: Direction::In,
        source_ips: vec![source.parse().unwrap()],
        destination_ips: Vec::new(),
        protocol: Transport::Tcp,
        port: Some("50000".to_owned()),
    };
    let firewall = |name: &str, source: &str| {
        let order = CreateFirewall {
            name: name.to_owned(),
            rules: vec![rule(source)],
            apply_to: Vec::new(),
            labels: Default::default(),
        };
        lab.world(|world, project, now| world.create_firewall(project, order, now).unwrap().0)
    };
    let closed = lab.server("closed", None, vec![firewall("others", "203.0.113.7/32")]);
    let open = lab.server("open", None, vec![firewall("us", "127.0.0.0/8")]);
    for server in [closed, open] {
        lab.until("maintenance", server, |guest: &Guest| guest.apid() == Apid::Maintenance).await;
    }
    lab.eventually("version", || async { client(lab.address(open), insecure(None)).machine.version(()).await }).await;
    assert!(client(lab.address(closed), insecure(None)).machine.version(()).await.is_err());
    lab.end().await;
}
