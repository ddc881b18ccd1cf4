//! The Secrets and ConfigMaps without which a pod's containers cannot be made, and which of them are missing.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::Value;

use super::api::{Api, ApiError, Body};

/// A Secret or ConfigMap that a pod needs, or one of its keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    /// As paths have it.
    kind: &'static str,
    name: String,
    key: Option<String>,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.key {
            Some(key) => write!(f, "couldn't find key {key} in {} {}", self.kind, self.name),
            None => write!(f, "{} {:?} not found", self.kind, self.name),
        }
    }
}

/// What a pod lacks, in a kubelet's words; `None` if nothing.
pub(super) async fn missing(api: &Api, namespace: &str, pod: &Value) -> Result<Option<String>, ApiError> {
    for reference in references(pod) {
        let path = format!("/api/v1/namespaces/{namespace}/{}/{}", reference.kind, reference.name);
        let found = match api.call(Method::GET, &path, Body::Empty).await {
            Ok(found) => Some(found),
            // The API server lets a kubelet see what its pods name, once it has heard of them.
            Err(error) if error.is(StatusCode::NOT_FOUND) || error.is(StatusCode::FORBIDDEN) => None,
            Err(error) => return Err(error),
        };
        let holds = |found: &Value| reference.key.as_ref().is_none_or(|key| found["data"].get(key).is_some());
        if !found.as_ref().is_some_and(holds) {
            return Ok(Some(reference.to_string()));
        }
    }
    Ok(None)
}

fn references(pod: &Value) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    let mut add = |kind, source: &Value, name: &str, with_key: bool| {
        let (Some(name), false) = (source[name].as_str(), source["optional"] == true) else { return };
        let key = source["key"].as_str().filter(|_| with_key).map(str::to_owned);
        found.insert(Reference { kind, name: name.to_owned(), key });
    };
    let each = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    for container in each(&pod["spec"], "containers") {
        for variable in each(&container, "env") {
            add("secrets", &variable["valueFrom"]["secretKeyRef"], "name", true);
            add("configmaps", &variable["valueFrom"]["configMapKeyRef"], "name", true);
        }
        for source in each(&container, "envFrom") {
            add("secrets", &source["secretRef"], "name", false);
            add("configmaps", &source["configMapRef"], "name", false);
        }
    }
    for volume in each(&pod["spec"], "volumes") {
        add("secrets", &volume["secret"], "secretName", false);
        add("configmaps", &volume["configMap"], "name", false);
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_pod_needs_is_found_wherever_it_stands_unless_it_is_optional() {
        let pod = json!({"spec": {
            "containers": [{
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "token", "key": "a"}}},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "other", "key": "b", "optional": true}}},
                    {"name": "C", "value": "c"},
                ],
                "envFrom": [{"configMapRef": {"name": "settings"}}],
            }],
            "volumes": [{"secret": {"secretName": "certificate"}}, {"emptyDir": {}}],
        }});
        let told: Vec<String> = references(&pod).iter().map(ToString::to_string).collect();
        let expected = [
            "configmaps \"settings\" not found",
            "secrets \"certificate\" not found",
            "couldn't find key a in secrets token",
        ];
        assert_eq!(told, expected);
    }
}
