//! The objects of components against a real API server: what is applied is as wanted right away, what a hand changes is
//! seen, what others have set is told by field, and what a component no longer has is found, but for what must stay.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/api_server.rs"]
#[allow(dead_code)]
mod api_server;

use std::collections::BTreeMap;
use std::sync::Arc;

use api_server::ApiServer;
use helix_clients::kube::WorkloadClients;
use helix_crds::labels::COMPONENT;
use helix_engine::seams::{Manifest, Objects as _, SecretData, WorkloadError, WorkloadRoute};
use helix_plan::components::{Component, Probe, Question, digest};
use helix_plan::observed::{Health, ObjectId, ObjectState, Surplus};
use helix_plan::secrets::Secret;
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

const COMPONENT_HERE: Component = Component::Traefik;

/// As the engine makes one: with the component's label, and its digest.
fn manifest_of(component: Component, mut object: Value) -> Arc<Manifest> {
    object["metadata"]["labels"][COMPONENT] = json!(component.name());
    Arc::new(Manifest { id: ObjectId::of(&object).unwrap(), digest: digest(&object), object })
}

fn manifest(object: Value) -> Arc<Manifest> {
    manifest_of(COMPONENT_HERE, object)
}

struct Cluster {
    objects: WorkloadClients,
    route: WorkloadRoute,
    /// Somebody else with all rights.
    other: Client,
}

impl Cluster {
    async fn apply(&self, manifests: &[Arc<Manifest>]) {
        for manifest in manifests {
            self.apply_one(manifest).await.unwrap();
        }
    }

    /// A definition that was just made is not served at once.
    async fn apply_one(&self, manifest: &Manifest) -> Result<(), WorkloadError> {
        self.objects.apply(&self.route, manifest).await
    }

    async fn compare(&self, wanted: &[Arc<Manifest>]) -> (BTreeMap<ObjectId, ObjectState>, Vec<Surplus>) {
        self.objects.compare(&self.route, COMPONENT_HERE, wanted).await.unwrap()
    }

    async fn state(&self, manifest: &Arc<Manifest>) -> ObjectState {
        self.compare(&[Arc::clone(manifest)]).await.0.remove(&manifest.id).unwrap()
    }

    fn api(&self, object: &Value) -> Api<DynamicObject> {
        let text = |key: &str| object[key].as_str().unwrap();
        let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")));
        match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.other.clone(), namespace, &resource),
            None => Api::all_with(self.other.clone(), &resource),
        }
    }

    /// Changes an object as `kubectl` would.
    async fn by_hand(&self, object: &Value, patch: Value) {
        self.by("kubectl-edit", object, patch).await;
    }

    async fn by(&self, manager: &str, object: &Value, patch: Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        self.api(object).patch(name, &params, &Patch::Merge(patch)).await.unwrap();
    }

    async fn create(&self, object: Value) {
        let made: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        self.api(&object).create(&Default::default(), &made).await.unwrap();
    }
}

fn namespace() -> Arc<Manifest> {
    manifest(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "weave"}}))
}

fn deployment(replicas: u32, extra: Value) -> Arc<Manifest> {
    let container = json!({
        "name": "main", "image": "registry.example/main:1", "args": ["--a", "--b"],
        "env": [{"name": "LEVEL", "value": "info"}, {"name": "EMPTY", "value": ""}],
        "ports": [{"containerPort": 8080, "name": "http"}],
        "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": 2}},
        "securityContext": {"privileged": false, "capabilities": {"drop": ["ALL"]}},
        "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
    });
    let mut spec = json!({
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "main"}},
        "template": {
            "metadata": {"labels": {"app": "main"}, "annotations": {}, "creationTimestamp": null},
            "spec": {"containers": [container], "hostNetwork": false, "tolerations": [{"operator": "Exists"}],
                "volumes": [{"name": "config", "configMap": {"name": "config", "defaultMode": 256}}]},
        },
    });
    if let (Some(spec), Value::Object(extra)) = (spec.as_object_mut(), extra) {
        spec.extend(extra);
    }
    manifest(json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "main", "namespace": "weave", "labels": {"tier": "edge"}}, "spec": spec, "status": {}}))
}

fn service() -> Arc<Manifest> {
    manifest(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "main", "namespace": "weave"},
        "spec": {"selector": {"app": "main"}, "ports": [
            {"name": "http", "port": 80, "targetPort": "http"}, {"name": "https", "port": 443, "targetPort": 8443}]}}))
}

fn definition() -> Arc<Manifest> {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}});
    manifest(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        // As charts leave it to Helm, which gives everything a namespace.
        "metadata": {"name": "gadgets.test.helix.dev", "namespace": "weave"},
        "spec": {"group": "test.helix.dev", "scope": "Namespaced", "names": {"kind": "Gadget", "plural": "gadgets"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}}))
}

