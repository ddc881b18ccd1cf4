//! Values of charts: the user's merged over ours, and whether a chart knows the keys.
//!
//! What a chart knows is told by its default values, by the comments in them and by its schema. They come with the
//! chart and are an input here: nothing of them is kept in the project.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;

use super::nearest;

/// The user's values over ours, as Helm merges: objects by key, everything else whole; `null` takes a key away.
#[must_use]
pub fn merged(ours: Value, users: &Value) -> Value {
    match (ours, users) {
        (Value::Object(mut ours), Value::Object(users)) => {
            for (key, value) in users {
                let under = ours.remove(key).unwrap_or(Value::Null);
                ours.insert(key.clone(), merged(under, value));
            }
            Value::Object(ours)
        }
        (_, users) => users.clone(),
    }
}

/// What a chart knows of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownValues {
    defaults: Value,
    commented: BTreeSet<String>,
    schema: Option<Value>,
}

/// A chart whose values cannot be read.
#[derive(Debug, Error)]
#[error("the chart's values.yaml is no YAML: {0}")]
pub struct UnreadableValues(String);

/// A key that a chart does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// Its path, as in `controller.replicas`.
    pub path: String,
    /// The known key that was probably meant, with its path.
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the chart knows no value `{}`", self.path)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => f.write_str("; leave it out"),
        }
    }
}

impl KnownValues {
    /// Reads a chart's `values.yaml` and, where there is one, its `values.schema.json`.
    ///
    /// # Errors
    /// [`UnreadableValues`] when the text is no YAML.
    pub fn read(values_yaml: &str, schema: Option<Value>) -> Result<Self, UnreadableValues> {
        let options = serde_saphyr::options! { strict_booleans: true };
        let defaults = serde_saphyr::from_str_with_options(values_yaml, options)
            .map_err(|error| UnreadableValues(error.to_string()))?;
        Ok(Self { defaults, commented: commented(values_yaml), schema })
    }

    /// With what a subchart knows, under the key by which the chart has it. What the chart itself sets of it stays.
    #[must_use]
    pub fn with_subchart(mut self, key: &str, subchart: Self) -> Self {
        if let Value::Object(defaults) = &mut self.defaults {
            let own = defaults.remove(key).filter(|own| !own.is_null()).unwrap_or_else(|| Value::Object(Map::new()));
            defaults.insert(key.to_owned(), merged(subchart.defaults, &own));
        }
        self.commented.extend(subchart.commented.into_iter().map(|path| format!("{key}.{path}")));
        self
    }

    /// The keys that the chart does not know, in the order of the values. `open` are the paths of maps that hold
    /// whatever somebody writes into them, though the chart writes something, too.
    #[must_use]
    pub fn unknown_keys(&self, values: &Value, open: &[&str]) -> Vec<UnknownKey> {
        let mut unknown = Vec::new();
        let schema = self.schema.as_ref().map(|schema| self.resolved(schema));
        if let (Value::Object(values), Value::Object(defaults)) = (values, &self.defaults) {
            self.walk(values, defaults, schema, "", &mut unknown);
        }
        let within =
            |path: &str| open.iter().any(|open| path.strip_prefix(open).is_some_and(|rest| rest.starts_with('.')));
        unknown.retain(|unknown| !within(&unknown.path));
        unknown
    }

    fn walk(
        &self,
        values: &Map<String, Value>,
        defaults: &Map<String, Value>,
        schema: Option<&Value>,
        at: &str,
        unknown: &mut Vec<UnknownKey>,
    ) {
        let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        for (key, value) in values {
            let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            let property = properties.and_then(|properties| properties.get(key));
            match (defaults.get(key), value) {
                (Some(Value::Object(defaults)), Value::Object(values)) if !defaults.is_empty() => {
                    let property = property.map(|property| self.resolved(property));
                    self.walk(values, defaults, property, &path, unknown);
                }
                // An empty default is a place for whatever the user has to say.
                (Some(_), _) => {}
                (None, _) if property.is_some() || self.commented.contains(&path) => {}
                (None, _) => {
                    let known = defaults.keys().chain(properties.into_iter().flat_map(Map::keys));
                    let nearest = nearest(key, known.map(String::as_str));
                    let parent = if at.is_empty() { String::new() } else { format!("{at}.") };
                    unknown.push(UnknownKey { path, nearest: nearest.map(|key| format!("{parent}{key}")) });
                }
            }
        }
    }

