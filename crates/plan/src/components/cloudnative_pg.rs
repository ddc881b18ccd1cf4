//! CloudNativePG: the operator of PostgreSQL clusters, both the user's and Authentik's own.

mod cluster;

use helix_crds::PhaseName;
use serde_json::{Value, json};

pub(super) use cluster::{Instances, cluster, scheduled_backup};

use super::entry::{never_asked, no_secrets, no_version};
use super::{Chart, Component, Entry, Home, PodSecurity, Probe, Source, Supports};
use crate::policy::{Flow, NamePattern, Pods, Ports, Source as From, Target};
use crate::validated::Layers;

/// PostgreSQL's port.
pub(super) const POSTGRES: u16 = 5432;
/// The port on which an instance tells its operator how it is.
const STATUS: u16 = 8000;

pub(super) static ENTRY: Entry = Entry {
    name: "cloudnative-pg",
    phase: PhaseName::StateAndDataHa,
    home: Home::Own { namespace: "cnpg-system", level: PodSecurity::Restricted },
    source: Source::Chart(Chart::new("https://cloudnative-pg.github.io/charts", "cloudnative-pg", "0.29.0")),
    needs: &[Component::HcloudCsi],
    after: &[],
    health: &[Probe::Deployment("cloudnative-pg")],
    host_network: None,
    talos_extensions: &[],
    metrics: &[8080],
    supports: Supports::ALL,
    asked_by: "data.postgres or securityWeave.authentik",
    asked: never_asked,
    version: no_version,
    open_values: &[],
    fixed_values: &[],
    values,
    resources: super::entry::no_resources,
    flows,
    secrets: no_secrets,
};

fn values(layers: &Layers) -> Value {
    json!({
        "fullnameOverride": "cloudnative-pg",
        "replicaCount": layers.spare_replicas(),
        "crds": {"create": true},
        "config": {"clusterWide": true},
    })
}

fn flows(_: &Layers) -> Vec<Flow> {
    let here = || ENTRY.pods();
    vec![
        Flow::new(here(), Target::ApiServer, Ports::tcp([6443]), "CloudNativePG watches its clusters"),
        Flow::new(From::Nodes, here(), Ports::tcp([9443]), "API servers ask CloudNativePG's webhook"),
    ]
}

/// What every PostgreSQL cluster of a namespace needs: its operator, its own instances, the API, and its backups.
pub(super) fn cluster_flows(namespace: &str, cluster: &str, bucket: Option<NamePattern>) -> Vec<Flow> {
    let instances = || Pods::of(namespace).with("cnpg.io/cluster", cluster);
    let mut flows = vec![
        Flow::new(
            ENTRY.pods(),
            instances(),
            Ports::tcp([POSTGRES, STATUS]),
            format!("CloudNativePG looks after {cluster}"),
        ),
        Flow::new(
            instances(),
            instances(),
            Ports::tcp([POSTGRES, STATUS]),
            format!("instances of {cluster} replicate"),
        ),
        Flow::new(
            instances(),
            Target::ApiServer,
            Ports::tcp([6443]),
            format!("instances of {cluster} agree on a primary"),
        ),
    ];
    flows.extend(bucket.map(|bucket| {
        let because = format!("{cluster} is backed up to, and recovered from, its object store");
        let names = Target::Names([bucket.below(), bucket].into());
        Flow::new(instances(), names, Ports::tcp([443]), because)
    }));
    flows
}
