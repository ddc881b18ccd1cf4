//! Live objects, and whether one holds all that is wanted of it.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, StatusCode};
use serde_json::Value;

use super::kinds::{Key, Kinds};
use crate::kubernetes::api::{Api, ApiError, Body};

/// What is live, read once a look, and what was applied as it was wanted.
#[derive(Debug, Default)]
pub(super) struct Live {
    read: BTreeMap<Key, Option<Value>>,
    kinds: Kinds,
    /// UIDs and resource versions as applying left them: the server writes some values differently than they were sent.
    applied: BTreeSet<(String, String)>,
}

impl Live {
    /// Lets what was read be read anew.
    pub(super) fn forget(&mut self) {
        self.read.clear();
    }

    /// The live object, if there is one.
    pub(super) async fn get(&mut self, api: &Api, key: &Key) -> Result<Option<Value>, ApiError> {
        if let Some(known) = self.read.get(key) {
            return Ok(known.clone());
        }
        let Some(path) = self.kinds.path(api, key).await? else { return Ok(None) };
        let live = match api.call(Method::GET, &path, Body::Empty).await {
            Ok(live) => Some(live),
            Err(error) if error.is(StatusCode::NOT_FOUND) => None,
            Err(error) => return Err(error),
        };
        self.read.insert(key.clone(), live.clone());
        Ok(live)
    }

    /// Takes note of what applying left.
    pub(super) fn applied(&mut self, object: &Value) {
        let (uid, version) = identity(object);
        self.applied.retain(|(of, _)| *of != uid);
        self.applied.insert((uid, version));
    }

    /// Whether nobody has changed it since it was applied.
    pub(super) fn is_as_applied(&self, live: &Value) -> bool {
        self.applied.contains(&identity(live))
    }
}

/// UID and what counts changes of the specification, or of anything where that is not counted.
fn identity(object: &Value) -> (String, String) {
    let metadata = &object["metadata"];
    let version = match metadata["generation"].as_u64() {
        Some(generation) => generation.to_string(),
        None => metadata["resourceVersion"].as_str().unwrap_or_default().to_owned(),
    };
    (metadata["uid"].as_str().unwrap_or_default().to_owned(), version)
}

/// Whether the live value holds all of the wanted one: maps may hold more, lists and single values are the same.
pub(super) fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| match live.get(key) {
            Some(live) => covers(live, wanted),
            // What is empty is not kept.
            None => is_empty(wanted),
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
        }
        (live, wanted) => live == wanted,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn more_is_no_difference_and_less_is_one() {
        let wanted =
            json!({"spec": {"replicas": 2, "template": {"containers": [{"name": "a"}]}}, "metadata": {"labels": {}}});
        let live =
            json!({"spec": {"replicas": 2, "template": {"containers": [{"name": "a", "tty": false}]}}, "status": {}});
        assert!(covers(&live, &wanted));
        assert!(!covers(&json!({"spec": {"replicas": 3}}), &json!({"spec": {"replicas": 2}})));
        assert!(!covers(&json!({"a": [1, 2]}), &json!({"a": [1]})));
        assert!(!covers(&json!({}), &json!({"a": {"b": 1}})));
    }
}
