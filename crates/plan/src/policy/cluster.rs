//! The flows that every cluster needs, whatever is installed: names, the kubelet's probes, and the DNS servers' own.
//!
//! Cilium's health checks go to an end of Cilium's own, which is no pod of a namespace: that rule is in
//! [`super::render`] itself. The Kubernetes API is not allowed to all: who needs it declares it.

use std::collections::BTreeSet;

use super::{Flow, Lookups, Pods, Ports, Ranges, Source, Target};

/// The cluster's DNS servers, as Talos labels them.
#[must_use]
pub fn resolver() -> Pods {
    Pods::of("kube-system").with("k8s-app", "kube-dns")
}

/// The base flows. `names_restricted` are the namespaces whose pods may ask only for names of their own list.
#[must_use]
pub fn flows(internet: &Ranges, names_restricted: BTreeSet<String>) -> Vec<Flow> {
    vec![
        Flow::new(Source::OwnNode, Target::EveryPod, Ports::Any, "a kubelet probes the pods of its machine"),
        Flow::new(
            Source::EveryPod { but: names_restricted },
            Target::Resolver(Lookups::Any),
            Ports::both(53),
            "every pod looks up names",
        ),
        Flow::new(Source::Nodes, resolver(), Ports::both(53), "pods on the host network look up names"),
        Flow::new(resolver(), Target::ApiServer, Ports::tcp([6443]), "the DNS servers watch services"),
        Flow::new(
            resolver(),
            internet.clone(),
            Ports::both(53),
            "the DNS servers ask those of the provider for names outside",
        ),
    ]
}
