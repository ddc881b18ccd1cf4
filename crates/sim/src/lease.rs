//! Leasing a loopback block 127.x.0.0/16, so that two sandboxes can run side by side on the fixed ports of Talos and
//! Kubernetes.
//!
//! The lease is an advisory lock on a file that stays; the kernel drops the lock however the process ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::world::LoopbackBlock;

/// A leased block; dropping it gives the block back.
#[derive(Debug)]
pub struct Lease {
    block: LoopbackBlock,
    _lock: Flock<File>,
}

/// Why no block could be leased.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Every block is leased.
    #[error(
        "all blocks 127.{first}.0.0/16 to 127.{last}.0.0/16 are leased: stop a sandbox, or remove stale locks in {dir}"
    )]
    NoneFree {
        /// The first second octet.
        first: u8,
        /// The last second octet.
        last: u8,
        /// Where the lock files are.
        dir: PathBuf,
    },
    /// The lock files can't be written.
    #[error("lock file {path} can't be opened: make its directory writable")]
    LockFile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Addresses beyond 127.0.0.1 can't be used here.
    #[error("can't listen on {address}: this system has no 127.0.0.0/8 beyond 127.0.0.1; run the simulator on Linux")]
    NoLoopback {
        /// Which was tried.
        address: Ipv4Addr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Lease {
    /// Leases the first free block.
    ///
    /// # Errors
    /// See [`LeaseError`].
    pub fn take() -> Result<Self, LeaseError> {
        Self::take_in(&std::env::temp_dir().join("helix-sim-leases"))
    }

    /// The block.
    #[must_use]
    pub fn block(&self) -> LoopbackBlock {
        self.block
    }

    fn take_in(dir: &Path) -> Result<Self, LeaseError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |source| LeaseError::LockFile { path, source }
        };
        std::fs::create_dir_all(dir).map_err(unusable(dir))?;
        // For every user of the machine; whoever didn't make the directory can't and needn't change it.
        let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o1777));
        for second in LoopbackBlock::LEASABLE {
            let path = dir.join(format!("127.{second}.lock"));
            let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o666).open(&path);
            // Another user's file isn't ours to lock: his block counts as taken.
            let file = match open {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
                opened => opened.map_err(unusable(&path))?,
            };
            let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { continue };
            let address = Ipv4Addr::new(127, second, 0, 1);
            TcpListener::bind((address, 0)).map_err(|source| LeaseError::NoLoopback { address, source })?;
            return Ok(Self { block: LoopbackBlock::new(second), _lock: lock });
        }
        let (first, last) = (*LoopbackBlock::LEASABLE.start(), *LoopbackBlock::LEASABLE.end());
        Err(LeaseError::NoneFree { first, last, dir: dir.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_block_is_leased_twice_and_a_dropped_one_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lease::take_in(dir.path()).unwrap();
        let second = Lease::take_in(dir.path()).unwrap();
        assert_ne!(first.block(), second.block());
        let freed = first.block();
        drop(first);
        assert_eq!(Lease::take_in(dir.path()).unwrap().block(), freed);
    }
}
