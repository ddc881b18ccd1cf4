//! What is known of the components of a platform: what their charts render to, what of it is in the cluster, and how
//! healthy it is. Manifests themselves stay with the engine: a plan needs to know which objects there are and which of
//! them are not as they should be, not what is in them.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::Fact;
use crate::components::Component;
use crate::components::values::UnknownKey;

/// Everything that is known of one component.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentFacts {
    /// What it renders to; missing as [`super::Missing::NotThereYet`] while nobody has rendered it.
    pub rendered: Fact<Rendered>,
    /// What of it is in the cluster.
    pub installed: Fact<Installed>,
}

/// What a component's chart and values, and Helix' own manifests, render to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// SHA-256 of all that it was rendered from, in hex: chart, values, version of Kubernetes, own manifests.
    pub key: String,
    /// SHA-256 of the chart's archive, in hex; `None` for manifests of our own.
    pub chart_digest: Option<String>,
    /// Values that the chart does not know: then nothing of it is applied.
    pub unknown_values: Vec<UnknownKey>,
    /// Objects that a chart may not render, such as Secrets: then nothing of it is applied.
    pub forbidden: Vec<ObjectId>,
    /// Every object with the digest of its manifest.
    pub objects: BTreeMap<ObjectId, String>,
    /// Services that the world can reach: only the ingress may have such.
    pub exposed: Vec<ObjectId>,
    /// References of all images that it runs, sorted.
    pub images: Vec<String>,
}

/// What of a component is in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// How each object that is rendered stands.
    pub objects: BTreeMap<ObjectId, ObjectState>,
    /// Objects that carry the component's label and are rendered no longer.
    pub surplus: Vec<Surplus>,
    /// The Secrets that it needs, by namespace and name.
    pub secrets: BTreeMap<(String, String), SecretState>,
    /// What each of its probes found, in the order of its entry.
    pub health: Vec<Health>,
    /// The databases of its namespace that are backed up; asked for where the specification wants backups.
    pub saved: Vec<SavedDatabase>,
}

/// A PostgreSQL cluster, and how lately it was backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedDatabase {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub since: Timestamp,
    /// When the newest backup was taken that succeeded; none where there is no such backup.
    pub newest: Option<Timestamp>,
}

/// Names one object of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectId {
    /// As in `apps/v1`.
    pub api_version: String,
    /// As in `Deployment`.
    pub kind: String,
    /// Its namespace, if it has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// How an object stands in the cluster, compared with its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectState {
    /// It is not there.
    Missing,
    /// It is there and as it should be.
    AsWanted,
    /// It is there, ours, and something that we set is different.
    Differs,
    /// It is there, and nobody said that it is ours: the component's label is missing or another's.
    Foreign {
        /// Who manages it, as far as it tells: the label `app.kubernetes.io/managed-by`, else its field managers.
        manager: String,
    },
    /// Others have set fields of it that we set differently, at the last attempt to apply it.
    Conflict {
        /// Each field with its manager, as the API server tells.
        fields: Vec<(String, String)>,
    },
    /// Its kind is not known to the cluster (yet).
    UnknownKind,
}

/// An object that a component no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surplus {
    /// Which.
    pub id: ObjectId,
    /// Its UID: only this very object is deleted.
    pub uid: String,
    /// Why it must stay, if it must: a claim to a volume, a namespace with content of others, a definition with
    /// resources that users have made.
    pub keep: Option<String>,
}

/// Whether a Secret that a component needs is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretState {
    /// All its keys are there, and those that are copied are as their source has them.
    AsWanted,
    /// It is missing, or keys of it are, or what it copies has changed.
    Differs,
    /// What it is copied from is not there.
    WithoutSource {
        /// The source, as `Secret namespace/name` or `key token of Secret namespace/name`.
        source: String,
        /// Whether the user has to bring it, else another component makes it.
        users: bool,
    },
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Healthy, and what shows it.
    Healthy {
        /// As in `Deployment traefik/traefik is available`.
        evidence: String,
    },
    /// Not, and why.
    Unhealthy {
        /// As in `Deployment traefik/traefik: 0 of 2 replicas are available`.
        why: String,
    },
}

/// All components that were looked at.
pub type Components = BTreeMap<Component, ComponentFacts>;
