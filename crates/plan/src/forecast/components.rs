//! Components in a forecast: what a chart renders to is not known before it is rendered, so it is taken to be what its
//! probes look at beside what Helix itself writes.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::{World, durations};
use crate::components::{Component, Probe, Stage, Wanted, Writer, digest, manifests, stage, writer};
use crate::observed::{
    ComponentFacts, Fact, Health, Installed, ObjectId, ObjectState, Readiness, Rendered, SecretState,
};
use crate::step::Step;

/// What a rendering is called that nobody has made yet.
const TO_BE_RENDERED: &str = "to-be-rendered";

impl World<'_> {
    /// What concerns components.
    pub(super) fn install(&mut self, step: &Step) {
        match step {
            Step::RenderChart { component, .. } => self.render(*component),
            Step::PublishTree { .. } => self.publish(),
            Step::ApplyObjects { component, objects, .. } => self.installed(*component, |it| {
                it.objects
                    .iter_mut()
                    .filter(|(id, _)| objects.contains(id))
                    .for_each(|(_, state)| *state = ObjectState::AsWanted);
                // What was healthy goes on; what is new has to come up.
                it.health
                    .iter_mut()
                    .filter(|it| !matches!(it, Health::Healthy { .. }))
                    .for_each(|it| *it = coming_up());
            }),
            Step::PutSecret { component, namespace, name } => self.installed(*component, |it| {
                it.secrets.insert((namespace.clone(), name.clone()), SecretState::AsWanted);
            }),
            Step::PruneObjects { component, objects } => self.installed(*component, |it| {
                it.surplus.retain(|surplus| !objects.iter().any(|(id, _)| *id == surplus.id));
            }),
            _ => {}
        }
    }

    fn installed(&mut self, component: Component, change: impl FnOnce(&mut Installed)) {
        let facts = self.observed.components.get_mut(&component);
        if let Some(installed) = facts.and_then(|facts| facts.installed.value_mut()) {
            change(installed);
        }
    }

    /// What Helix writes itself is known at once.
    pub(super) fn render_what_has_no_chart(&mut self) {
        let platform = self.platform.into_iter().flat_map(|platform| platform.components.iter());
        let without: Vec<Component> =
            platform.filter(|wanted| wanted.chart.is_none()).map(|wanted| wanted.component).collect();
        for component in without.into_iter().filter(|it| !self.observed.components.contains_key(it)).collect::<Vec<_>>()
        {
            self.render(component);
        }
    }

    fn render(&mut self, component: Component) {
        let Some(platform) = self.platform else { return };
        let Some(wanted) = platform.component(component) else { return };
        let writer = writer(component, &platform.layers);
        let is_helix = |id: &ObjectId| writer == Writer::Helix || stage(id) == Stage::Namespaces;
        let rendered = rendered(wanted);
        let before = self.observed.components.remove(&component).and_then(|facts| facts.installed.value().cloned());
        let before = before.unwrap_or_default();
        let known = self.has_network();
        let state = |id: &ObjectId| match before.objects.contains_key(id) {
            true => ObjectState::Differs,
            // Cilium's operator makes its kinds known.
            false if is_policy(id) && !known => ObjectState::UnknownKind,
            false => ObjectState::Missing,
        };
        let secrets = wanted.secrets.iter().map(|it| (it.namespace.to_owned(), it.name.clone()));
        let filled = |secret: &(String, String)| before.secrets.get(secret).cloned().unwrap_or(SecretState::Differs);
        let installed = Installed {
            objects: rendered.objects.keys().filter(|id| is_helix(id)).map(|id| (id.clone(), state(id))).collect(),
            surplus: before.surplus.clone(),
            secrets: secrets.map(|secret| (secret.clone(), filled(&secret))).collect(),
            health: component.entry().health.iter().map(|_| coming_up()).collect(),
            saved: Vec::new(),
        };
        let facts =
            ComponentFacts { rendered: Fact::known(rendered, self.now), installed: Fact::known(installed, self.now) };
        self.observed.components.insert(component, facts);
    }

    /// Whether Cilium is there: nodes become Ready by it.
    pub(super) fn has_network(&self) -> bool {
        let cilium = self.observed.components.get(&Component::Cilium).and_then(|facts| facts.installed.value());
        cilium.is_some_and(|installed| {
            installed.objects.iter().any(|(id, state)| id.kind == "DaemonSet" && *state == ObjectState::AsWanted)
        })
    }

    /// Whether all of a component is there and well.
    pub(super) fn is_well(&self, component: Component) -> bool {
        let installed = self.observed.components.get(&component).and_then(|facts| facts.installed.value());
        installed.is_some_and(|it| it.health.iter().all(|health| matches!(health, Health::Healthy { .. })))
    }

    /// What is applied comes up, and kinds become known.
    pub(super) fn settle_components(&mut self) -> Option<SignedDuration> {
        let ready = self
            .observed
            .kubernetes
            .value()
            .is_some_and(|kubernetes| kubernetes.nodes.iter().all(|node| node.readiness == Readiness::Ready));
        let (known, mut took) = (self.has_network(), None);
        for (component, facts) in &mut self.observed.components {
            let Some(installed) = facts.installed.value_mut() else { continue };
            for state in installed.objects.values_mut().filter(|state| known && **state == ObjectState::UnknownKind) {
                *state = ObjectState::Missing;
                took = took.max(Some(durations::KIND_KNOWN));
            }
            let lacks = |(id, state): (&ObjectId, &ObjectState)| !is_policy(id) && *state != ObjectState::AsWanted;
            if installed.objects.iter().any(lacks) {
                continue;
            }
            for (probe, health) in component.entry().health.iter().zip(&mut installed.health) {
                let blocked = *probe == Probe::NodesReady && !ready;
                if !blocked && !matches!(health, Health::Healthy { .. }) {
                    *health = Health::Healthy { evidence: "it is taken to be well".to_owned() };
                    took = Some(durations::COMPONENT_UP);
                }
            }
        }
        took
    }
}

/// Whether an object is of a kind that Cilium makes known.
fn is_policy(id: &ObjectId) -> bool {
    stage(id) == Stage::Policies
}

fn coming_up() -> Health {
    Health::Unhealthy { why: "it has just been applied".to_owned() }
}

/// What a component is taken to render to.
fn rendered(wanted: &Wanted) -> Rendered {
    let mut objects: BTreeMap<ObjectId, String> = manifests(wanted, &[])
        .iter()
        .filter_map(|manifest| Some((ObjectId::of(manifest)?, digest(manifest))))
        .collect();
    let namespace = wanted.component.entry().home.namespace();
    for (kind, name) in wanted.component.entry().health.iter().filter_map(Probe::workload) {
        let id = ObjectId {
            api_version: "apps/v1".to_owned(),
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        objects.insert(id, TO_BE_RENDERED.to_owned());
    }
    Rendered {
        key: TO_BE_RENDERED.to_owned(),
        chart_digest: None,
        unknown_values: Vec::new(),
        forbidden: Vec::new(),
        objects,
        exposed: Vec::new(),
        images: Vec::new(),
    }
}
