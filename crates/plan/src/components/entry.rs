//! What is known of a component.

use helix_crds::PhaseName;
use serde_json::{Value, json};

use super::{Component, SecretWanted};
use crate::policy::{Flow, Pods};
use crate::validated::{Layers, Versions};

/// One entry of the catalogue.
#[derive(Debug)]
pub struct Entry {
    /// Its name in `spec.components`, and that of its Helm release.
    pub name: &'static str,
    /// The phase whose purpose it serves. It is installed earlier where something of an earlier phase needs it.
    pub phase: PhaseName,
    /// Where its pods are.
    pub home: Home,
    /// What it is made of.
    pub source: Source,
    /// What it cannot do without: comes with it, and before it.
    pub needs: &'static [Component],
    /// What comes before it where both are wanted.
    pub after: &'static [Component],
    /// How its health is read; all must hold.
    pub health: &'static [Probe],
    /// Why some of its pods are on the host network, and therefore not held by policies; `None` if none are.
    pub host_network: Option<&'static str>,
    /// System extensions that the Talos image must hold.
    pub talos_extensions: &'static [&'static str],
    /// TCP ports in its namespace on which Prometheus may ask for metrics.
    pub metrics: &'static [u16],
    /// Which Kubernetes it runs on.
    pub supports: Supports,
    /// The field that asks for it, for messages.
    pub asked_by: &'static str,
    /// Whether the specification itself asks for it.
    pub asked: fn(&Layers) -> bool,
    /// The version of its chart that the specification names in the component's own section.
    pub version: fn(&Layers) -> Option<&str>,
    /// Maps in those values that hold whatever somebody writes into them, though their defaults are not empty.
    pub open_values: &'static [&'static str],
    /// JSON pointers to values that are no matter of taste: policies, names or safety hang on them.
    pub fixed_values: &'static [&'static str],
    /// The values of its chart, before the user's overrides.
    pub values: fn(&Layers) -> Value,
    /// What Helix itself writes beside the chart, or instead of one, given the values with the user's overrides.
    pub resources: fn(&Layers, &Value) -> Vec<Value>,
    /// Whom it may talk to, and who may talk to it.
    pub flows: fn(&Layers) -> Vec<Flow>,
    /// The Secrets that must be there before it is installed. No chart renders one.
    pub secrets: fn(&Layers) -> Vec<SecretWanted>,
}

impl Entry {
    /// All pods of its namespace.
    #[must_use]
    pub fn pods(&self) -> Pods {
        Pods::of(self.home.namespace())
    }
}

/// Where a component's pods are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// In a namespace of its own, which Helix makes.
    Own {
        /// The namespace.
        namespace: &'static str,
        /// The Pod Security level that is enforced there.
        level: PodSecurity,
    },
    /// In `kube-system`, which exists and is exempt from Pod Security.
    KubeSystem,
}

impl Home {
    /// The namespace.
    #[must_use]
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Own { namespace, .. } => namespace,
            Self::KubeSystem => "kube-system",
        }
    }
}

/// The namespace that a component has for its own; `None` for what is in `kube-system`.
pub(super) fn namespace(home: Home) -> Option<Value> {
    let Home::Own { namespace, level } = home else { return None };
    let labels = json!({
        "app.kubernetes.io/managed-by": "helix",
        "pod-security.kubernetes.io/enforce": level.as_str(),
        "pod-security.kubernetes.io/warn": level.as_str(),
    });
    Some(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}))
}

/// A level of Kubernetes' Pod Security Standards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodSecurity {
    /// Anything goes.
    Privileged,
    /// No known way out of a container.
    Baseline,
    /// Hardened.
    Restricted,
}

impl PodSecurity {
    /// As the label `pod-security.kubernetes.io/enforce` has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// What a component is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A Helm chart.
    Chart(Chart),
    /// Manifests of Helix' own.
    Manifests,
}

/// A Helm chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// URL of the repository.
    pub repository: &'static str,
    /// Name in the repository.
    pub name: &'static str,
    /// The version that Helix was made for.
    pub version: &'static str,
    /// What that version must hash to.
    pub digest: Digest,
}

impl Chart {
    pub(super) const fn new(repository: &'static str, name: &'static str, version: &'static str) -> Self {
        Self { repository, name, version, digest: Digest::ToBeResolved }
    }
}

