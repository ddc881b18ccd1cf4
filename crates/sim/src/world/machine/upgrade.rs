//! Upgrades of Talos itself: the old call, which does everything, and the new one, which only writes the next system.

use jiff::Timestamp;

use super::Guests;
use super::config::Role;
use super::guest::Stage;
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

/// The version in an installer image's tag.
fn version_in(image: &str) -> Option<&str> {
    let (_, tag) = image.rsplit_once(':')?;
    minor(tag).map(|_| tag)
}

/// The schematic in the name of an image factory's installer.
fn schematic_in(image: &str) -> Option<&str> {
    let (name, _) = image.rsplit_once(':')?;
    let last = name.rsplit('/').next()?;
    (last.len() == 64 && last.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(last)
}

impl Guests {
    /// `LifecycleService.Upgrade`: writes the next system; nothing changes before a reboot.
    ///
    /// # Errors
    /// Unless the machine is configured and up. That the installer refuses is no error but its exit code.
    pub fn install_next(&mut self, server: ServerId, image: &str) -> Result<Installed, RpcError> {
        let guest = self.in_service(server)?;
        let Some(version) = version_in(image) else {
            return refuse(RpcCode::InvalidArgument, "the image reference has no Talos version as its tag");
        };
        let mut messages = vec![format!("running Talos installer {version}")];
        if !may_install(&guest.version, version) {
            messages.push(format!("host version {} is too far from {version} to upgrade", guest.version));
            return Ok(Installed { messages, exit_code: 1 });
        }
        guest.disk.version = version.to_owned();
        if let Some(schematic) = schematic_in(image) {
            guest.disk.schematic = Some(schematic.to_owned());
        }
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
        let Some(version) = version_in(image) else {
            return refuse(RpcCode::InvalidArgument, "the image reference has no Talos version as its tag");
        };
        if !may_install(&guest.version, version) {
            return refuse(RpcCode::Unknown, "error validating installer image: the upgrade path is not supported");
        }
        let errand = Errand { install: Some(version.to_owned()), ..Errand::of(Stage::Upgrading, "upgrade") };
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
            ("v1.14.0", "v1.13.9", true),
            ("v1.15.0", "v1.13.9", false),
            ("v1.13.9", "v1.15.0", false),
            ("v1.13.9", "latest", false),
        ] {
            assert_eq!(may_install(from, to), may, "{from} to {to}");
        }
    }
}
