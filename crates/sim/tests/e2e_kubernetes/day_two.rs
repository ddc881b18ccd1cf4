//! A cluster that lives: workloads and evictions, a node that stops and comes back, changed configurations, a control
//! plane that reboots, and one that is recovered from a snapshot.

use helix_sim::kubernetes::{Api, ApiError, Body};
use helix_sim::talos::wire::common::Data;
use helix_sim::talos::wire::machine::apply_configuration_request::Mode;
use helix_sim::talos::wire::machine::{
    BootstrapRequest, EtcdSnapshotRequest, RebootRequest, ResetPartitionSpec, ResetRequest, ServiceRestartRequest,
};
use helix_sim::world::ServerId;
use helix_sim::world::machine::{Guest, Happening};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tonic::Status;

use crate::control_planes::{node, ready, taints};
use crate::lab::{Lab, configuration};

const PODS: &str = "/api/v1/namespaces/default/pods";

fn unavailable(error: &ApiError) -> Status {
    Status::unavailable(error.to_string())
}

/// Creates a stand-in, or anything else.
async fn create(api: &Api, path: &str, object: &Value) {
    api.call(Method::POST, path, Body::Object(object)).await.unwrap();
}

async fn install_stand_ins(api: &Api) {
    let cilium = serde_saphyr::from_str(include_str!("../../manifests/cilium.yaml")).unwrap();
    create(api, "/apis/apps/v1/namespaces/kube-system/daemonsets", &cilium).await;
    let controller =
        serde_saphyr::from_str(include_str!("../../manifests/hcloud-cloud-controller-manager.yaml")).unwrap();
    create(api, "/apis/apps/v1/namespaces/kube-system/deployments", &controller).await;
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web.invalid/web:1"}]},
            },
        },
    })
}

fn budget(available: u32) -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": available, "selector": {"matchLabels": {"app": "web"}}},
    })
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

