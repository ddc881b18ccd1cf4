//! Where things are: the checkout that this xtask was built from, its files and cargo's view of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::process;

/// Prefixes of the variables by which cargo tells a program of its package.
const OF_A_PACKAGE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// A checkout of the project.
pub(crate) struct Repository {
    root: PathBuf,
}

impl Repository {
    /// The checkout that this program was built from: commands mean it, from whichever directory they are run.
    pub(crate) fn of_this_build() -> Self {
        let crate_directory = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { root: crate_directory.parent().unwrap_or(crate_directory).to_owned() }
    }

    /// A directory that a test takes for a checkout.
    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The path of a file of the checkout.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The content of a text file of the checkout.
    ///
    /// # Errors
    /// [`Error::File`] when it is not there or no UTF-8.
    pub(crate) fn read(&self, relative: &str) -> Result<String, Error> {
        let path = self.path(relative);
        fs::read_to_string(&path).map_err(Error::file("read", path))
    }

    /// Every file that is tracked, or new and not ignored, as paths with `/` relative to the root, sorted.
    ///
    /// # Errors
    /// [`Error::Start`] or [`Error::Failed`] without git or outside of a checkout.
    pub(crate) fn files(&self) -> Result<Vec<String>, Error> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&self.root);
        let listing = process::answer(&mut git)?;
        let mut files: Vec<String> = listing
            .split('\0')
            .filter(|file| !file.is_empty() && self.path(file).is_file())
            .map(str::to_owned)
            .collect();
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }

    /// Cargo, in this checkout: the very cargo that runs xtask, when cargo runs it.
    ///
    /// What cargo tells xtask of its own package is taken away. Build scripts look at such variables, and all that is behind
    /// TLS would be compiled anew whenever a developer goes from `cargo build` to `cargo xtask` and back.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| OF_A_PACKAGE.iter().any(|prefix| name.starts_with(prefix))) {
                cargo.env_remove(name);
            }
        }
        cargo.current_dir(&self.root);
        cargo
    }

    /// What cargo knows of the workspace's own packages and where it builds, without their dependencies' graph.
    ///
    /// # Errors
    /// As [`process::json`].
    pub(crate) fn metadata(&self) -> Result<Metadata, Error> {
        let json = process::json(self.cargo().args(["metadata", "--format-version=1", "--no-deps", "--locked"]))?;
        Ok(Metadata::from_json(json))
    }
}

/// The answer of `cargo metadata --no-deps`.
pub(crate) struct Metadata {
    json: serde_json::Value,
}

impl Metadata {
    /// Reads the answer of `cargo metadata --format-version=1`.
    pub(crate) fn from_json(json: serde_json::Value) -> Self {
        Self { json }
    }

    /// The directory into which cargo builds, normally `target`.
    ///
    /// # Errors
    /// [`Error::Answer`] when cargo does not say.
    pub(crate) fn target_directory(&self) -> Result<PathBuf, Error> {
        self.json["target_directory"].as_str().map(PathBuf::from).ok_or_else(|| Error::Answer {
            command: "cargo metadata".to_owned(),
            problem: "it names no target_directory".to_owned(),
        })
    }

    /// The packages of the workspace.
    pub(crate) fn packages(&self) -> impl Iterator<Item = Package<'_>> {
        self.json["packages"].as_array().into_iter().flatten().map(|json| Package { json })
    }
}

/// A package of the workspace.
#[derive(Clone, Copy)]
pub(crate) struct Package<'metadata> {
    json: &'metadata serde_json::Value,
}

impl<'metadata> Package<'metadata> {
    /// The package's name.
    pub(crate) fn name(self) -> &'metadata str {
        self.json["name"].as_str().unwrap_or_default()
    }

    /// Its directory, relative to the root of the checkout.
    pub(crate) fn directory(self, repository: &Repository) -> String {
        let manifest = Path::new(self.json["manifest_path"].as_str().unwrap_or_default());
        let directory = manifest.parent().unwrap_or(manifest);
        directory.strip_prefix(&repository.root).unwrap_or(directory).to_string_lossy().into_owned()
    }

    /// The names of its direct dependencies, with whether only tests have them.
    pub(crate) fn dependencies(self) -> impl Iterator<Item = (&'metadata str, bool)> {
        let dependencies = self.json["dependencies"].as_array().into_iter().flatten();
        dependencies.filter_map(|json| Some((json["name"].as_str()?, json["kind"] == "dev")))
    }

    /// The names of its integration tests: the files in `tests/`.
    pub(crate) fn integration_tests(self) -> impl Iterator<Item = &'metadata str> {
        let targets = self.json["targets"].as_array().into_iter().flatten();
        targets.filter(|target| target["kind"][0] == "test").filter_map(|target| target["name"].as_str())
    }
}
