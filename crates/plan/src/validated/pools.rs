//! Pools of machines: whether what they ask for exists, is for sale, and fits.

use std::collections::BTreeMap;

use helix_crds::labels::CONTROL_PLANE_POOL;
use helix_crds::{HelixPlatformSpec, MachineConfigPatch, Spread, Taint, WorkerPool};
use jiff::Timestamp;
use semver::Version;
use serde_json::Value;

use super::{Closed, Placement, Pool, Rejections, quantity};
use crate::catalogue::{Catalogue, EurMonthly, ServerType};
use crate::observed::NodeTaint;
use crate::phases::placement_groups::groups_of;
use crate::render::machine_config::{MachineRole, Storage, check_patches};

/// Placement groups that Hetzner admits to a project.
const MOST_PLACEMENT_GROUPS: u32 = 50;

/// What Talos itself needs of a system disk, in bytes.
const TALOS_DISK_BYTES: u64 = 10 << 30;

pub(super) fn control_plane(
    spec: &HelixPlatformSpec,
    catalogue: &Catalogue,
    now: Timestamp,
    rejections: &mut Rejections,
) -> Pool {
    let wanted = &spec.control_plane;
    if ![1, 3, 5].contains(&wanted.replicas) {
        rejections.add(
            "spec.controlPlane.replicas",
            format!("{} is no size for etcd, which needs an odd number of members, at most five", wanted.replicas),
            "write 1, 3 or 5",
        );
    }
    let path = "spec.controlPlane";
    Pool {
        name: CONTROL_PLANE_POOL.to_owned(),
        replicas: wanted.replicas,
        placements: placements(path, &wanted.placements, None, catalogue, now, rejections),
        spread: wanted.spread,
        labels: BTreeMap::new(),
        taints: Vec::new(),
        storage: None,
        patches: patches(&wanted.machine_config_patches),
    }
}

/// By this label Longhorn knows the nodes that have a disk for it.
const LONGHORN_DISK: &str = "node.longhorn.io/create-default-disk";

pub(super) fn workers(
    spec: &HelixPlatformSpec,
    catalogue: &Catalogue,
    now: Timestamp,
    rejections: &mut Rejections,
) -> Vec<Pool> {
    let pools = &spec.worker_pools;
    for (index, pool) in pools.iter().enumerate() {
        if pools.iter().take(index).any(|earlier| earlier.name == pool.name) {
            rejections.add(
                format!("spec.workerPools[{index}].name"),
                format!("another pool is named `{}`, too", pool.name),
                "give each pool a name of its own",
            );
        }
    }
    let mut workers: Vec<Pool> =
        pools.iter().enumerate().map(|(index, pool)| worker_pool(index, pool, catalogue, now, rejections)).collect();
    if spec.data.as_ref().is_some_and(|data| data.longhorn.is_some()) {
        let with_disk = workers.iter_mut().filter(|pool| pool.storage.is_some());
        with_disk.for_each(|pool| drop(pool.labels.insert(LONGHORN_DISK.to_owned(), "true".to_owned())));
    }
    workers
}

fn worker_pool(
    index: usize,
    pool: &WorkerPool,
    catalogue: &Catalogue,
    now: Timestamp,
    rejections: &mut Rejections,
) -> Pool {
    let path = format!("spec.workerPools[{index}]");
    name(&path, &pool.name, rejections);
    labels(&path, &pool.labels, rejections);
    let price = price(&path, pool.max_monthly_price.as_deref(), rejections);
    let placements = placements(&path, &pool.placements, price, catalogue, now, rejections);
    Pool {
        name: pool.name.clone(),
        replicas: pool.replicas.or_else(|| pool.autoscale.as_ref().map(|range| range.min)).unwrap_or_default(),
        storage: storage(&path, pool, &placements, catalogue, rejections),
        placements,
        spread: Spread::Host,
        labels: pool.labels.clone(),
        taints: pool.taints.iter().map(taint).collect(),
        patches: patches(&pool.machine_config_patches),
    }
}

fn taint(taint: &Taint) -> NodeTaint {
    NodeTaint {
        key: taint.key.clone(),
        value: taint.value.clone().unwrap_or_default(),
        effect: taint.effect.as_str().to_owned(),
    }
}

fn name(path: &str, name: &str, rejections: &mut Rejections) {
    const LONGEST: usize = 15;
    let well_formed = !name.is_empty()
        && name.len() <= LONGEST
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !well_formed || name == CONTROL_PLANE_POOL {
        rejections.add(
            format!("{path}.name"),
            format!("`{name}` cannot be a pool's name"),
            "write 1 to 15 of a-z and 0-9; cp is the control planes'",
        );
    }
}

/// Whether a key or value keeps to the grammar of Kubernetes' labels: at most 63 of letters, digits, `-`, `_`, `.`,
/// beginning and ending with a letter or digit.
fn label_text(text: &str) -> bool {
    const LONGEST: usize = 63;
    let edge = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric());
    text.len() <= LONGEST
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && edge(text.bytes().next())
        && edge(text.bytes().last())
}

fn labels(path: &str, labels: &BTreeMap<String, String>, rejections: &mut Rejections) {
    for (key, value) in labels {
        let (prefix, name) = key.split_once('/').map_or((None, key.as_str()), |(prefix, name)| (Some(prefix), name));
        let key_fits = label_text(name) && prefix.is_none_or(|prefix| !prefix.is_empty() && prefix.len() <= 253);
        if !key_fits || !(value.is_empty() || label_text(value)) {
            rejections.add(
                format!("{path}.labels[{key}]"),
                format!("`{key}: {value}` is no label that a node can carry"),
                "write at most 63 letters, digits, `-`, `_` or `.`, beginning and ending with a letter or digit",
            );
        }
    }
}

