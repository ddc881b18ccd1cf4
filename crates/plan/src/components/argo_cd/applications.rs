//! What Argo CD is told: a project that allows just the platform's repository and namespaces, a root Application, and an
//! Application for each component.
//!
//! Components up to and including Argo CD are Helix' own: theirs only show what is there, and never sync by themselves.
//! Without a repository there is nothing to sync from, and nothing is told.

use std::collections::BTreeSet;

use helix_crds::GitRepository;
use serde_json::{Value, json};

use super::NAMESPACE;
use crate::components::values::merged;
use crate::components::{Component, order};
use crate::validated::Layers;

/// The project of all of them.
const PROJECT: &str = "helix";
/// The cluster in which Argo CD runs.
const HERE: &str = "https://kubernetes.default.svc";

pub(super) fn resources(layers: &Layers) -> Vec<Value> {
    let Some(repository) = layers.gitops.as_ref().and_then(|gitops| gitops.repository.as_ref()) else {
        return Vec::new();
    };
    let phases = order::phases(layers);
    let ordered = order::ordered(&phases);
    let own = ordered.iter().position(|component| *component == Component::ArgoCd).unwrap_or_default();
    let applications = ordered.iter().enumerate().filter_map(|(wave, component)| {
        let path = format!("{}/{component}", phases.get(component)?);
        let namespace = component.entry().home.namespace();
        let application = application(component.name(), namespace, &path, repository);
        Some(if wave > own { synced(application, wave) } else { application })
    });
    let root = synced(application("helix", NAMESPACE, "applications", repository), 0);
    [project(&ordered, repository), root].into_iter().chain(applications).collect()
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
            "clusterResourceWhitelist": cluster_kinds(),
            // What Helix makes is in nobody's repository.
            "namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}],
        },
    })
}

/// The kinds without a namespace that charts of the catalogue hold.
fn cluster_kinds() -> Vec<Value> {
    const KINDS: [(&str, &str); 9] = [
        ("", "Namespace"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("cilium.io", "CiliumClusterwideNetworkPolicy"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "*"),
    ];
    KINDS.iter().map(|(group, kind)| json!({"group": group, "kind": kind})).collect()
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

/// One that Argo CD keeps as the repository has it, in its turn.
fn synced(application: Value, wave: usize) -> Value {
    let annotations = json!({"argocd.argoproj.io/sync-wave": wave.to_string()});
    let automated = json!({"prune": true, "selfHeal": true});
    let automatic = json!({"metadata": {"annotations": annotations}, "spec": {"syncPolicy": {"automated": automated}}});
    merged(application, &automatic)
}
