//! What is known of the platform's repository, and of what Argo CD makes of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fact, Missing};
use crate::components::Component;

/// Everything that is known of what is published, and of who syncs it.
#[derive(Clone, Debug, PartialEq)]
pub struct GitOpsFacts {
    /// The tree that is wanted; none without a repository.
    pub tree: Option<TreeFacts>,
    /// What is in its place at the head of the branch.
    pub published: Fact<Published>,
    /// The Applications by name; none where Argo CD's kinds are not known yet.
    pub applications: Fact<BTreeMap<String, Application>>,
}

/// The tree that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFacts {
    /// SHA-256 of all its files, in hex; `Err` says why there is none.
    pub digest: Result<String, String>,
    /// Components that it lacks, because they are not rendered, or may not be published as they are.
    pub without: BTreeSet<Component>,
}

/// What is in the tree's place at the head of the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The commit, in hex.
    pub revision: String,
    /// How many files are to be written or removed.
    pub changes: usize,
    /// Files in the way that somebody else made or changed, by path.
    pub foreign: Vec<String>,
    /// Earlier commits that are known to have held the very tree that is there.
    pub alike: Vec<String>,
}

impl Published {
    /// Whether the tree is there as it is wanted.
    #[must_use]
    pub fn is_as_wanted(&self) -> bool {
        self.changes == 0 && self.foreign.is_empty()
    }

    /// Whether a commit holds the tree that is there.
    #[must_use]
    pub fn is_at(&self, revision: &str) -> bool {
        self.revision == revision || self.alike.iter().any(|alike| alike == revision)
    }
}

/// An Application, as Argo CD tells of it. What it did not tell is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Application {
    /// As in `Synced`, `OutOfSync` or `Unknown`.
    pub sync: String,
    /// As in `Healthy`, `Progressing`, `Degraded` or `Missing`.
    pub health: String,
    /// The commit that it was compared with.
    pub revision: String,
    /// What stands in its way, in Argo CD's words.
    pub problem: String,
}

impl GitOpsFacts {
    /// As of a platform of which nothing was asked yet.
    #[must_use]
    pub fn unknown() -> Self {
        let (published, applications) = (Fact::Missing(Missing::NotThereYet), Fact::Missing(Missing::NotThereYet));
        Self { tree: None, published, applications }
    }
}
