//! Upgrades of Talos itself: the old call, which does everything, and the new ones, which pull an image and write the
//! next system.

use std::time::Duration;

use jiff::Timestamp;

use super::Guests;
use super::config::Role;
use super::guest::{Guest, Stage};
use super::requests::{Errand, refuse};
use super::status::{RpcCode, RpcError};
use crate::world::ids::ServerId;

/// The newest minor version whose rules are known.
const NEWEST_MINOR: u32 = 14;

/// What an installer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its output.
    pub messages: Vec<String>,
    /// Its exit code; other than zero, nothing has changed.
    pub exit_code: i32,
}

/// The minor version of a `v1.x.y`, pre-releases included.
fn minor(version: &str) -> Option<u32> {
    let mut parts = version.strip_prefix('v')?.split('.');
    (parts.next()? == "1").then_some(())?;
    parts.next()?.parse().ok()
}

/// Whether a host of version `from` may install `to`: from two minor versions below to one above.
fn may_install(from: &str, to: &str) -> bool {
    match (minor(from), minor(to)) {
        (Some(from), Some(to)) => to <= NEWEST_MINOR && from + 2 >= to && from < to + 2,
        _ => false,
    }
}

/// The first minor version with the services that pull images and write systems.
const LIFECYCLE_SINCE: u32 = 13;

/// A system as an installer image holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SystemImage {
    pub(super) version: String,
    /// Known of an image factory's.
    pub(super) schematic: Option<String>,
}

impl SystemImage {
    /// The system of an image, by the version in its tag.
    fn of(image: &str) -> Result<Self, RpcError> {
        let tag = image.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| minor(tag).is_some());
        match tag {
            Some(version) => {
                Ok(Self { version: version.to_owned(), schematic: schematic_in(image).map(str::to_owned) })
            }
            None => refuse(RpcCode::InvalidArgument, "the image reference has no Talos version as its tag"),
        }
    }
}

/// The schematic in the name of an image factory's installer.
fn schematic_in(image: &str) -> Option<&str> {
    let (name, _) = image.rsplit_once(':')?;
    let last = name.rsplit('/').next()?;
    (last.len() == 64 && last.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(last)
}

fn has_lifecycle(guest: &Guest) -> Result<(), RpcError> {
    match minor(&guest.version) {
        Some(minor) if minor >= LIFECYCLE_SINCE => Ok(()),
        Some(_) | None => refuse(RpcCode::Unimplemented, "unknown service machine.LifecycleService"),
    }
}

impl Guests {
    /// `ImageService.Pull` into the container runtime of the system.
    ///
    /// # Errors
    /// Unless the machine is configured, up and of 1.13 or later; `InvalidArgument` for a reference without a tag.
    pub fn pull_image(&mut self, server: ServerId, image: &str) -> Result<(), RpcError> {
        let guest = self.in_service(server)?;
        has_lifecycle(guest)?;
        let name = image.rsplit('/').next().unwrap_or_default();
        if !name.contains(':') && !name.contains('@') || image.contains(char::is_whitespace) {
            return refuse(RpcCode::InvalidArgument, "invalid image reference: it has neither a tag nor a digest");
        }
        guest.disk.images.insert(image.to_owned());
        Ok(())
    }

    /// The start of `LifecycleService.Upgrade`: from here until [`Guests::install_next`] the machine is busy with it. How
    /// long writing takes.
    ///
    /// # Errors
    /// `FailedPrecondition` while another is under way; `NotFound` for an image that was not pulled; unless the machine is
    /// configured, up and of 1.13 or later.
    pub fn begin_install(&mut self, server: ServerId, image: &str) -> Result<Duration, RpcError> {
        let takes = self.pace.draw(|spans| spans.install);
        let guest = self.in_service(server)?;
        has_lifecycle(guest)?;
        SystemImage::of(image)?;
        if !guest.disk.images.contains(image) {
            return Err(RpcError::new(RpcCode::NotFound, format!("image \"{image}\": not found")));
        }
        if let Some(up) = guest.uptime_mut()
            && std::mem::replace(&mut up.installing, true)
        {
            return refuse(RpcCode::FailedPrecondition, "another install or upgrade is already in progress");
        }
        Ok(takes)
    }

    /// The end of `LifecycleService.Upgrade`: the next system is written; nothing else changes before a reboot. Who does
    /// not care how long it takes may call it at once.
    ///
    /// # Errors
    /// As [`Guests::begin_install`], but for what is under way. That the installer refuses is no error but its exit code.
    pub fn install_next(&mut self, server: ServerId, image: &str) -> Result<Installed, RpcError> {
        let guest = self.in_service(server)?;
        has_lifecycle(guest)?;
        let system = SystemImage::of(image)?;
        if let Some(up) = guest.uptime_mut() {
            up.installing = false;
        }
        if !guest.disk.images.contains(image) {
            return Err(RpcError::new(RpcCode::NotFound, format!("image \"{image}\": not found")));
        }
        let mut messages = vec![format!("running Talos installer {}", system.version)];
        if !may_install(&guest.version, &system.version) {
            let (from, to) = (&guest.version, &system.version);
            messages.push(format!("pre-flight checks failed: host version {from} is too far from {to} to upgrade"));
            return Ok(Installed { messages, exit_code: 1 });
        }
        guest.disk.install(&system);
        messages.push("installation of the next system complete".to_owned());
        Ok(Installed { messages, exit_code: 0 })
    }

    /// `Upgrade` of the machine service: checks etcd (`members` is their number), writes and reboots; returns the
    /// actor's id.
    ///
    /// # Errors
    /// With exactly two etcd members and no `force`; for an image that cannot be installed.
    pub fn upgrade(
        &mut self,
        server: ServerId,
        image: &str,
        members: usize,
        force: bool,
        now: Timestamp,
    ) -> Result<String, RpcError> {
        let guest = self.in_service(server)?;
        if guest.role() == Some(Role::ControlPlane) && members == 2 && !force {
            return refuse(
                RpcCode::Unknown,
                "error validating etcd for upgrade: etcd member count(2) is insufficient to maintain quorum if upgrade commences",
            );
        }
        let system = SystemImage::of(image)?;
        if !may_install(&guest.version, &system.version) {
            return refuse(RpcCode::Unknown, "error validating installer image: the upgrade path is not supported");
        }
        let errand = Errand { install: Some(system), ..Errand::of(Stage::Upgrading, "upgrade") };
        self.go_down(server, errand, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_decides_what_it_may_install() {
        for (from, to, may) in [
            ("v1.13.9", "v1.14.0-rc.1", true),
            ("v1.12.0", "v1.14.1", true),
            ("v1.11.5", "v1.14.0", false),
            ("v1.13.9", "v1.13.12", true),
            ("v1.13.9", "v1.12.4", true),
            ("v1.14.0", "v1.12.4", false),
            ("v1.14.0", "v1.13.9", true),
            ("v1.15.0", "v1.13.9", false),
            ("v1.13.9", "v1.15.0", false),
            ("v1.13.9", "latest", false),
        ] {
            assert_eq!(may_install(from, to), may, "{from} to {to}");
        }
    }
}
