//! Everything that the full example asks for, on a real API server: the stand-in charts as Helm renders them, Helix' own
//! resources, and the operators that bring them to health, by the very probes of the catalogue.

use std::collections::BTreeMap;

use helix_plan::components::{Probe, Question, Wanted, wanted};
use helix_sim::charts::charts;
use helix_sim::faults::Fault;
use helix_sim::kubernetes::{Api, ApiError, Body};
use helix_sim::world::machine::Guest;
use http::Method;
use serde_json::{Value, json};
use tonic::Status;

use crate::control_planes::node;
use crate::lab::Lab;
use crate::rendered::{helm, layers, objects, render, unpack};

const CLUSTERS: &str = "/apis/postgresql.cnpg.io/v1/namespaces/databases/clusters";

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn waiting(why: impl std::fmt::Display) -> Status {
    Status::unavailable(why.to_string())
}

/// The path of a kind's objects in a namespace, by what the API server says of itself.
async fn path(api: &Api, version: &str, kind: &str, namespace: &str) -> Result<String, ApiError> {
    let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let known = api.call(Method::GET, &root, Body::Empty).await?;
    let resources = known["resources"].as_array().into_iter().flatten();
    let found = resources.into_iter().find(|it| it["kind"] == kind && !text(it, "/name").contains('/'));
    let found = found.cloned().unwrap_or_default();
    let within = if found["namespaced"] == true { format!("/namespaces/{namespace}") } else { String::new() };
    Ok(format!("{root}{within}/{}", text(&found, "/name")))
}

async fn apply(lab: &Lab, api: &Api, object: &Value, namespace: &str) {
    let name = text(object, "/metadata/name");
    let own = text(object, "/metadata/namespace");
    let namespace = if own.is_empty() { namespace } else { own };
    lab.eventually(&format!("{} {name}", object["kind"]), || async {
        let path = path(api, text(object, "/apiVersion"), text(object, "/kind"), namespace).await.map_err(waiting)?;
        let path = format!("{path}/{name}?fieldManager=helix");
        api.call(Method::PATCH, &path, Body::Apply(object)).await.map_err(waiting)
    })
    .await;
}

/// What Helix would apply, definitions first. What is in the Secrets matters to nobody here, but that they are there does.
fn manifests(helm: &std::path::Path, found: &Wanted) -> Vec<Value> {
    let secrets = found.secrets.iter().map(|secret| {
        let data: BTreeMap<&str, &str> = secret.keys.iter().map(|key| (key.key, "c2VjcmV0")).collect();
        let metadata = json!({"name": secret.name, "namespace": secret.namespace});
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    });
    let mut all: Vec<Value> = found.resources.iter().cloned().chain(secrets).collect();
    if let Some(chart) = &found.chart {
        let dir = tempfile::tempdir().unwrap();
        let archive = charts().iter().find(|it| it.name == chart.name).unwrap().archive(&chart.version).unwrap();
        let unpacked = unpack(&archive, dir.path(), chart.name);
        all.extend(objects(&render(helm, &unpacked, found, dir.path())));
    }
    let rank = |object: &Value| match text(object, "/kind") {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        _ => 2,
    };
    all.sort_by_key(rank);
    all
}

fn holds(object: &Value, condition: &str) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|it| it["type"] == condition && it["status"] == "True")
}

fn is_whole(set: &Value) -> bool {
    let wanted = set["spec"]["replicas"].as_u64().unwrap_or(1);
    set["status"]["readyReplicas"].as_u64().unwrap_or_default() == wanted
}

