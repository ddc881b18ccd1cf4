//! What stands between a tree and what is found in its place.

use std::collections::{BTreeMap, BTreeSet};

use super::{Marker, Tree};

/// What is in the place of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What Helix wrote there last, if it did.
    pub marker: Option<Marker>,
    /// The digest of every file that is there.
    pub files: BTreeMap<String, String>,
}

/// What has to be done there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files to write, by path.
    pub write: BTreeSet<String>,
    /// Files of Helix' own that are no longer wanted.
    pub remove: BTreeSet<String>,
    /// Files that stand where others are wanted, or are to go, and were made or changed by somebody else. While there
    /// is one, nothing is written.
    pub foreign: BTreeSet<String>,
}

impl Changes {
    /// Whether the tree is there.
    #[must_use]
    pub fn are_none(&self) -> bool {
        self.write.is_empty() && self.remove.is_empty() && self.foreign.is_empty()
    }
}

impl Tree {
    /// What has to be done where this was found.
    #[must_use]
    pub fn changes(&self, found: &Found) -> Changes {
        let listed = |path: &str| found.marker.as_ref().and_then(|marker| marker.files.get(path));
        let mut changes = Changes::default();
        for (path, wanted) in self.digests() {
            match found.files.get(path) {
                Some(there) if there == wanted => continue,
                Some(there) if listed(path) != Some(there) => changes.foreign.insert(path.clone()),
                _ => changes.write.insert(path.clone()),
            };
        }
        let written = found.marker.iter().flat_map(|marker| &marker.files);
        for (path, digest) in written.filter(|(path, _)| !self.files().contains_key(*path) && !self.keeps(path)) {
            match found.files.get(path) {
                None => continue,
                Some(there) if there == digest => changes.remove.insert(path.clone()),
                Some(_) => changes.foreign.insert(path.clone()),
            };
        }
        changes
    }

    /// The list of what is Helix' own once the changes are made: with what is kept of an earlier tree.
    #[must_use]
    pub fn marker(&self, found: &Found) -> Marker {
        let earlier = found.marker.iter().flat_map(|marker| &marker.files).filter(|(path, _)| self.keeps(path));
        let files = earlier.chain(self.digests()).map(|(path, digest)| (path.clone(), digest.clone()));
        Marker::new(self.platform(), files.collect())
    }
}
