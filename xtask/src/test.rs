//! `cargo xtask test [--fast | --end-to-end | --trial]`: every test, with what it needs.
//!
//! Integration tests whose file is named `e2e_*.rs` start processes and find them by these variables, which this command
//! sets after it has built what they name:
//!
//! - `HELIX_TOOLS_DIR`: the directory of the program `kube` (see `tools/kube`);
//! - `HELIX_PREVIOUS_TOOLS_DIR`: that of the same program of the minor version before, from which tests upgrade;
//! - `HELIX_HELM`: the program `helm` (see `tools/helm`);
//! - `HELIX_ARGOCD`: the program `argocd` (see `tools/argocd`);
//! - `HELIX_POLICYCHECK`: the program `policycheck` (see `tools/policycheck`);
//! - `HELIX_BIN_DIR`: the directory of the project's own programs, `helix-operator`, `helix-sim` and `helix`.
//!
//! Last of all the simulation is tried itself: see [`trial`].
//!
//! `--fast` leaves exactly those test files and that trial out. It sets none of these and needs no Go.

mod end_to_end;

use std::path::PathBuf;

use self::end_to_end::END_TO_END;
use crate::error::Error;
use crate::process;
use crate::repository::{Metadata, Package, Repository};
use crate::sim::trial;
use crate::tools;
use crate::tools::debian::{self, DebianPackage};

/// Where end-to-end tests find the program `kube`.
const TOOLS_DIR: &str = "HELIX_TOOLS_DIR";

/// Where they find the one of the minor version before.
const PREVIOUS_TOOLS_DIR: &str = "HELIX_PREVIOUS_TOOLS_DIR";

/// Where end-to-end tests find Helm.
const HELM: &str = "HELIX_HELM";

/// Where end-to-end tests find Argo CD.
const ARGOCD: &str = "HELIX_ARGOCD";

/// Where they find Cilium's policy engine.
const POLICYCHECK: &str = "HELIX_POLICYCHECK";

/// Where end-to-end tests find the project's own programs.
const BIN_DIR: &str = "HELIX_BIN_DIR";

/// What tests need of Debian, besides Rust, Go and git.
const SYSTEM_PACKAGES: &[DebianPackage] =
    &[debian::CHROMIUM, debian::NODE, debian::NPM, debian::PROMETHEUS, debian::REDIS];

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out the tests that start processes (tests/e2e_*.rs)
    #[arg(long)]
    fast: bool,
    /// Only the tests that start processes
    #[arg(long, conflicts_with = "fast")]
    end_to_end: bool,
    /// Only try the simulation: every scenario, and every guard broken
    #[arg(long, conflicts_with_all = ["fast", "end_to_end"])]
    trial: bool,
}

/// `cargo xtask test`.
///
/// # Errors
/// When something that the tests need can't be had, or a test fails.
pub(crate) fn run(repository: &Repository, arguments: &Arguments) -> Result<(), Error> {
    if arguments.trial {
        return trial::run(repository);
    }
    let metadata = repository.metadata()?;
    if arguments.fast {
        return fast(repository, &metadata);
    }
    let variables = prepared(repository, &metadata)?;
    if arguments.end_to_end {
        return end_to_end::run(repository, &variables);
    }
    let told = fast(repository, &metadata).and(end_to_end::run(repository, &variables));
    told.and(trial::run(repository))
}

/// Builds what the tests start, and says by variables where it is.
fn prepared(repository: &Repository, metadata: &Metadata) -> Result<[(&'static str, PathBuf); 6], Error> {
    debian::install(SYSTEM_PACKAGES)?;
    let (kube, previous) = (tools::kube(repository)?, tools::previous_kube(repository)?);
    let helm = tools::helm(repository)?;
    let argocd = tools::argocd(repository)?;
    let policycheck = tools::policycheck(repository)?;
    // Tests and programs in one go: with the same features on, nothing is compiled twice.
    process::step(repository.cargo().args(["build", "--workspace", "--all-targets", "--locked"]))?;
    Ok([
        (TOOLS_DIR, kube.directory().to_owned()),
        (PREVIOUS_TOOLS_DIR, previous.directory().to_owned()),
        (HELM, helm),
        (ARGOCD, argocd),
        (POLICYCHECK, policycheck),
        (BIN_DIR, metadata.target_directory()?.join("debug")),
    ])
}

/// Cargo has no way to leave a test file out, so this names all the others; doc tests can't be named together with
/// anything else.
fn fast(repository: &Repository, metadata: &Metadata) -> Result<(), Error> {
    let mut named = repository.cargo();
    named.args(["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins"]);
    for test in fast_tests(metadata.packages()) {
        named.args(["--test", test]);
    }
    let told = process::step(&mut named);
    told.and(process::step(repository.cargo().args(["test", "--workspace", "--locked", "--no-fail-fast", "--doc"])))
}

/// The names of the integration tests that start no process. Two crates may have tests of one name, and naming it once
/// means both.
fn fast_tests<'metadata>(packages: impl Iterator<Item = Package<'metadata>>) -> Vec<&'metadata str> {
    let mut names: Vec<_> =
        packages.flat_map(Package::integration_tests).filter(|name| !name.starts_with(END_TO_END)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_tests_are_all_but_those_that_start_processes() {
        let target = |kind: &str, name: &str| serde_json::json!({"kind": [kind], "name": name});
        let json = serde_json::json!({"packages": [
            {"name": "a", "targets": [target("lib", "a"), target("test", "golden"), target("test", "e2e_create")]},
            {"name": "b", "targets": [target("bin", "e2e_no_test"), target("test", "golden"), target("test", "api")]},
        ]});
        assert_eq!(fast_tests(Metadata::from_json(json).packages()), ["api", "golden"]);
    }
}