/// Whether a probe is satisfied in a namespace.
async fn is_healthy(api: &Api, probe: &Probe, namespace: &str) -> Result<bool, ApiError> {
    let one = async |version: &str, kind: &str, name: &str| {
        let path = path(api, version, kind, namespace).await?;
        api.call(Method::GET, &format!("{path}/{name}"), Body::Empty).await
    };
    let all = async |version: &str, kind: &str| {
        let path = path(api, version, kind, namespace).await?;
        let list = api.call(Method::GET, &path, Body::Empty).await?;
        Ok::<Vec<Value>, ApiError>(list["items"].as_array().cloned().unwrap_or_default())
    };
    let every = |found: Vec<Value>, good: &dyn Fn(&Value) -> bool| !found.is_empty() && found.iter().all(good);
    Ok(match probe {
        Probe::Answers(question) | Probe::Models(question) => {
            let Question { service, port, path } = question;
            let path = format!("/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy{path}");
            let answer = api.call(Method::GET, &path, Body::Empty).await?;
            !matches!(probe, Probe::Models(_)) || answer["models"].as_array().is_some_and(|models| !models.is_empty())
        }
        Probe::Deployment(name) => holds(&one("apps/v1", "Deployment", name).await?, "Available"),
        Probe::DaemonSet(name) => {
            let set = one("apps/v1", "DaemonSet", name).await?;
            let number = |key: &str| set["status"][key].as_u64().unwrap_or_default();
            number("desiredNumberScheduled") > 0 && number("desiredNumberScheduled") == number("numberReady")
        }
        Probe::StatefulSet(name) => is_whole(&one("apps/v1", "StatefulSet", name).await?),
        Probe::StatefulSets => every(all("apps/v1", "StatefulSet").await?, &is_whole),
        Probe::Condition { api, kind, condition } => every(all(api, kind).await?, &|it| holds(it, condition)),
        Probe::Told { api, kind, pointer } => every(all(api, kind).await?, &|it| it.pointer(pointer).is_some()),
        Probe::Status { api, kind, pointer, value } => every(all(api, kind).await?, &|it| text(it, pointer) == *value),
        Probe::NodesReady => every(all("v1", "Node").await?, &|it| holds(it, "Ready")),
        Probe::NodesWithoutTaint(taint) => every(all("v1", "Node").await?, &|node| {
            let taints = node.pointer("/spec/taints").and_then(Value::as_array);
            !taints.into_iter().flatten().any(|it| it["key"] == *taint)
        }),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_component_of_the_full_example_becomes_healthy_and_a_database_fails_over() {
    let Some(lab) = Lab::with_processes() else { return };
    let helm = helm();
    let server = lab.control_plane("cp-1").await;
    lab.bootstrap(server).await;
    lab.until("an API server", server, Guest::api_server_healthy).await;
    let api = lab.admin(lab.address(server));
    for name in ["worker-1", "worker-2", "worker-3"] {
        lab.machine("worker", name).await;
        node(&lab, &api, name, |_| true).await;
    }
    let wanted = wanted(&layers());
    for found in &wanted {
        let namespace = found.component.entry().home.namespace();
        for object in manifests(&helm, found) {
            apply(&lab, &api, &object, namespace).await;
        }
    }
    for found in &wanted {
        for probe in found.component.entry().health {
            let namespace = found.component.entry().home.namespace();
            lab.eventually(&format!("{} {probe:?}", found.component), || async {
                let healthy = is_healthy(&api, probe, namespace).await.map_err(waiting)?;
                healthy.then_some(()).ok_or_else(|| waiting("not healthy yet"))
            })
            .await;
        }
    }
    what_they_made_is_there(&lab, &api).await;
    a_database_fails_over(&lab, &api).await;
    lab.end().await;
}

async fn what_they_made_is_there(lab: &Lab, api: &Api) {
    lab.eventually("certificates", || async {
        let all = api.call(Method::GET, "/apis/cert-manager.io/v1/certificates", Body::Empty).await.map_err(waiting)?;
        let all = all["items"].as_array().cloned().unwrap_or_default();
        (!all.is_empty() && all.iter().all(|it| holds(it, "Ready"))).then_some(()).ok_or_else(|| waiting("not ready"))
    })
    .await;
    lab.eventually("peers of the mesh", || async {
        let peers = lab.world(|world, _, _| world.mesh().peers.values().filter(|peer| peer.connected).count());
        (peers > 0).then_some(()).ok_or_else(|| waiting("none"))
    })
    .await;
    lab.eventually("volumes with the platform's labels, on servers", || async {
        let volumes = lab.world(|world, project, _| {
            let volumes = world.project(project).volumes.values();
            let ours = volumes.filter(|volume| volume.meta.labels.contains_key("helix.dev/platform"));
            ours.filter(|volume| volume.server.is_some()).count()
        });
        (volumes >= 3).then_some(()).ok_or_else(|| waiting(volumes))
    })
    .await;
    lab.eventually("the address of the load balancer", || async {
        let path = "/api/v1/namespaces/traefik/services/traefik";
        let service = api.call(Method::GET, path, Body::Empty).await.map_err(waiting)?;
        let address = text(&service, "/status/loadBalancer/ingress/0/ip");
        (!address.is_empty()).then_some(()).ok_or_else(|| waiting("none"))
    })
    .await;
}

async fn a_database_fails_over(lab: &Lab, api: &Api) {
    let path = format!("{CLUSTERS}/main");
    let before = api.call(Method::GET, &path, Body::Empty).await.unwrap();
    lab.world(|world, _, _| world.inject_once(Fault::DatabaseFailsOver { cluster: Some("main".to_owned()) }));
    lab.eventually("another primary, and health", || async {
        let now = api.call(Method::GET, &path, Body::Empty).await.map_err(waiting)?;
        let moved = now["status"]["currentPrimary"] != before["status"]["currentPrimary"];
        let healthy = text(&now, "/status/phase") == "Cluster in healthy state";
        (moved && healthy).then_some(()).ok_or_else(|| waiting(&now["status"]))
    })
    .await;
}
