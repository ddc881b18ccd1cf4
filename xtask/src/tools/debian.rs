//! Programs that tests run and that Debian packages: found in PATH, or installed where that is possible without asking.
//!
//! Nothing is built or downloaded past apt-get, and nothing is ever removed or upgraded. Whoever has a program from
//! elsewhere keeps it: what counts is that it is found.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::process;

/// A package, and the program that it is installed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DebianPackage {
    name: &'static str,
    program: &'static str,
}

/// A browser, in which the status site is looked at.
pub(crate) const CHROMIUM: DebianPackage = DebianPackage { name: "chromium", program: "chromium" };
/// Runs what drives the browser.
pub(crate) const NODE: DebianPackage = DebianPackage { name: "nodejs", program: "node" };
/// Installs what drives the browser.
pub(crate) const NPM: DebianPackage = DebianPackage { name: "npm", program: "npm" };
/// By which badges are observed.
pub(crate) const PROMETHEUS: DebianPackage = DebianPackage { name: "prometheus", program: "prometheus" };
/// In which Argo CD keeps what it has rendered.
pub(crate) const REDIS: DebianPackage = DebianPackage { name: "redis-server", program: "redis-server" };

/// Installs the packages whose programs are missing, as root on Debian. Elsewhere names them.
///
/// # Errors
/// [`Error::Packages`] when they can't be installed from here; as [`process::step`] when installing fails.
pub(crate) fn install(packages: &[DebianPackage]) -> Result<(), Error> {
    let missing: Vec<&str> =
        packages.iter().filter(|package| !is_in_path(package.program)).map(|package| package.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_root_on_debian() {
        let remedy = format!("`apt-get install {names}` as root on Debian, or your system's packages of these names");
        return Err(Error::Packages { packages: names, remedy });
    }
    process::step(Command::new("apt-get").args(["update", "-qq"]))?;
    let mut apt = Command::new("apt-get");
    apt.args(["install", "-y", "-qq", "--no-install-recommends"]).args(missing);
    process::step(apt.env("DEBIAN_FRONTEND", "noninteractive"))
}

fn is_in_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).is_file()))
}

fn is_root_on_debian() -> bool {
    Path::new("/etc/debian_version").exists()
        && process::answer(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_path_is_not_installed() {
        let cargo = DebianPackage { name: "no-such-package", program: "cargo" };
        assert!(install(&[cargo]).is_ok());
        assert!(!is_in_path("no-such-program"));
    }
}
