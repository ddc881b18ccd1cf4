//! How one object becomes one file.

use serde_json::Value;

/// The file of an object, within the folder of its component: named by kind and name, and in a folder of its namespace.
pub(super) fn path(object: &Value) -> Option<String> {
    let kind = object["kind"].as_str()?.to_lowercase();
    let name = plain(object.pointer("/metadata/name")?.as_str()?);
    let group = object["apiVersion"].as_str()?.split_once('/').map(|(group, _)| group).unwrap_or_default();
    // Kubernetes' own kinds are known by their names; others' may be called the same.
    let own = !group.contains('.') || group.ends_with(".k8s.io");
    let kind = if own { kind } else { format!("{kind}.{group}") };
    Some(match object.pointer("/metadata/namespace").and_then(Value::as_str) {
        Some(namespace) => format!("{}/{kind}-{name}.yaml", plain(namespace)),
        None => format!("{kind}-{name}.yaml"),
    })
}

/// Names of roles hold colons, which not every file system can have.
fn plain(name: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    name.chars().map(|c| if kept(c) { c } else { '_' }).collect()
}

/// An object as YAML: keys in the order of the alphabet, long lines whole.
pub(super) fn yaml(object: &Value) -> Result<Vec<u8>, String> {
    // A folded line would show as a change wherever it is folded differently.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(object, options).map(String::into_bytes).map_err(|error| error.to_string())
}
