//! From which version to which: the steps by which running machines and a running Kubernetes may be brought forward.
//!
//! Pure facts about versions. Whether a platform may be upgraded now, and which machine comes first, is decided
//! elsewhere, and which Kubernetes runs on which Talos is [`crate::validated`]'s business.

use std::fmt;

use semver::Version;

/// What is upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Software {
    /// The operating system of machines.
    Talos,
    /// Kubernetes: API server, controller manager, scheduler and kubelets.
    Kubernetes,
}

impl Software {
    /// The field of the specification that says which version is wanted.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Talos => "spec.versions.talos",
            Self::Kubernetes => "spec.versions.kubernetes",
        }
    }
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Talos => "Talos",
            Self::Kubernetes => "Kubernetes",
        })
    }
}

/// Why a running version cannot be brought to the wanted one; each says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeRefusal {
    /// Minor versions may not be skipped.
    #[error("{software} v{running} cannot be brought to v{wanted} in one step; {} first", Write(.running.major, *.next_minor))]
    Skip {
        /// What is to be upgraded.
        software: Software,
        /// What runs.
        running: Version,
        /// What is wanted.
        wanted: Version,
        /// The minor version that comes next.
        next_minor: u64,
    },
    /// A minor version once left is not gone back to.
    #[error(
        "{software} v{running} cannot be brought back to v{wanted}: what it has stored may be unreadable to the older \
         one; {} or newer", Write(.running.major, .running.minor)
    )]
    Downgrade {
        /// What would be downgraded.
        software: Software,
        /// What runs.
        running: Version,
        /// What is wanted.
        wanted: Version,
    },
    /// There is no way between major versions.
    #[error("there is no way from {software} v{running} to v{wanted}; {} or newer", Write(.running.major, .running.minor))]
    OtherMajor {
        /// What is to be upgraded.
        software: Software,
        /// What runs.
        running: Version,
        /// What is wanted.
        wanted: Version,
    },
}

impl UpgradeRefusal {
    /// A stable name of the refusal, for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Skip { .. } => "UpgradeSkipsMinor",
            Self::Downgrade { .. } => "DowngradeRefused",
            Self::OtherMajor { .. } => "MajorVersionRefused",
        }
    }
}

/// The remedy: any patch release of a minor version.
struct Write(u64, u64);

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write v{}.{}.x", self.0, self.1)
    }
}

/// Whether one upgrade brings machines of the running Talos to the wanted one: the same minor or the next.
///
/// Talos itself would take two minors at once, but documents and tests the way by adjacent ones
/// (`pkg/machinery/compatibility`). Pre-releases count as their release.
///
/// # Errors
/// [`UpgradeRefusal`], with the version to write instead.
pub fn talos_upgrade_path(running: &Version, wanted: &Version) -> Result<(), UpgradeRefusal> {
    upgrade_path(Software::Talos, running, wanted)
}

/// Whether one upgrade brings the running Kubernetes to the wanted one: the same minor or the next, by Kubernetes' own
/// version skew policy.
///
/// # Errors
/// [`UpgradeRefusal`], with the version to write instead.
pub fn kubernetes_upgrade_path(running: &Version, wanted: &Version) -> Result<(), UpgradeRefusal> {
    upgrade_path(Software::Kubernetes, running, wanted)
}

/// Whether one upgrade brings everything that runs to what is wanted. An upgrade that was interrupted leaves several
/// versions behind; the way must be open from each, so the oldest one decides about skipping and the newest about going
/// back. With nothing running anything may be made.
///
/// # Errors
/// The first [`UpgradeRefusal`], oldest version first.
pub fn upgrade_path_of_all<'a>(
    software: Software,
    running: impl IntoIterator<Item = &'a Version>,
    wanted: &Version,
) -> Result<(), UpgradeRefusal> {
    let mut running: Vec<&Version> = running.into_iter().collect();
    running.sort_unstable();
    running.into_iter().try_for_each(|running| upgrade_path(software, running, wanted))
}

fn upgrade_path(software: Software, running: &Version, wanted: &Version) -> Result<(), UpgradeRefusal> {
    let (from, to) = (running.clone(), wanted.clone());
    if running.major != wanted.major {
        return Err(UpgradeRefusal::OtherMajor { software, running: from, wanted: to });
    }
    if wanted.minor < running.minor {
        return Err(UpgradeRefusal::Downgrade { software, running: from, wanted: to });
    }
    let next_minor = running.minor + 1;
    if wanted.minor > next_minor {
        return Err(UpgradeRefusal::Skip { software, running: from, wanted: to, next_minor });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }

    #[test]
    fn patches_and_the_next_minor_are_one_step() {
        for (running, wanted) in [
            ("1.13.9", "1.13.9"),
            ("1.13.0", "1.13.9"),
            ("1.13.9", "1.13.0"),
            ("1.13.9", "1.14.4"),
            ("1.13.9", "1.14.0-rc.1"),
        ] {
            assert_eq!(talos_upgrade_path(&version(running), &version(wanted)), Ok(()), "{running} to {wanted}");
            assert_eq!(kubernetes_upgrade_path(&version(running), &version(wanted)), Ok(()));
        }
    }

    #[test]
    fn a_skipped_minor_is_told() {
        let refusal = talos_upgrade_path(&version("1.12.6"), &version("1.14.4")).expect_err("two minors");
        assert_eq!(refusal.reason(), "UpgradeSkipsMinor");
        assert_eq!(refusal.to_string(), "Talos v1.12.6 cannot be brought to v1.14.4 in one step; write v1.13.x first");
        let refusal = kubernetes_upgrade_path(&version("1.34.2"), &version("1.37.0")).expect_err("three minors");
        assert!(refusal.to_string().ends_with("write v1.35.x first"), "{refusal}");
    }

    #[test]
    fn there_is_no_way_back() {
        let refusal = kubernetes_upgrade_path(&version("1.37.1"), &version("1.36.3")).expect_err("a downgrade");
        assert_eq!(refusal.reason(), "DowngradeRefused");
        assert!(refusal.to_string().ends_with("write v1.37.x or newer"), "{refusal}");
        let refusal = talos_upgrade_path(&version("1.14.4"), &version("2.0.0")).expect_err("another major");
        assert_eq!(refusal.reason(), "MajorVersionRefused");
    }

    #[test]
    fn of_several_running_versions_the_way_must_be_open_from_each() {
        let wanted = version("1.14.4");
        let check = |running: &[&str]| {
            let running: Vec<Version> = running.iter().map(|text| version(text)).collect();
            upgrade_path_of_all(Software::Talos, &running, &wanted)
        };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&["1.14.4", "1.13.9", "1.14.0"]), Ok(()));
        assert_eq!(check(&["1.13.9", "1.12.0"]).unwrap_err().reason(), "UpgradeSkipsMinor");
        assert_eq!(check(&["1.13.9", "1.15.0"]).unwrap_err().reason(), "DowngradeRefused");
    }
}
