//! One cluster: single calls for objects of any kind, as JSON, and what is remembered of it between calls.

use std::sync::Arc;

use helix_crds::labels::FIELD_MANAGER;
use helix_engine::seams::{WorkloadError, WorkloadRoute};
use helix_plan::observed::ObjectId;
use kube::Client;
use kube::api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, Preconditions};
use kube::core::request;
use serde::Deserialize;
use serde_json::Value;

use super::conflicts;
use super::kinds::{Kind, Kinds};
use super::memory::Attempts;
use super::record::Record;
use crate::kube::failure::{Failure, absent_is_none, bounded};
use crate::kube::workload::{MOST_PAGES, PAGE, workload_error};

/// What is remembered of a cluster. All of it can be found out again, for one call more.
#[derive(Default)]
pub(crate) struct Memory {
    pub(super) kinds: Kinds,
    pub(super) record: Record,
    pub(super) attempts: Attempts,
}

/// A way to a cluster.
pub(super) struct Cluster {
    pub(super) client: Client,
    pub(super) memory: Arc<Memory>,
    pub(super) route: WorkloadRoute,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    /// Go writes a list that was never begun as `null`.
    items: Option<Vec<Value>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(rename = "continue")]
    rest: Option<String>,
}

/// Everything is written under our own name, and no other's fields are taken over.
pub(super) fn ours() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

impl Cluster {
    pub(super) fn error(&self, failure: Failure) -> WorkloadError {
        workload_error(failure, &self.route)
    }

    fn built<T>(&self, built: Result<T, request::Error>) -> Result<T, WorkloadError> {
        // A name that fits into no URL: nothing can be asked about it.
        built.map_err(|error| self.error(Failure::Unreachable { why: error.to_string() }))
    }

    /// An object, if it is there.
    pub(super) async fn get(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Value>, WorkloadError> {
        let request = self.built(kind.requests(namespace).get(name, &GetParams::default()))?;
        let got = absent_is_none(bounded(self.client.request::<Value>(request)).await);
        got.map_err(|failure| self.error(failure))
    }

    /// All objects with those labels, in a namespace or in all of them; `None` where the kind is there no longer.
    pub(super) async fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        labels: &str,
    ) -> Result<Option<Vec<Value>>, WorkloadError> {
        self.pages(kind, labels, |params| kind.requests(namespace).list(params)).await
    }

    /// All pages of a list; `None` where the kind is there no longer.
    async fn pages(
        &self,
        kind: &Kind,
        labels: &str,
        page: impl Fn(&ListParams) -> Result<http::Request<Vec<u8>>, request::Error>,
    ) -> Result<Option<Vec<Value>>, WorkloadError> {
        let which = ListParams::default().labels(labels);
        let (mut found, mut params) = (Vec::new(), which.clone().limit(PAGE));
        for _ in 0..MOST_PAGES {
            let request = self.built(page(&params))?;
            let page = absent_is_none(bounded(self.client.request::<Page>(request)).await);
            let Some(page) = page.map_err(|failure| self.error(failure))? else {
                self.memory.kinds.forget(&kind.api_version);
                return Ok(None);
            };
            found.extend(page.items.into_iter().flatten());
            match page.metadata.rest.filter(|token| !token.is_empty()) {
                Some(token) => params = which.clone().limit(PAGE).continue_token(&token),
                None => return Ok(Some(found)),
            }
        }
        let why = format!("the list of {} does not end after {MOST_PAGES} pages", kind.kind);
        Err(self.error(Failure::Unreachable { why }))
    }

    /// As [`Self::list`] in all namespaces, without their content.
    pub(super) async fn list_metadata(&self, kind: &Kind, labels: &str) -> Result<Option<Vec<Value>>, WorkloadError> {
        self.pages(kind, labels, |params| kind.requests(None).list_metadata(params)).await
    }

    /// The first few objects of a kind, without their content.
    pub(super) async fn peek(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        labels: &str,
    ) -> Result<Vec<Value>, WorkloadError> {
        let which = ListParams::default().labels(labels).limit(50);
        let request = self.built(kind.requests(namespace).list_metadata(&which))?;
        let page = absent_is_none(bounded(self.client.request::<Page>(request)).await);
        Ok(page.map_err(|failure| self.error(failure))?.and_then(|page| page.items).unwrap_or_default())
    }

    /// Applies an object, and has it as it is then.
    pub(super) async fn patch(
        &self,
        kind: &Kind,
        id: &ObjectId,
        params: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Result<Value, WorkloadError> {
        let request = self.built(kind.requests(id.namespace.as_deref()).patch(&id.name, params, patch))?;
        let mut fields = Vec::new();
        let call = async {
            let answered = self.client.request::<Value>(request).await;
            answered.inspect_err(|error| fields = conflicts::fields(error))
        };
        match bounded(call).await {
            Ok(live) => Ok(live),
            Err(_) if !fields.is_empty() => Err(WorkloadError::Conflict { object: id.to_string(), fields }),
            Err(failure) => Err(self.error(failure)),
        }
    }

    /// Applies an object that Helix itself has written.
    pub(super) async fn apply_own(&self, object: &Value, params: &PatchParams) -> Result<(), WorkloadError> {
        let unnamed = || self.error(Failure::Unreachable { why: "an object without name or kind".to_owned() });
        let id = ObjectId::of(object).ok_or_else(unnamed)?;
        let kind = self.known_kind(&id.api_version, &id.kind).await?;
        self.patch(&kind, &id, params, &Patch::Apply(object)).await.map(drop)
    }

    /// Deletes an object, if it is still the one of that UID. What it owns goes after it.
    pub(super) async fn delete(&self, kind: &Kind, id: &ObjectId, uid: &str) -> Result<(), WorkloadError> {
        let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        let request = self.built(kind.requests(id.namespace.as_deref()).delete(&id.name, &params))?;
        match absent_is_none(bounded(self.client.request::<Value>(request)).await) {
            // One that was made anew under its name is told by the next look.
            Ok(_) | Err(Failure::Refused { code: 409, .. }) => Ok(()),
            Err(failure) => Err(self.error(failure)),
        }
    }
}
