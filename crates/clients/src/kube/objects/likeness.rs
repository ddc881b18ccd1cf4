//! Whether an object in a cluster is as its manifest says: everything that the manifest says is there, and nothing is left
//! of what earlier manifests said. What the API server fills in, and what others add, is theirs. No I/O.

use helix_crds::labels::FIELD_MANAGER;
use serde_json::{Map, Value};

use super::quantity;

/// Below these keys, numbers have units and more than one way to be written.
const QUANTITIES: &[&str] =
    &["requests", "limits", "hard", "capacity", "sizeLimit", "default", "defaultRequest", "min", "max"];

/// What an object was found by, which is left out in lists, and what is not ours to say.
const APART: &[&str] = &["apiVersion", "kind", "status"];

/// The fields that we have applied, in the form of `fieldsV1`; `None` where we never have.
pub(super) fn applied_by_us(live: &Value) -> Option<&Value> {
    let entries = live["metadata"]["managedFields"].as_array()?;
    let ours = |entry: &&Value| {
        entry["manager"] == FIELD_MANAGER && entry["operation"] == "Apply" && entry["subresource"].is_null()
    };
    entries.iter().find(ours).map(|entry| &entry["fieldsV1"])
}

/// Whether nothing would change if the manifest was applied.
pub(super) fn is_alike(manifest: &Value, live: &Value) -> bool {
    let Some(fields) = applied_by_us(live) else { return false };
    let (Value::Object(said), Value::Object(there)) = (manifest, live) else { return false };
    let mut said = said.iter().filter(|(key, _)| !APART.contains(&key.as_str()));
    said.all(|(key, said)| holds(said, there.get(key), field(fields, key), false)) && nothing_is_left(fields, manifest)
}

/// What is written in an object where its manifest says something. Of lists all, since who wrote what of them is told by
/// keys that the manifest need not say.
pub(super) fn reflection(manifest: &Value, live: &Value) -> Value {
    let mut reflection = reflected(manifest, live);
    if let Value::Object(parts) = &mut reflection {
        parts.retain(|key, _| !APART.contains(&key.as_str()));
    }
    reflection
}

fn reflected(said: &Value, live: &Value) -> Value {
    match (said, live) {
        (Value::Object(said), Value::Object(live)) => {
            let of = |(key, said): (&String, &Value)| Some((key.clone(), reflected(said, live.get(key)?)));
            Value::Object(said.iter().filter_map(of).collect())
        }
        (_, live) => live.clone(),
    }
}

fn field<'a>(fields: &'a Value, key: &str) -> Option<&'a Value> {
    fields.get(format!("f:{key}"))
}

/// Whether what is said is there.
fn holds(said: &Value, live: Option<&Value>, fields: Option<&Value>, quantities: bool) -> bool {
    let Some(live) = live else { return says_nothing(said) };
    match (said, live) {
        (Value::Object(said), Value::Object(live)) => said.iter().all(|(key, said)| {
            let quantities = quantities || QUANTITIES.contains(&key.as_str());
            holds(said, live.get(key), fields.and_then(|fields| field(fields, key)), quantities)
        }),
        (Value::Array(said), Value::Array(live)) => holds_list(said, live, fields),
        (said, live) => {
            said == live || says_nothing(said) && says_nothing(live) || quantities && quantity::same(said, live)
        }
    }
}

/// Lists whose elements have owners of their own are held element by element, others as they are.
fn holds_list(said: &[Value], live: &[Value], fields: Option<&Value>) -> bool {
    let owned: Vec<&String> =
        fields.and_then(Value::as_object).map(|fields| fields.keys().collect()).unwrap_or_default();
    if owned.iter().any(|key| key.starts_with("v:")) {
        return said.iter().all(|said| live.contains(said));
    }
    let keys: Vec<(&String, Map<String, Value>)> =
        owned.iter().filter_map(|name| Some((*name, element_keys(name)?))).collect();
    if keys.is_empty() {
        return said.len() == live.len()
            && said.iter().zip(live).all(|(said, live)| holds(said, Some(live), None, false));
    }
    said.iter().all(|said| {
        let Some((name, keys)) = keys.iter().find(|(_, keys)| may_have(said, keys)) else { return false };
        let there = live.iter().find(|live| keys.iter().all(|(key, value)| live.get(key) == Some(value)));
        there.is_some() && holds(said, there, fields.and_then(|fields| fields.get(name.as_str())), false)
    })
}

/// The keys of a list's element, as in `k:{"name":"http"}`.
fn element_keys(name: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(name.strip_prefix("k:")?).ok()
}

/// Whether an element may be the one of those keys: it says them, or leaves them to the API server.
fn may_have(element: &Value, keys: &Map<String, Value>) -> bool {
    let said = keys.iter().filter(|(key, _)| element.get(key.as_str()).is_some());
    let mut count = 0;
    said.inspect(|_| count += 1).all(|(key, value)| element.get(key.as_str()) == Some(value)) && count > 0
}