fn price(path: &str, text: Option<&str>, rejections: &mut Rejections) -> Option<EurMonthly> {
    let text = text?;
    let parsed = text.parse().ok().map(EurMonthly::new);
    if parsed.is_none() {
        rejections.add(
            format!("{path}.maxMonthlyPrice"),
            format!("`{text}` is no amount of EUR"),
            "write a quoted decimal number, as in \"12.50\"",
        );
    }
    parsed
}

fn placements(
    path: &str,
    wanted: &[helix_crds::Placement],
    ceiling: Option<EurMonthly>,
    catalogue: &Catalogue,
    now: Timestamp,
    rejections: &mut Rejections,
) -> Vec<Placement> {
    if wanted.is_empty() {
        rejections.add(
            format!("{path}.placements"),
            "is empty: there is nowhere to make a machine",
            "write at least one, as in {serverType: cx33, location: fsn1}",
        );
    }
    let mut placements = Vec::new();
    for (index, placement) in wanted.iter().enumerate() {
        let path = format!("{path}.placements[{index}]");
        let Some(server_type) = catalogue.server_types.get(&placement.server_type) else {
            rejections.add(
                format!("{path}.serverType"),
                format!("Hetzner has no server type `{}`", placement.server_type),
                format!("write one of {}", names(catalogue.server_types.keys())),
            );
            continue;
        };
        if !catalogue.locations.contains_key(&placement.location) {
            rejections.add(
                format!("{path}.location"),
                format!("Hetzner has no location `{}`", placement.location),
                format!("write one of {}", names(catalogue.locations.keys())),
            );
            continue;
        }
        let Some(monthly) = catalogue.server_monthly(&placement.server_type, &placement.location) else {
            rejections.add(
                format!("{path}.location"),
                format!("{} is not sold in {}", placement.server_type, placement.location),
                format!("write one of {}", names(server_type.offers.keys())),
            );
            continue;
        };
        placements.push(Placement {
            server_type: placement.server_type.clone(),
            location: placement.location.clone(),
            architecture: server_type.architecture,
            monthly,
            closed: closed(server_type, &placement.location, monthly, ceiling, now),
        });
    }
    placements
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Why no further machine may be made there. A type that was retired does not make the specification wrong: the
/// machines that exist go on, and changes that have nothing to do with it are carried out.
fn closed(
    server_type: &ServerType,
    location: &str,
    monthly: EurMonthly,
    ceiling: Option<EurMonthly>,
    now: Timestamp,
) -> Option<Closed> {
    let offer = server_type.offers.get(location)?;
    if offer.unavailable_after.is_some_and(|after| after <= now) {
        Some(Closed::Retired)
    } else if ceiling.is_some_and(|ceiling| monthly > ceiling) {
        Some(Closed::TooDear)
    } else {
        (!offer.available).then_some(Closed::NotOrderable)
    }
}

fn storage(
    path: &str,
    pool: &WorkerPool,
    placements: &[Placement],
    catalogue: &Catalogue,
    rejections: &mut Rejections,
) -> Option<Storage> {
    let text = pool.storage.as_ref()?.system_disk.as_deref()?;
    let field = format!("{path}.storage.systemDisk");
    let Some(bytes) = quantity::bytes(text) else {
        rejections.add(field, format!("`{text}` is no amount of bytes"), "write it as in 40Gi");
        return None;
    };
    let disk_bytes = |placement: &Placement| {
        catalogue.server_types.get(&placement.server_type).map(|found| u64::from(found.disk_gb) * 1_000_000_000)
    };
    if let Some(smallest) = placements.iter().filter_map(disk_bytes).min()
        && bytes.saturating_add(TALOS_DISK_BYTES) > smallest
    {
        rejections.add(
            field,
            format!("{text} and the 10 GiB that Talos needs do not fit on the smallest disk of the pool's types"),
            "write less, or choose server types with larger disks",
        );
    }
    Some(Storage::SystemDisk(bytes))
}

fn patches(wanted: &[MachineConfigPatch]) -> Vec<Value> {
    wanted.iter().cloned().map(Value::Object).collect()
}

/// Whether the user's patches can be merged into what Helix renders.
pub(super) fn check_all_patches(control_plane: &Pool, workers: &[Pool], talos: &Version, rejections: &mut Rejections) {
    let control_plane = (MachineRole::ControlPlane, "spec.controlPlane".to_owned(), control_plane);
    let workers = workers.iter().enumerate();
    let workers = workers.map(|(index, pool)| (MachineRole::Worker, format!("spec.workerPools[{index}]"), pool));
    for (role, path, pool) in std::iter::once(control_plane).chain(workers) {
        if let Err(error) = check_patches(talos, role, pool.storage, &pool.patches) {
            rejections.add(
                format!("{path}.machineConfigPatches"),
                error.to_string(),
                "write a strategic-merge patch of a Talos machine configuration that leaves alone what Helix sets",
            );
        }
    }
}

/// Whether the pools' placement groups fit into a project.
pub(super) fn placement_groups(control_plane: &Pool, workers: &[Pool], rejections: &mut Rejections) {
    let groups: u32 = std::iter::once(control_plane).chain(workers).map(groups_of).sum();
    if groups > MOST_PLACEMENT_GROUPS {
        rejections.add(
            "spec.workerPools",
            format!(
                "{groups} placement groups are more than the {MOST_PLACEMENT_GROUPS} that Hetzner admits to a project"
            ),
            "ask for fewer machines, or for fewer pools",
        );
    }
}
