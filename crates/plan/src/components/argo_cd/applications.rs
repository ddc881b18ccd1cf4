//! What Argo CD is told: a project that allows just the platform's repository, namespaces and kinds, a root Application
//! on the repository, and an Application for each component.
//!
//! Project and root are Helix' to apply; the Applications of components are files of the repository, which the root
//! syncs. Components up to and including Argo CD are Helix' own: theirs only show what is there, and never sync by
//! themselves. Without a repository there is nothing to sync from, and nothing is told.

use std::collections::{BTreeMap, BTreeSet};

use helix_crds::GitRepository;
use serde_json::{Value, json};

use super::NAMESPACE;
use crate::components::values::merged;
use crate::components::{Component, Wanted, Writer, order, writer};
use crate::gitops;
use crate::validated::Layers;

/// The project of all of them.
const PROJECT: &str = "helix";
/// The name of the root Application.
pub const ROOT: &str = "helix";
/// The cluster in which Argo CD runs.
const HERE: &str = "https://kubernetes.default.svc";

pub(super) fn resources(layers: &Layers) -> Vec<Value> {
    let Some(repository) = repository(layers) else { return Vec::new() };
    let components = order::ordered(&order::phases(layers));
    let root = synced(application(ROOT, NAMESPACE, gitops::APPLICATIONS, repository), 0);
    vec![project(&components, repository), root]
}

/// The Application of each component, in the order in which they are installed; `None` without a repository.
pub(crate) fn applications(layers: &Layers, wanted: &[Wanted]) -> Option<BTreeMap<Component, Value>> {
    let repository = repository(layers)?;
    let told = wanted.iter().enumerate().map(|(wave, found)| {
        let (component, folder) = (found.component, gitops::folder(found.phase, found.component));
        let application = application(component.name(), component.entry().home.namespace(), &folder, repository);
        let application = match writer(component, layers) {
            Writer::ArgoCd => cascading(synced(application, wave)),
            Writer::Helix => application,
        };
        (component, application)
    });
    Some(told.collect())
}

fn repository(layers: &Layers) -> Option<&GitRepository> {
    layers.gitops.as_ref()?.repository.as_ref()
}

fn project(components: &[Component], repository: &GitRepository) -> Value {
    let namespaces: BTreeSet<&str> =
        components.iter().map(|component| component.entry().home.namespace()).chain([NAMESPACE]).collect();
    let destinations: Vec<Value> =
        namespaces.iter().map(|namespace| json!({"server": HERE, "namespace": namespace})).collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": PROJECT, "namespace": NAMESPACE},
        "spec": {
            "description": "What Helix installs",
            "sourceRepos": [repository.url],
            "destinations": destinations,
            "clusterResourceWhitelist": kinds(&CLUSTER_KINDS),
            "namespaceResourceWhitelist": kinds(&NAMESPACED_KINDS),
        },
    })
}

/// The kinds without a namespace that components hold.
const CLUSTER_KINDS: [(&str, &str); 9] = [
    ("", "Namespace"),
    ("admissionregistration.k8s.io", "*"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("cilium.io", "CiliumClusterwideNetworkPolicy"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "*"),
];

/// The kinds with a namespace that components hold. No Secret is among them: those are made in the cluster, and are in
/// nobody's repository. Nor is a bare Pod, which nothing would keep running.
const NAMESPACED_KINDS: [(&str, &str); 21] = [
    ("", "ConfigMap"),
    ("", "Endpoints"),
    ("", "PersistentVolumeClaim"),
    ("", "Service"),
    ("", "ServiceAccount"),
    ("apps", "*"),
    ("argoproj.io", "Application"),
    ("argoproj.io", "AppProject"),
    ("autoscaling", "*"),
    ("batch", "*"),
    ("cert-manager.io", "*"),
    ("cilium.io", "CiliumNetworkPolicy"),
    ("longhorn.io", "*"),
    ("monitoring.coreos.com", "*"),
    ("netbird.io", "*"),
    ("networking.k8s.io", "*"),
    ("policy", "PodDisruptionBudget"),
    ("postgresql.cnpg.io", "*"),
    ("rbac.authorization.k8s.io", "*"),
    ("redis.redis.opstreelabs.in", "*"),
    ("traefik.io", "*"),
];

fn kinds(kinds: &[(&str, &str)]) -> Vec<Value> {
    kinds.iter().map(|(group, kind)| json!({"group": group, "kind": kind})).collect()
}

/// An Application that shows what differs, and leaves it at that.
fn application(name: &str, namespace: &str, path: &str, repository: &GitRepository) -> Value {
    let base = repository.path.trim_end_matches('/').trim_start_matches("./");
    let path = if base.is_empty() || base == "." { path.to_owned() } else { format!("{base}/{path}") };
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "project": PROJECT,
            "source": {
                "repoURL": repository.url,
                "targetRevision": repository.branch,
                "path": path,
                "directory": {"recurse": true},
            },
            "destination": {"server": HERE, "namespace": namespace},
            "syncPolicy": {"syncOptions": ["ServerSideApply=true", "FailOnSharedResource=true"]},
        },
    })
}

/// One that Argo CD keeps as the repository has it, in its turn, and tries again until it can: what a component needs may
/// come up later than it.
fn synced(application: Value, wave: usize) -> Value {
    let annotations = json!({"argocd.argoproj.io/sync-wave": wave.to_string()});
    let policy = json!({
        "automated": {"prune": true, "selfHeal": true},
        "retry": {"limit": -1, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}},
    });
    merged(application, &json!({"metadata": {"annotations": annotations}, "spec": {"syncPolicy": policy}}))
}

/// One whose objects go with it when its component is asked for no longer; but what must stay, says so itself.
fn cascading(application: Value) -> Value {
    merged(application, &json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}}))
}
