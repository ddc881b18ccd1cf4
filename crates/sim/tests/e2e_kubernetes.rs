//! Real etcd members and real API servers behind simulated machines, from the configuration that Talos' own generator
//! made: machines come up, join, register their nodes, lose power and come back.
//!
//! It needs the tool `kube` (built by `cargo xtask test`) and the reference data beside the repository.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use helix_sim::clock::SharedWorld;
use helix_sim::kubernetes::{self, Api, Body, Setting};
use helix_sim::talos::machines::Machines;
use helix_sim::talos::pki::{Leaf, Signer, Usage};
use helix_sim::talos::tls::{self, Protocol};
use helix_sim::world::machine::config::MachineConfig;
use helix_sim::world::machine::{ApplyMode, Guest, Host};
use helix_sim::world::{ServerId, TimeScale, World, WorldConfig};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A world with machines and the processes behind them, which end with it.
struct Lab {
    machines: Machines,
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    dir: tempfile::TempDir,
    block: u8,
}

fn reference() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/talos/v1.13.9/generated");
    found(path.is_dir().then_some(path), "the reference data at ../shared")
}

/// The program `kube`: in the directory that `HELIX_TOOLS_DIR` names, or where `cargo xtask` builds it.
fn kube() -> Option<PathBuf> {
    let tools = std::env::var_os("HELIX_TOOLS_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools"), PathBuf::from);
    let direct = tools.join("kube");
    let within = std::fs::read_dir(&tools).ok().and_then(|entries| {
        let mut built: Vec<_> =
            entries.flatten().map(|entry| entry.path().join("kube")).filter(|it| it.is_file()).collect();
        built.sort();
        built.pop()
    });
    found(if direct.is_file() { Some(direct) } else { within }, "the tool kube")
}

fn found<T>(thing: Option<T>, what: &str) -> Option<T> {
    assert!(thing.is_some() || std::env::var("CI").as_deref() != Ok("true"), "{what} is missing in CI");
    if thing.is_none() {
        eprintln!("this test needs {what} and did not run");
    }
    thing
}

/// Looks again and again until there is something.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Lab {
    fn new(kube: PathBuf, block: u8) -> Self {
        let scale = TimeScale::new(100.0).unwrap();
        let config = WorldConfig { time_scale: scale, ..WorldConfig::default() };
        let world = SharedWorld::new(World::new(config, Timestamp::now()));
        let machines = Machines::of(world.clone());
        let dir = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let setting = Setting { machines: machines.clone(), kube: Arc::from(kube), root: Arc::from(dir.path()), scale };
        let (driven, followed) = (stop.clone(), stop.clone());
        let tasks = vec![
            tokio::spawn(async move { world.drive(driven).await }),
            tokio::spawn(async move { kubernetes::run(setting, followed).await.unwrap() }),
        ];
        Self { machines, stop, tasks, dir, block }
    }

    async fn end(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        let left: Vec<_> = std::fs::read_dir(self.dir.path().join("processes")).unwrap().collect();
        assert!(left.is_empty(), "processes are left: {left:?}");
    }

    fn address(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.block, 0, number)
    }

    fn power_on(&self, number: u8) -> ServerId {
        let server = ServerId(number.into());
        let host = Host {
            server,
            name: format!("machine-{number}"),
            address: self.address(number),
            public_ipv4: Some(self.address(number)),
            private_ipv4: Some(Ipv4Addr::new(10, 0, 1, number)),
            user_data: None,
            talos_version: "v1.13.9".to_owned(),
            schematic: None,
        };
        self.machines.ask(|guests, now| guests.power_on(host, now));
        server
    }

    /// A machine that has been given its configuration.
    async fn machine(&self, number: u8, config: &str) -> ServerId {
        let server = self.power_on(number);
        eventually("maintenance", || async {
            self.machines
                .ask(|guests, now| {
                    guests.apply_configuration(server, config, ApplyMode::Auto, false, SignedDuration::ZERO, now)
                })
                .ok()
        })
        .await;
        server
    }

    async fn bootstrap(&self, server: ServerId) {
        eventually("bootstrap", || async { self.machines.ask(|guests, now| guests.bootstrap(server, now)).ok() }).await;
    }

    async fn until(&self, what: &str, server: ServerId, holds: impl Fn(&Guest) -> bool) {
        eventually(what, || async {
            self.machines.look_at(server, |guest, _| holds(guest)).unwrap_or_default().then_some(())
        })
        .await;
    }

    fn admin(&self, number: u8, config: &str) -> Api {
        let config = MachineConfig::parse(config).unwrap();
        let signer = Signer::load(&config.cluster().unwrap().ca, "cluster.ca").unwrap();
        let leaf = Leaf {
            common_name: "admin",
            organization: "system:masters",
            names: &[],
            usage: Usage::Client,
            lifetime: Duration::from_secs(3600),
        };
        let issued = signer.issue(&leaf).unwrap();
        Api::new(self.address(number), tls::client(signer.certificate_pem(), &issued, Protocol::Http1).unwrap())
    }

    async fn node(&self, api: &Api, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(name, || async {
            let node = api.call(Method::GET, &format!("/api/v1/nodes/{name}"), Body::Empty).await.ok()?;
            holds(&node).then_some(node)
        })
        .await
    }
}

