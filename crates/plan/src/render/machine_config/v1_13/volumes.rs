//! The documents by which Talos 1.13 lays out disks, and what `storage` asks of them.
//!
//! Talos provisions a volume once, at first boot, and never changes it afterwards.

use std::borrow::Cow;

use serde::Serialize;

use super::super::{STORAGE_VOLUME, Storage};
use super::documents::Document;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Kept free beside the storage volume on a system disk, so that alignment never makes it too small.
const SYSTEM_DISK_SLACK: u64 = GIB;

/// The volumes that `storage` asks for.
pub(super) fn volumes(storage: Option<Storage>) -> Vec<Document<'static>> {
    match storage {
        None => Vec::new(),
        Some(Storage::SystemDisk(bytes)) => {
            // A negative maximum is what Talos' own volume leaves free of the disk.
            let left_free = format!("-{}", size(bytes.saturating_add(SYSTEM_DISK_SLACK)));
            vec![
                Document::Volume(VolumeConfig::new(
                    "EPHEMERAL",
                    Provisioning { max_size: Some(left_free), ..Provisioning::on("system_disk") },
                )),
                Document::UserVolume(UserVolumeConfig::xfs(
                    STORAGE_VOLUME,
                    Provisioning {
                        min_size: Some(size(bytes)),
                        max_size: Some(size(bytes)),
                        ..Provisioning::on("system_disk")
                    },
                )),
            ]
        }
        Some(Storage::Volume(bytes)) => {
            // A tenth less, because a volume sold in GB may be one of GiB or the other way round, and the partition
            // table needs room; `grow` takes what there is.
            let at_least = bytes / 10 * 9;
            vec![Document::UserVolume(UserVolumeConfig::xfs(
                STORAGE_VOLUME,
                Provisioning {
                    min_size: Some(size(at_least / MIB * MIB)),
                    grow: Some(true),
                    ..Provisioning::on(format!("!system_disk && disk.size > {at_least}u"))
                },
            ))]
        }
    }
}

/// Bytes as Talos reads them, in the largest binary unit that holds them exactly.
fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(GIB) => format!("{}GiB", bytes / GIB),
        _ if bytes.is_multiple_of(MIB) => format!("{}MiB", bytes / MIB),
        _ => bytes.to_string(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VolumeConfig {
    api_version: &'static str,
    kind: &'static str,
    name: &'static str,
    provisioning: Provisioning,
}

impl VolumeConfig {
    pub(super) fn new(name: &'static str, provisioning: Provisioning) -> Self {
        Self { api_version: "v1alpha1", kind: "VolumeConfig", name, provisioning }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserVolumeConfig {
    api_version: &'static str,
    kind: &'static str,
    name: &'static str,
    provisioning: Provisioning,
    filesystem: Filesystem,
}

#[derive(Serialize)]
struct Filesystem {
    #[serde(rename = "type")]
    kind: &'static str,
}

impl UserVolumeConfig {
    pub(super) fn xfs(name: &'static str, provisioning: Provisioning) -> Self {
        let filesystem = Filesystem { kind: "xfs" };
        Self { api_version: "v1alpha1", kind: "UserVolumeConfig", name, provisioning, filesystem }
    }
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Provisioning {
    disk_selector: DiskSelector,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grow: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_size: Option<String>,
}

#[derive(Default, Serialize)]
struct DiskSelector {
    #[serde(rename = "match")]
    expression: Cow<'static, str>,
}

impl Provisioning {
    /// On the first disk for which the CEL expression holds.
    pub(super) fn on(expression: impl Into<Cow<'static, str>>) -> Self {
        Self { disk_selector: DiskSelector { expression: expression.into() }, ..Self::default() }
    }
}