fn gadget() -> Arc<Manifest> {
    manifest(
        json!({"apiVersion": "test.helix.dev/v1", "kind": "Gadget", "metadata": {"name": "g", "namespace": "weave"},
        "spec": {"size": 1}}),
    )
}

fn webhook() -> Arc<Manifest> {
    let client = json!({"service": {"name": "main", "namespace": "weave", "path": "/"}});
    let rule = json!({"apiGroups": ["test.helix.dev"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["none"]});
    manifest(json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "main"},
        "webhooks": [{"name": "main.test.helix.dev", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "failurePolicy": "Ignore", "clientConfig": client, "rules": [rule]}]}))
}

fn claim() -> Arc<Manifest> {
    manifest(
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "weave"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}}),
    )
}

fn role() -> Arc<Manifest> {
    manifest(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "main"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}))
}

fn quota() -> Arc<Manifest> {
    manifest(json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "main", "namespace": "weave"},
        "spec": {"hard": {"requests.cpu": "8000m", "pods": 50}}}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_objects_of_components_against_a_real_api_server() {
    let Some(server) = ApiServer::start().await else { return };
    let route = server.route(&server.bundle);
    let cluster = Cluster { objects: WorkloadClients::new(), other: server.client(&route), route };
    what_was_never_applied_is_missing(&cluster).await;
    what_is_applied_is_as_wanted(&cluster).await;
    what_a_hand_changes_is_seen(&cluster).await;
    what_is_no_longer_said_is_taken_away(&cluster).await;
    what_a_hand_has_set_is_put_right(&cluster).await;
    what_others_have_set_is_told_by_field(&cluster).await;
    what_is_not_ours_is_told(&cluster).await;
    secrets_are_put_and_read(&cluster).await;
    health_is_looked_up(&cluster).await;
    what_is_too_much_is_found_and_what_must_stay_is_kept(&cluster).await;
}

fn all() -> Vec<Arc<Manifest>> {
    vec![namespace(), definition(), role(), service(), deployment(2, json!({})), webhook(), claim(), quota()]
}

async fn what_was_never_applied_is_missing(cluster: &Cluster) {
    let wanted = [namespace(), service(), gadget()];
    let (states, surplus) = cluster.compare(&wanted).await;
    assert_eq!(states[&wanted[0].id], ObjectState::Missing);
    assert_eq!(states[&wanted[1].id], ObjectState::Missing);
    assert_eq!(states[&wanted[2].id], ObjectState::UnknownKind);
    assert_eq!(surplus, []);
    let error = cluster.apply_one(&gadget()).await.unwrap_err();
    assert_eq!(error.reason(), "UnknownKind", "{error}");
}

