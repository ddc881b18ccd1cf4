//! What tests of whole lives share.

#![allow(clippy::expect_used, reason = "a test helper fails the test it is called from")]
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod backups;

use helix_crds::HelixPlatform;
use helix_sim::inprocess::Universe;
use helix_sim::inprocess::life::Life;
use helix_sim::world::WorldConfig;
use helix_sim::world::catalogue::Architecture;
use helix_sim::world::images::{SCHEMATIC, SCHEMATIC_LABEL, TALOS_VERSION_LABEL};
use jiff::{SignedDuration, Timestamp};

/// Longer than anything takes that ends well.
pub(crate) const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The sandbox's example, as an API server would hand it out.
pub(crate) fn sandbox() -> HelixPlatform {
    let text = include_str!("../../../../manifests/examples/sandbox.yaml");
    let mut platform: HelixPlatform = serde_saphyr::from_str(text).expect("the example parses");
    platform.metadata.uid = Some("0b1f6a52-6a0e-4c0e-9d7e-000000000001".to_owned());
    platform.metadata.generation = Some(1);
    platform
}

/// A universe at a fixed time.
pub(crate) fn universe(seed: u64) -> Universe {
    let now: Timestamp = "2026-11-21T00:00:00Z".parse().expect("a time");
    Universe::new(WorldConfig { seed, ..WorldConfig::default() }, now)
}

/// Uploads a snapshot of that Talos, as hands would.
pub(crate) fn upload_snapshot(universe: &Universe, talos: &str) {
    let labels = [(TALOS_VERSION_LABEL, talos), (SCHEMATIC_LABEL, SCHEMATIC)];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    universe.with_world(|world, project, _| {
        world.add_snapshot(project, talos, Architecture::X86, labels.into()).expect("the labels are good");
    });
}

/// How many servers exist.
pub(crate) fn servers(life: &Life) -> usize {
    life.universe().with_world(|world, project, _| world.project(project).servers.len())
}

/// Whether nothing is left in the project.
pub(crate) fn is_empty(life: &Life) -> bool {
    life.universe().with_world(|world, project, _| world.project(project).is_empty())
}
