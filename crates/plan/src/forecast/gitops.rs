//! The repository in a forecast: what is published is taken to be synced at once, and to come up as anything does.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use crate::components::{Component, ROOT_APPLICATION};
use crate::observed::{Application, Fact, GitOpsFacts, Published, TreeFacts};

/// What a tree and a commit are called that nobody has made yet.
const TO_BE_MADE: &str = "to-be-made";

impl World<'_> {
    /// The tree is known once everything is rendered.
    pub(super) fn settle_gitops(&mut self) {
        let Some(platform) = self.platform else { return };
        let asked = platform.layers.gitops.as_ref().is_some_and(|gitops| gitops.repository.is_some());
        let is_rendered = |component: Component| {
            self.observed.components.get(&component).is_some_and(|facts| facts.rendered.value().is_some())
        };
        let all = platform.components.iter().all(|wanted| is_rendered(wanted.component));
        if asked && all && self.observed.gitops.tree.is_none() {
            let tree = TreeFacts { digest: Ok(TO_BE_MADE.to_owned()), without: BTreeSet::new() };
            self.observed.gitops = GitOpsFacts {
                tree: Some(tree),
                published: Fact::known(published(1), self.now),
                applications: Fact::known(BTreeMap::new(), self.now),
            };
        }
    }

    /// Argo CD has what is published.
    pub(super) fn publish(&mut self) {
        let root = Application {
            sync: "Synced".to_owned(),
            health: "Healthy".to_owned(),
            revision: TO_BE_MADE.to_owned(),
            problem: String::new(),
        };
        let components = self.platform.into_iter().flat_map(|platform| platform.components.iter());
        let names = components.map(|wanted| wanted.component.name()).chain([ROOT_APPLICATION]);
        let applications: BTreeMap<String, Application> = names.map(|name| (name.to_owned(), root.clone())).collect();
        self.observed.gitops.published = Fact::known(published(0), self.now);
        self.observed.gitops.applications = Fact::known(applications, self.now);
    }
}

fn published(changes: usize) -> Published {
    Published { revision: TO_BE_MADE.to_owned(), changes, foreign: Vec::new(), alike: Vec::new() }
}
