//! Devtron on top of our Argo CD: without its own, without modules, and reached by nobody from outside.
//!
//! It wants the namespace `devtroncd`. Its chart makes Secrets for a database of its own, and has no value to name ours by:
//! whoever renders it must take them out and make them.

use helix_crds::PhaseName;
use serde_json::{Value, json};

use super::entry::{no_secrets, no_version};
use super::{Chart, Component, Entry, Home, PodSecurity, Probe, Source, Supports, argo_cd, hcloud_csi};
use crate::policy::{Flow, NamePattern, Pods, Ports, Target};
use crate::validated::Layers;

pub(super) static ENTRY: Entry = Entry {
    name: "devtron",
    phase: PhaseName::GitOpsControlPlane,
    home: Home::Own { namespace: "devtroncd", level: PodSecurity::Baseline },
    source: Source::Chart(Chart::new("https://helm.devtron.ai", "devtron-operator", "0.23.3")),
    needs: &[Component::ArgoCd, Component::HcloudCsi],
    after: &[],
    health: &[Probe::Deployment("devtron"), Probe::Deployment("dashboard"), Probe::Deployment("kubelink")],
    host_network: None,
    talos_extensions: &[],
    metrics: &[],
    supports: Supports::ALL,
    asked_by: "gitops.devtron.enabled: true",
    asked: |layers| layers.gitops.as_ref().is_some_and(|gitops| gitops.devtron.enabled),
    version: no_version,
    open_values: &[],
    fixed_values: &["/argo-cd/enabled", "/components/devtron/service/type"],
    values,
    resources: super::entry::no_resources,
    flows,
    secrets: no_secrets,
};

fn values(_: &Layers) -> Value {
    json!({
        "global": {"storageClass": hcloud_csi::STORAGE_CLASS},
        "installer": {"modules": []},
        "argo-cd": {"enabled": false},
        "components": {"devtron": {"service": {"type": "ClusterIP"}}},
        "security": {"enabled": false},
        "notifier": {"enabled": false},
        "minio": {"enabled": false},
    })
}

fn flows(layers: &Layers) -> Vec<Flow> {
    let here = || ENTRY.pods();
    let argocd = Pods::of(argo_cd::NAMESPACE).with("app.kubernetes.io/name", "argocd-server");
    let repository = layers.gitops.as_ref().and_then(|gitops| gitops.repository.as_ref());
    let host = repository.and_then(|repository| NamePattern::of_url(&repository.url));
    let mut flows = vec![
        Flow::new(here(), here(), Ports::Any, "Devtron's parts work together"),
        Flow::new(here(), Target::ApiServer, Ports::tcp([6443]), "Devtron watches what is deployed"),
        Flow::new(here(), argocd, Ports::tcp([8080]), "Devtron deploys by way of Argo CD"),
    ];
    flows.extend(
        host.map(|host| Flow::new(here(), host, Ports::tcp([22, 443]), "Devtron reads the platform's repository")),
    );
    flows
}
