//! A program that a Go module of the project's own is: built once for what it is made of, and found again.
//!
//! It lies in `target/tools/<program>-<version>-<digest>/<program>`, where the digest is of all that it is built from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::{BUILD, digest, required_version};
use crate::error::Error;
use crate::process;
use crate::repository::Repository;

/// A module, and what the program is named and stamped with.
pub(super) struct GoProgram {
    /// The folder of the module, from the root of the checkout.
    pub(super) module: &'static str,
    /// The package that is the program, as in `.` for the module's own.
    pub(super) package: &'static str,
    /// The program's name.
    pub(super) name: &'static str,
    /// The requirement whose version is the program's.
    pub(super) requirement: &'static str,
    /// Variables that the linker sets, with what comes before that version's number, as in `example.com/x.version=v`.
    pub(super) stamped: &'static [&'static str],
}

impl GoProgram {
    /// Finds it, or builds it. The caller holds the lock of `tools`.
    ///
    /// # Errors
    /// Without Go, with a failing build, or when files can't be written.
    pub(super) fn find_or_make(&self, repository: &Repository, tools: &Path) -> Result<PathBuf, Error> {
        let module = repository.path(self.module);
        let version = required_version(&repository.read(&format!("{}/go.mod", self.module))?, self.requirement)
            .ok_or_else(|| Error::Content {
                path: module.join("go.mod"),
                problem: format!("it requires no {0}; write `require {0} v1.x.y`", self.requirement),
            })?;
        let mut flags = "-s -w".to_owned();
        for variable in self.stamped {
            flags += &format!(" -X {variable}{}", version.trim_start_matches('v'));
        }
        let digest = digest(&module, ["go.mod", "go.sum"], &flags)?;
        let directory = tools.join(format!("{}-{version}-{digest}", self.name));
        let program = directory.join(self.name);
        if !program.is_file() {
            self.make(&module, &version, &flags, &directory)?;
        }
        Ok(program)
    }

    /// Builds beside, and only then moves to where it will be found: an interrupted build is never found.
    fn make(&self, module: &Path, version: &str, flags: &str, directory: &Path) -> Result<(), Error> {
        let building = directory.with_extension("building");
        eprintln!("==> building {} {version} from {}; minutes the first time, then kept", self.name, self.module);
        let started = Instant::now();
        let mut go = Command::new("go");
        go.args(BUILD).arg(format!("-ldflags={flags}")).arg("-o").arg(building.join(self.name));
        go.arg(self.package).current_dir(module).env("CGO_ENABLED", "0").env("GOWORK", "off");
        process::run(&mut go)?;
        fs::rename(&building, directory).map_err(Error::file("create", directory))?;
        eprintln!("    {:.0} s", started.elapsed().as_secs_f64());
        Ok(())
    }
}
