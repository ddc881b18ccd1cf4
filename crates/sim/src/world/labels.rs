//! Labels and label selectors, by the grammar of Hetzner's document.

use std::collections::BTreeMap;

use super::error::{ApiError, ApiResult};

/// Labels of a resource.
pub type Labels = BTreeMap<String, String>;

const MAX_NAME: usize = 63;
const MAX_PREFIX: usize = 253;
const RESERVED_PREFIX: &str = "hetzner.cloud";

/// Checks keys and values.
///
/// # Errors
/// `invalid_input` in field `labels`, naming the label.
pub fn validate(labels: &Labels) -> ApiResult<()> {
    for (key, value) in labels {
        if !is_key(key) {
            return Err(ApiError::invalid("labels", format!("label key '{key}' is not correctly formatted")));
        }
        if key.split_once('/').is_some_and(|(prefix, _)| prefix == RESERVED_PREFIX) {
            return Err(ApiError::invalid(
                "labels",
                format!("label key '{key}' has the reserved prefix hetzner.cloud/"),
            ));
        }
        if !is_value(value) {
            return Err(ApiError::invalid("labels", format!("label value '{value}' is not correctly formatted")));
        }
    }
    Ok(())
}

fn is_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_dns_subdomain) && !name.is_empty() && is_value(name)
}

fn is_dns_subdomain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= MAX_NAME
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MAX_PREFIX && text.split('.').all(is_label)
}

fn is_value(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let edge = |b: Option<&u8>| b.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME && bytes.iter().copied().all(inner) && edge(bytes.first()) && edge(bytes.last())
}

/// A parsed label selector: every requirement must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Selector {
    /// Reads `k=v`, `k==v`, `k!=v`, `k`, `!k`, `k in (a,b)`, `k notin (a,b)` and their conjunction by commas.
    ///
    /// # Errors
    /// `invalid_input` in field `label_selector`.
    pub fn parse(text: &str) -> ApiResult<Self> {
        split_outside_parentheses(text)
            .into_iter()
            .map(|part| Requirement::parse(part.trim()))
            .collect::<Option<Vec<_>>>()
            .map(Self)
            .ok_or_else(|| ApiError::invalid("label_selector", format!("'{text}' is not a label selector")))
    }

    /// Whether a resource with these labels is selected. An absent key satisfies `!=` and `notin`, as in Kubernetes.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => !labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
        })
    }
}

impl Requirement {
    fn parse(text: &str) -> Option<Self> {
        if let Some(list) = text.strip_suffix(')') {
            let (head, values) = list.split_once('(')?;
            let (key, operator) = head.trim_end().rsplit_once(char::is_whitespace)?;
            let (key, values) = (checked_key(key)?, checked_values(values)?);
            return match operator {
                "in" => Some(Self::In(key, values)),
                "notin" => Some(Self::NotIn(key, values)),
                _ => None,
            };
        }
        if let Some((key, value)) = text.split_once("!=") {
            return Some(Self::NotIn(checked_key(key)?, checked_values(value)?));
        }
        if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            return Some(Self::In(checked_key(key)?, checked_values(value)?));
        }
        match text.strip_prefix('!') {
            Some(key) => Some(Self::Absent(checked_key(key)?)),
            None => Some(Self::Exists(checked_key(text)?)),
        }
    }
}

fn checked_key(text: &str) -> Option<String> {
    let key = text.trim();
    is_key(key).then(|| key.to_owned())
}

fn checked_values(text: &str) -> Option<Vec<String>> {
    text.split(',').map(str::trim).map(|value| is_value(value).then(|| value.to_owned())).collect()
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn selectors_select_what_the_document_says() {
        let it = labels(&[("env", "prod"), ("helix.dev/pool", "cp"), ("empty", "")]);
        let yes = [
            "env",
            "!absent",
            "env=prod",
            "env==prod",
            "env!=dev",
            "absent!=x",
            "env in (dev, prod)",
            "env notin (dev,test)",
            "helix.dev/pool=cp,env in (prod),!absent",
            "empty=",
            "absent notin (a)",
        ];
        let no = ["!env", "absent", "env=dev", "env!=prod", "env in (dev,test)", "env notin (prod)", "env=prod,absent"];
        for text in yes {
            assert!(Selector::parse(text).is_ok_and(|s| s.matches(&it)), "{text}");
        }
        for text in no {
            assert!(Selector::parse(text).is_ok_and(|s| !s.matches(&it)), "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["", ",", "env in prod", "env within (a)", "=x", "env=a b", "a,,b", "!", "env=(a)", "-a"] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_have_limits() {
        let long = "x".repeat(63);
        assert!(validate(&labels(&[(&long, &long), ("a.b/c", "")])).is_ok());
        let longer = "x".repeat(64);
        for (key, value) in
            [(&*longer, ""), ("a", &*longer), ("", ""), ("a/", ""), ("/a", ""), ("a", "-b"), ("a", "b c")]
        {
            assert!(validate(&labels(&[(key, value)])).is_err(), "{key}={value}");
        }
        assert!(validate(&labels(&[("hetzner.cloud/x", "")])).is_err());
    }
}
