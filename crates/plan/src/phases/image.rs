//! The snapshots that machines boot from: one for each architecture that a machine has still to be made of.
//!
//! A platform whose machines all exist needs none, so a snapshot that was tidied away does not hold up repairs.

use std::collections::BTreeSet;

use helix_crds::labels;

use super::{Context, Outcome, servers};
use crate::catalogue::Architecture;
use crate::observed::Image;
use crate::report::Block;

/// The newest available snapshot of the platform's Talos version and schematic.
pub(super) fn of<'a>(context: &Context<'a>, architecture: Architecture) -> Option<&'a Image> {
    let platform = context.platform;
    let version = format!("v{}", platform.versions.talos);
    let has = |image: &Image, key: &str, value: &str| image.labels.get(key).is_some_and(|v| v == value);
    context
        .cloud
        .images
        .iter()
        .filter(|image| image.available && image.architecture == architecture.to_string())
        .filter(|image| has(image, labels::TALOS_VERSION, &version))
        .filter(|image| has(image, labels::SCHEMATIC, platform.schematic_label()))
        .filter(|image| {
            platform.snapshot_labels.iter().all(|(key, value)| match (image.labels.get(key), value) {
                (Some(found), Some(wanted)) => found == wanted,
                (found, None) => found.is_some(),
                (None, Some(_)) => false,
            })
        })
        .max_by_key(|image| image.id)
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let needed: BTreeSet<Architecture> = context
        .platform
        .pools()
        .filter(|pool| !servers::missing_slots(context, pool).is_empty())
        .flat_map(|pool| pool.placements.iter().map(|placement| placement.architecture))
        .collect();
    for &architecture in &needed {
        if of(context, architecture).is_none() {
            return Outcome::blocked(Block::ImageMissing {
                talos_version: format!("v{}", context.platform.versions.talos),
                schematic: context.platform.schematic_label().to_owned(),
                architecture,
            });
        }
    }
    let what = match needed.len() {
        0 => "every machine exists, no snapshot is needed".to_owned(),
        number => format!("snapshots of Talos v{} for {number} architectures exist", context.platform.versions.talos),
    };
    Outcome::done(what, context.observed.cloud.at())
}
