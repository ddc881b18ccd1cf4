//! Behaviours of load balancers: the API's side in virtual time, forwarding and health on sockets.

use std::net::Ipv4Addr;
use std::time::Duration;

use helix_sim::world::load_balancers::{
    CheckResult, CreateLoadBalancer, HealthCheck, HttpCheck, LoadBalancerChange, Service, TargetKind,
};
use helix_sim::world::{ErrorCode, LoadBalancerId, ServerId, Update};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::fixture::{Fixture, Sockets, code, labels};

fn api_service() -> Service {
    let http = HttpCheck {
        domain: None,
        path: "/version".into(),
        response: None,
        status_codes: vec!["401".into()],
        tls: true,
    };
    Service {
        listen_port: 6443,
        destination_port: 6443,
        proxy_protocol: false,
        health_check: HealthCheck { port: 6443, interval_seconds: 3, timeout_seconds: 2, retries: 3, http: Some(http) },
    }
}

fn balancer(it: &mut Fixture) -> LoadBalancerId {
    let order = CreateLoadBalancer {
        name: "api".into(),
        kind: "lb11".into(),
        location: Some("fsn1".into()),
        services: vec![api_service()],
        ..CreateLoadBalancer::default()
    };
    let (id, action) = it.world.create_load_balancer(it.project, order, it.now).unwrap();
    it.finish(action);
    id
}

fn change(it: &mut Fixture, id: LoadBalancerId, change: LoadBalancerChange) {
    let action = it.world.change_load_balancer(it.project, id, change, it.now).unwrap();
    it.finish(action);
}

#[test]
fn behaviour_14_targets_follow_labels_after_a_delay() {
    let mut it = Fixture::new();
    let id = balancer(&mut it);
    let target = TargetKind::LabelSelector { selector: "pool=cp".into(), use_private_ip: false };
    change(&mut it, id, LoadBalancerChange::AddTarget(target));
    let server = it.server("a");
    it.wait(60);
    assert!(it.world.backends(it.project, id).is_empty());
    let update = Update { name: None, labels: Some(labels(&[("pool", "cp")])) };
    it.world.update_server(it.project, server, update, it.now).unwrap();
    assert!(it.world.backends(it.project, id).is_empty(), "not yet");
    it.wait(20);
    assert_eq!(it.world.backends(it.project, id).len(), 1);
}

#[test]
fn behaviour_17_private_targets_need_the_network_first() {
    let mut it = Fixture::new();
    let (id, network) = (balancer(&mut it), it.network());
    let mut order = it.order("a");
    order.networks = vec![network];
    let server = it.running(order);
    let add = LoadBalancerChange::AddTarget(TargetKind::Server { server, use_private_ip: true });
    let early = it.world.change_load_balancer(it.project, id, add.clone(), it.now);
    assert_eq!(code(early), ErrorCode::LoadBalancerNotAttachedToNetwork);
    let disable = LoadBalancerChange::PublicInterface(false);
    let early = it.world.change_load_balancer(it.project, id, disable.clone(), it.now);
    assert_eq!(code(early), ErrorCode::LoadBalancerNotAttachedToNetwork);
    let attach = it
        .world
        .change_load_balancer(it.project, id, LoadBalancerChange::Attach { network, ip: None }, it.now)
        .unwrap();
    let parallel = it.world.change_load_balancer(it.project, id, disable.clone(), it.now);
    assert_eq!(code(parallel), ErrorCode::Conflict);
    it.finish(attach);
    let stranger = it.server("b");
    let outside = LoadBalancerChange::AddTarget(TargetKind::Server { server: stranger, use_private_ip: true });
    let outside = it.world.change_load_balancer(it.project, id, outside, it.now);
    assert_eq!(code(outside), ErrorCode::ResolveCloudPrivateTargetsError);
    change(&mut it, id, add.clone());
    let twice = it.world.change_load_balancer(it.project, id, add, it.now);
    assert_eq!(code(twice), ErrorCode::TargetAlreadyDefined);
    change(&mut it, id, disable);

    let frontend = it.world.frontends()[0];
    let inside = it.world.server(it.project, server).unwrap().address;
    assert!(it.world.reaches_load_balancer(inside, &frontend));
    assert!(!it.world.reaches_load_balancer(Ipv4Addr::LOCALHOST, &frontend));
    it.delete(server);
    assert!(it.world.load_balancer(it.project, id).unwrap().targets.is_empty(), "a deleted server is no target");
}

#[test]
fn behaviour_18_health_is_what_the_checks_say() {
    let mut it = Fixture::new();
    let id = balancer(&mut it);
    let server = it.server("a");
    change(&mut it, id, LoadBalancerChange::AddTarget(TargetKind::Server { server, use_private_ip: false }));
    let probe = it.world.probes().remove(0);
    let verdict = |it: &Fixture| it.world.load_balancer(it.project, id).unwrap().health(server, 6443).healthy;
    let report = |it: &mut Fixture, passed| {
        it.world.report_health(&probe, CheckResult { passed, http_status: None });
        verdict(it)
    };
    assert_eq!(verdict(&it), None);
    assert_eq!(report(&mut it, true), Some(true));
    assert_eq!(report(&mut it, false), Some(true));
    assert_eq!(report(&mut it, false), Some(true));
    assert_eq!(report(&mut it, false), Some(false), "the third failure in a row");
    assert_eq!(report(&mut it, true), Some(false));
    assert_eq!(report(&mut it, true), Some(false));
    assert_eq!(report(&mut it, true), Some(true));
}

