//! The file in which Helix lists what is its own in a tree, so that it never writes over anything else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Its name, in the root of the tree.
pub const MARKER: &str = "helix-tree.json";

/// For who finds the file.
const NOTE: &str = "Written by Helix, as is every file listed here. Change the HelixPlatform instead: a file that was \
                    changed by others is not written over, and holds up what comes after.";

/// Every file that Helix has written, with its digest when it did so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    note: String,
    /// The platform's name.
    pub platform: String,
    /// Files by path from the root of the tree, each with the SHA-256 of its bytes, in hex.
    pub files: BTreeMap<String, String>,
}

/// A marker that cannot be read, so that nobody can tell which files are Helix' own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MARKER} is not what Helix writes: {why}")]
pub struct UnreadableMarker {
    why: String,
}

impl Marker {
    pub(super) fn new(platform: &str, files: BTreeMap<String, String>) -> Self {
        Self { note: NOTE.to_owned(), platform: platform.to_owned(), files }
    }

    /// Reads one that was found.
    ///
    /// # Errors
    /// [`UnreadableMarker`], also where a path leads out of the tree.
    pub fn read(bytes: &[u8]) -> Result<Self, UnreadableMarker> {
        let marker: Self =
            serde_json::from_slice(bytes).map_err(|error| UnreadableMarker { why: error.to_string() })?;
        match marker.files.keys().find(|path| !is_within(path)) {
            Some(path) => Err(UnreadableMarker { why: format!("`{path}` is no path within the tree") }),
            None => Ok(marker),
        }
    }

    /// As it is written.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// Whether a path stays below the root: somebody else may have written the marker.
fn is_within(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | "..") && part != ".git")
}
