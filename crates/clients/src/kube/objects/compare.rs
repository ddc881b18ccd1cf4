//! How the objects of a component stand in a cluster: found by the component's label, kind by kind, and by name where
//! the label does not find them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use helix_crds::labels::COMPONENT;
use helix_engine::seams::{Manifest, WorkloadError};
use helix_plan::components::Component;
use helix_plan::observed::{ObjectId, ObjectState, Surplus};
use serde_json::Value;

use super::cluster::Cluster;
use super::kinds::Kind;
use super::likeness::{applied_by_us, is_alike};
use super::memory::Outcome;
use super::record::KindName;

/// Calls for one component at a time.
const AT_A_TIME: usize = 8;

/// Objects that were found, by kind, real namespace and name.
type Found = BTreeMap<KindName, BTreeMap<(Option<String>, String), Value>>;

impl Cluster {
    pub(super) async fn compare(
        &self,
        component: Component,
        wanted: &[Arc<Manifest>],
    ) -> Result<(BTreeMap<ObjectId, ObjectState>, Vec<Surplus>), WorkloadError> {
        let named = |id: &ObjectId| (id.api_version.clone(), id.kind.clone());
        let mut names: BTreeSet<KindName> = wanted.iter().map(|manifest| named(&manifest.id)).collect();
        names.extend(self.kinds_of(component).await?);
        let kinds = self.kinds(names).await?;
        let mut found = self.labelled(component, &kinds).await?;
        let mut states = Vec::new();
        for manifest in wanted {
            let kind = kinds.get(&named(&manifest.id));
            let there = kind.and_then(|kind| take(&mut found, kind, &manifest.id));
            states.push(self.state(component, manifest, kind, there));
        }
        let states = stream::iter(states).buffer_unordered(AT_A_TIME).try_collect().await?;
        let mut surplus = Vec::new();
        for (name, objects) in found {
            let Some(kind) = kinds.get(&name) else { continue };
            for object in objects.into_values().filter(is_surplus) {
                surplus.push(self.surplus(kind, &object).await?);
            }
        }
        Ok((states, surplus))
    }

    /// Those of the kinds that the cluster serves.
    async fn kinds(&self, names: BTreeSet<KindName>) -> Result<BTreeMap<KindName, Kind>, WorkloadError> {
        let mut kinds = BTreeMap::new();
        // One after the other: the first of a group's version is the answer for all.
        for name in names {
            if let Some(kind) = self.kind(&name.0, &name.1).await? {
                kinds.insert(name, kind);
            }
        }
        Ok(kinds)
    }

    /// All objects that carry the component's label.
    async fn labelled(&self, component: Component, kinds: &BTreeMap<KindName, Kind>) -> Result<Found, WorkloadError> {
        let label = format!("{COMPONENT}={}", component.name());
        let mut lists = Vec::new();
        for (name, kind) in kinds.iter().filter(|(_, kind)| kind.listed) {
            lists.push(self.labelled_of(name, kind, &label));
        }
        stream::iter(lists).buffer_unordered(AT_A_TIME).try_collect().await
    }

    async fn labelled_of(
        &self,
        name: &KindName,
        kind: &Kind,
        label: &str,
    ) -> Result<(KindName, BTreeMap<(Option<String>, String), Value>), WorkloadError> {
        let objects = self.list(kind, None, label).await?.unwrap_or_default().into_iter();
        let named = objects.map(|object| ((text(&object, "namespace"), name_of(&object)), object));
        Ok((name.clone(), named.collect()))
    }

    /// How one object stands; `there` is what the label has found of it.
    async fn state(
        &self,
        component: Component,
        manifest: &Manifest,
        kind: Option<&Kind>,
        there: Option<Value>,
    ) -> Result<(ObjectId, ObjectState), WorkloadError> {
        let id = &manifest.id;
        let Some(kind) = kind else { return Ok((id.clone(), ObjectState::UnknownKind)) };
        let live = match there {
            Some(live) => Some(live),
            None => self.get(kind, id.namespace.as_deref(), &id.name).await?,
        };
        let state = live.map_or(ObjectState::Missing, |live| self.judged(component, manifest, kind, &live));
        Ok((id.clone(), state))
    }

    fn judged(&self, component: Component, manifest: &Manifest, kind: &Kind, live: &Value) -> ObjectState {
        if let Some(manager) = foreign(component, live) {
            return ObjectState::Foreign { manager };
        }
        let said = in_scope(&manifest.object, kind);
        if is_alike(&said, live) {
            return ObjectState::AsWanted;
        }
        match self.memory.attempts.outcome(&manifest.id, &manifest.digest, &said, live) {
            Some(Outcome::Settled) => ObjectState::AsWanted,
            Some(Outcome::Refused(fields)) => ObjectState::Conflict { fields },
            None => ObjectState::Differs,
        }
    }
}

/// The manifest of an object of that kind: one without a namespace says none.
pub(super) fn in_scope<'a>(object: &'a Value, kind: &Kind) -> Cow<'a, Value> {
    if kind.namespaced || object["metadata"]["namespace"].is_null() {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("namespace");
    }
    Cow::Owned(object)
}

fn take(found: &mut Found, kind: &Kind, id: &ObjectId) -> Option<Value> {
    let objects = found.get_mut(&(id.api_version.clone(), id.kind.clone()))?;
    objects.remove(&(kind.namespace(id.namespace.as_deref()).map(str::to_owned), id.name.clone()))
}

pub(super) fn text(object: &Value, key: &str) -> Option<String> {
    object["metadata"][key].as_str().map(str::to_owned)
}

pub(super) fn name_of(object: &Value) -> String {
    text(object, "name").unwrap_or_default()
}

/// Who manages an object that is not the component's. One that we have applied and whose label somebody took away is still
/// the component's: applying it brings the label back.
fn foreign(component: Component, live: &Value) -> Option<String> {
    let labels = &live["metadata"]["labels"];
    match labels[COMPONENT].as_str() {
        Some(label) if label == component.name() => None,
        Some(other) => Some(format!("Helix, for {other}")),
        None if applied_by_us(live).is_some() => None,
        None => {
            let told = labels["app.kubernetes.io/managed-by"].as_str().map(str::to_owned);
            Some(told.unwrap_or_else(|| managers(live)))
        }
    }
}

fn managers(live: &Value) -> String {
    let entries = live["metadata"]["managedFields"].as_array();
    let names: BTreeSet<&str> = entries.into_iter().flatten().filter_map(|entry| entry["manager"].as_str()).collect();
    if names.is_empty() { "somebody who left no name".to_owned() } else { Vec::from_iter(names).join(", ") }
}

/// Whether a labelled object that is not wanted is one that we have made: others copy labels to what they make of ours, and
/// what is leaving has been told to.
fn is_surplus(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let owned = metadata["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty());
    !owned && metadata["deletionTimestamp"].is_null()
}
