//! The GitOps tree: what a platform's repository holds, deterministic to the byte, with no secret in it.
//!
//! `helix render --gitops` and the operator write the same tree. This module makes it and compares it with what is
//! found where it belongs; it reads and writes nothing, and knows nothing of Git.

mod changes;
mod file;
mod marker;
mod tree;

pub use changes::{Changes, Found};
pub use marker::{MARKER, Marker, UnreadableMarker};
pub(crate) use tree::{APPLICATIONS, folder};
pub use tree::{Tree, TreeError};

use sha2::{Digest as _, Sha256};

/// SHA-256 of a file's bytes, in hex.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
