//! Manifests from a Git repository, by the `git` program.
//!
//! It runs with the simulator's own environment: a sandbox says there which repository on this machine a URL leads to
//! (`GIT_CONFIG_COUNT` and what belongs to it).

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

/// The longest that one command takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there are no manifests.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("failed to load target state: {0}")]
    Git(String),
    #[error("failed to load target state: {path}: {why}")]
    Manifest { path: String, why: String },
    #[error("failed to load target state: an object without apiVersion, kind or name")]
    NoObject,
    #[error("{0} is there more than once")]
    Twice(String),
}

/// Repositories as they were fetched last.
pub(super) struct Source {
    directory: PathBuf,
    /// The heads of branches, asked for once a look.
    heads: BTreeMap<(String, String), String>,
    /// By commit and path.
    manifests: BTreeMap<(String, String), Vec<Value>>,
}

impl Source {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, heads: BTreeMap::new(), manifests: BTreeMap::new() }
    }

    /// Lets heads be asked for anew.
    pub(super) fn forget(&mut self) {
        self.heads.clear();
    }

    /// The commit that an Application's source is at.
    pub(super) async fn head(&mut self, source: &Value) -> Result<String, SourceError> {
        let text = |key: &str| source[key].as_str().unwrap_or_default().to_owned();
        let (url, branch) = (text("repoURL"), text("targetRevision"));
        let key = (url, if branch.is_empty() { "HEAD".to_owned() } else { branch });
        if let Some(known) = self.heads.get(&key) {
            return Ok(known.clone());
        }
        let head = self.revision(&key.0, &key.1).await?;
        self.heads.insert(key, head.clone());
        Ok(head)
    }

    /// The commit that an Application's source is at, and its manifests there.
    pub(super) async fn manifests(&mut self, source: &Value) -> Result<(String, Vec<Value>), SourceError> {
        let text = |key: &str| source[key].as_str().unwrap_or_default();
        let (url, path) = (text("repoURL"), text("path"));
        let revision = self.head(source).await?;
        let key = (revision.clone(), path.to_owned());
        if let Some(known) = self.manifests.get(&key) {
            return Ok((revision, known.clone()));
        }
        let repository = self.fetch(url, &revision).await?;
        let repository = format!("--git-dir={}", repository.display());
        let archive = git(&[&repository, "archive", "--format=tar", &revision, "--", path]).await?;
        let recurse = source.pointer("/directory/recurse") == Some(&Value::Bool(true));
        let manifests = read(&archive, path, recurse)?;
        // Only what is at the head is asked for again.
        self.manifests.retain(|(at, _), _| *at == revision);
        self.manifests.insert(key, manifests.clone());
        Ok((revision, manifests))
    }

    async fn revision(&self, url: &str, branch: &str) -> Result<String, SourceError> {
        let told = git(&["ls-remote", "--", url, branch]).await?;
        let told = String::from_utf8_lossy(&told).into_owned();
        let revision = told.split_whitespace().next().map(str::to_owned);
        revision.ok_or_else(|| SourceError::Git(format!("unable to resolve '{branch}' to a commit SHA")))
    }

    async fn fetch(&self, url: &str, revision: &str) -> Result<PathBuf, SourceError> {
        let name: String = Sha256::digest(url).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let repository = self.directory.join(name);
        let directory = format!("--git-dir={}", repository.display());
        if !repository.join("HEAD").exists() {
            std::fs::create_dir_all(&repository).map_err(|error| SourceError::Git(error.to_string()))?;
            git(&[&directory, "init", "--quiet", "--bare"]).await?;
        }
        git(&[&directory, "fetch", "--quiet", "--depth=1", "--", url, revision]).await?;
        Ok(repository)
    }
}

async fn git(arguments: &[&str]) -> Result<Vec<u8>, SourceError> {
    let mut command = Command::new("git");
    // A simulator calls nobody in the network.
    command.args(arguments).env("GIT_ALLOW_PROTOCOL", "file").env("GIT_TERMINAL_PROMPT", "0");
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .map_err(|_| SourceError::Git("git takes too long".to_owned()))?
        .map_err(|error| SourceError::Git(error.to_string()))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(SourceError::Git(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

/// The objects of all YAML and JSON files below the path, in the order of their names.
fn read(archive: &[u8], path: &str, recurse: bool) -> Result<Vec<Value>, SourceError> {
    let mut files = BTreeMap::new();
    let broken = |error: std::io::Error| SourceError::Git(error.to_string());
    for entry in tar::Archive::new(archive).entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let below = name.strip_prefix(path).unwrap_or(&name).trim_start_matches('/');
        let manifest = [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end));
        if entry.header().entry_type().is_file() && manifest && (recurse || !below.contains('/')) {
            let mut text = String::new();
            entry.read_to_string(&mut text).map_err(broken)?;
            files.insert(name, text);
        }
    }
    let mut objects = Vec::new();
    for (path, text) in files {
        let wrong = |why: String| SourceError::Manifest { path: path.clone(), why };
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).map_err(|error| wrong(error.to_string()))?;
        objects.extend(documents.into_iter().filter(|document| !document.is_null()));
    }
    Ok(objects)
}