/// What a chart's archive must hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256 in 64 hex digits: anything else is refused.
    Pinned(&'static str),
    /// Not known yet: found out when the chart is first fetched, and held to from then on.
    ToBeResolved,
}

/// The versions of Kubernetes that a component runs on, in its catalogued version. Talos itself is no matter to any of
/// them beyond the extensions that they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supports {
    /// First and last minor version of 1, where the component's makers name them.
    pub minors: Option<(u64, u64)>,
}

impl Supports {
    /// Every Kubernetes that Helix makes: its makers exclude none of them.
    pub(super) const ALL: Self = Self { minors: None };

    pub(super) const fn between(first: u64, last: u64) -> Self {
        Self { minors: Some((first, last)) }
    }

    /// Whether it runs on that Kubernetes.
    #[must_use]
    pub fn holds(&self, versions: &Versions) -> bool {
        self.minors.is_none_or(|(first, last)| (first..=last).contains(&versions.kubernetes.minor))
    }
}

/// How health is read: closed, so that the observer knows all that it must look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A Deployment of this name has its condition `Available`.
    Deployment(&'static str),
    /// A DaemonSet of this name is ready on every node that it wants, in its newest form.
    DaemonSet(&'static str),
    /// A StatefulSet of this name has all replicas ready, in their newest form.
    StatefulSet(&'static str),
    /// Every custom resource of a kind in the namespace has a condition that is true; at least one is there.
    Condition {
        /// As in `example.com/v1`.
        api: &'static str,
        /// The kind.
        kind: &'static str,
        /// The condition's type.
        condition: &'static str,
    },
    /// All StatefulSets of the namespace have all replicas ready, in their newest form; at least one is there.
    StatefulSets,
    /// Every custom resource of a kind in the namespace has something at a place in its status; at least one is there.
    Told {
        /// As in `example.com/v1`.
        api: &'static str,
        /// The kind.
        kind: &'static str,
        /// JSON pointer within the resource.
        pointer: &'static str,
    },
    /// Every custom resource of a kind in the namespace has a value in its status; at least one is there.
    Status {
        /// As in `example.com/v1`.
        api: &'static str,
        /// The kind.
        kind: &'static str,
        /// JSON pointer within the resource.
        pointer: &'static str,
        /// What is healthy.
        value: &'static str,
    },
    /// Every node has its condition `Ready`.
    NodesReady,
    /// No node carries this taint.
    NodesWithoutTaint(&'static str),
    /// A Service of the namespace answers `GET` of a path with success, asked through the API server.
    Answers(Question),
    /// Ollama, asked through the API server, has every model that the specification names.
    Models(Question),
}

/// What a Service of a component's namespace is asked, over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The Service.
    pub service: &'static str,
    /// Its port.
    pub port: u16,
    /// The path, which begins with a slash.
    pub path: &'static str,
}

impl Probe {
    /// The one workload that it looks at, by kind and name; none where it looks at something else.
    #[must_use]
    pub fn workload(&self) -> Option<(&'static str, &'static str)> {
        match *self {
            Self::Deployment(name) => Some(("Deployment", name)),
            Self::DaemonSet(name) => Some(("DaemonSet", name)),
            Self::StatefulSet(name) => Some(("StatefulSet", name)),
            Self::Condition { .. }
            | Self::StatefulSets
            | Self::Told { .. }
            | Self::Status { .. }
            | Self::NodesReady
            | Self::NodesWithoutTaint(_)
            | Self::Answers(_)
            | Self::Models(_) => None,
        }
    }

    /// What it asks a Service; none where it looks at objects of the API alone.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        match *self {
            Self::Answers(question) | Self::Models(question) => Some(question),
            _ => None,
        }
    }
}

/// For components without a version in a section of their own.
pub(super) fn no_version(_: &Layers) -> Option<&str> {
    None
}

/// For components that need no Secret.
pub(super) fn no_secrets(_: &Layers) -> Vec<SecretWanted> {
    Vec::new()
}

/// For components that are their chart and nothing else.
pub(super) fn no_resources(_: &Layers, _: &Value) -> Vec<Value> {
    Vec::new()
}

/// For components that only come when others need them.
pub(super) fn never_asked(_: &Layers) -> bool {
    false
}

/// For manifests of our own, which have no chart values.
pub(super) fn no_values(_: &Layers) -> Value {
    Value::Object(serde_json::Map::new())
}
