//! Which objects there are and where they are found, as the cluster tells.

use std::collections::BTreeMap;
use std::fmt;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::kubernetes::api::{Api, ApiError, Body};

/// Names one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Empty for the core.
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    /// Empty for what has none.
    pub(super) namespace: String,
    pub(super) name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl Key {
    fn api(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// The resources of the cluster by group and version: kind, plural name and whether they have a namespace.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    known: BTreeMap<String, BTreeMap<String, (String, bool)>>,
}

impl Kinds {
    /// The key of an object, in `namespace` where it names none and its kind has one; `None` for what is no object.
    pub(super) async fn key(&mut self, api: &Api, namespace: &str, object: &Value) -> Result<Option<Key>, ApiError> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (Some(version), Some(kind), Some(name)) = (text("/apiVersion"), text("/kind"), text("/metadata/name"))
        else {
            return Ok(None);
        };
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let own = text("/metadata/namespace").unwrap_or(namespace);
        let mut key = Key {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            namespace: own.to_owned(),
            name: name.to_owned(),
        };
        if let Some((_, false)) = self.resource(api, &key).await? {
            key.namespace.clear();
        }
        Ok(Some(key))
    }

    /// The key of an object as an Application's status tells it.
    pub(super) fn told(&self, told: &Value) -> Option<Key> {
        let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
        let key = Key {
            group: text("group"),
            version: text("version"),
            kind: text("kind"),
            namespace: text("namespace"),
            name: text("name"),
        };
        (!key.kind.is_empty() && !key.name.is_empty()).then_some(key)
    }

    /// Where an object is; `None` while the cluster does not know its kind.
    pub(super) async fn path(&mut self, api: &Api, key: &Key) -> Result<Option<String>, ApiError> {
        let Some((plural, _)) = self.resource(api, key).await? else { return Ok(None) };
        let namespace = if key.namespace.is_empty() { String::new() } else { format!("/namespaces/{}", key.namespace) };
        Ok(Some(format!("{}{namespace}/{plural}/{}", root(&key.api()), key.name)))
    }

    /// Plural name and whether it has a namespace.
    async fn resource(&mut self, api: &Api, key: &Key) -> Result<Option<(String, bool)>, ApiError> {
        let group = key.api();
        let found = self.known.get(&group).and_then(|kinds| kinds.get(&key.kind));
        if let Some(found) = found {
            return Ok(Some(found.clone()));
        }
        let list = match api.call(Method::GET, &root(&group), Body::Empty).await {
            Err(error) if error.is(StatusCode::NOT_FOUND) => return Ok(None),
            other => other?,
        };
        let resources = list["resources"].as_array().into_iter().flatten();
        let kinds: BTreeMap<_, _> = resources.filter_map(resource).collect();
        let found = kinds.get(&key.kind).cloned();
        self.known.insert(group, kinds);
        Ok(found)
    }
}

fn resource(told: &Value) -> Option<(String, (String, bool))> {
    let (name, kind) = (told["name"].as_str()?, told["kind"].as_str()?);
    // Parts such as `deployments/status` are not objects of their own.
    (!name.contains('/')).then(|| (kind.to_owned(), (name.to_owned(), told["namespaced"] == true)))
}

fn root(group: &str) -> String {
    if group.contains('/') { format!("/apis/{group}") } else { format!("/api/{group}") }
}

/// In which turn a kind is applied within its wave: what others need comes first.
pub(super) fn turn(kind: &str) -> usize {
    const FIRST: [&str; 12] = [
        "Namespace",
        "ServiceAccount",
        "ConfigMap",
        "StorageClass",
        "PersistentVolumeClaim",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "Service",
        "Deployment",
    ];
    FIRST.iter().position(|first| *first == kind).unwrap_or(FIRST.len())
}
