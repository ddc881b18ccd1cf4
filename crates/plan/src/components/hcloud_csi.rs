//! Hetzner's volumes for pods.
//!
//! The part on every machine asks the metadata service which server it is on, so it is on the host network. The
//! controller is told the location and keeps to the pod network, where it reaches Hetzner's API and nothing else.

use helix_crds::{PhaseName, labels};
use serde_json::{Value, json};

use super::entry::{never_asked, no_version};
use super::{Chart, Component, Entry, Home, Probe, Source, Supports, hcloud_ccm};
use crate::policy::{Flow, NamePattern, Pods, Ports, Target};
use crate::validated::Layers;

/// The storage class of Hetzner's volumes.
pub(super) const STORAGE_CLASS: &str = "hcloud-volumes";

pub(super) static ENTRY: Entry = Entry {
    name: "hcloud-csi",
    phase: PhaseName::StateAndDataHa,
    home: Home::KubeSystem,
    source: Source::Chart(Chart::new("https://charts.hetzner.cloud", "hcloud-csi", "2.22.1")),
    needs: &[Component::HcloudCcm],
    after: &[],
    health: &[Probe::Deployment("hcloud-csi-controller"), Probe::DaemonSet("hcloud-csi-node")],
    host_network: Some("on each machine it asks the metadata service which server that is"),
    talos_extensions: &[],
    metrics: &[],
    supports: Supports::ALL,
    asked_by: "something that needs volumes, as data.postgres",
    asked: never_asked,
    version: no_version,
    open_values: &[],
    fixed_values: &[
        "/controller/volumeExtraLabels/helix.dev~1platform",
        "/controller/volumeExtraLabels/helix.dev~1platform-uid",
        "/node/hostNetwork",
    ],
    values,
    resources: super::entry::no_resources,
    flows,
    // The cloud controller manager's Secret is the same.
    secrets: super::entry::no_secrets,
};

fn values(layers: &Layers) -> Value {
    let endpoint = json!([{"name": "HCLOUD_ENDPOINT", "value": layers.hetzner_api}]);
    json!({
        "controller": {
            "hcloudToken": {"existingSecret": {"name": hcloud_ccm::SECRET, "key": "token"}},
            "hcloudVolumeDefaultLocation": layers.location,
            // By this a volume made in the cluster is proved to be the platform's when the cluster is gone.
            "volumeExtraLabels": {labels::PLATFORM_UID: layers.identity.uid, labels::PLATFORM: layers.identity.name},
            "replicaCount": layers.spare_replicas(),
            "podDisruptionBudget": {"create": layers.spare_replicas() > 1},
            "extraEnvVars": endpoint,
        },
        "node": {"hostNetwork": true, "tolerations": [{"operator": "Exists"}]},
        "storageClasses": [{
            "name": STORAGE_CLASS,
            "defaultStorageClass": layers.longhorn.is_none(),
            "reclaimPolicy": "Delete",
        }],
        "metrics": {"enabled": false},
    })
}

fn flows(layers: &Layers) -> Vec<Flow> {
    let controller = || {
        Pods::of("kube-system")
            .with("app.kubernetes.io/name", "hcloud-csi")
            .with("app.kubernetes.io/component", "controller")
    };
    let api = NamePattern::of_url(&layers.hetzner_api);
    let hetzner = api
        .map(|name| Flow::new(controller(), name, Ports::tcp([443]), "the volume controller makes volumes at Hetzner"));
    let kubernetes = Flow::new(
        controller(),
        Target::ApiServer,
        Ports::tcp([6443]),
        "the volume controller watches claims and volumes",
    );
    hetzner.into_iter().chain([kubernetes]).collect()
}
