//! The engine's seam [`Git`]: looking at the head of a branch, and pushing a commit to it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use helix_crds::GitRepository;
use helix_engine::seams::{Git, GitError, Published};
use helix_plan::gitops::{Changes, Found, Tree, digest};
use helix_plan::names::PlatformIdentity;
use jiff::Timestamp;
use kube::Client;
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::answer::{self, Pushed};
use super::credentials::Credentials;
use super::program::{self, Program};
use super::{commit, snapshot};
use crate::kube::read_git_credentials;

/// Where the head of the branch is fetched to.
const THEIRS: &str = "refs/helix/head";
/// How often a commit is made anew because the branch has moved on.
const TRIES: u32 = 4;
/// How many commits are remembered as alike.
const REMEMBERED: usize = 32;

/// The repositories of all platforms of a management cluster.
pub struct GitRepositories {
    management: Client,
    directory: PathBuf,
    /// Goes with the process, where no directory was named.
    _passing: Option<TempDir>,
    environment: Vec<(OsString, OsString)>,
    /// One lock for each local repository: commands in one of them come one after the other.
    places: Mutex<BTreeMap<String, Arc<Mutex<Place>>>>,
}

/// The directory for repositories cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("no directory for Git repositories can be used: {0}")]
pub struct SetUpError(#[from] std::io::Error);

impl GitRepositories {
    /// Reads credentials from Secrets in `management`, beside the platforms, and keeps what it fetches in `directory`,
    /// which is made; `None` for one that goes with the process.
    ///
    /// # Errors
    /// [`SetUpError`] when it cannot be.
    pub fn new(management: Client, directory: Option<&Path>) -> Result<Self, SetUpError> {
        let passing = if directory.is_none() { Some(TempDir::with_prefix("helix-git-")?) } else { None };
        let directory = directory.or(passing.as_ref().map(TempDir::path)).unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory)?;
        // Commands run in other directories.
        let directory = directory.canonicalize()?;
        program::write_asked(&directory.join(ASKED))?;
        let environment = program::passed_environment();
        Ok(Self { management, directory, _passing: passing, environment, places: Mutex::default() })
    }

    async fn credentials(
        &self,
        platform: &PlatformIdentity,
        repository: &GitRepository,
    ) -> Result<Option<Credentials>, GitError> {
        match &repository.credentials_secret_ref {
            Some(secret) => read_git_credentials(&self.management, &platform.namespace, &secret.name).await.map(Some),
            None => Ok(None),
        }
    }

    async fn place(&self, platform: &PlatformIdentity, repository: &GitRepository) -> Arc<Mutex<Place>> {
        // Platforms share nothing: what one may read, another may not.
        let key = format!("{} {} {} {}", platform.uid, repository.url, repository.branch, repository.path);
        let key = digest(key.as_bytes()).chars().take(16).collect::<String>();
        let mut places = self.places.lock().await;
        let new = || {
            let directory = self.directory.join(format!("{key}.git"));
            let program = Program::new(directory, self.directory.join(ASKED), self.environment.clone());
            Arc::new(Mutex::new(Place::new(program, repository)))
        };
        Arc::clone(places.entry(key.clone()).or_insert_with(new))
    }
}

/// The name of the program that answers git's questions.
const ASKED: &str = "asked.sh";

#[async_trait]
impl Git for GitRepositories {
    async fn look(
        &self,
        platform: &PlatformIdentity,
        repository: &GitRepository,
        tree: &Tree,
    ) -> Result<Published, GitError> {
        let credentials = self.credentials(platform, repository).await?;
        let place = self.place(platform, repository).await;
        let mut place = place.lock().await;
        place.look(tree, credentials.as_ref()).await
    }

    async fn publish(
        &self,
        platform: &PlatformIdentity,
        repository: &GitRepository,
        tree: &Tree,
        now: Timestamp,
    ) -> Result<String, GitError> {
        let credentials = self.credentials(platform, repository).await?;
        let place = self.place(platform, repository).await;
        let mut place = place.lock().await;
        place.publish(tree, credentials.as_ref(), now).await
    }
}

/// A platform's place in a repository, and what is known of it on this machine.
pub(super) struct Place {
    program: Program,
    url: String,
    branch: String,
    /// Empty, or ends in a slash.
    prefix: String,
    /// What was found last: at which commit, for which tree.
    last: Option<(String, String, Arc<Changes>)>,
    /// Commits that held a tree whole, by its digest, the oldest first.
    whole: Vec<(String, String)>,
}

impl Place {
    pub(super) fn new(program: Program, repository: &GitRepository) -> Self {
        let path = repository.path.trim_matches('/').trim_start_matches("./");
        let prefix = if path.is_empty() || path == "." { String::new() } else { format!("{path}/") };
        let (url, branch) = (repository.url.clone(), repository.branch.clone());
        Self { program, url, branch, prefix, last: None, whole: Vec::new() }
    }

