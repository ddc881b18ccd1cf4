//! The user's overrides of the catalogue: that each is of a component that is wanted, and leaves alone what others
//! rely on. Whether a chart knows the keys of the values is judged when the chart is at hand.

use std::collections::BTreeMap;

use helix_crds::ComponentOverride;
use semver::Version;
use serde_json::Value;

use super::Layers;
use crate::components::values::merged;
use crate::components::{Component, Source, Wanted, nearest, wanted};
use crate::validated::Rejections;

/// Components without which no pod runs.
const ALWAYS: [Component; 2] = [Component::Cilium, Component::HcloudCcm];

/// Keys by which a chart would leave the namespace and names that its policies and probes are for.
const OURS: [&str; 3] = ["namespaceOverride", "fullnameOverride", "nameOverride"];

pub(super) fn read(
    wanted: &BTreeMap<String, ComponentOverride>,
    rejections: &mut Rejections,
) -> BTreeMap<Component, ComponentOverride> {
    let mut overrides = BTreeMap::new();
    for (name, wanted) in wanted {
        let Some(component) = Component::named(name) else {
            let names: Vec<&str> = Component::ALL.iter().map(|component| component.name()).collect();
            let remedy = match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write one of {}", names.join(", ")),
            };
            rejections.add(format!("spec.components.{name}"), "is no component of the catalogue", remedy);
            continue;
        };
        overrides.insert(component, wanted.clone());
    }
    overrides
}

pub(super) fn check(layers: &Layers, rejections: &mut Rejections) {
    let whole = Layers { until: helix_crds::PhaseName::AiAgentic, ..layers.clone() };
    let present = wanted(&whole);
    for (component, wanted) in &layers.overrides {
        let field = format!("spec.components.{component}");
        switched(layers, *component, wanted, &present, &field, rejections);
        version(layers, *component, wanted, &field, rejections);
        manifests(layers, *component, wanted, &field, rejections);
        fixed(layers, *component, wanted, &field, rejections);
        for key in wanted.values.keys().filter(|key| OURS.contains(&key.as_str())) {
            rejections.add(
                format!("{field}.values.{key}"),
                format!("{component} stays in its own namespace under its own name, for which its policies are"),
                "leave it out",
            );
        }
    }
    for component in present.iter().map(|found| found.component) {
        kubernetes(layers, component, rejections);
    }
}

/// Whether a component runs on the wanted Kubernetes. Of another version than the catalogue's that is not known here.
fn kubernetes(layers: &Layers, component: Component, rejections: &mut Rejections) {
    let entry = component.entry();
    let is_overridden = layers.overrides.get(&component).is_some_and(|found| found.version.is_some());
    let Some((first, last)) = entry.supports.minors.filter(|_| !is_overridden) else { return };
    if !entry.supports.holds(&layers.versions) {
        rejections.add_about(
            component,
            "spec.versions.kubernetes",
            format!("{component} does not run on Kubernetes v{}", layers.versions.kubernetes),
            format!(
                "write v1.{first}.x to v1.{last}.x, or another version of {component} in spec.components.{component}"
            ),
        );
    }
}

fn switched(
    layers: &Layers,
    component: Component,
    wanted: &ComponentOverride,
    present: &[Wanted],
    field: &str,
    rejections: &mut Rejections,
) {
    let is_present = present.iter().any(|found| found.component == component);
    if wanted.enabled && !is_present {
        let asked_by = component.entry().asked_by;
        rejections.add(field, "overrides what nothing asks for", format!("write {asked_by}, or leave this out"));
    }
    if wanted.enabled {
        return;
    }
    if ALWAYS.contains(&component) {
        rejections.add(
            format!("{field}.enabled"),
            format!("without {component} no pod runs"),
            "write true, or untilPhase: ImmutableSubstrate",
        );
        return;
    }
    let needs_it = |found: &&Wanted| found.component.entry().needs.contains(&component);
    if let Some(dependant) = present.iter().find(needs_it) {
        rejections.add(
            format!("{field}.enabled"),
            format!("{} cannot do without {component}", dependant.component),
            format!("write true, or take out {}", dependant.component.entry().asked_by),
        );
    } else if !(component.entry().asked)(layers) && !is_present {
        rejections.add(field, "switches off what nothing asks for", "leave it out");
    }
}

/// Values that the user may not set otherwise, because what Helix promises hangs on them.
fn fixed(layers: &Layers, component: Component, wanted: &ComponentOverride, field: &str, rejections: &mut Rejections) {
    let entry = component.entry();
    let ours = (entry.values)(layers);
    let all = merged(ours.clone(), &Value::Object(wanted.values.clone()));
    for pointer in entry.fixed_values.iter().filter(|pointer| all.pointer(pointer) != ours.pointer(pointer)) {
        let path = pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/");
        rejections.add(
            format!("{field}.values.{path}"),
            "is what Helix relies on: policies, ownership or the way to the cluster hang on it",
            "leave it out",
        );
    }
}

/// Manifests of our own have just the values that the catalogue gives them.
fn manifests(
    layers: &Layers,
    component: Component,
    wanted: &ComponentOverride,
    field: &str,
    rejections: &mut Rejections,
) {
    let entry = component.entry();
    let (Source::Manifests, Value::Object(known)) = (&entry.source, (entry.values)(layers)) else { return };
    for key in wanted.values.keys().filter(|key| !known.contains_key(*key)) {
        let remedy = match nearest(key, known.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "leave it out".to_owned(),
        };
        rejections.add(format!("{field}.values.{key}"), format!("{component} has no such value"), remedy);
    }
}

fn version(
    layers: &Layers,
    component: Component,
    wanted: &ComponentOverride,
    field: &str,
    rejections: &mut Rejections,
) {
    let Some(version) = &wanted.version else { return };
    let field = format!("{field}.version");
    let entry = component.entry();
    let Source::Chart(chart) = &entry.source else {
        rejections.add(field, format!("{component} has no chart, its manifests are Helix' own"), "leave it out");
        return;
    };
    if Version::parse(version.strip_prefix('v').unwrap_or(version)).is_err() {
        rejections.add(&field, format!("`{version}` is no version"), format!("write it as in {}", chart.version));
    }
    if let Some(section) = (entry.version)(layers)
        && section != version
        && section != chart.version
    {
        rejections.add(field, format!("{} already says {section}", entry.asked_by), "write the version once");
    }
}
