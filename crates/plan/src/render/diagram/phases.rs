//! The phases in their order, each with what it makes: resources of ours in the first two, components in all others.

use helix_crds::PhaseName;

use super::seen::{Mark, Seen};
use super::text::{Chart, Handle, Label, Shape, Way};
use crate::components::Wanted;
use crate::validated::{Endpoint, ValidatedPlatform};

/// Draws the phases of a platform.
pub(super) fn draw(chart: &mut Chart, platform: &ValidatedPlatform, seen: Option<&Seen>) {
    let mut before: Option<Handle> = None;
    for (index, phase) in PhaseName::ALL.into_iter().enumerate() {
        let state = state(platform, phase, seen);
        let group = chart.group(format!("Phase {}: {phase}", index + 1), |chart| {
            chart.direction(Way::Right);
            let parts = parts(platform, phase);
            if let Some((words, mark)) = &state {
                chart.node(Shape::Outside, words, *mark);
            } else if parts.is_empty() {
                chart.node(Shape::Thing, &Label::of("Nothing is asked for"), None);
            }
            for part in parts {
                chart.node(Shape::Thing, &part, None);
            }
        });
        if let Some(before) = before {
            chart.edge(before, group, &Label::default());
        }
        before = Some(group);
    }
}

/// What is said of a phase, and its colour: how it was seen, or that it is not asked for.
fn state(platform: &ValidatedPlatform, phase: PhaseName, seen: Option<&Seen>) -> Option<(Label, Option<Mark>)> {
    if phase > platform.until {
        return Some((Label::of("NotRequested"), seen.map(|_| Mark::Unknown)));
    }
    let found = seen?.phase(phase);
    Some((found.words.iter().fold(Label::default(), Label::and), Some(found.mark)))
}

/// What a phase makes, up to the last that is asked for.
fn parts(platform: &ValidatedPlatform, phase: PhaseName) -> Vec<Label> {
    if phase > platform.until {
        return Vec::new();
    }
    let ours = match phase {
        PhaseName::HardenedCore => core(platform),
        PhaseName::ImmutableSubstrate => substrate(platform),
        PhaseName::SecurityWeave | PhaseName::GitOpsControlPlane | PhaseName::StateAndDataHa | PhaseName::AiAgentic => {
            Vec::new()
        }
    };
    let components = platform.components.iter().filter(|wanted| wanted.phase == phase).map(component);
    ours.into_iter().chain(components).collect()
}

fn core(platform: &ValidatedPlatform) -> Vec<Label> {
    let network = &platform.network;
    let mut parts = vec![
        Label::of("Secret bundle").and("authorities and keys of the cluster"),
        Label::of(format!("Network {}", network.cidr)).and(format!("subnet {}", network.subnet)),
        Label::of("Firewall").and("admin ports by the allow-list"),
        Label::of(format!("Image Talos v{}", platform.versions.talos)),
    ];
    parts.push(match &platform.endpoint {
        Endpoint::LoadBalancer { public: true } => Label::of("Load balancer of the API").and("reached by the world"),
        Endpoint::LoadBalancer { public: false } => Label::of("Load balancer of the API").and("private interface only"),
        Endpoint::Dns { host } => Label::of("API by name").and(host),
    });
    parts
}

fn substrate(platform: &ValidatedPlatform) -> Vec<Label> {
    let pools = platform.pools().map(|pool| {
        let machines = if pool.replicas == 1 { "machine" } else { "machines" };
        Label::of(format!("Pool {}", pool.name)).and(format!("{} {machines}", pool.replicas))
    });
    let versions = &platform.versions;
    let cluster = Label::of("etcd and Kubernetes").and(format!("Kubernetes v{}", versions.kubernetes));
    pools.chain([cluster]).collect()
}

fn component(wanted: &Wanted) -> Label {
    let version =
        wanted.chart.as_ref().map_or("manifests of Helix".to_owned(), |chart| format!("chart {}", chart.version));
    Label::of(wanted.component.name()).and(version)
}
