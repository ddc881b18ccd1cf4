//! The platform's repository and Argo CD, as far as the engine sees them: a branch whose commits are counted, and
//! Applications that are at its head as soon as the cluster has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use helix_crds::GitRepository;
use helix_engine::seams::{Applications, Git, GitError, Published, WorkloadError, WorkloadRoute};
use helix_plan::components::{ROOT_APPLICATION, digest as object_digest};
use helix_plan::gitops::{Found, Tree, digest};
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{Application, ObjectId};
use jiff::Timestamp;
use serde_json::Value;

use super::objects::{key, knows};
use super::{Inner, Universe};
use crate::world::ServerId;
use crate::world::machine::{HeldObject, ObjectKey, models};

/// Who applies what is published.
const MANAGER: &str = "argocd-controller";

/// What is at the head of the one branch that there is.
#[derive(Debug, Default)]
pub(super) struct Repository {
    commits: u64,
    found: Found,
    /// The files themselves, as Helix has written them.
    files: BTreeMap<String, Vec<u8>>,
    refuses: bool,
}

impl Repository {
    fn revision(&self) -> String {
        format!("{:040x}", self.commits)
    }

    fn look(&self, repository: &GitRepository, tree: &Tree) -> Result<Published, GitError> {
        if self.refuses {
            return Err(GitError::Refused { url: repository.url.clone(), why: "Authentication failed".to_owned() });
        }
        let changes = Arc::new(tree.changes(&self.found));
        Ok(Published { revision: self.revision(), changes, alike: Vec::new() })
    }

    fn publish(&mut self, repository: &GitRepository, tree: &Tree) -> Result<String, GitError> {
        let changes = self.look(repository, tree)?.changes;
        if let Some(path) = changes.foreign.first() {
            return Err(GitError::Foreign { path: path.clone() });
        }
        if changes.are_none() {
            return Ok(self.revision());
        }
        let marker = tree.marker(&self.found);
        self.found.files.retain(|path, _| !changes.remove.contains(path));
        self.files.retain(|path, _| !changes.remove.contains(path));
        self.files.extend(tree.files().iter().map(|(path, bytes)| (path.clone(), bytes.clone())));
        let written = tree.files().iter().filter(|(path, _)| changes.write.contains(*path));
        self.found.files.extend(written.map(|(path, bytes)| (path.clone(), digest(bytes))));
        self.found.marker = Some(marker);
        self.commits += 1;
        Ok(self.revision())
    }
}

/// Argo CD's part, done whenever somebody looks: what Applications that sync by themselves lead to is in the cluster, as
/// soon as that knows its kind, and what they led to earlier is not.
fn sync(inner: &mut Inner, server: ServerId) {
    let wanted = published(&inner.repository.files);
    let now = inner.now;
    let calls = inner.counts.calls;
    let Some(inside) = inner.world.guests_mut(now).inside_at_mut(server) else { return };
    for (number, (id, digest, component, models)) in wanted.iter().enumerate() {
        let known = knows(inside, &id.api_version, now);
        let of_another = |held: &HeldObject| held.component != *component;
        if !known || inside.objects.get(&key(id)).is_some_and(of_another) {
            continue;
        }
        let held = inside.objects.entry(key(id)).or_insert_with(|| HeldObject {
            uid: format!("uid-argocd-{calls}-{number}"),
            component: component.clone(),
            manager: MANAGER.to_owned(),
            digest: None,
            contested: Vec::new(),
            models: models.clone(),
            since: now,
        });
        held.digest = Some(digest.clone());
        held.models.clone_from(models);
    }
    let is_wanted = |of: &ObjectKey| wanted.iter().any(|(id, ..)| key(id) == *of);
    inside.objects.retain(|of, held| held.manager != MANAGER || is_wanted(of));
}