/// The names and nodes of the pods, once two are ready and no more are there.
async fn ready_pods(lab: &Lab, api: &Api) -> Vec<(String, String)> {
    lab.eventually("two ready pods", || async {
        let listed = api.call(Method::GET, PODS, Body::Empty).await.map_err(|error| unavailable(&error))?;
        let pods = listed["items"].as_array().cloned().unwrap_or_default();
        if pods.len() != 2 || !pods.iter().all(is_ready) {
            return Err(Status::unavailable(format!("{} pods", pods.len())));
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(pods.iter().map(|pod| (text(&pod["metadata"]["name"]), text(&pod["spec"]["nodeName"]))).collect())
    })
    .await
}

async fn evict(api: &Api, pod: &str) -> Result<Value, ApiError> {
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}});
    api.call(Method::POST, &format!("{PODS}/{pod}/eviction"), Body::Object(&eviction)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workloads_run_evictions_ask_budgets_and_a_stopped_node_comes_back() {
    let Some(lab) = Lab::with_processes() else { return };
    let server = lab.control_plane("cp-1").await;
    lab.bootstrap(server).await;
    lab.until("an API server", server, Guest::api_server_healthy).await;
    let worker = lab.machine("worker", "worker-1").await;
    let api = lab.admin(lab.address(server));
    node(&lab, &api, "worker-1", |_| true).await;
    install_stand_ins(&api).await;
    let initialized =
        |node: &Value| !taints(node).iter().any(|it| it.contains("uninitialized")) && ready(node) == Some("True");
    for name in ["cp-1", "worker-1"] {
        let node = node(&lab, &api, name, initialized).await;
        assert!(node["spec"]["providerID"].as_str().unwrap().starts_with("hcloud://"));
    }

    create(&api, "/apis/apps/v1/namespaces/default/deployments", &deployment()).await;
    let before = ready_pods(&lab, &api).await;
    assert!(before.iter().all(|(_, node)| node == "worker-1"), "{before:?}");
    create(&api, "/apis/policy/v1/namespaces/default/poddisruptionbudgets", &budget(2)).await;
    lab.eventually("a refusal", || async {
        match evict(&api, &before[0].0).await {
            Err(error) if error.is(StatusCode::TOO_MANY_REQUESTS) => Ok(()),
            Err(error) => Err(unavailable(&error)),
            Ok(_) => panic!("the budget was not asked"),
        }
    })
    .await;
    let path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/web";
    api.call(Method::PATCH, path, Body::Merge(&json!({"spec": {"minAvailable": 1}}))).await.unwrap();
    lab.eventually("an eviction", || async { evict(&api, &before[0].0).await.map_err(|error| unavailable(&error)) })
        .await;
    let after = ready_pods(&lab, &api).await;
    assert!(!after.contains(&before[0]), "it was replaced");

    let host = lab.machines.look_at(worker, |guest, _| guest.host().clone()).unwrap();
    lab.machines.ask(|guests, now| guests.power_off(worker, now));
    node(&lab, &api, "worker-1", |node| ready(node) != Some("True")).await;
    lab.machines.ask(|guests, now| guests.power_on(host, now));
    node(&lab, &api, "worker-1", |node| ready(node) == Some("True")).await;
    ready_pods(&lab, &api).await;
    lab.end().await;
}

/// Uploads a snapshot and has etcd founded from it.
async fn recover(lab: &Lab, server: ServerId, snapshot: &[Data]) {
    lab.eventually("an upload", || async {
        let pieces = snapshot.to_vec();
        lab.client(server, "os:admin").machine.etcd_recover(tokio_stream::iter(pieces)).await
    })
    .await;
    lab.eventually("a bootstrap", || async {
        let request = BootstrapRequest { recover_etcd: true, recover_skip_hash_check: false };
        lab.client(server, "os:admin").machine.bootstrap(request).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_configuration_a_reboot_and_a_recovery_take_effect() {
    let Some(lab) = Lab::with_processes() else { return };
    let server = lab.control_plane("cp-1").await;
    lab.bootstrap(server).await;
    lab.until("an API server", server, Guest::api_server_healthy).await;
    let api = lab.admin(lab.address(server));
    node(&lab, &api, "cp-1", |node| node["metadata"]["annotations"]["talos.dev/owned-labels"].is_string()).await;

    let text = lab.sample("controlplane", "cp-1");
    let newer = text.replace("kubelet:v1.36.3", "kubelet:v1.36.4");
    assert_ne!(newer, text);
    let mut admin = lab.client(server, "os:admin");
    admin.machine.apply_configuration(configuration(&newer, Mode::NoReboot)).await.unwrap();
    node(&lab, &api, "cp-1", |node| node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.4").await;

    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let maps = "/api/v1/namespaces/default/configmaps";
    create(&api, maps, &map("kept")).await;
    let mut stream =
        lab.client(server, "os:etcd:backup").machine.etcd_snapshot(EtcdSnapshotRequest {}).await.unwrap().into_inner();
    let mut snapshot = Vec::new();
    while let Some(data) = stream.message().await.unwrap() {
        snapshot.push(data);
    }
    create(&api, maps, &map("lost")).await;

    let boot_id = |guest: &Guest| guest.boot_id().to_owned();
    let before = lab.machines.look_at(server, |guest, _| boot_id(guest)).unwrap();
    lab.client(server, "os:operator").machine.reboot(RebootRequest::default()).await.unwrap();
    lab.until("another boot", server, |guest| boot_id(guest) != before && guest.api_server_healthy()).await;
    api.call(Method::GET, &format!("{maps}/lost"), Body::Empty).await.unwrap();

    let wiped = ResetPartitionSpec { label: "EPHEMERAL".to_owned(), wipe: true };
    let request = ResetRequest { reboot: true, system_partitions_to_wipe: vec![wiped], ..ResetRequest::default() };
    lab.client(server, "os:admin").machine.reset(request).await.unwrap();
    lab.until("an empty disk", server, |guest| guest.is_up() && guest.etcd_member_id().is_none()).await;
    let mut damaged = snapshot.clone();
    if let Some(byte) = damaged.first_mut().and_then(|piece| piece.bytes.get_mut(5_000)) {
        *byte ^= 1;
    }
    recover(&lab, server, &damaged).await;
    lab.until("a failed bootstrap", server, |guest| {
        let failed = |what: &Happening| matches!(what, Happening::Sequence { name: "bootstrap", error: Some(_), .. });
        guest.events().since(0).any(|entry| failed(&entry.what)) && guest.etcd_member_id().is_none()
    })
    .await;
    recover(&lab, server, &snapshot).await;
    lab.until("the recovered API", server, Guest::api_server_healthy).await;
    api.call(Method::GET, &format!("{maps}/kept"), Body::Empty).await.unwrap();
    let lost = api.call(Method::GET, &format!("{maps}/lost"), Body::Empty).await.unwrap_err();
    assert!(lost.is(StatusCode::NOT_FOUND), "{lost}");

    // A node that the API does not know comes back with its kubelet's next start, and only so.
    let path = "/api/v1/nodes/cp-1";
    let uid = |node: &Value| node["metadata"]["uid"].as_str().map(str::to_owned);
    let before = uid(&api.call(Method::GET, path, Body::Empty).await.unwrap());
    api.call(Method::DELETE, path, Body::Empty).await.unwrap();
    let request = ServiceRestartRequest { id: "kubelet".to_owned() };
    lab.client(server, "os:operator").machine.service_restart(request).await.unwrap();
    node(&lab, &api, "cp-1", |node| {
        uid(node) != before && node["metadata"]["annotations"]["talos.dev/owned-labels"].is_string()
    })
    .await;
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_moves_to_the_next_minor_version_of_kubernetes() {
    let Some((mut lab, previous)) = Lab::with_two_versions() else { return };
    let Some(next) = lab.sample("controlplane", "x").lines().find_map(|line| {
        line.trim().strip_prefix("image: ").filter(|it| it.contains("kube-apiserver:")).map(str::to_owned)
    }) else {
        panic!("the sample names no API server")
    };
    let next = next.rsplit_once(':').unwrap().1.to_owned();
    lab.replaced = Some((next.clone(), previous.clone()));
    let server = lab.control_plane("cp-1").await;
    lab.bootstrap(server).await;
    lab.until("an API server", server, Guest::api_server_healthy).await;
    let api = lab.admin(lab.address(server));
    let serves = async |version: &str| {
        lab.eventually(version, || async {
            let told = api.call(Method::GET, "/version", Body::Empty).await.map_err(|error| unavailable(&error))?;
            (told["gitVersion"] == version).then_some(()).ok_or_else(|| Status::unavailable(told.to_string()))
        })
        .await;
    };
    serves(&previous).await;
    let text = lab.sample("controlplane", "cp-1").replace(&previous, &next);
    let mut admin = lab.client(server, "os:admin");
    admin.machine.apply_configuration(configuration(&text, Mode::NoReboot)).await.unwrap();
    serves(&next).await;
    lab.end().await;
}
