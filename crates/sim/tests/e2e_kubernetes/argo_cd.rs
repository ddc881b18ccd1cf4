//! The stand-in of Argo CD's controller on a real API server, with a real Git repository: it syncs, heals, prunes, keeps
//! what says so, and degrades on demand.

use std::path::Path;
use std::process::Command;

use helix_sim::faults::{Fault, Injection};
use helix_sim::kubernetes::{Api, Body};
use helix_sim::world::machine::Guest;
use http::Method;
use serde_json::{Value, json};
use tonic::Status;

use crate::control_planes::node;
use crate::lab::Lab;

const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const MAPS: &str = "/api/v1/namespaces/demo/configmaps";

fn waiting(why: impl std::fmt::Display) -> Status {
    Status::unavailable(why.to_string())
}

/// A repository with a working copy.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new() -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        repository.git(&["init", "--quiet", "--bare", "--initial-branch=main", "bare.git"]);
        repository.git(&["clone", "--quiet", "bare.git", "work"]);
        repository
    }

    fn url(&self) -> String {
        format!("file://{}", self.0.path().join("bare.git").display())
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=User", "-c", "user.email=user@example.com"]).args(arguments);
        git.current_dir(self.0.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        assert!(git.status().unwrap().success(), "git {arguments:?}");
    }

    /// Makes the folder `demo` hold these objects and no others.
    fn push(&self, objects: &[Value]) {
        let folder = self.0.path().join("work/demo");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, object) in objects.iter().enumerate() {
            let text = serde_saphyr::to_string(object).unwrap();
            std::fs::write(folder.join(Path::new(&format!("{number}.yaml"))), text).unwrap();
        }
        self.git(&["-C", "work", "add", "--all"]);
        self.git(&["-C", "work", "commit", "--quiet", "--message=objects"]);
        self.git(&["-C", "work", "push", "--quiet", "origin", "HEAD:main"]);
    }
}

fn map(name: &str, options: Option<&str>) -> Value {
    let annotations = options.map(|options| json!({"argocd.argoproj.io/sync-options": options}));
    let metadata = json!({"name": name, "namespace": "demo", "annotations": annotations});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"greeting": "hello"}})
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// A workload of Argo CD's, which runs wherever there is a node.
fn workload(kind: &str, name: &str) -> Value {
    let labels = json!({"app": name});
    let pods = json!({
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "main", "image": "registry.example/argocd"}],
    });
    json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "selector": {"matchLabels": labels}, "serviceName": name,
            "template": {"metadata": {"labels": labels}, "spec": pods},
        },
    })
}

/// What the chart defines, as loosely as the stand-in of it does.
fn definition() -> Value {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "applications.argoproj.io"},
        "spec": {
            "group": "argoproj.io", "scope": "Namespaced",
            "names": {"kind": "Application", "plural": "applications", "singular": "application"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

async fn install(lab: &Lab, api: &Api, url: &str) {
    let mut deployment = workload("Deployment", "argocd-repo-server");
    deployment["spec"].as_object_mut().unwrap().remove("serviceName");
    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "demo", "namespace": "argocd"},
        "spec": {
            "source": {"repoURL": url, "targetRevision": "main", "path": "demo", "directory": {"recurse": true}},
            "destination": {"namespace": "demo"},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    });
    let cilium: Value = serde_saphyr::from_str(include_str!("../../manifests/cilium.yaml")).unwrap();
    for (path, object) in [
        ("/apis/apps/v1/namespaces/kube-system/daemonsets", cilium),
        ("/api/v1/namespaces", namespace("argocd")),
        ("/apis/apps/v1/namespaces/argocd/statefulsets", workload("StatefulSet", "argocd-application-controller")),
        ("/apis/apps/v1/namespaces/argocd/deployments", deployment),
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition()),
        (APPLICATIONS, application),
    ] {
        lab.eventually(path, || async { api.call(Method::POST, path, Body::Object(&object)).await.map_err(waiting) })
            .await;
    }
}

/// Waits until the Application is so, and tells its status.
async fn until(lab: &Lab, api: &Api, sync: &str, health: &str) -> Value {
    lab.eventually(&format!("{sync} and {health}"), || async {
        let path = format!("{APPLICATIONS}/demo");
        let status = api.call(Method::GET, &path, Body::Empty).await.map_err(waiting)?["status"].clone();
        let so = status["sync"]["status"] == sync && status["health"]["status"] == health;
        let pods = api.call(Method::GET, "/api/v1/namespaces/argocd/pods", Body::Empty).await.map_err(waiting)?;
        if so { Ok(status) } else { Err(waiting(format!("{status}; {}", pods["items"]))) }
    })
    .await
}

async fn exists(api: &Api, name: &str) -> bool {
    api.call(Method::GET, &format!("{MAPS}/{name}"), Body::Empty).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_are_synced_healed_pruned_and_told_of() {
    let Some(lab) = Lab::with_processes() else { return };
    let server = lab.control_plane("cp-1").await;
    lab.bootstrap(server).await;
    lab.until("an API server", server, Guest::api_server_healthy).await;
    let api = lab.admin(lab.address(server));
    lab.machine("worker", "worker-1").await;
    node(&lab, &api, "worker-1", |_| true).await;

    let repository = Repository::new();
    repository.push(&[namespace("demo"), map("one", None), map("two", None), map("kept", Some("Prune=false"))]);
    install(&lab, &api, &repository.url()).await;
    let status = until(&lab, &api, "Synced", "Healthy").await;
    assert_eq!(status["operationState"]["phase"], "Succeeded");
    assert_eq!(status["resources"].as_array().unwrap().len(), 4);
    assert!(exists(&api, "one").await && exists(&api, "two").await);

    let one = format!("{MAPS}/one");
    let change = json!({"data": {"greeting": "changed"}});
    api.call(Method::PATCH, &one, Body::Merge(&change)).await.unwrap();
    lab.eventually("healed", || async {
        let greeting = api.call(Method::GET, &one, Body::Empty).await.map_err(waiting)?["data"]["greeting"].clone();
        if greeting == "hello" { Ok(()) } else { Err(waiting(greeting)) }
    })
    .await;

    repository.push(&[namespace("demo"), map("one", None)]);
    lab.eventually("pruned", || async { if exists(&api, "two").await { Err(waiting("it is there")) } else { Ok(()) } })
        .await;
    assert!(exists(&api, "kept").await, "what says so is not pruned");

    let fault = Fault::ApplicationDegrades { application: Some("demo".to_owned()) };
    lab.world(|world, _, _| world.inject(Injection::standing(fault)));
    lab.eventually("degraded", || async {
        let path = format!("{APPLICATIONS}/demo");
        let health = api.call(Method::GET, &path, Body::Empty).await.map_err(waiting)?["status"]["health"].clone();
        if health["status"] == "Degraded" { Ok(()) } else { Err(waiting(health)) }
    })
    .await;
    lab.end().await;
}
