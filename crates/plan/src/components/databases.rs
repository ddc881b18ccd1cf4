//! The user's PostgreSQL clusters, as custom resources for CloudNativePG.

use std::collections::BTreeMap;

use helix_crds::PhaseName;
use serde_json::Value;

use super::entry::{no_values, no_version};
use super::{
    Component, Entry, Home, PodSecurity, Probe, SecretKey, SecretValue, SecretWanted, Source, Supports, cloudnative_pg,
};
use crate::policy::{Flow, NamePattern};
use crate::validated::Layers;

/// Where they are.
pub(super) const NAMESPACE: &str = "databases";

pub(super) static ENTRY: Entry = Entry {
    name: "databases",
    phase: PhaseName::StateAndDataHa,
    home: Home::Own { namespace: NAMESPACE, level: PodSecurity::Restricted },
    source: Source::Manifests,
    needs: &[Component::CloudNativePg],
    after: &[Component::Longhorn],
    health: &[Probe::Status {
        api: "postgresql.cnpg.io/v1",
        kind: "Cluster",
        pointer: "/status/phase",
        value: "Cluster in healthy state",
    }],
    host_network: None,
    talos_extensions: &[],
    metrics: &[9187],
    supports: Supports::ALL,
    asked_by: "data.postgres",
    asked: |layers| !layers.postgres.is_empty(),
    version: no_version,
    open_values: &[],
    fixed_values: &[],
    values: no_values,
    resources,
    flows,
    secrets,
};

fn resources(layers: &Layers, _: &Value) -> Vec<Value> {
    let resources = layers.postgres.iter().flat_map(|wanted| {
        let instances = cloudnative_pg::Instances {
            namespace: NAMESPACE,
            name: &wanted.name,
            database: "app",
            count: wanted.instances,
            storage: &wanted.storage,
            backup: wanted.backup.as_ref(),
            recover_from: wanted.recover_from.as_ref(),
        };
        let backup = cloudnative_pg::scheduled_backup(&instances);
        [Some(cloudnative_pg::cluster(&instances, layers)), backup].into_iter().flatten()
    });
    resources.collect()
}

fn flows(layers: &Layers) -> Vec<Flow> {
    let flows = layers.postgres.iter().flat_map(|cluster| {
        let bucket = cluster.backup.as_ref().and_then(|backup| NamePattern::of_url(&backup.s3.endpoint));
        let mut flows = cloudnative_pg::cluster_flows(NAMESPACE, &cluster.name, bucket);
        let source = cluster.recover_from.as_ref().and_then(|source| NamePattern::of_url(&source.s3.endpoint));
        flows.extend(cloudnative_pg::cluster_flows(NAMESPACE, &cluster.name, source));
        flows
    });
    flows.collect()
}

/// The keys to the buckets, one Secret for each of the user's, and the regions of those that name one.
fn secrets(layers: &Layers) -> Vec<SecretWanted> {
    let backups = layers.postgres.iter().filter_map(|cluster| cluster.backup.as_ref()).map(|backup| &backup.s3);
    let sources = layers.postgres.iter().filter_map(|cluster| cluster.recover_from.as_ref()).map(|source| &source.s3);
    let mut regions: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for s3 in backups.chain(sources) {
        let region = regions.entry(&s3.credentials_secret_ref.name).or_default();
        *region = region.or(s3.region.as_deref());
    }
    let key = |name: &str, key: &'static str| {
        let purpose = "the object store with the backups of PostgreSQL";
        SecretKey::new(key, SecretValue::Users { name: name.to_owned(), key: key.to_owned(), purpose })
    };
    let secret = |(name, region): (&str, Option<&str>)| {
        let region = region.map(|region| SecretKey::new("region", SecretValue::Plain(region.to_owned())));
        let keys = [key(name, "accessKeyId"), key(name, "secretAccessKey")];
        SecretWanted::new(NAMESPACE, name, keys.into_iter().chain(region).collect())
    };
    regions.into_iter().map(secret).collect()
}
