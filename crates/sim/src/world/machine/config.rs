//! The machine configuration as a simulated machine reads it: strict about what Talos refuses, and typed as far as the
//! simulator acts on it.
//!
//! It checks the shape alone. Whether certificates and keys are any good shows where they are used: the in-process
//! simulation has opaque ones. [`fields`] and [`grammar`] list what Talos knows, [`documents`] carries what 1.14 says in
//! documents of their own to where 1.13 says it.

mod cluster;
mod documents;
mod fields;
mod grammar;
mod model;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use cluster::Cluster;
pub use grammar::Grammar;
pub use model::{Authority, Machine, NodeTaint, Program, Role};

/// A configuration that Talos would accept.
#[derive(Clone)]
pub struct MachineConfig {
    text: Arc<str>,
    v1alpha1: Option<V1Alpha1>,
    hostname: Option<String>,
    documents: Vec<Value>,
}

/// The main document.
#[derive(Clone)]
struct V1Alpha1 {
    value: Value,
    machine: Arc<Machine>,
    cluster: Arc<Cluster>,
}

impl fmt::Debug for MachineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineConfig").field("hostname", &self.hostname).finish_non_exhaustive()
    }
}

/// Why a configuration is refused. The texts hold names of fields, never their values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not YAML, or not in the expected shape.
    #[error("the configuration cannot be decoded: {0}")]
    Malformed(String),
    /// A field that Talos does not know.
    #[error("unknown keys found during decoding: {0}")]
    UnknownField(String),
    /// A document of a kind that Talos does not know.
    #[error("\"{kind}\" \"{version}\": not registered")]
    UnknownDocument {
        /// `kind`
        kind: String,
        /// `apiVersion`
        version: String,
    },
    /// A document that is there twice.
    #[error("duplicate document: {0}")]
    Duplicate(String),
    /// Something that must be there is missing.
    #[error("{0} is required")]
    Missing(&'static str),
    /// A field with a value that it cannot have.
    #[error("{0}")]
    Invalid(String),
}

impl MachineConfig {
    /// Reads and checks a configuration of one or more documents, as the Talos of that grammar does.
    ///
    /// # Errors
    /// Whatever Talos would refuse with `InvalidArgument`.
    pub fn parse(text: &str, grammar: Grammar) -> Result<Self, ConfigError> {
        let options = serde_saphyr::options! { strict_booleans: true };
        let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)
            .map_err(|error| ConfigError::Malformed(without_snippet(&error.to_string())))?;
        let mut main = None;
        let mut others = Vec::new();
        for document in documents.into_iter().filter(|document| !document.is_null()) {
            if document.get("kind").is_some() {
                others.push(document);
            } else if main.replace(document).is_some() {
                return Err(ConfigError::Duplicate("v1alpha1".to_owned()));
            }
        }
        if main.is_none() && others.is_empty() {
            return Err(ConfigError::Malformed("no configuration documents found".to_owned()));
        }
        check_documents(&others, grammar)?;
        let v1alpha1 = main.map(|main| V1Alpha1::read(main, &others)).transpose()?;
        let hostname = hostname_of(v1alpha1.as_ref(), &others)?;
        Ok(Self { text: text.into(), v1alpha1, hostname, documents: others })
    }

    /// The bytes as they were submitted.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether the main document is there; without it a machine stays in maintenance.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.v1alpha1.is_some()
    }

    /// The `machine` section.
    #[must_use]
    pub fn machine(&self) -> Option<&Arc<Machine>> {
        self.v1alpha1.as_ref().map(|main| &main.machine)
    }

    /// The `cluster` section.
    #[must_use]
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.v1alpha1.as_ref().map(|main| &main.cluster)
    }

    /// The static host name, if one is set.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        self.hostname.as_deref()
    }

    /// Whether going from this configuration to `next` takes a reboot, and because of which field.
    #[must_use]
    pub fn reboot_needed_for(&self, next: &Self) -> Option<String> {
        let section = |config: &Self, key: &str| {
            config.v1alpha1.as_ref().and_then(|main| main.value.pointer(&format!("/machine/{key}")).cloned())
        };
        fields::MACHINE
            .iter()
            .filter(|key| !fields::CHANGED_WITHOUT_REBOOT.contains(key))
            .find(|key| section(self, key) != section(next, key))
            .map(|key| format!(".machine.{key}"))
    }

    /// Whether both say the same.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.v1alpha1.as_ref().map(|main| &main.value) == other.v1alpha1.as_ref().map(|main| &main.value)
            && self.documents == other.documents
    }
}

impl V1Alpha1 {
    fn read(value: Value, documents: &[Value]) -> Result<Self, ConfigError> {
        fields::check(&value)?;
        if value.get("version").and_then(Value::as_str) != Some("v1alpha1") {
            return Err(ConfigError::Malformed("\"version\" must be v1alpha1".to_owned()));
        }
        let told = documents::told_in_one(&value, documents)?;
        let section = |key: &str| told.get(key).cloned().unwrap_or(Value::Null);
        let machine: Machine = section_of(section("machine"), "machine instructions")?;
        let cluster: Cluster = section_of(section("cluster"), "cluster instructions")?;
        grammar::check_together(&value, machine.role, documents)?;
        machine.validate()?;
        cluster.validate(machine.role)?;
        Ok(Self { value, machine: Arc::new(machine), cluster: Arc::new(cluster) })
    }
}

fn section_of<T: serde::de::DeserializeOwned>(section: Value, what: &'static str) -> Result<T, ConfigError> {
    if section.is_null() {
        return Err(ConfigError::Missing(what));
    }
    serde_json::from_value(section).map_err(|error| ConfigError::Malformed(format!("{what}: {error}")))
}

/// The first line of a YAML error: the rest quotes the source, which holds secrets.
fn without_snippet(error: &str) -> String {
    error.lines().next().unwrap_or_default().to_owned()
}

fn check_documents(documents: &[Value], grammar: Grammar) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for document in documents {
        let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, version, name) = (text("kind"), text("apiVersion"), text("name"));
        if version != "v1alpha1" || !grammar.knows(&kind) {
            return Err(ConfigError::UnknownDocument { kind, version });
        }
        if !seen.insert((kind.clone(), name.clone())) {
            return Err(ConfigError::Duplicate(format!("{kind}/{name}")));
        }
    }
    Ok(())
}

/// The static host name, which may be said in one place only.
fn hostname_of(main: Option<&V1Alpha1>, documents: &[Value]) -> Result<Option<String>, ConfigError> {
    let old = main.and_then(|main| main.value.pointer("/machine/network/hostname")?.as_str().map(str::to_owned));
    let Some(document) = documents.iter().find(|d| d.get("kind").and_then(Value::as_str) == Some("HostnameConfig"))
    else {
        return Ok(old);
    };
    let new = document.get("hostname").and_then(Value::as_str).map(str::to_owned);
    let auto = document.get("auto").and_then(Value::as_str).unwrap_or("off");
    if new.is_some() && auto != "off" {
        return Err(ConfigError::Invalid(
            "HostnameConfig: 'auto' and 'hostname' cannot be set at the same time".into(),
        ));
    }
    if old.is_some() {
        return Err(ConfigError::Invalid("static hostname is already set in v1alpha1 config".to_owned()));
    }
    Ok(new)
}

#[cfg(test)]
mod tests;
