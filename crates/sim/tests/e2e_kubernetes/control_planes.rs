//! Control planes and workers come up with what their configurations carry, and survive the loss of one.

use helix_sim::kubernetes::{Api, Body};
use helix_sim::world::machine::Guest;
use http::Method;
use serde_json::Value;
use tonic::Status;

use crate::lab::Lab;

const CILIUM: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets";

/// A node, once something holds of it.
pub(crate) async fn node(lab: &Lab, api: &Api, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
    lab.eventually(name, || async {
        let found = api.call(Method::GET, &format!("/api/v1/nodes/{name}"), Body::Empty).await;
        match found {
            Ok(node) if holds(&node) => Ok(node),
            Ok(_) => Err(Status::unavailable("it does not hold yet")),
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    })
    .await
}

fn has_label(node: &Value, label: &str) -> bool {
    node["metadata"]["labels"].get(label).is_some()
}

pub(crate) fn ready(node: &Value) -> Option<&str> {
    let conditions = node.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")?["status"].as_str()
}

pub(crate) fn taints(node: &Value) -> Vec<&str> {
    let taints = node.pointer("/spec/taints").and_then(Value::as_array);
    taints.into_iter().flatten().filter_map(|taint| taint["key"].as_str()).collect()
}

fn cilium() -> Value {
    serde_saphyr::from_str(include_str!("../../manifests/cilium.yaml")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_control_plane_comes_up_with_what_its_configuration_carries() {
    let Some(lab) = Lab::with_processes() else { return };
    let server = lab.control_plane("cp-1").await;
    lab.bootstrap(server).await;
    lab.until("a healthy API server", server, Guest::api_server_healthy).await;
    let api = lab.admin(lab.address(server));
    let node = node(&lab, &api, "cp-1", |node| has_label(node, "node-role.kubernetes.io/control-plane")).await;
    assert_eq!(node["spec"]["providerID"], "hcloud://cp-1");
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
    let Some(lab) = Lab::with_processes() else { return };
    let first = lab.control_plane("cp-1").await;
    lab.bootstrap(first).await;
    let servers = [first, lab.control_plane("cp-2").await, lab.control_plane("cp-3").await];
    let worker = lab.machine("worker", "worker-1").await;
    for server in servers {
        lab.until("a voter", server, Guest::etcd_healthy).await;
        lab.until("an API server", server, Guest::api_server_healthy).await;
    }
    let api = lab.admin(lab.address(servers[1]));
    let registered = node(&lab, &api, "worker-1", |node| has_label(node, "example.com/pool")).await;
    assert_eq!(registered["spec"]["providerID"], "hcloud://worker-1");
    let private = lab.machines.look_at(worker, |guest, _| guest.host().private_ipv4).flatten().unwrap();
    assert_eq!(registered["status"]["addresses"][0]["address"], private.to_string());
    assert!(!taints(&registered).contains(&"node-role.kubernetes.io/control-plane"));

    for name in ["cp-1", "cp-2", "cp-3"] {
        node(&lab, &api, name, |node| has_label(node, "node-role.kubernetes.io/control-plane")).await;
    }

    let host = lab.machines.look_at(first, |guest, _| guest.host().clone()).unwrap();
    lab.machines.ask(|guests, now| guests.power_off(first, now));
    let nodes = lab.eventually("an answer of the others", || async {
        let nodes = api.call(Method::GET, "/api/v1/nodes", Body::Empty).await;
        nodes.map_err(|error| Status::unavailable(error.to_string()))
    });
    assert_eq!(nodes.await["items"].as_array().map(Vec::len), Some(4));
    let lost = lab.admin(lab.address(first)).call(Method::GET, "/version", Body::Empty).await;
    assert!(lost.is_err(), "its processes are gone");

    lab.machines.ask(|guests, now| guests.power_on(host, now));
    lab.until("the lost voter again", first, Guest::etcd_healthy).await;
    lab.until("its API server again", first, Guest::api_server_healthy).await;

    api.call(Method::POST, CILIUM, Body::Object(&cilium())).await.unwrap();
    for name in ["cp-1", "cp-2", "cp-3", "worker-1"] {
        node(&lab, &api, name, |node| ready(node) == Some("True")).await;
    }
    lab.eventually("running pods", || async {
        let set = api.call(Method::GET, &format!("{CILIUM}/cilium"), Body::Empty).await;
        let set = set.map_err(|error| Status::unavailable(error.to_string()))?;
        (set["status"]["numberReady"] == 4).then_some(()).ok_or_else(|| Status::unavailable("fewer"))
    })
    .await;
    let told = lab.machines.look_at(worker, |guest, now| guest.status(now).1);
    assert_eq!(told, Some(true), "the machine counts as ready, too");
    lab.end().await;
}
