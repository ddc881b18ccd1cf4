//! Volumes, databases and who uses them: that each name means one thing, and that there is room for what is asked.

use std::collections::BTreeSet;

use helix_crds::HelixPlatformSpec;

use super::Layers;
use crate::components::talos_extensions;
use crate::schematic;
use crate::validated::{Rejections, is_dns_label};

pub(super) fn check(layers: &Layers, spec: &HelixPlatformSpec, rejections: &mut Rejections) {
    named_once("spec.data.postgres", layers.postgres.iter().map(|found| found.name.as_str()), rejections);
    named_once("spec.data.redis", layers.redis.iter().map(|found| found.name.as_str()), rejections);
    longhorn(layers, spec, rejections);
    extensions(layers, rejections);
    if let Some(langgraph) = &layers.langgraph {
        let postgres: Vec<&str> = layers.postgres.iter().map(|found| found.name.as_str()).collect();
        exists("spec.ai.langgraph.postgres", &langgraph.postgres, "spec.data.postgres", &postgres, rejections);
        let redis: Vec<&str> = layers.redis.iter().map(|found| found.name.as_str()).collect();
        exists("spec.ai.langgraph.redis", &langgraph.redis, "spec.data.redis", &redis, rejections);
    }
}

/// A schematic whose very name says that it lacks what a component needs; of others the machines tell.
fn extensions(layers: &Layers, rejections: &mut Rejections) {
    let needed = talos_extensions(layers);
    let lacking = schematic::known_to_lack(&layers.schematic, &needed);
    if !lacking.is_empty() {
        let lacking: Vec<&str> = lacking.into_iter().collect();
        rejections.add(
            "spec.provider.hetzner.image.schematic",
            format!("the image lacks the system extensions {}, which Longhorn needs", lacking.join(", ")),
            format!("write {}, the image factory's schematic with them, or leave longhorn out", schematic::id(&needed)),
        );
    }
}

/// Longhorn keeps its data on what pools have as `storage`, each copy on another machine.
fn longhorn(layers: &Layers, spec: &HelixPlatformSpec, rejections: &mut Rejections) {
    let Some(longhorn) = &layers.longhorn else { return };
    let with_storage = spec.worker_pools.iter().filter(|pool| pool.storage.is_some());
    let at_least = |pool: &helix_crds::WorkerPool| {
        pool.replicas.or(pool.autoscale.as_ref().map(|autoscale| autoscale.min)).unwrap_or_default()
    };
    let machines = with_storage.map(at_least).fold(0, u32::saturating_add);
    if machines == 0 {
        rejections.add(
            "spec.data.longhorn",
            "no machine has storage for replicated volumes",
            "write storage: {systemDisk: 40Gi} in a worker pool, or leave longhorn out",
        );
    } else if longhorn.replicas > machines {
        rejections.add(
            "spec.data.longhorn.replicas",
            format!("{} copies need as many machines with storage, and there are {machines}", longhorn.replicas),
            format!("write {machines} or less, or more replicas in a pool with storage"),
        );
    }
}

fn named_once<'a>(field: &str, names: impl Iterator<Item = &'a str>, rejections: &mut Rejections) {
    let mut seen = BTreeSet::new();
    for (index, name) in names.enumerate() {
        let field = format!("{field}[{index}].name");
        if name.is_empty() || !is_dns_label(name) {
            rejections.add(
                &field,
                format!("`{name}` cannot be the name of a Kubernetes resource"),
                "write lower-case letters, digits and dashes, beginning and ending with a letter or digit",
            );
        }
        if !seen.insert(name) {
            rejections.add(&field, format!("`{name}` is there twice"), "give one of the two another name");
        }
    }
}

fn exists(field: &str, name: &str, list: &str, known: &[&str], rejections: &mut Rejections) {
    if !known.contains(&name) {
        let remedy = match known {
            [] => format!("add it to {list}"),
            known => format!("write one of {}, or add it to {list}", known.join(", ")),
        };
        rejections.add(field, format!("{list} has no `{name}`"), remedy);
    }
}