/// Whether the manifest still says everything that we own.
fn nothing_is_left(fields: &Value, manifest: &Value) -> bool {
    let Value::Object(fields) = fields else { return true };
    fields.iter().all(|(name, below)| {
        let said = match (name.split_once(':'), manifest) {
            (Some(("f", key)), Value::Object(manifest)) => manifest.get(key),
            (Some(("k", _)), Value::Array(elements)) => {
                let keys = element_keys(name).unwrap_or_default();
                elements.iter().find(|element| may_have(element, &keys))
            }
            (Some(("v", value)), Value::Array(elements)) => {
                let value: Option<Value> = serde_json::from_str(value).ok();
                elements.iter().find(|element| Some(*element) == value.as_ref())
            }
            // The element itself, and elements by their place.
            _ => return true,
        };
        said.is_some_and(|said| nothing_is_left(below, said))
    })
}

/// Whether a value is what the API server makes of one that is not there.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(value) => value.is_empty(),
        Value::Object(value) => value.values().all(says_nothing),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live(spec: Value, fields: Value) -> Value {
        let managed = json!([
            {"manager": "helix", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
            {"manager": "helix", "operation": "Apply", "fieldsV1": {"f:spec": fields}},
        ]);
        json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "uid": "u", "managedFields": managed}, "spec": spec})
    }

    fn alike(said: Value, spec: Value, fields: Value) -> bool {
        let manifest = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": said});
        is_alike(&manifest, &live(spec, fields))
    }

    #[test]
    fn what_others_add_does_not_matter_and_what_they_change_does() {
        let fields = json!({"f:replicas": {}, "f:paused": {}});
        let said = json!({"replicas": 2, "paused": false, "empty": {}, "none": null});
        assert!(alike(said.clone(), json!({"replicas": 2, "strategy": {"type": "RollingUpdate"}}), fields.clone()));
        assert!(!alike(said.clone(), json!({"replicas": 3}), fields.clone()));
        assert!(!alike(said, json!({"replicas": 2, "paused": true}), fields));
    }

    #[test]
    fn what_is_no_longer_said_is_taken_away() {
        let spec = json!({"a": 1, "b": 2, "list": [{"name": "x"}, {"name": "y"}], "set": ["p", "q"]});
        let fields = json!({"f:a": {}, "f:b": {},
            "f:list": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}}, "k:{\"name\":\"y\"}": {".": {}, "f:name": {}}},
            "f:set": {"v:\"p\"": {}, "v:\"q\"": {}}});
        assert!(alike(spec.clone(), spec.clone(), fields.clone()));
        for gone in [
            json!({"a": 1, "list": spec["list"], "set": ["p", "q"]}),
            json!({"a": 1, "b": 2, "list": [{"name": "x"}], "set": ["p", "q"]}),
            json!({"a": 1, "b": 2, "list": spec["list"], "set": ["q"]}),
        ] {
            assert!(!alike(gone, spec.clone(), fields.clone()));
        }
    }

    #[test]
    fn elements_with_keys_are_held_one_by_one() {
        let fields =
            json!({"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:name": {}}}});
        let said = json!({"ports": [{"port": 80, "name": "http"}]});
        let there = |name: &str| json!({"ports": [{"port": 443, "protocol": "TCP"}, {"port": 80, "protocol": "TCP", "name": name, "targetPort": 80}]});
        assert!(alike(said.clone(), there("http"), fields.clone()));
        assert!(!alike(said.clone(), there("web"), fields.clone()));
        assert!(!alike(said, json!({"ports": [{"port": 443, "protocol": "TCP"}]}), fields));
    }

    #[test]
    fn lists_without_keys_are_held_as_they_are() {
        let fields = json!({"f:args": {}});
        assert!(alike(json!({"args": ["a", "b"]}), json!({"args": ["a", "b"]}), fields.clone()));
        assert!(!alike(json!({"args": ["a"]}), json!({"args": ["a", "b"]}), fields.clone()));
        assert!(!alike(json!({"args": ["b", "a"]}), json!({"args": ["a", "b"]}), fields));
    }

    #[test]
    fn quantities_are_held_by_their_value_and_words_by_their_letters() {
        let fields = json!({"f:limits": {"f:cpu": {}}, "f:data": {"f:cpu": {}}});
        let of = |data: &str, cpu: Value| json!({"limits": {"cpu": cpu}, "data": {"cpu": data}});
        assert!(alike(of("1", json!("1000m")), of("1", json!("1")), fields.clone()));
        assert!(alike(of("1", json!(1)), of("1", json!("1")), fields.clone()));
        assert!(!alike(of("1000m", json!("1")), of("1", json!("1")), fields));
    }

    #[test]
    fn what_we_never_applied_is_not_ours() {
        assert!(!is_alike(&json!({"spec": {}}), &json!({"metadata": {}, "spec": {}})));
    }
}
