//! The directory of a sandbox: what lies where in it, and writing files that only their owner may read.
//!
//! Nothing here knows what the files hold.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Folders of a sandbox; each is made anew when one starts.
const FOLDERS: [&str; 6] = ["logs", "pids", "management", "sim", "repositories", "prometheus"];

/// Files of a sandbox, for who looks around in it.
const FILES: [&str; 8] = [
    "management.kubeconfig",
    "workload.kubeconfig",
    "talosconfig",
    "hetzner.env",
    "object-storage.env",
    "control.json",
    "operator.address",
    "prometheus.url",
];

/// A sandbox's directory, as an absolute path without links: it is what marks the sandbox's processes.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Makes the directory where it is missing, for its owner alone.
    ///
    /// # Errors
    /// [`Error::File`] when that is not possible.
    pub(crate) fn make(path: &Path) -> Result<Self, Error> {
        make_private(path)?;
        Self::find(path)
    }

    /// A directory that is there.
    ///
    /// # Errors
    /// [`Error::File`] when it is not.
    pub(crate) fn find(path: &Path) -> Result<Self, Error> {
        let root = path.canonicalize().map_err(Error::file("find", path))?;
        Ok(Self { root })
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder in it.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Holds the directory against a second `cargo xtask sandbox` until dropped.
    ///
    /// # Errors
    /// [`Error::SandboxRuns`] when another one holds it.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let path = self.path(".lock");
        let file = File::create(&path).map_err(Error::file("create", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::SandboxRuns { directory: self.root.clone() }),
            Err(TryLockError::Error(source)) => Err(Error::file("lock", path)(source)),
        }
    }

    /// Removes what an earlier sandbox left here, nothing else, and makes the folders.
    ///
    /// # Errors
    /// [`Error::File`] when that is not possible.
    pub(crate) fn renew(&self) -> Result<(), Error> {
        for file in FILES {
            gone(fs::remove_file(self.path(file))).map_err(Error::file("remove", self.path(file)))?;
        }
        for folder in FOLDERS.map(|folder| self.path(folder)) {
            gone(fs::remove_dir_all(&folder)).map_err(Error::file("remove", &folder))?;
            make_private(&folder)?;
        }
        Ok(())
    }

    /// Writes a file of mode 0600, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`] when that is not possible.
    pub(crate) fn write(&self, relative: &str, content: &str) -> Result<PathBuf, Error> {
        let path = self.path(relative);
        let new = path.with_extension("new");
        let written = || -> io::Result<()> {
            gone(fs::remove_file(&new))?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(content.as_bytes())?;
            fs::rename(&new, &path)
        };
        written().map_err(Error::file("write", &path))?;
        Ok(path)
    }
}

fn make_private(path: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(Error::file("create", path))
}

/// What is not there need not be removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_for_their_owner_alone_and_written_anew() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::make(&parent.path().join("a/b")).unwrap();
        directory.write("talosconfig", "old").unwrap();
        let path = directory.write("talosconfig", "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(directory.root()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn renewing_removes_what_is_the_sandboxs_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::make(parent.path()).unwrap();
        directory.renew().unwrap();
        for file in ["logs/etcd.log", "talosconfig", "notes.txt"] {
            directory.write(file, "text").unwrap();
        }
        directory.renew().unwrap();
        assert!(directory.path("notes.txt").exists());
        assert!(!directory.path("talosconfig").exists());
        assert!(!directory.path("logs/etcd.log").exists());
    }

    #[test]
    fn a_directory_is_one_sandboxs_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::make(parent.path()).unwrap();
        let held = directory.lock().unwrap();
        assert!(matches!(directory.lock(), Err(Error::SandboxRuns { .. })));
        drop(held);
        directory.lock().unwrap();
    }
}
