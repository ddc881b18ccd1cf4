//! Making the tree: a folder for each phase and in it one for each component, the Applications that sync them, and, as
//! reference, the values of charts.

use std::collections::BTreeMap;

use helix_crds::PhaseName;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{digest, file, hex};
use crate::components::values::merged;
use crate::components::{Component, Wanted, applications, wanted};
use crate::validated::Layers;

/// The folder of Applications, which the root Application syncs.
pub(crate) const APPLICATIONS: &str = "applications";
/// The folder of values, which nobody syncs.
const VALUES: &str = "values";
/// The beginning of a private key in PEM, whichever kind it is of.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// What Argo CD must neither prune nor delete with its Application: it holds what cannot be made again.
const KEPT: [(&str, &str); 5] = [
    ("v1", "Namespace"),
    ("v1", "PersistentVolumeClaim"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("postgresql.cnpg.io/v1", "Cluster"),
    ("redis.redis.opstreelabs.in/v1beta2", "RedisReplication"),
];

/// All files of a platform's repository, by path from the platform's directory in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    platform: String,
    files: BTreeMap<String, Vec<u8>>,
    digests: BTreeMap<String, String>,
    kept: Vec<String>,
    digest: String,
}

/// Why there is no tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// There is nowhere to sync from.
    #[error("spec.gitops.repository is missing: write the URL of the repository that Argo CD is to sync from")]
    NoRepository,
    /// A Secret would be in it.
    #[error(
        "{component} renders Secret {name}, which no repository may hold; have it made in the cluster, by \
         spec.components.{component}.values"
    )]
    Secret {
        /// Of which component.
        component: Component,
        /// Its name.
        name: String,
    },
    /// A secret value would be in it.
    #[error("{path} would hold a private key, which no repository may hold; take it out of the values")]
    PrivateKey {
        /// The file.
        path: String,
    },
    /// An object has no file of its own.
    #[error("{component} renders an object that cannot be a file, {object}: {why}")]
    Object {
        /// Of which component.
        component: Component,
        /// The object, by kind and name.
        object: String,
        /// Why not.
        why: String,
    },
}

impl Tree {
    /// Makes the tree of all components that the specification asks for, each with all its objects. Of a component
    /// that could not be rendered now, an earlier tree's files stay.
    ///
    /// # Errors
    /// [`TreeError`]: without a repository, and where something must not be in one.
    pub fn new(layers: &Layers, manifests: &BTreeMap<Component, Vec<Value>>) -> Result<Self, TreeError> {
        let mut making = Making { files: BTreeMap::new(), kept: Vec::new() };
        let wanted = wanted(layers);
        let mut told = applications(layers, &wanted).ok_or(TreeError::NoRepository)?;
        for one in &wanted {
            let application = told.remove(&one.component);
            match manifests.get(&one.component) {
                Some(objects) => making.component(one, objects, application.as_ref())?,
                None => making.kept.extend(places(one)),
            }
        }
        making.finish(layers)
    }

    /// The platform's name.
    #[must_use]
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// All files, by path from the platform's directory, the marker left out.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// SHA-256 of all paths and files, in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn digests(&self) -> &BTreeMap<String, String> {
        &self.digests
    }

    /// Whether a file of an earlier tree stays, because what it is made of could not be rendered.
    pub(super) fn keeps(&self, path: &str) -> bool {
        self.kept.iter().any(|place| path == place || (place.ends_with('/') && path.starts_with(place)))
    }

    /// The first file that holds one of these secrets, if any does.
    #[must_use]
    pub fn leak<'a>(&self, secrets: impl Iterator<Item = &'a str> + Clone) -> Option<&str> {
        let holds = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            secrets.clone().any(|secret| !secret.is_empty() && text.contains(secret))
        };
        self.files.iter().find(|(_, bytes)| holds(bytes)).map(|(path, _)| path.as_str())
    }
}

/// The folder of a component, from the platform's directory.
pub(crate) fn folder(phase: PhaseName, component: Component) -> String {
    format!("{}/{component}", phase_folder(phase))
}

