//! For tests: the reference material of other projects, and how strictly our output is held against it.

use std::path::PathBuf;

use serde_json::{Map, Value};

/// A reference file, or `None` where the reference material is not at hand.
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test reads its input and says what it lacks"
)]
pub(crate) fn read(path: &str) -> Option<String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference").join(path);
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs {}: {error}", file.display());
            println!("needs {}, which is not here", file.display());
            None
        }
    }
}

/// One of Talos' reference files, as in `v1.13.9/config.schema.json`.
pub(crate) fn talos(path: &str) -> Option<String> {
    read(&format!("talos/{path}"))
}

/// A YAML document as it is, without guessing numbers and booleans where none are written.
pub(crate) fn yaml(text: &str) -> Value {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true }).unwrap()
}

/// Judges custom resources by a definition: what the API server would prune or refuse is an error.
pub(crate) struct Definition(jsonschema::Validator, String);

impl Definition {
    /// The definition in a file of `crds/` for a version of its kind.
    pub(crate) fn of(file: &str, version: &str) -> Option<Self> {
        let definition = yaml(&read(&format!("crds/{file}"))?);
        let versions = definition["spec"]["versions"].as_array().unwrap();
        let found = versions.iter().find(|known| known["name"] == version).unwrap();
        let mut schema = found["schema"]["openAPIV3Schema"].clone();
        close(&mut schema);
        schema["properties"]["metadata"] = serde_json::json!({"type": "object"});
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap().to_owned();
        Some(Self(jsonschema::validator_for(&schema).unwrap(), kind))
    }

    pub(crate) fn assert_accepts(&self, resource: &Value) {
        assert_eq!(resource["kind"], self.1.as_str());
        let errors: Vec<String> =
            self.0.iter_errors(resource).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{}", serde_json::to_string_pretty(resource).unwrap());
    }
}

/// Makes an unknown field an error, where the API server would drop it.
fn close(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    if object.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        // The pattern is meant for strings, the type is left to `anyOf`.
        object.remove("type");
    }
    let open = object.contains_key("additionalProperties")
        || object.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    let kind = object.get("type").and_then(Value::as_str);
    if kind == Some("object") && object.contains_key("properties") && !open {
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    let descend = |map: &mut Map<String, Value>| map.values_mut().for_each(close);
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        descend(properties);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            close(inner);
        }
    }
}