    /// What a schema's reference into itself stands for.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
        let target = reference.and_then(|pointer| self.schema.as_ref()?.pointer(pointer));
        target.unwrap_or(schema)
    }
}

/// Paths that a chart only names in comments, as in `# replicas: 2` below a key. Told by indentation, as people write
/// them: a key that is commented out belongs to the keys above it that are less indented.
fn commented(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut above: Vec<(usize, &str)> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim_start();
        let column = line.len() - trimmed.len();
        if let Some(rest) = trimmed.strip_prefix('#') {
            // One space after the comment's sign is the sign's own.
            let column = column + (rest.len() - rest.trim_start().len()).saturating_sub(1);
            if let Some(key) = key(rest.trim_start()) {
                let parents = above.iter().filter(|(parent, _)| *parent < column).map(|(_, key)| *key);
                found.insert(parents.chain([key]).collect::<Vec<&str>>().join("."));
            }
        } else if let Some(key) = key(trimmed) {
            above.retain(|(parent, _)| *parent < column);
            above.push((column, key));
        }
    }
    found
}

/// The key that a line begins with.
fn key(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let key = key.trim_matches('"');
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    (!key.is_empty() && key.bytes().all(good) && (rest.is_empty() || rest.starts_with(' '))).then_some(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VALUES: &str = "\
replicaCount: 1
image:
  repository: example
  # tag: latest
podLabels: {}
config:
  # -- some words: and more
  # oidc.config: |
  #   name: sso
  level: info
";

    fn unknown(values: Value) -> Vec<String> {
        let known = KnownValues::read(VALUES, None).unwrap();
        known.unknown_keys(&values, &[]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn known_keys_are_those_of_defaults_comments_and_open_maps() {
        let values = json!({
            "replicaCount": 2,
            "image": {"tag": "v1", "repository": "x"},
            "podLabels": {"any": "thing"},
            "config": {"oidc.config": "text", "level": "debug"},
        });
        assert_eq!(unknown(values), [""; 0]);
    }

    #[test]
    fn what_a_subchart_knows_is_known_under_its_key() {
        let known = KnownValues::read("sub: {enabled: true}\n", None).unwrap();
        let known = known.with_subchart("sub", KnownValues::read(VALUES, None).unwrap());
        let values = json!({"sub": {"enabled": false, "replicaCount": 2, "image": {"tag": "v1"}}});
        assert_eq!(known.unknown_keys(&values, &[]), []);
        let told = known.unknown_keys(&json!({"sub": {"replicacount": 2}}), &[]);
        assert_eq!(told[0].nearest.as_deref(), Some("sub.replicaCount"));
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let told = unknown(json!({"replicacount": 2, "image": {"repo": "x", "repositroy": "y"}, "zzz": {}}));
        assert_eq!(
            told,
            [
                "the chart knows no value `image.repo`; leave it out",
                "the chart knows no value `image.repositroy`; did you mean `image.repository`?",
                "the chart knows no value `replicacount`; did you mean `replicaCount`?",
                "the chart knows no value `zzz`; leave it out",
            ]
        );
    }

    #[test]
    fn a_schema_knows_what_the_defaults_leave_out() {
        let schema = json!({
            "$ref": "#/$defs/values",
            "$defs": {"values": {"properties": {"image": {"properties": {"digest": {}}}}}},
        });
        let known = KnownValues::read(VALUES, Some(schema)).unwrap();
        assert_eq!(known.unknown_keys(&json!({"image": {"digest": "sha256:0"}}), &[]), []);
        assert_eq!(known.unknown_keys(&json!({"image": {"digests": "sha256:0"}}), &[]).len(), 1);
    }

    #[test]
    fn the_users_values_win_key_by_key() {
        let ours = json!({"a": {"b": 1, "c": [1]}, "d": 1});
        let users = json!({"a": {"c": [2], "e": 3}, "d": null});
        assert_eq!(merged(ours, &users), json!({"a": {"b": 1, "c": [2], "e": 3}, "d": null}));
    }
}