async fn what_is_applied_is_as_wanted(cluster: &Cluster) {
    let wanted = all();
    cluster.apply(&wanted).await;
    as_wanted(cluster, &wanted).await;
    // Another process has not seen the applies: what it finds different settles with the first that it does.
    let fresh = Cluster { objects: WorkloadClients::new(), other: cluster.other.clone(), route: cluster.route.clone() };
    let (states, _) = fresh.compare(&wanted).await;
    let differing: Vec<_> = states.iter().filter(|(_, state)| **state != ObjectState::AsWanted).collect();
    assert!(differing.iter().all(|(_, state)| **state == ObjectState::Differs), "{differing:?}");
    assert_eq!(differing.len(), 0, "only what the API server writes in its own way: {differing:?}");

    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while let Err(error) = cluster.apply_one(&gadget()).await {
        assert_eq!(error.reason(), "UnknownKind", "{error}");
        assert!(tokio::time::Instant::now() < deadline, "the definition is not served");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(cluster.state(&gadget()).await, ObjectState::AsWanted);
}

async fn as_wanted(cluster: &Cluster, wanted: &[Arc<Manifest>]) {
    let (states, _) = cluster.compare(wanted).await;
    for (id, state) in states {
        assert_eq!(state, ObjectState::AsWanted, "{id}");
    }
}

async fn what_a_hand_changes_is_seen(cluster: &Cluster) {
    let wanted = service();
    let others = json!({"metadata": {"annotations": {"theirs": "yes"}}, "spec": {"sessionAffinity": "ClientIP"}});
    cluster.by_hand(&wanted.object, others).await;
    assert_eq!(cluster.state(&wanted).await, ObjectState::AsWanted, "what others add is theirs");

    cluster.by_hand(&wanted.object, json!({"spec": {"selector": {"app": null}}})).await;
    assert_eq!(cluster.state(&wanted).await, ObjectState::Differs);
    cluster.apply_one(&wanted).await.unwrap();
    assert_eq!(cluster.state(&wanted).await, ObjectState::AsWanted);

    cluster.by_hand(&wanted.object, json!({"metadata": {"labels": {COMPONENT: null}}})).await;
    assert_eq!(cluster.state(&wanted).await, ObjectState::Differs, "it is still ours");
    cluster.apply_one(&wanted).await.unwrap();
    assert_eq!(cluster.state(&wanted).await, ObjectState::AsWanted);

    cluster.api(&wanted.object).delete("main", &DeleteParams::default()).await.unwrap();
    assert_eq!(cluster.state(&wanted).await, ObjectState::Missing);
    cluster.apply_one(&wanted).await.unwrap();
}

async fn what_is_no_longer_said_is_taken_away(cluster: &Cluster) {
    let more = deployment(2, json!({"revisionHistoryLimit": 3, "paused": true}));
    cluster.apply_one(&more).await.unwrap();
    assert_eq!(cluster.state(&more).await, ObjectState::AsWanted);
    let less = deployment(2, json!({}));
    assert_eq!(cluster.state(&less).await, ObjectState::Differs);
    cluster.apply_one(&less).await.unwrap();
    assert_eq!(cluster.state(&less).await, ObjectState::AsWanted);
    let live = cluster.api(&less.object).get("main").await.unwrap();
    assert_eq!(live.data["spec"]["paused"], Value::Null);
}

async fn what_a_hand_has_set_is_put_right(cluster: &Cluster) {
    let ours = deployment(2, json!({}));
    cluster.by_hand(&ours.object, json!({"spec": {"replicas": 7}})).await;
    assert_eq!(cluster.state(&ours).await, ObjectState::Differs);
    cluster.apply_one(&ours).await.unwrap();
    assert_eq!(cluster.state(&ours).await, ObjectState::AsWanted);
}

async fn what_others_have_set_is_told_by_field(cluster: &Cluster) {
    let ours = deployment(2, json!({}));
    cluster.by("autoscaler", &ours.object, json!({"spec": {"replicas": 5}})).await;
    assert_eq!(cluster.state(&ours).await, ObjectState::Differs, "nobody has tried yet");
    let error = cluster.apply_one(&ours).await.unwrap_err();
    let fields = vec![(".spec.replicas".to_owned(), "autoscaler".to_owned())];
    let object = "Deployment weave/main".to_owned();
    assert_eq!(error, WorkloadError::Conflict { object, fields: fields.clone() });
    assert_eq!(cluster.state(&ours).await, ObjectState::Conflict { fields });

    assert_eq!(cluster.state(&deployment(3, json!({}))).await, ObjectState::Differs, "another wish is worth a try");
    cluster.by("autoscaler", &ours.object, json!({"spec": {"replicas": 2}})).await;
    assert_eq!(cluster.state(&ours).await, ObjectState::AsWanted, "whoever has set it so");
    cluster.apply_one(&ours).await.unwrap();
    assert_eq!(cluster.state(&ours).await, ObjectState::AsWanted);
}

async fn what_is_not_ours_is_told(cluster: &Cluster) {
    let object = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "weave", "labels": labels}});
    cluster.create(object("theirs", json!({"app.kubernetes.io/managed-by": "Helm"}))).await;
    let foreign = |manager: &str| ObjectState::Foreign { manager: manager.to_owned() };
    assert_eq!(cluster.state(&manifest(object("theirs", json!({})))).await, foreign("Helm"));
    let another = manifest_of(Component::ArgoCd, object("another", json!({})));
    cluster.apply_one(&another).await.unwrap();
    assert_eq!(cluster.state(&manifest(object("another", json!({})))).await, foreign("Helix, for argo-cd"));
}

async fn secrets_are_put_and_read(cluster: &Cluster) {
    let Cluster { objects, route, .. } = cluster;
    let read = async || objects.secret(route, "weave", "keys").await.unwrap();
    assert_eq!(read().await, None);
    let data = |pairs: &[(&str, &str)]| -> SecretData {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(*value))).collect()
    };
    let put = async |data: &SecretData| objects.put_secret(route, COMPONENT_HERE, "weave", "keys", data).await;
    put(&data(&[("a", "1"), ("b", "2")])).await.unwrap();
    assert_eq!(read().await, Some(data(&[("a", "1"), ("b", "2")])));
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": "weave"}});
    cluster.by_hand(&secret, json!({"stringData": {"theirs": "3"}})).await;
    put(&data(&[("a", "4")])).await.unwrap();
    assert_eq!(read().await, Some(data(&[("a", "4"), ("theirs", "3")])));
    let error =
        objects.put_secret(route, COMPONENT_HERE, "nowhere", "keys", &data(&[("a", "hunter2")])).await.unwrap_err();
    assert!(error.to_string().contains("there is no namespace for Secret nowhere/keys"), "{error}");
    let error = put(&data(&[("not a key", "hunter2")])).await.unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

