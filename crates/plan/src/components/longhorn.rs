//! Longhorn: volumes with copies on several machines, kept on the pools' `storage`.
//!
//! On Talos it needs two system extensions in the image, its mount in the kubelet's view and a privileged namespace.
//! The mount comes with `storage`; which nodes have it is told to Longhorn by a label, so that none of its data ever
//! lands on a system disk.

use std::collections::BTreeSet;

use helix_crds::PhaseName;
use serde_json::{Value, json};

use super::entry::no_secrets;
use super::values::merged;
use super::{Chart, Component, Entry, Home, PodSecurity, Probe, Source, Supports};
use crate::policy::{Flow, NamePattern, Ports, Source as From, Target};
use crate::render::machine_config::STORAGE_MOUNT;
use crate::validated::Layers;

pub(super) static ENTRY: Entry = Entry {
    name: "longhorn",
    phase: PhaseName::StateAndDataHa,
    home: Home::Own { namespace: "longhorn-system", level: PodSecurity::Privileged },
    source: Source::Chart(Chart::new("https://charts.longhorn.io", "longhorn", "1.12.1")),
    needs: &[],
    after: &[Component::HcloudCcm, Component::Authentik],
    health: &[
        Probe::DaemonSet("longhorn-manager"),
        Probe::DaemonSet("longhorn-csi-plugin"),
        Probe::Deployment("csi-attacher"),
        Probe::Deployment("csi-provisioner"),
        Probe::Condition { api: "longhorn.io/v1beta2", kind: "Node", condition: "Ready" },
    ],
    host_network: None,
    talos_extensions: &["siderolabs/iscsi-tools", "siderolabs/util-linux-tools"],
    metrics: &[9500],
    supports: Supports::ALL,
    asked_by: "data.longhorn",
    asked: |layers| layers.longhorn.is_some(),
    version: |layers| layers.longhorn.as_ref().map(|longhorn| longhorn.version.as_str()),
    open_values: &[],
    fixed_values: &[
        "/defaultSettings/createDefaultDiskLabeledNodes",
        "/defaultSettings/defaultDataPath",
        "/networkPolicies/enabled",
        "/service/ui/type",
    ],
    values,
    resources: super::entry::no_resources,
    flows,
    secrets: no_secrets,
};

fn values(layers: &Layers) -> Value {
    let Some(longhorn) = &layers.longhorn else { return json!({}) };
    let values = json!({
        "persistence": {"defaultClass": true, "defaultClassReplicaCount": longhorn.replicas},
        "defaultSettings": {
            "defaultDataPath": STORAGE_MOUNT,
            // Only nodes with the label `node.longhorn.io/create-default-disk` have a disk for it.
            "createDefaultDiskLabeledNodes": true,
            "defaultReplicaCount": longhorn.replicas.to_string(),
            "nodeDrainPolicy": "block-if-contains-last-replica",
            "nodeDownPodDeletionPolicy": "delete-both-statefulset-and-deployment-pod",
            "upgradeChecker": false,
            "allowCollectingLonghornUsageMetrics": false,
        },
        // Its job is a hook of Helm's; what it looks at is looked at by the probes.
        "preUpgradeChecker": {"jobEnabled": false},
        "networkPolicies": {"enabled": false},
        "service": {"ui": {"type": "ClusterIP"}},
        "ingress": {"enabled": false},
    });
    match &longhorn.backup_target {
        Some(target) => merged(values, &json!({"defaultBackupStore": {"backupTarget": target}})),
        None => values,
    }
}

fn flows(layers: &Layers) -> Vec<Flow> {
    let here = || ENTRY.pods();
    let mut flows = vec![
        Flow::new(here(), here(), Ports::Any, "Longhorn's managers, engines and replicas work together"),
        Flow::new(here(), Target::ApiServer, Ports::tcp([6443]), "Longhorn watches its volumes"),
        Flow::new(From::Nodes, here(), Ports::tcp([9501, 9502, 9503]), "API servers ask Longhorn's webhooks"),
        Flow::new(From::Nodes, here(), Ports::tcp([2049]), "machines mount shared volumes by NFS"),
    ];
    let target = layers.longhorn.as_ref().and_then(|longhorn| longhorn.backup_target.as_deref());
    let stores: BTreeSet<NamePattern> = target.map(object_stores).unwrap_or_default();
    if !stores.is_empty() {
        let because = "volumes are backed up to the object store";
        flows.push(Flow::new(here(), Target::Names(stores), Ports::tcp([443]), because));
    }
    flows
}

/// The hosts that an `s3://bucket@region/path` may mean: Hetzner's object store of that region, or Amazon's. Which of
/// them it is stands in the user's Secret with the keys.
fn object_stores(target: &str) -> BTreeSet<NamePattern> {
    let bucket = target.strip_prefix("s3://").and_then(|rest| rest.split('/').next());
    let Some((_, region)) = bucket.and_then(|bucket| bucket.split_once('@')) else { return BTreeSet::new() };
    let hosts = [format!("{region}.your-objectstorage.com"), format!("s3.{region}.amazonaws.com")];
    hosts.iter().filter_map(|host| NamePattern::parse(host)).flat_map(|host| [host.below(), host]).collect()
}
