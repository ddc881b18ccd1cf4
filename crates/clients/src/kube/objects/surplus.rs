//! Objects that a component no longer has, and why some of them must stay all the same: what users have put into them, or
//! by them, would go with them.

use helix_crds::labels::COMPONENT;
use helix_engine::seams::WorkloadError;
use helix_plan::observed::{ObjectId, Surplus};
use serde_json::Value;

use super::cluster::Cluster;
use super::compare::{name_of, text};
use super::kinds::Kind;

/// Kinds of which every namespace has some, made by Kubernetes itself.
const OF_KUBERNETES: &[&str] = &["ControllerRevision", "EndpointSlice", "Endpoints", "Event", "Lease", "PodMetrics"];

impl Cluster {
    pub(super) async fn surplus(&self, kind: &Kind, object: &Value) -> Result<Surplus, WorkloadError> {
        let id = ObjectId {
            api_version: kind.api_version.clone(),
            kind: kind.kind.clone(),
            namespace: text(object, "namespace"),
            name: name_of(object),
        };
        let keep = match kind.kind.as_str() {
            "PersistentVolumeClaim" => Some("it is a claim to a volume, whose data would go with it".to_owned()),
            "Namespace" => self.content(&id.name).await?,
            "CustomResourceDefinition" => self.instances(object).await?,
            _ => None,
        };
        Ok(Surplus { id, uid: text(object, "uid").unwrap_or_default(), keep })
    }

    /// Why a namespace must stay: the first thing in it that is nobody's whom Helix knows. All kinds are looked through,
    /// for nobody knows which one users have used; that is many calls, once in a namespace's life.
    async fn content(&self, namespace: &str) -> Result<Option<String>, WorkloadError> {
        for kind in self.namespaced_kinds().await? {
            if OF_KUBERNETES.contains(&kind.kind.as_str()) {
                continue;
            }
            // A claim holds data, whoever made it.
            let labels = if kind.kind == "PersistentVolumeClaim" { String::new() } else { format!("!{COMPONENT}") };
            let there = self.peek(&kind, Some(namespace), &labels).await?;
            if let Some(object) = there.iter().find(|object| is_somebodys(&kind, object)) {
                return Ok(Some(format!("it holds {} {}, which Helix has not made", kind.kind, name_of(object))));
            }
        }
        Ok(None)
    }

    /// Why a definition must stay: the resources that it defines.
    async fn instances(&self, definition: &Value) -> Result<Option<String>, WorkloadError> {
        let spec = &definition["spec"];
        let versions = spec["versions"].as_array();
        let served = versions.and_then(|versions| versions.iter().find(|version| version["served"] == true));
        let version = served.and_then(|version| version["name"].as_str());
        let (Some(group), Some(version), Some(name)) =
            (spec["group"].as_str(), version, spec["names"]["kind"].as_str())
        else {
            return Ok(None);
        };
        let Some(kind) = self.kind(&format!("{group}/{version}"), name).await? else { return Ok(None) };
        let there = self.peek(&kind, None, "").await?;
        Ok(there.first().map(|object| {
            let place = text(object, "namespace").map(|namespace| format!("{namespace}/")).unwrap_or_default();
            format!("there are resources of it, such as {place}{}", name_of(object))
        }))
    }
}

/// What belongs to something else goes with that, and what Kubernetes puts into every namespace is nobody's.
fn is_somebodys(kind: &Kind, object: &Value) -> bool {
    let owned = object["metadata"]["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty());
    let name = name_of(object);
    let given = match kind.kind.as_str() {
        "ServiceAccount" => name == "default",
        "ConfigMap" => name == "kube-root-ca.crt",
        _ => false,
    };
    !owned && !given
}
