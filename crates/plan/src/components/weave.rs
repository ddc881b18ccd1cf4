//! All flows of a platform: the cluster's own, those of its components, those of its domains, and the user's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Component, Home, order, traefik};
use crate::policy::{Flow, Matrix, Pods, Port, Ports, Protocol, Source, Target, cluster, render};
use crate::validated::Layers;

/// Namespaces that Helix makes for the platform, and `kube-system`.
#[must_use]
pub fn namespaces(layers: &Layers) -> BTreeSet<String> {
    let homes = present(layers).into_iter().map(|component| component.entry().home.namespace());
    homes.chain([Home::KubeSystem.namespace()]).map(str::to_owned).collect()
}

/// Who may talk to whom on the whole platform.
#[must_use]
pub fn matrix(layers: &Layers) -> Matrix {
    let present = present(layers);
    let restricted = present.contains(&Component::SteelBrowser);
    let restricted = restricted.then(|| Component::SteelBrowser.entry().home.namespace().to_owned());
    let mut flows = cluster::flows(&layers.internet(), restricted.into_iter().collect());
    for component in &present {
        flows.extend((component.entry().flows)(layers));
    }
    if present.contains(&Component::KubePrometheusStack) {
        flows.extend(present.iter().flat_map(|component| metrics(*component)));
    }
    if present.contains(&Component::Traefik) {
        flows.extend(traefik::to_domains(layers));
    }
    flows.extend(layers.allowed.iter().cloned());
    // A flow to a component that the platform does not have would allow what nobody reads about.
    let homeless: BTreeSet<&str> = Component::ALL
        .iter()
        .filter(|component| !present.contains(component))
        .map(|component| component.entry().home)
        .filter(|home| *home != Home::KubeSystem)
        .map(Home::namespace)
        .collect();
    flows.into_iter().filter(|flow| !ends_in(flow, &homeless)).collect()
}

/// All policies of the platform, each with the component with which it is applied: that of its namespace, so that it is
/// in force before the first pod there, or Cilium, for what holds in the whole cluster and in `kube-system`.
pub(super) fn policies(layers: &Layers) -> BTreeMap<Component, Vec<Value>> {
    let home_of = |namespace: &str| {
        let at_home = |component: &Component| matches!(component.entry().home, Home::Own { namespace: own, .. } if own == namespace);
        Component::ALL.iter().copied().find(at_home)
    };
    let mut policies: BTreeMap<Component, Vec<Value>> = BTreeMap::new();
    for policy in render::policies(&matrix(layers), &namespaces(layers)) {
        let component = policy.metadata.namespace.as_deref().and_then(home_of).unwrap_or(Component::Cilium);
        policies.entry(component).or_default().extend(serde_json::to_value(policy));
    }
    policies
}

/// Everything that is ever installed, whatever the last phase is for now: a policy that waits harms nobody.
fn present(layers: &Layers) -> BTreeSet<Component> {
    order::phases(layers).into_keys().collect()
}

fn ends_in(flow: &Flow, namespaces: &BTreeSet<&str>) -> bool {
    let absent = |pods: &Pods| namespaces.contains(pods.namespace.as_str());
    let from = matches!(&flow.from, Source::Pods(pods) if absent(pods));
    from || matches!(&flow.to, Target::Pods(pods) if absent(pods))
}

fn metrics(component: Component) -> Option<Flow> {
    let entry = component.entry();
    let ports: BTreeSet<_> =
        entry.metrics.iter().map(|number| Port { number: *number, protocol: Protocol::Tcp }).collect();
    let because = format!("Prometheus asks {} for metrics", entry.name);
    let flow = || Flow::new(super::kube_prometheus_stack::prometheus(), entry.pods(), Ports::Only(ports), because);
    (!entry.metrics.is_empty()).then(flow)
}