/// Each object of the Applications that sync by themselves, with its digest, the component that its label names, and the
/// models that its pods pull.
fn published(files: &BTreeMap<String, Vec<u8>>) -> Vec<(ObjectId, String, Option<String>, Vec<String>)> {
    let read = |bytes: &[u8]| serde_saphyr::from_slice::<Value>(bytes).ok();
    let applications = files.iter().filter(|(path, _)| path.starts_with("applications/"));
    let automated = applications
        .filter_map(|(_, bytes)| read(bytes))
        .filter(|it| it.pointer("/spec/syncPolicy/automated").is_some_and(Value::is_object));
    let paths = automated.filter_map(|it| it.pointer("/spec/source/path").and_then(Value::as_str).map(str::to_owned));
    let folders: Vec<String> = paths.map(|path| format!("{path}/")).collect();
    // An Application's path begins at the repository's root, a file's at the platform's directory.
    let within =
        |path: &str| folders.iter().any(|folder| path.split_inclusive('/').take(2).collect::<String>() == tail(folder));
    let objects = files.iter().filter(|(path, _)| within(path)).filter_map(|(_, bytes)| read(bytes));
    let told = objects.filter_map(|mut object| {
        without_options(&mut object);
        let component = object.pointer("/metadata/labels/helix.dev~1component").and_then(Value::as_str);
        let component = component.map(str::to_owned);
        let models = models(&object["spec"]["template"]["spec"]);
        Some((ObjectId::of(&object)?, object_digest(&object), component, models))
    });
    told.collect()
}

/// The last two parts of a folder: the phase and the component.
fn tail(folder: &str) -> String {
    let parts: Vec<&str> = folder.split_inclusive('/').collect();
    parts[parts.len().saturating_sub(2)..].concat()
}

/// What the tree alone tells Argo CD is not part of the object.
fn without_options(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    annotations.remove("argocd.argoproj.io/sync-options");
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
}

impl Universe {
    /// How many commits the platform's repository has got.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.lock().repository.commits
    }

    /// Lets somebody else change a file of the repository.
    pub fn change_file(&self, path: &str) {
        let mut inner = self.lock();
        inner.repository.found.files.insert(path.to_owned(), digest(b"somebody else's"));
        inner.repository.commits += 1;
    }

    /// Lets the repository refuse the credentials from now on, or take them again.
    pub fn let_repository_refuse(&self, refuses: bool) {
        self.lock().repository.refuses = refuses;
    }
}

#[async_trait]
impl Git for Universe {
    async fn look(
        &self,
        _platform: &PlatformIdentity,
        repository: &GitRepository,
        tree: &Tree,
    ) -> Result<Published, GitError> {
        self.ask("look at repository", |inner| inner.repository.look(repository, tree)).await
    }

    async fn publish(
        &self,
        _platform: &PlatformIdentity,
        repository: &GitRepository,
        tree: &Tree,
        _now: Timestamp,
    ) -> Result<String, GitError> {
        self.tell("publish", |inner| inner.repository.publish(repository, tree)).await
    }
}

#[async_trait]
impl Applications for Universe {
    async fn applications(
        &self,
        route: &WorkloadRoute,
    ) -> Result<Option<BTreeMap<String, Application>>, WorkloadError> {
        self.ask("list applications", |inner| {
            let server = inner.api_server(route)?;
            sync(inner, server);
            let root = Application {
                sync: "Synced".to_owned(),
                health: "Healthy".to_owned(),
                revision: inner.repository.revision(),
                problem: String::new(),
            };
            let files = inner.repository.files.iter().filter(|(path, _)| path.starts_with("applications/"));
            let read = files.filter_map(|(_, bytes)| serde_saphyr::from_slice::<Value>(bytes).ok());
            let names = read.filter_map(|it| it.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned));
            let names = names.chain([ROOT_APPLICATION.to_owned()]);
            Ok(Some(names.map(|name| (name, root.clone())).collect()))
        })
        .await
    }

    async fn refresh(&self, route: &WorkloadRoute) -> Result<(), WorkloadError> {
        self.tell("refresh applications", |inner| inner.api_server(route).map(drop)).await
    }
}
