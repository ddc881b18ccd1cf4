//! Every component of the full example, as the catalogue wants it: its chart fetched from the simulated repositories,
//! rendered by a real Helm, applied to a real API server, and as wanted right after that, also to whoever comes new.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/api_server.rs"]
#[allow(dead_code)]
mod api_server;
#[path = "support/helm.rs"]
mod helm;

use std::sync::Arc;
use std::time::{Duration, Instant};

use api_server::ApiServer;
use helix_clients::charts::{ChartOptions, ChartStore};
use helix_clients::kube::WorkloadClients;
use helix_clients::mirrors::Mirror;
use helix_crds::HelixPlatform;
use helix_crds::labels::COMPONENT;
use helix_engine::chart_request;
use helix_engine::seams::{Charts as _, Manifest, Objects as _, WorkloadRoute};
use helix_plan::components::{Component, Wanted, digest, manifests, wanted};
use helix_plan::observed::{ObjectId, ObjectState};
use helix_plan::validated::{Layers, Versions};
use helix_sim::charts;
use helix_sim::clock::SharedWorld;
use helix_sim::world::{World, WorldConfig};
use helm::helm;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// As long as a definition that was just made may take to be served.
const LONGEST: Duration = Duration::from_secs(30);

/// What the example is made of, and the version of its Kubernetes.
fn components() -> (Vec<Wanted>, Versions) {
    let text = include_str!("../../../manifests/examples/full.yaml");
    let platform: HelixPlatform = serde_saphyr::from_str(text).unwrap();
    let layers = Layers::new(&platform).unwrap_or_else(|rejections| panic!("{rejections}"));
    let version = |text: &str| text.trim_start_matches('v').parse().unwrap();
    let versions = &platform.spec.versions;
    let versions = Versions { talos: version(&versions.talos), kubernetes: version(&versions.kubernetes) };
    (wanted(&layers), versions)
}

async fn rendered(store: &ChartStore, wanted: &Wanted, versions: &Versions) -> Vec<Arc<Manifest>> {
    let chart = match chart_request(wanted, versions) {
        Some(request) => {
            let rendering = store.render(&request).await.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(rendering.unknown_values, [], "{}", wanted.component);
            assert!(store.rendered(&request).await.is_some_and(|again| Arc::ptr_eq(&again, &rendering)));
            rendering.manifests.clone()
        }
        None => Vec::new(),
    };
    let named = |object: Value| Manifest { id: ObjectId::of(&object).unwrap(), digest: digest(&object), object };
    manifests(wanted, &chart).into_iter().map(named).map(Arc::new).collect()
}

