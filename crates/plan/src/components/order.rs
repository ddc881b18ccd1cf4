//! Which components a platform has, in which phase and in which order: derived from what each needs.

use std::collections::{BTreeMap, BTreeSet};

use helix_crds::PhaseName;
use serde_json::Value;

use super::entry::namespace;
use super::values::{KnownValues, UnknownKey, merged};
use super::{Component, Digest, Entry, SecretWanted, Source, weave};
use crate::validated::Layers;

/// A component that a platform has.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Which.
    pub component: Component,
    /// The phase in which it is installed: its own, or an earlier one in which something needs it.
    pub phase: PhaseName,
    /// Its chart; `None` for manifests of our own.
    pub chart: Option<WantedChart>,
    /// The values of its chart, the user's overrides included.
    pub values: Value,
    /// The Secrets that must be there before it is installed.
    pub secrets: Vec<SecretWanted>,
    /// What Helix itself writes: the namespace, and what comes beside the chart or instead of one.
    pub resources: Vec<Value>,
    /// The policies for which its namespace is the place; those of the whole cluster come with Cilium.
    pub policies: Vec<Value>,
}

/// The chart of a component, in the version that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedChart {
    /// URL of the repository.
    pub repository: &'static str,
    /// Name in the repository.
    pub name: &'static str,
    /// The version.
    pub version: String,
    /// What it must hash to. Of another version than the catalogue's nothing is pinned.
    pub digest: Digest,
}

impl Wanted {
    /// The values that its chart does not know, now that the chart is at hand: the user's, since ours are tried.
    #[must_use]
    pub fn unknown_keys(&self, chart: &KnownValues) -> Vec<UnknownKey> {
        chart.unknown_keys(&self.values, self.component.entry().open_values)
    }
}

/// The system extensions that the Talos image of every machine must hold for what is installed up to the last phase.
#[must_use]
pub fn talos_extensions(layers: &Layers) -> BTreeSet<&'static str> {
    let in_time = phases(layers).into_iter().filter(|(_, phase)| *phase <= layers.until);
    in_time.flat_map(|(component, _)| component.entry().talos_extensions).copied().collect()
}

/// The components that the specification asks for up to its last phase, in the order in which they are installed:
/// phase by phase, each after what it needs.
#[must_use]
pub fn wanted(layers: &Layers) -> Vec<Wanted> {
    let in_time = |phase: PhaseName| phase <= layers.until;
    if !in_time(PhaseName::SecurityWeave) {
        return Vec::new();
    }
    let phases = phases(layers);
    let mut policies = weave::policies(layers);
    let ordered = ordered(&phases).into_iter();
    let wanted = ordered.filter_map(|component| {
        let phase = phases.get(&component).copied().filter(|phase| in_time(*phase))?;
        let entry = component.entry();
        let (chart, values) = (chart(component, layers), values(component, layers));
        let own = (entry.resources)(layers, &values);
        let resources = namespace(entry.home).into_iter().chain(own).collect();
        let secrets = (entry.secrets)(layers);
        let policies = policies.remove(&component).unwrap_or_default();
        Some(Wanted { component, phase, chart, values, secrets, resources, policies })
    });
    wanted.collect()
}

/// Everything that the specification asks for, whatever its last phase is for now, and what that needs.
#[must_use]
pub fn asked(layers: &Layers) -> BTreeSet<Component> {
    phases(layers).into_keys().collect()
}

/// What the specification asks for and what that needs, with the phase of each.
pub(super) fn phases(layers: &Layers) -> BTreeMap<Component, PhaseName> {
    let mut phases = BTreeMap::new();
    for component in Component::ALL.iter().copied().filter(|component| layers.asks_for(*component)) {
        bring(component, component.entry().phase, &mut phases);
    }
    phases
}

/// Enters a component and all that it needs, each in the earliest phase that is asked of it.
fn bring(component: Component, at: PhaseName, phases: &mut BTreeMap<Component, PhaseName>) {
    let at = at.min(component.entry().phase);
    if phases.get(&component).is_some_and(|known| *known <= at) {
        return;
    }
    phases.insert(component, at);
    for needed in component.entry().needs {
        bring(*needed, at, phases);
    }
}

/// By phase and, within one, each after what it needs and what it comes after; by name where that leaves a choice.
/// What is in a cycle comes last, so that nothing gets lost; a test holds that the catalogue has none.
pub(super) fn ordered(phases: &BTreeMap<Component, PhaseName>) -> Vec<Component> {
    let mut left: BTreeSet<(PhaseName, &'static str, Component)> =
        phases.iter().map(|(component, phase)| (*phase, component.name(), *component)).collect();
    let mut done = Vec::new();
    while !left.is_empty() {
        let waits = |component: Component| {
            let Entry { needs, after, .. } = component.entry();
            needs.iter().chain(*after).any(|earlier| phases.contains_key(earlier) && !done.contains(earlier))
        };
        let next = left.iter().find(|(_, _, component)| !waits(*component)).or(left.first()).copied();
        if let Some(next) = next {
            left.remove(&next);
            done.push(next.2);
        }
    }
    done
}

fn chart(component: Component, layers: &Layers) -> Option<WantedChart> {
    let entry = component.entry();
    let Source::Chart(chart) = &entry.source else { return None };
    let overridden = layers.overrides.get(&component).and_then(|found| found.version.as_deref());
    let version = overridden.or_else(|| (entry.version)(layers)).unwrap_or(chart.version).to_owned();
    let digest = if version == chart.version { chart.digest } else { Digest::ToBeResolved };
    Some(WantedChart { repository: chart.repository, name: chart.name, version, digest })
}

fn values(component: Component, layers: &Layers) -> Value {
    let ours = (component.entry().values)(layers);
    match layers.overrides.get(&component) {
        Some(found) => merged(ours, &Value::Object(found.values.clone())),
        None => ours,
    }
}
