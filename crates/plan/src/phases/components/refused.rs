//! Which component a field of the specification concerns that cannot be acted on: that one alone is held up by it.

use crate::components::Component;
use crate::validated::{Rejection, ValidatedPlatform};

/// Sections of the specification, and whose they are; the longer ones first.
const SECTIONS: [(&str, Component); 15] = [
    ("spec.securityWeave.cilium", Component::Cilium),
    ("spec.securityWeave.netbird", Component::NetbirdOperator),
    ("spec.securityWeave.ingress", Component::Traefik),
    ("spec.securityWeave.authentik", Component::Authentik),
    ("spec.acme", Component::CertManager),
    ("spec.provider.hetzner.image.schematic", Component::Longhorn),
    ("spec.dns", Component::Traefik),
    ("spec.gitops.devtron", Component::Devtron),
    ("spec.gitops", Component::ArgoCd),
    ("spec.data.longhorn", Component::Longhorn),
    ("spec.data.postgres", Component::Databases),
    ("spec.data.redis", Component::Caches),
    ("spec.ai.ollama", Component::Ollama),
    ("spec.ai.langgraph", Component::LangGraph),
    ("spec.ai.steelBrowser", Component::SteelBrowser),
];

/// What is refused of one component.
pub(super) fn of(platform: &ValidatedPlatform, component: Component) -> Vec<Rejection> {
    platform.refused.iter().filter(|it| concerned(platform, it) == Some(component)).cloned().collect()
}

/// What is refused and concerns no component that the platform has.
pub(super) fn of_the_cluster(platform: &ValidatedPlatform) -> Vec<Rejection> {
    platform.refused.iter().filter(|it| concerned(platform, it).is_none()).cloned().collect()
}

fn concerned(platform: &ValidatedPlatform, rejection: &Rejection) -> Option<Component> {
    let named = || {
        let rest = rejection.field.strip_prefix("spec.components.")?;
        Component::named(rest.split('.').next()?)
    };
    let section = || SECTIONS.iter().find(|(section, _)| rejection.field.starts_with(section)).map(|(_, whose)| *whose);
    let whose = rejection.about.or_else(named).or_else(section)?;
    platform.component(whose).map(|_| whose)
}