    pub(super) async fn look(&mut self, tree: &Tree, credentials: Option<&Credentials>) -> Result<Published, GitError> {
        let revision = self.head(credentials).await?;
        let known = self.last.as_ref().filter(|(at, of, _)| *at == revision && of == tree.digest());
        let changes = match known {
            Some((_, _, changes)) => Arc::clone(changes),
            None => {
                // The branch may have moved on since: what was fetched is what counts.
                let revision = self.fetch(credentials).await?;
                let found = snapshot::found(&self.program, &revision, &self.prefix, tree).await?;
                self.keep(revision, tree, tree.changes(&found))
            }
        };
        let revision = self.last.as_ref().map_or(revision, |(revision, _, _)| revision.clone());
        let of_tree = self.whole.iter().filter(|(_, of)| of == tree.digest());
        let alike = of_tree.map(|(at, _)| at.clone()).filter(|at| *at != revision).collect();
        Ok(Published { revision, changes, alike })
    }

    pub(super) async fn publish(
        &mut self,
        tree: &Tree,
        credentials: Option<&Credentials>,
        now: Timestamp,
    ) -> Result<String, GitError> {
        let secret = credentials.map(|credentials| credentials.password.expose());
        if let Some(path) = tree.leak(secret.into_iter()) {
            return Err(GitError::Secret { path: path.to_owned() });
        }
        for _ in 0..TRIES {
            let parent = self.fetch(credentials).await?;
            let found: Found = snapshot::found(&self.program, &parent, &self.prefix, tree).await?;
            let changes = tree.changes(&found);
            if let Some(path) = changes.foreign.first() {
                return Err(GitError::Foreign { path: path.clone() });
            }
            if changes.are_none() {
                self.keep(parent.clone(), tree, changes);
                return Ok(parent);
            }
            let commit = commit::make(&self.program, (&parent, &self.prefix), tree, (&changes, &found), now).await?;
            let target = format!("{commit}:refs/heads/{}", self.branch);
            let push = ["push", "--porcelain", "--no-verify", "--", &self.url, &target];
            let answer = self.program.run(&push, &[], credentials).await?;
            match answer::pushed(&answer.output, answer.success) {
                Pushed::Done => {
                    self.keep(commit.clone(), tree, Changes::default());
                    return Ok(commit);
                }
                // Another try on what it is by now.
                Pushed::MovedOn => {}
                Pushed::Declined(why) => return Err(GitError::Protected { branch: self.branch.clone(), why }),
                Pushed::Failed => return Err(answer::failed(&self.url, &answer.complaint)),
            }
        }
        Err(GitError::Busy { branch: self.branch.clone() })
    }

    fn keep(&mut self, revision: String, tree: &Tree, changes: Changes) -> Arc<Changes> {
        let whole = (revision.clone(), tree.digest().to_owned());
        if changes.are_none() && !self.whole.contains(&whole) {
            self.whole.push(whole);
            let surplus = self.whole.len().saturating_sub(REMEMBERED);
            self.whole.drain(..surplus);
        }
        let changes = Arc::new(changes);
        self.last = Some((revision, tree.digest().to_owned(), Arc::clone(&changes)));
        changes
    }

    /// The head of the branch, as the repository tells it: one question, and nothing is fetched.
    async fn head(&self, credentials: Option<&Credentials>) -> Result<String, GitError> {
        self.prepare().await?;
        let branch = format!("refs/heads/{}", self.branch);
        let answer = self.program.run(&["ls-remote", "--", &self.url, &branch], &[], credentials).await?;
        if !answer.success {
            return Err(answer::failed(&self.url, &answer.complaint));
        }
        let text = String::from_utf8_lossy(&answer.output);
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        let head = lines.filter(|(_, name)| *name == branch).map(|(id, _)| id.to_owned()).next();
        head.ok_or_else(|| GitError::NoBranch { url: self.url.clone(), branch: self.branch.clone() })
    }

    /// Fetches the head of the branch alone, without its history, and tells its commit.
    async fn fetch(&self, credentials: Option<&Credentials>) -> Result<String, GitError> {
        // Tells a branch that is missing from a repository that is.
        self.head(credentials).await?;
        let branch = format!("+refs/heads/{}:{THEIRS}", self.branch);
        let fetch = ["fetch", "--quiet", "--no-tags", "--depth=1", "--no-write-fetch-head", "--", &self.url, &branch];
        let answer = self.program.run(&fetch, &[], credentials).await?;
        if !answer.success {
            return Err(answer::failed(&self.url, &answer.complaint));
        }
        let id = self.program.local(&["rev-parse", "--verify", THEIRS], &[]).await?;
        Ok(String::from_utf8_lossy(&id).trim().to_owned())
    }

    /// Makes the repository on this machine, unless it is there.
    async fn prepare(&self) -> Result<(), GitError> {
        if self.program.directory.join("HEAD").exists() {
            return Ok(());
        }
        let failed = |error: std::io::Error| GitError::NoGit { why: error.to_string() };
        std::fs::create_dir_all(&self.program.directory).map_err(failed)?;
        self.program.local(&["init", "--quiet", "--bare"], &[]).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