async fn health_is_looked_up(cluster: &Cluster) {
    let probe = async |probe: Probe| match cluster.objects.probe(&cluster.route, "weave", &probe).await.unwrap() {
        Health::Healthy { evidence } => format!("+ {evidence}"),
        Health::Unhealthy { why } => format!("- {why}"),
    };
    // No controller runs here: the test writes what one would.
    assert_eq!(probe(Probe::Deployment("main")).await, "- Deployment weave/main: its newest form is not looked at yet");
    let ours = deployment(2, json!({}));
    let marks = cluster.objects.marks(&cluster.route).await.unwrap();
    let available = json!({"type": "Available", "status": "True"});
    let status = json!({"status": {"observedGeneration": 100, "conditions": [available]}});
    cluster.api(&ours.object).patch_status("main", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    assert_eq!(probe(Probe::Deployment("main")).await, "+ Deployment weave/main is available");
    assert_eq!(cluster.state(&ours).await, ObjectState::AsWanted, "a status is not drift");
    assert_eq!(cluster.objects.marks(&cluster.route).await.unwrap(), marks, "and leaves no mark");
    let asked = Probe::Answers(Question { service: "none", port: 80, path: "/ready" });
    assert_eq!(probe(asked).await, "- Service weave/none answers 404 at /ready");
    assert_eq!(probe(Probe::DaemonSet("none")).await, "- DaemonSet weave/none is not there");
    assert_eq!(probe(Probe::StatefulSets).await, "- there is no StatefulSet in weave yet");
    assert_eq!(probe(Probe::NodesReady).await, "- there is no Node yet");
    let told = Probe::Told { api: "test.helix.dev/v1", kind: "Gadget", pointer: "/spec/size" };
    assert_eq!(probe(told).await, "+ every Gadget in weave tells of /spec/size");
    let unknown = Probe::Condition { api: "none.helix.dev/v1", kind: "None", condition: "Ready" };
    assert_eq!(probe(unknown).await, "- the cluster does not know none.helix.dev/v1 None yet");
}

async fn what_is_too_much_is_found_and_what_must_stay_is_kept(cluster: &Cluster) {
    // Whoever comes next knows from the cluster itself where to look.
    let cluster =
        &Cluster { objects: WorkloadClients::new(), other: cluster.other.clone(), route: cluster.route.clone() };
    let surplus = async || cluster.compare(&[]).await.1;
    let delete = async |it: &Surplus, uid: &str| cluster.objects.delete(&cluster.route, &it.id, uid).await.unwrap();
    let found = surplus().await;
    let kept: Vec<_> = found.iter().filter_map(|it| Some(format!("{}: {}", it.id, it.keep.as_ref()?))).collect();
    assert_eq!(kept.len(), 3, "{found:?}");
    assert!(kept.iter().any(|it| it.starts_with("PersistentVolumeClaim weave/data: it is a claim")), "{kept:?}");
    assert!(kept.iter().any(|it| it.contains("such as weave/g")), "{kept:?}");
    assert!(kept.iter().any(|it| it.starts_with("Namespace weave: it holds")), "{kept:?}");
    assert_eq!(found.len(), all().len() + 1, "{found:?}");

    let service = found.iter().find(|it| it.id.kind == "Service").unwrap();
    delete(service, "another").await;
    assert_eq!(surplus().await.len(), found.len(), "one made anew is not deleted for the old one");
    for it in found.iter().filter(|it| it.keep.is_none()) {
        delete(it, &it.uid).await;
        delete(it, &it.uid).await;
    }
    let left = surplus().await;
    let kinds: Vec<&str> = left.iter().map(|it| it.id.kind.as_str()).collect();
    assert_eq!(kinds, ["CustomResourceDefinition", "Namespace", "PersistentVolumeClaim"]);
    assert_eq!(left[0].keep, None, "its last resource is gone");

    for (kind, name) in [("ConfigMap", "theirs"), ("PersistentVolumeClaim", "data")] {
        let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "weave"}});
        // No controller takes off the finalizer that protects claims in use.
        if kind == "PersistentVolumeClaim" {
            cluster.by_hand(&object, json!({"metadata": {"finalizers": null}})).await;
        }
        cluster.api(&object).delete(name, &DeleteParams::default()).await.unwrap();
    }
    let left = surplus().await;
    let namespace = left.iter().find(|it| it.id.kind == "Namespace").unwrap();
    assert_eq!(namespace.keep, None, "what is left in it is Helix' own");
}