async fn apply(objects: &WorkloadClients, route: &WorkloadRoute, other: &Client, manifest: &Manifest) {
    let deadline = Instant::now() + LONGEST;
    while let Err(error) = objects.apply(route, manifest).await {
        assert!(error.reason() == "UnknownKind" && Instant::now() < deadline, "{}: {error}", manifest.id);
        define(other, &manifest.id).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Some operators define their kinds themselves, once they run. Here, where none does, anybody does who is asked for one.
async fn define(other: &Client, id: &ObjectId) {
    let (group, version) = id.api_version.split_once('/').unwrap();
    let singular = id.kind.to_lowercase();
    let plural = singular.strip_suffix('y').map_or_else(|| format!("{singular}s"), |stem| format!("{stem}ies"));
    let name = format!("{plural}.{group}");
    let definitions: Api<CustomResourceDefinition> = Api::all(other.clone());
    if definitions.get_opt(&name).await.unwrap().is_some() {
        return;
    }
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let versions = json!([{"name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]);
    let scope = if id.namespace.is_some() { "Namespaced" } else { "Cluster" };
    let definition = json!({"metadata": {"name": name}, "spec": {"group": group, "scope": scope, "versions": versions,
        "names": {"kind": id.kind, "plural": plural, "singular": singular}}});
    let definition = serde_json::from_value(definition).unwrap();
    definitions.create(&PostParams::default(), &definition).await.unwrap();
}

async fn not_as_wanted(
    objects: &WorkloadClients,
    route: &WorkloadRoute,
    component: Component,
    manifests: &[Arc<Manifest>],
) -> Vec<String> {
    let (states, surplus) = objects.compare(route, component, manifests).await.unwrap();
    assert_eq!(surplus, [], "{component}");
    assert_eq!(states.len(), manifests.len(), "{component}");
    let differing = states.iter().filter(|(_, state)| **state != ObjectState::AsWanted);
    differing.map(|(id, state)| format!("{component}: {id}: {state:?}")).collect()
}

/// What is at rest keeps its marks, and a change by hand changes that of the component alone.
async fn marks_tell_who_was_changed(objects: &WorkloadClients, route: &WorkloadRoute, other: &Client) {
    let before = objects.marks(route).await.unwrap();
    let started = Instant::now();
    assert_eq!(objects.marks(route).await.unwrap(), before);
    eprintln!("the marks of {} components are read in {} ms", before.len(), started.elapsed().as_millis());
    let settings: Api<ConfigMap> = Api::namespaced(other.clone(), "authentik");
    let list = settings.list(&ListParams::default().labels(COMPONENT)).await.unwrap();
    let name = list.items[0].metadata.name.clone().unwrap();
    let patch = Patch::Merge(json!({"data": {"by": "hand"}}));
    settings.patch(&name, &PatchParams::default(), &patch).await.unwrap();
    let after = objects.marks(route).await.unwrap();
    let changed: Vec<&Component> =
        before.iter().filter(|(it, mark)| after.get(it) != Some(mark)).map(|it| it.0).collect();
    assert_eq!(changed, [&Component::Authentik]);
    settings.patch(&name, &PatchParams::default(), &Patch::Merge(json!({"data": {"by": null}}))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_component_is_as_wanted_once_it_is_applied() {
    let (Some(helm), Some(server)) = (helm(), ApiServer::start().await) else { return };
    let route = server.route(&server.bundle);
    let other = server.client(&route);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mirror: Mirror = format!("*=http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let stop = CancellationToken::new();
    let world = SharedWorld::new(World::new(WorldConfig::default(), Timestamp::now()));
    let serving = tokio::spawn(charts::serve(listener, world, stop.clone()));

    let options = ChartOptions { helm, mirrors: [mirror].into_iter().collect(), ..ChartOptions::default() };
    let store = ChartStore::new(options).unwrap();
    let objects = WorkloadClients::new();
    let (mut all, mut differing) = (Vec::new(), Vec::new());
    let (components, versions) = components();
    for wanted in components {
        let manifests = rendered(&store, &wanted, &versions).await;
        for manifest in &manifests {
            apply(&objects, &route, &other, manifest).await;
        }
        differing.extend(not_as_wanted(&objects, &route, wanted.component, &manifests).await);
        all.push((wanted.component, manifests));
    }
    assert_eq!(differing, [""; 0]);

    let started = Instant::now();
    for (component, manifests) in &all {
        differing.extend(not_as_wanted(&objects, &route, *component, manifests).await);
    }
    let took = started.elapsed();
    let count: usize = all.iter().map(|(_, manifests)| manifests.len()).sum();
    eprintln!("{count} objects of {} components are compared in {} ms", all.len(), took.as_millis());
    assert_eq!(differing, [""; 0]);

    marks_tell_who_was_changed(&objects, &route, &other).await;

    let fresh = WorkloadClients::new();
    for (component, manifests) in &all {
        differing.extend(not_as_wanted(&fresh, &route, *component, manifests).await);
    }
    // What the API server writes in its own way settles with one apply more.
    differing.iter().for_each(|it| eprintln!("seems to differ to whoever comes new: {it}"));
    assert!(differing.iter().all(|it| it.ends_with("Differs")), "{differing:?}");
    stop.cancel();
    serving.await.unwrap();
}