/// Numbered, so that folders are listed in the order of phases.
fn phase_folder(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::HardenedCore => "1-hardened-core",
        PhaseName::ImmutableSubstrate => "2-immutable-substrate",
        PhaseName::SecurityWeave => "3-security-weave",
        PhaseName::GitOpsControlPlane => "4-gitops-control-plane",
        PhaseName::StateAndDataHa => "5-state-and-data-ha",
        PhaseName::AiAgentic => "6-ai-agentic",
    }
}

/// Everywhere that files of a component are; folders end in a slash.
fn places(wanted: &Wanted) -> [String; 3] {
    let component = wanted.component;
    [format!("{}/", folder(wanted.phase, component)), application_file(component), values_file(component)]
}

fn application_file(component: Component) -> String {
    format!("{APPLICATIONS}/{component}.yaml")
}

fn values_file(component: Component) -> String {
    format!("{VALUES}/{component}.yaml")
}

struct Making {
    files: BTreeMap<String, Vec<u8>>,
    kept: Vec<String>,
}

impl Making {
    fn component(&mut self, wanted: &Wanted, objects: &[Value], application: Option<&Value>) -> Result<(), TreeError> {
        let component = wanted.component;
        let folder = folder(wanted.phase, component);
        for object in objects {
            refuse_secret(component, object)?;
            let path = file::path(object).ok_or_else(|| unfit(component, object, "it has no kind or no name"))?;
            let kept = is_kept(object).then(|| merged(object.clone(), &stays(object)));
            self.put(component, format!("{folder}/{path}"), kept.as_ref().unwrap_or(object))?;
        }
        if let Some(application) = application {
            self.put(component, application_file(component), application)?;
        }
        if wanted.chart.is_some() {
            self.put(component, values_file(component), &wanted.values)?;
        }
        Ok(())
    }

    fn put(&mut self, component: Component, path: String, object: &Value) -> Result<(), TreeError> {
        let bytes = file::yaml(object).map_err(|why| unfit(component, object, &why))?;
        if String::from_utf8_lossy(&bytes).contains(PRIVATE_KEY) {
            return Err(TreeError::PrivateKey { path });
        }
        match self.files.insert(path.clone(), bytes) {
            Some(_) => Err(unfit(component, object, &format!("{path} is another object's already"))),
            None => Ok(()),
        }
    }

    fn finish(self, layers: &Layers) -> Result<Tree, TreeError> {
        let digests: BTreeMap<String, String> =
            self.files.iter().map(|(path, bytes)| (path.clone(), digest(bytes))).collect();
        let mut hash = Sha256::new();
        for (path, digest) in &digests {
            // No path holds a line break, and all digests are of one length.
            hash.update(format!("{path}\n{digest}\n"));
        }
        let platform = layers.identity.name.clone();
        Ok(Tree { platform, files: self.files, digests, kept: self.kept, digest: hex(hash) })
    }
}

fn unfit(component: Component, object: &Value, why: &str) -> TreeError {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("without a name");
    let kind = object["kind"].as_str().unwrap_or("object");
    TreeError::Object { component, object: format!("{kind} {name}"), why: why.to_owned() }
}

/// Refuses a Secret, also one within a list.
fn refuse_secret(component: Component, object: &Value) -> Result<(), TreeError> {
    let items = object["items"].as_array().into_iter().flatten();
    let found = std::iter::once(object).chain(items).find(|it| it["kind"] == "Secret" && it["apiVersion"] == "v1");
    let name = |it: &Value| it.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    found.map_or(Ok(()), |it| Err(TreeError::Secret { component, name: name(it) }))
}

fn is_kept(object: &Value) -> bool {
    KEPT.iter().any(|(api, kind)| object["apiVersion"] == *api && object["kind"] == *kind)
}

/// Argo CD's own word for it, beside the options that the chart may have set.
fn stays(object: &Value) -> Value {
    const OPTIONS: &str = "argocd.argoproj.io/sync-options";
    let earlier = object.pointer("/metadata/annotations").and_then(|found| found[OPTIONS].as_str());
    let options: Vec<&str> = earlier.into_iter().chain(["Prune=false", "Delete=false"]).collect();
    json!({"metadata": {"annotations": {OPTIONS: options.join(",")}}})
}
