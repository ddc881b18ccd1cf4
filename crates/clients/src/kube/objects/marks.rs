//! Marks of components' objects: what tells cheaply that somebody has changed something. Only metadata is read, and only of
//! the kinds that components have ever had objects of.
//!
//! Where a kind counts generations a status that changes does not change the mark; where it does not, every change does.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use helix_crds::labels::COMPONENT;
use helix_engine::seams::{Marks, WorkloadError};
use helix_plan::components::Component;
use serde_json::Value;

use super::cluster::Cluster;
use super::kinds::Kind;

/// Kinds that are listed at once.
const AT_A_TIME: usize = 8;

impl Cluster {
    pub(super) async fn marks(&self) -> Result<Marks, WorkloadError> {
        let mut kinds = Vec::new();
        for (api_version, kind) in self.all_kinds().await? {
            kinds.extend(self.kind(&api_version, &kind).await?.filter(|kind| kind.listed));
        }
        let lists: Vec<_> = kinds.iter().map(|kind| self.marked(kind)).collect();
        // In order: a mark is made of everything in the same order each time.
        let lists: Vec<Vec<(Component, u64)>> = stream::iter(lists).buffered(AT_A_TIME).try_collect().await?;
        let mut marks: BTreeMap<Component, DefaultHasher> = BTreeMap::new();
        for (component, mark) in lists.into_iter().flatten() {
            mark.hash(marks.entry(component).or_default());
        }
        Ok(marks.into_iter().map(|(component, mark)| (component, mark.finish())).collect())
    }

    async fn marked(&self, kind: &Kind) -> Result<Vec<(Component, u64)>, WorkloadError> {
        let objects = self.list_metadata(kind, COMPONENT).await?.unwrap_or_default();
        Ok(objects.iter().filter_map(|object| Some((component_of(object)?, mark(kind, object)))).collect())
    }
}

fn component_of(object: &Value) -> Option<Component> {
    Component::named(object["metadata"]["labels"][COMPONENT].as_str()?)
}

fn mark(kind: &Kind, object: &Value) -> u64 {
    let metadata = &object["metadata"];
    let mut mark = DefaultHasher::new();
    let text = |key: &str| metadata[key].as_str().unwrap_or_default();
    (&kind.api_version, &kind.kind, text("namespace"), text("name"), text("uid")).hash(&mut mark);
    match metadata["generation"].as_u64() {
        Some(generation) => {
            (generation, metadata["labels"].to_string(), metadata["annotations"].to_string()).hash(&mut mark);
        }
        None => text("resourceVersion").hash(&mut mark),
    }
    mark.finish()
}
