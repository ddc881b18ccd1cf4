//! How disks are laid out, in documents that every Talos since 1.13 reads, and what `storage` asks of them.
//!
//! Talos provisions a volume once, at first boot, and never changes it afterwards.

use std::borrow::Cow;

use serde::Serialize;

use super::{STORAGE_VOLUME, Storage};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Kept free beside the storage volume on a system disk, so that alignment never makes it too small.
const SYSTEM_DISK_SLACK: u64 = GIB;

/// What is asked of the volumes.
pub(super) struct Volumes {
    /// Where Talos' own volume is to stop, if it may not take the rest of the disk.
    pub(super) ephemeral: Option<Provisioning>,
    /// The volume for replicated data.
    pub(super) storage: Option<UserVolumeConfig>,
}

/// The volumes that `storage` asks for.
pub(super) fn volumes(storage: Option<Storage>) -> Volumes {
    match storage {
        None => Volumes { ephemeral: None, storage: None },
        Some(Storage::SystemDisk(bytes)) => {
            // A negative maximum is what Talos' own volume leaves free of the disk.
            let left_free = format!("-{}", size(bytes.saturating_add(SYSTEM_DISK_SLACK)));
            Volumes {
                ephemeral: Some(Provisioning { max_size: Some(left_free), ..Provisioning::on("system_disk") }),
                storage: Some(UserVolumeConfig::xfs(
                    STORAGE_VOLUME,
                    Provisioning {
                        min_size: Some(size(bytes)),
                        max_size: Some(size(bytes)),
                        ..Provisioning::on("system_disk")
                    },
                )),
            }
        }
        Some(Storage::Volume(bytes)) => {
            // A tenth less, because a volume sold in GB may be one of GiB or the other way round, and the partition
            // table needs room; `grow` takes what there is.
            let at_least = bytes / 10 * 9;
            Volumes {
                ephemeral: None,
                storage: Some(UserVolumeConfig::xfs(
                    STORAGE_VOLUME,
                    Provisioning {
                        min_size: Some(size(at_least / MIB * MIB)),
                        grow: Some(true),
                        ..Provisioning::on(format!("!system_disk && disk.size > {at_least}u"))
                    },
                )),
            }
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
    #[serde(skip_serializing_if = "Option::is_none")]
    provisioning: Option<Provisioning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mount: Option<Mount>,
}

#[derive(Serialize)]
struct Mount {
    secure: bool,
}

impl VolumeConfig {
    /// Talos' own volume, which holds what containers write.
    pub(super) fn ephemeral(provisioning: Option<Provisioning>) -> Self {
        Self { api_version: "v1alpha1", kind: "VolumeConfig", name: "EPHEMERAL", provisioning, mount: None }
    }

    /// Mounted without device files and set-user-id programs.
    pub(super) fn secure(self) -> Self {
        Self { mount: Some(Mount { secure: true }), ..self }
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
