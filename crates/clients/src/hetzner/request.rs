//! One request to Hetzner's API as a value: what is sent, and in which words an error speaks of it.
//!
//! Requests are made by the files of the resources, sent by [`super::transport`], and held against Hetzner's own
//! description of its API in a test. Making one does no I/O.

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

/// A request below the endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Below the endpoint, as in `/servers/42`.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    /// What it is about, as in ``server `prod-cp-0` ``: errors say it.
    pub(super) subject: Subject,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// As in `load balancer`.
    pub(super) kind: &'static str,
    /// The name or `#id`; empty where the request is about all of the kind.
    pub(super) name: String,
}

impl Subject {
    pub(super) fn all(kind: &'static str) -> Self {
        Self { kind, name: String::new() }
    }

    pub(super) fn named(kind: &'static str, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }

    pub(super) fn id(kind: &'static str, id: u64) -> Self {
        Self { kind, name: format!("#{id}") }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.as_str() {
            "" => f.write_str(self.kind),
            name if name.starts_with('#') => write!(f, "{} {name}", self.kind),
            name => write!(f, "{} `{name}`", self.kind),
        }
    }
}

impl Request {
    fn new(method: Method, path: impl Into<String>, subject: Subject) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: None, subject }
    }

    pub(super) fn get(path: impl Into<String>, subject: Subject) -> Self {
        Self::new(Method::GET, path, subject)
    }

    /// A request with a body. Bodies are structs of texts, numbers and maps with text keys, whose serialization cannot
    /// fail; were one to, the API would refuse the empty object that goes out instead.
    pub(super) fn post(path: impl Into<String>, subject: Subject, body: &impl Serialize) -> Self {
        let body = serde_json::to_value(body).unwrap_or_else(|_| Value::Object(serde_json::Map::new()));
        Self { body: Some(body), ..Self::new(Method::POST, path, subject) }
    }

    /// A request whose path says everything.
    pub(super) fn post_empty(path: impl Into<String>, subject: Subject) -> Self {
        Self::new(Method::POST, path, subject)
    }

    /// A change of a resource itself. See [`Self::post`] for its body.
    pub(super) fn put(path: impl Into<String>, subject: Subject, body: &impl Serialize) -> Self {
        Self { method: Method::PUT, ..Self::post(path, subject, body) }
    }

    pub(super) fn delete(path: impl Into<String>, subject: Subject) -> Self {
        Self::new(Method::DELETE, path, subject)
    }

    pub(super) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }
}
