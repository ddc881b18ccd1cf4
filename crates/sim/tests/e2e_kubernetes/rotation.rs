//! The API behind its load balancer: an API server that hangs accepts connections and answers nothing, and has to leave
//! the rotation all the same.

use helix_sim::kubernetes::Body;
use helix_sim::load_balancer;
use helix_sim::world::load_balancers::{
    CreateLoadBalancer, HealthCheck, HttpCheck, LoadBalancerChange, Service, TargetKind,
};
use helix_sim::world::machine::Guest;
use helix_sim::world::{LoadBalancerId, ServerId};
use http::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tonic::Status;

use crate::lab::Lab;

/// As Helix orders it for port 6443.
fn service() -> Service {
    let http = HttpCheck {
        domain: None,
        path: "/version".to_owned(),
        response: None,
        status_codes: vec!["401".to_owned()],
        tls: true,
    };
    let health_check =
        HealthCheck { port: 6443, interval_seconds: 3, timeout_seconds: 2, retries: 3, http: Some(http) };
    Service { listen_port: 6443, destination_port: 6443, proxy_protocol: false, health_check }
}

impl Lab {
    fn load_balancer(&self) -> LoadBalancerId {
        let order = CreateLoadBalancer {
            name: "api".to_owned(),
            kind: "lb11".to_owned(),
            location: Some("fsn1".to_owned()),
            services: vec![service()],
            network: Some(self.network),
            ..CreateLoadBalancer::default()
        };
        self.world(|world, project, now| world.create_load_balancer(project, order, now).unwrap().0)
    }

    async fn add_target(&self, balancer: LoadBalancerId, server: ServerId) {
        let change = || LoadBalancerChange::AddTarget(TargetKind::Server { server, use_private_ip: true });
        self.eventually("a target", || async {
            let added = self.world(|world, project, now| world.change_load_balancer(project, balancer, change(), now));
            added.map_err(|error| Status::unavailable(error.to_string()))
        })
        .await;
    }

    async fn health(&self, balancer: LoadBalancerId, server: ServerId, expected: bool) {
        let health = || {
            self.world(|world, project, _| {
                world.load_balancer(project, balancer).map(|it| it.health(server, 6443).healthy)
            })
        };
        self.eventually("a verdict", || async {
            match health() {
                Ok(Some(healthy)) if healthy == expected => Ok(()),
                other => Err(Status::unavailable(format!("{other:?}"))),
            }
        })
        .await;
    }

    /// Signals the API server of a machine.
    fn signal_api_server(&self, server: ServerId, signal: Signal) {
        let root = self.dir.as_ref().unwrap().path();
        let disk = root.join("machines").join(server.to_string());
        for note in std::fs::read_dir(root.join("processes")).unwrap().flatten() {
            let text = std::fs::read_to_string(note.path()).unwrap();
            if text.starts_with("kube-apiserver\n") && text.contains(disk.to_str().unwrap()) {
                let id: i32 = note.file_name().to_str().unwrap().parse().unwrap();
                return kill(Pid::from_raw(id), signal).unwrap();
            }
        }
        panic!("the API server of {server} does not run");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_api_server_leaves_the_rotation_and_comes_back() {
    let Some(mut lab) = Lab::with_processes() else { return };
    let balancing = load_balancer::run(lab.world.clone(), lab.stop.clone());
    lab.tasks.push(tokio::spawn(balancing));
    let balancer = lab.load_balancer();
    let address = lab.world(|world, project, _| world.load_balancer(project, balancer).unwrap().address);
    lab.replaced = Some(("203.0.113.10".to_owned(), address.to_string()));

    let first = lab.control_plane("cp-1").await;
    lab.bootstrap(first).await;
    let second = lab.control_plane("cp-2").await;
    for server in [first, second] {
        lab.until("an API server", server, Guest::api_server_healthy).await;
        lab.add_target(balancer, server).await;
        lab.health(balancer, server, true).await;
    }

    lab.signal_api_server(first, Signal::SIGSTOP);
    lab.health(balancer, first, false).await;
    let api = lab.admin(address);
    for _ in 0..5 {
        api.call(Method::GET, "/api/v1/namespaces", Body::Empty).await.unwrap();
    }
    lab.signal_api_server(first, Signal::SIGCONT);
    lab.health(balancer, first, true).await;
    lab.end().await;
}
