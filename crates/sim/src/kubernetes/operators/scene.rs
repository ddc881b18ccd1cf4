//! What an operator sees of its cluster and how it changes it: whole objects of its own, which it keeps as they should be,
//! and the status of custom resources.

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::objects::{Kind, text};
use crate::kubernetes::Setting;
use crate::kubernetes::api::{Api, ApiError, Body};
use crate::world::ServerId;

/// Says whose an object is.
const OPERATOR: &str = "app.kubernetes.io/managed-by";
/// Says what was last applied.
const APPLIED: &str = "stand-in/applied";

/// A cluster at one look.
pub(super) struct Scene<'a> {
    pub(super) setting: &'a Setting,
    pub(super) server: ServerId,
    pub(super) now: Timestamp,
    api: &'a Api,
    deployments: Vec<Value>,
}

impl<'a> Scene<'a> {
    pub(super) async fn of(setting: &'a Setting, server: ServerId, api: &'a Api) -> Result<Self, ApiError> {
        let mut scene = Self { setting, server, now: Timestamp::now(), api, deployments: Vec::new() };
        scene.deployments = scene.list(&Kind::DEPLOYMENT).await?;
        Ok(scene)
    }

    /// The available Deployment of this name, wherever it is: where it is a user may choose.
    pub(super) fn available(&self, name: &str) -> Option<&Value> {
        let is_available = |it: &&Value| {
            let conditions = it.pointer("/status/conditions").and_then(Value::as_array);
            conditions.into_iter().flatten().any(|it| it["type"] == "Available" && it["status"] == "True")
        };
        self.deployments.iter().filter(|it| text(it, "/metadata/name") == name).find(is_available)
    }

    /// All objects of a kind; none where the cluster does not know the kind.
    pub(super) async fn list(&self, kind: &Kind) -> Result<Vec<Value>, ApiError> {
        self.list_at(&kind.all()).await
    }

    async fn list_at(&self, path: &str) -> Result<Vec<Value>, ApiError> {
        match self.api.call(Method::GET, path, Body::Empty).await {
            Ok(mut list) => Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default()),
            Err(error) if error.is(StatusCode::NOT_FOUND) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// One object, if there is one.
    pub(super) async fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Option<Value>, ApiError> {
        match self.api.call(Method::GET, &kind.one(namespace, name), Body::Empty).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is(StatusCode::NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Applies an object of the operator's.
    pub(super) async fn apply(&self, operator: &str, kind: &Kind, mut object: Value) -> Result<(), ApiError> {
        object["apiVersion"] = json!(kind.api_version());
        object["kind"] = json!(kind.kind);
        object["metadata"]["labels"][OPERATOR] = json!(operator);
        let path = kind.one(text(&object, "/metadata/namespace"), text(&object, "/metadata/name"));
        let path = format!("{path}?fieldManager={operator}&force=true");
        passing(self.api.call(Method::PATCH, &path, Body::Apply(&object)).await)
    }

    /// Deletes an object.
    pub(super) async fn delete(&self, kind: &Kind, object: &Value) -> Result<(), ApiError> {
        let path = kind.one(text(object, "/metadata/namespace"), text(object, "/metadata/name"));
        passing(self.api.call(Method::DELETE, &path, Body::Empty).await)
    }

    /// Changes an object by a merge patch.
    pub(super) async fn patch(&self, kind: &Kind, object: &Value, patch: &Value) -> Result<(), ApiError> {
        let path = kind.one(text(object, "/metadata/namespace"), text(object, "/metadata/name"));
        passing(self.api.call(Method::PATCH, &path, Body::Merge(patch)).await)
    }

    /// Keeps the operator's objects of a kind: makes what is missing or not as it should be, deletes what is too much. What
    /// was there before.
    pub(super) async fn keep(&self, operator: &str, kind: &Kind, wanted: Vec<Value>) -> Result<Vec<Value>, ApiError> {
        let own = format!("{}?labelSelector={}%3D{operator}", kind.all(), OPERATOR.replace('/', "%2F"));
        let found = self.list_at(&own).await?;
        let id =
            |object: &Value| [text(object, "/metadata/namespace"), text(object, "/metadata/name")].map(str::to_owned);
        for object in &wanted {
            let digest = digest(object);
            let is_it = |it: &&Value| id(it) == id(object);
            let as_it_should = |it: &Value| it["metadata"]["annotations"][APPLIED] == digest.as_str();
            if !found.iter().find(is_it).is_some_and(as_it_should) {
                let mut object = object.clone();
                object["metadata"]["annotations"][APPLIED] = json!(digest);
                self.apply(operator, kind, object).await?;
            }
        }
        let too_much = |it: &&Value| !wanted.iter().any(|object| id(object) == id(it));
        for object in found.iter().filter(too_much).filter(|it| it["metadata"]["deletionTimestamp"].is_null()) {
            self.delete(kind, object).await?;
        }
        Ok(found)
    }

    /// Tells an object's status, unless it is told already.
    pub(super) async fn tell(&self, kind: &Kind, object: &Value, status: Value) -> Result<(), ApiError> {
        if covers(&object["status"], &status) {
            return Ok(());
        }
        let path = kind.one(text(object, "/metadata/namespace"), text(object, "/metadata/name"));
        let patch = json!({"status": status});
        passing(self.api.call(Method::PATCH, &format!("{path}/status"), Body::Merge(&patch)).await)
    }

    /// The condition of an object, with the time at which it became so; as a whole list, in which it is the only one.
    pub(super) fn condition(&self, object: &Value, kind: &str, holds: bool, why: (&str, &str)) -> Value {
        let status = if holds { "True" } else { "False" };
        let known = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        let since = known.into_iter().find(|it| it["type"] == kind && it["status"] == status);
        let since = since.map_or_else(|| json!(self.now), |it| it["lastTransitionTime"].clone());
        json!([{
            "type": kind, "status": status, "reason": why.0, "message": why.1, "lastTransitionTime": since,
            "observedGeneration": object["metadata"]["generation"],
        }])
    }
}

/// What somebody else was quicker with, or has taken away, is looked at again.
fn passing(answer: Result<Value, ApiError>) -> Result<(), ApiError> {
    match answer {
        Err(error) if !error.is(StatusCode::CONFLICT) && !error.is(StatusCode::NOT_FOUND) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn digest(object: &Value) -> String {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(object.to_string()));
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}

/// Whether everything that is wanted is there already.
fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| found.get(key).map_or(wanted.is_null(), |found| covers(found, wanted)))
        }
        (found, wanted) => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_told_already_is_not_told_again() {
        let found = json!({"phase": "Ready", "conditions": [{"type": "Ready"}], "more": {"a": 1, "b": 2}});
        assert!(covers(&found, &json!({"phase": "Ready", "more": {"b": 2}, "gone": null})));
        assert!(!covers(&found, &json!({"phase": "Waiting"})));
        assert!(!covers(&found, &json!({"conditions": []})));
        assert!(!covers(&Value::Null, &json!({"phase": "Ready"})));
    }
}