fn config(dir: &Path, role: &str, hostname: &str, provider_id: &str) -> String {
    let text = std::fs::read_to_string(dir.join(format!("{role}-hetzner-cilium.yaml"))).unwrap();
    let old = if role == "worker" { "sample-storage-1" } else { "sample-cp-1" };
    text.replace(&format!("hostname: {old}"), &format!("hostname: {hostname}")).replacen(
        "        defaultRuntimeSeccompProfileEnabled",
        &format!(
            "        extraConfig:\n            providerID: {provider_id}\n        defaultRuntimeSeccompProfileEnabled"
        ),
        1,
    )
}

fn ready(node: &Value) -> Option<&str> {
    let conditions = node.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")?["status"].as_str()
}

fn taints(node: &Value) -> Vec<&str> {
    let taints = node.pointer("/spec/taints").and_then(Value::as_array);
    taints.into_iter().flatten().filter_map(|taint| taint["key"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_control_plane_comes_up_with_what_its_configuration_carries() {
    let (Some(reference), Some(kube)) = (reference(), kube()) else { return };
    let lab = Lab::new(kube, 201);
    let text = config(&reference, "controlplane", "cp-1", "hcloud://1");
    let server = lab.machine(1, &text).await;
    lab.bootstrap(server).await;
    lab.until("a healthy API server", server, Guest::api_server_healthy).await;
    let api = lab.admin(1, &text);
    let node = lab
        .node(&api, "cp-1", |node| node.pointer("/metadata/labels/node-role.kubernetes.io~1control-plane").is_some())
        .await;
    assert_eq!(node.pointer("/spec/providerID").and_then(Value::as_str), Some("hcloud://1"));
    assert_eq!(ready(&node), Some("False"), "there is no pod network");
    let taints = taints(&node);
    for taint in [
        "node-role.kubernetes.io/control-plane",
        "node.cloudprovider.kubernetes.io/uninitialized",
        "node.kubernetes.io/not-ready",
    ] {
        assert!(taints.contains(&taint), "{taint} is not among {taints:?}");
    }
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_control_planes_and_a_worker_survive_the_loss_of_one() {
    let (Some(reference), Some(kube)) = (reference(), kube()) else { return };
    let lab = Lab::new(kube, 202);
    let text = config(&reference, "controlplane", "cp-1", "hcloud://1");
    let first = lab.machine(1, &text).await;
    lab.bootstrap(first).await;
    let mut servers = vec![first];
    for number in 2..=3_u8 {
        let config = config(&reference, "controlplane", &format!("cp-{number}"), &format!("hcloud://{number}"));
        servers.push(lab.machine(number, &config).await);
    }
    let worker = lab.machine(9, &config(&reference, "worker", "worker-1", "hcloud://9")).await;
    for server in &servers {
        lab.until("a voter", *server, Guest::etcd_healthy).await;
        lab.until("an API server", *server, Guest::api_server_healthy).await;
    }
    let api = lab.admin(2, &text);
    let node = lab.node(&api, "worker-1", |node| node.pointer("/metadata/labels/example.com~1pool").is_some()).await;
    assert_eq!(node.pointer("/spec/providerID").and_then(Value::as_str), Some("hcloud://9"));
    let internal = node.pointer("/status/addresses/0/address").and_then(Value::as_str);
    assert_eq!(internal, Some("10.0.1.9"));
    assert!(!taints(&node).contains(&"node-role.kubernetes.io/control-plane"));

    lab.machines.ask(|guests, now| guests.power_off(first, now));
    let answer = |api: Api| async move { api.call(Method::GET, "/api/v1/nodes", Body::Empty).await.ok() };
    let nodes = eventually("an answer of the others", || answer(api.clone())).await;
    assert_eq!(nodes["items"].as_array().map(Vec::len), Some(4));
    assert!(lab.admin(1, &text).call(Method::GET, "/version", Body::Empty).await.is_err(), "its processes are gone");

    lab.power_on(1);
    lab.until("the lost voter again", first, Guest::etcd_healthy).await;
    lab.until("its API server again", first, Guest::api_server_healthy).await;

    let daemon_set = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "cilium", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": {"k8s-app": "cilium"}},
            "template": {
                "metadata": {"labels": {"k8s-app": "cilium"}},
                "spec": {
                    "hostNetwork": true, "tolerations": [{"operator": "Exists"}],
                    "containers": [{"name": "agent", "image": "cilium"}],
                },
            },
        },
    });
    api.call(Method::POST, "/apis/apps/v1/namespaces/kube-system/daemonsets", Body::Object(&daemon_set)).await.unwrap();
    for name in ["cp-1", "cp-2", "cp-3", "worker-1"] {
        lab.node(&api, name, |node| ready(node) == Some("True")).await;
    }
    eventually("running pods", || async {
        let path = "/apis/apps/v1/namespaces/kube-system/daemonsets/cilium";
        let set = api.call(Method::GET, path, Body::Empty).await.ok()?;
        (set.pointer("/status/numberReady").and_then(Value::as_u64) == Some(4)).then_some(())
    })
    .await;
    assert!(
        lab.machines.look_at(worker, |guest, now| guest.status(now).1).unwrap_or_default(),
        "the machine is ready, too"
    );
    lab.end().await;
}