#[test]
fn status_codes_may_have_wildcards() {
    let Some(mut check) = api_service().health_check.http else { panic!("an HTTP check") };
    assert!(check.accepts(401) && !check.accepts(200));
    check.status_codes = vec!["2??".into(), "30?".into()];
    assert!(check.accepts(204) && check.accepts(301) && !check.accepts(310) && !check.accepts(401));
}

/// A server that answers every HTTP request with `status` and its own name.
struct Backend(JoinHandle<()>);

impl Backend {
    /// Returns once the port is free.
    async fn stop(self) {
        self.0.abort();
        assert!(self.0.await.is_err_and(|error| error.is_cancelled()));
    }
}

async fn backend(address: Ipv4Addr, name: &'static str, status: u16) -> Backend {
    let listener = TcpListener::bind((address, 6443)).await.unwrap();
    Backend(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    }))
}

/// What comes back through the load balancer; `None` when it closes the connection.
async fn ask(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect((address, 6443)).await.ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.ok()?;
    let mut answer = Vec::new();
    let read = async {
        let mut chunk = [0; 1024];
        let len = stream.read(&mut chunk).await?;
        answer.extend_from_slice(&chunk[..len]);
        Ok::<_, std::io::Error>(())
    };
    tokio::time::timeout(Duration::from_secs(5), read).await.ok()?.ok()?;
    let text = String::from_utf8(answer).ok()?;
    text.split("\r\n\r\n").nth(1).filter(|body| !body.is_empty()).map(str::to_owned)
}

async fn health(it: &Sockets, id: u64) -> Vec<String> {
    let targets = it.get(&format!("/load_balancers/{id}")).await.body["load_balancer"]["targets"].clone();
    let status = |target: &Value| target["health_status"][0]["status"].as_str().unwrap_or("none").to_owned();
    targets.as_array().unwrap().iter().map(status).collect()
}

async fn wait_for_health(it: &Sockets, id: u64, wanted: &[&str]) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let found = health(it, id).await;
        if found == wanted {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "targets are {found:?}, not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn running_server(it: &Sockets, name: &str, image: u64) -> (ServerId, Ipv4Addr) {
    let order = json!({"name": name, "server_type": "cx23", "image": image, "location": "fsn1"});
    let made = it.post("/servers", order).await.body;
    for action in made["next_actions"].as_array().unwrap() {
        assert_eq!(it.finish(action).await["status"], "success");
    }
    let address = made["server"]["public_net"]["ipv4"]["ip"].as_str().unwrap().parse().unwrap();
    (ServerId(made["server"]["id"].as_u64().unwrap()), address)
}

#[tokio::test]
async fn behaviour_18_traffic_goes_to_backends_that_answer_the_check() {
    let it = Sockets::start().await;
    let image = it.image().await;
    let ((a, at_a), (b, at_b)) = (running_server(&it, "a", image).await, running_server(&it, "b", image).await);
    let check = json!({"protocol": "http", "port": 6443, "interval": 3, "timeout": 2, "retries": 2,
        "http": {"path": "/version", "status_codes": ["401"], "tls": false}});
    let order = json!({
        "name": "api", "load_balancer_type": "lb11", "location": "fsn1",
        "services": [{"protocol": "tcp", "listen_port": 6443, "destination_port": 6443, "proxyprotocol": false,
            "health_check": check}],
        "targets": [{"type": "server", "server": {"id": a}}, {"type": "server", "server": {"id": b}}],
    });
    let made = it.post("/load_balancers", order).await;
    assert_eq!(made.status, 201, "{}", made.body);
    it.finish(&made.body["action"]).await;
    let id = made.body["load_balancer"]["id"].as_u64().unwrap();
    let address = made.body["load_balancer"]["public_net"]["ipv4"]["ip"].as_str().unwrap().to_owned();

    wait_for_health(&it, id, &["unhealthy", "unhealthy"]).await;
    assert_eq!(ask(&address).await, None, "nobody is healthy");
    let serves_a = backend(at_a, "a", 401).await;
    let serves_b = backend(at_b, "b", 200).await;
    wait_for_health(&it, id, &["healthy", "unhealthy"]).await;
    assert_eq!(ask(&address).await.as_deref(), Some("a"), "b answers, but not what the check wants");
    serves_a.stop().await;
    serves_b.stop().await;
    let serves_b = backend(at_b, "b", 401).await;
    wait_for_health(&it, id, &["unhealthy", "healthy"]).await;
    assert_eq!(ask(&address).await.as_deref(), Some("b"));
    let gone = it.send("DELETE", &format!("/load_balancers/{id}"), None).await.unwrap();
    it.finish(&gone.body["action"]).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while TcpStream::connect((address.as_str(), 6443)).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "a deleted load balancer still listens");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    serves_b.stop().await;
    it.simulator.stop().await;
}
