//! The kinds that a cluster serves: asked once per group and version, and again when a kind is not among them, since
//! definitions come and go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use helix_engine::seams::WorkloadError;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::core::Request;

use super::cluster::Cluster;
use crate::kube::failure::{Failure, absent_is_none, bounded};

/// A kind, as the cluster serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) api_version: String,
    pub(super) kind: String,
    plural: String,
    pub(super) namespaced: bool,
    /// Whether all its objects can be asked for.
    pub(super) listed: bool,
}

impl Kind {
    /// Requests for its objects: in a namespace, or in all of them.
    pub(super) fn requests(&self, namespace: Option<&str>) -> Request {
        let root = root(&self.api_version);
        let within = namespace.filter(|_| self.namespaced).map(|namespace| format!("/namespaces/{namespace}"));
        Request::new(format!("{root}{}/{}", within.unwrap_or_default(), self.plural))
    }

    /// The namespace that an object of it is really in.
    pub(super) fn namespace<'a>(&self, named: Option<&'a str>) -> Option<&'a str> {
        named.filter(|_| self.namespaced)
    }
}

fn root(api_version: &str) -> String {
    if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") }
}

/// What is known of a cluster's kinds, by group and version.
#[derive(Default)]
pub(super) struct Kinds(Mutex<HashMap<String, Arc<[Kind]>>>);

impl Kinds {
    fn known(&self, api_version: &str) -> Option<Arc<[Kind]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(api_version).cloned()
    }

    fn learn(&self, api_version: &str, kinds: &Arc<[Kind]>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(api_version.to_owned(), Arc::clone(kinds));
    }

    /// Forgets a group's version: what is there now is asked for when it is needed next.
    pub(super) fn forget(&self, api_version: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(api_version);
    }
}

impl Cluster {
    /// The kind; `None` where the cluster does not know it now.
    pub(super) async fn kind(&self, api_version: &str, kind: &str) -> Result<Option<Kind>, WorkloadError> {
        let named = |kinds: &Arc<[Kind]>| kinds.iter().find(|it| it.kind == kind).cloned();
        if let Some(found) = self.memory.kinds.known(api_version).as_ref().and_then(named) {
            return Ok(Some(found));
        }
        let kinds: Arc<[Kind]> = self.served(api_version).await?.into();
        self.memory.kinds.learn(api_version, &kinds);
        Ok(named(&kinds))
    }

    /// As [`Self::kind`], for what cannot go on without it.
    pub(super) async fn known_kind(&self, api_version: &str, kind: &str) -> Result<Kind, WorkloadError> {
        let found = self.kind(api_version, kind).await?;
        let unknown = || WorkloadError::UnknownKind { api_version: api_version.to_owned(), kind: kind.to_owned() };
        found.ok_or_else(unknown)
    }

    /// All kinds of a group's version; none where the cluster does not serve it.
    async fn served(&self, api_version: &str) -> Result<Vec<Kind>, WorkloadError> {
        let asked = async {
            match api_version.contains('/') {
                true => self.client.list_api_group_resources(api_version).await,
                false => self.client.list_core_api_resources(api_version).await,
            }
        };
        // An aggregated API whose server is away answers 503: its kinds are not known then, as before it was there.
        let list = match absent_is_none(bounded(asked).await) {
            Ok(list) => list,
            Err(Failure::Refused { code: 503, .. }) => None,
            Err(failure) => return Err(self.error(failure)),
        };
        Ok(list.map(|list| kinds(api_version, list)).unwrap_or_default())
    }

    /// All kinds that have a namespace and whose objects can be listed, each in one version.
    pub(super) async fn namespaced_kinds(&self) -> Result<Vec<Kind>, WorkloadError> {
        let groups = bounded(self.client.list_api_groups()).await.map_err(|failure| self.error(failure))?;
        let preferred = groups.groups.into_iter().filter_map(|group| {
            let first = group.versions.into_iter().next().map(|version| version.group_version);
            group.preferred_version.map(|version| version.group_version).or(first)
        });
        let mut found = Vec::new();
        for api_version in std::iter::once("v1".to_owned()).chain(preferred) {
            found.extend(self.served(&api_version).await?.into_iter().filter(|kind| kind.namespaced && kind.listed));
        }
        Ok(found)
    }
}

fn kinds(api_version: &str, list: APIResourceList) -> Vec<Kind> {
    let own = list.resources.into_iter().filter(|resource| !resource.name.contains('/'));
    let kind = |resource: k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource| Kind {
        api_version: api_version.to_owned(),
        kind: resource.kind,
        plural: resource.name,
        namespaced: resource.namespaced,
        listed: resource.verbs.iter().any(|verb| verb == "list"),
    };
    own.map(kind).collect()
}
