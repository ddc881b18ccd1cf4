//! Publishing a directory: one tree, one commit, one step forward of the branch.
//!
//! Expected flow: the branch's head and its files are read; what is new is sent with the tree that names it, so that a
//! site of hundreds of files takes a few calls; a commit on top of the head is made; the branch is moved to it.
//!
//! Guarantees: the branch is moved last and in one step, so readers see the old files or the new ones. It is never
//! forced: when it has moved since it was read, all is done again on its new head, a few times. Where the files are those
//! of the branch already, nothing is made at all. What is left of an attempt that failed is objects that no branch names,
//! which GitHub takes away in time.
//!
//! Assumptions: the branch belongs to what is published. Files that the directory lacks are taken away, but for
//! [`KEPT`].

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Failure;
use super::objects::blob_id;
use super::{BranchName, GitHub, GitHubError};

/// How often the branch may move meanwhile.
const ATTEMPTS: u32 = 5;

/// Text that is sent in one request; GitHub takes more, but not much more.
const SENT_AT_ONCE: usize = 4 * 1024 * 1024;

/// Written into the branch by GitHub's settings of a site's own domain, and not by who publishes.
const KEPT: &str = "CNAME";

/// Mode of a file that is not run.
const FILE: &str = "100644";

/// What came of publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The branch holds these files already.
    Unchanged {
        /// Its newest commit.
        commit: String,
    },
    /// The branch was moved.
    Committed {
        /// To this commit.
        commit: String,
        /// It was made: there was none.
        made_branch: bool,
    },
}

#[derive(Deserialize)]
struct Reference {
    object: Named,
}

/// An object by its name.
#[derive(Deserialize)]
struct Named {
    sha: String,
}

#[derive(Deserialize)]
struct Commit {
    tree: Named,
}

#[derive(Deserialize)]
struct Tree {
    tree: Vec<Entry>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    sha: String,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(default)]
    protected: bool,
}

/// A branch as it was read.
struct Head {
    commit: String,
    tree: String,
    /// By path; not all of them when there are too many to be listed.
    files: BTreeMap<String, Entry>,
    complete: bool,
}

impl GitHub {
    /// Makes the files of a branch these, by path with `/` between names.
    ///
    /// # Errors
    /// See [`GitHubError`]. With [`GitHubError::Unreachable`] the branch may have been moved; otherwise it was not.
    pub async fn publish(
        &self,
        branch: &BranchName,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
    ) -> Result<Published, GitHubError> {
        if files.is_empty() {
            return Err(GitHubError::Nothing);
        }
        for _ in 0..ATTEMPTS {
            let head = self.head(branch).await?;
            if let Some(published) = self.publish_on(branch, head, files, message).await? {
                return Ok(published);
            }
        }
        Err(GitHubError::Busy { repository: self.api.repository.clone(), branch: branch.clone(), attempts: ATTEMPTS })
    }

    /// On top of what was read; none when that is not the head any more.
    async fn publish_on(
        &self,
        branch: &BranchName,
        head: Option<Head>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
    ) -> Result<Option<Published>, GitHubError> {
        if let Some(head) = &head
            && head.holds_exactly(files)
        {
            return Ok(Some(Published::Unchanged { commit: head.commit.clone() }));
        }
        let tree = self.make_tree(head.as_ref(), files).await?;
        if let Some(head) = &head
            && head.tree == tree
        {
            return Ok(Some(Published::Unchanged { commit: head.commit.clone() }));
        }
        let parents: Vec<&str> = head.iter().map(|head| head.commit.as_str()).collect();
        let commit = json!({"message": message, "tree": tree, "parents": parents});
        let made: Named = self.api.post("/git/commits", &commit).await.map_err(|failure| self.api.error(failure))?;
        let is_there = self.move_branch(branch, head.as_ref(), &made.sha).await?;
        Ok(is_there.then_some(Published::Committed { commit: made.sha, made_branch: head.is_none() }))
    }

    async fn head(&self, branch: &BranchName) -> Result<Option<Head>, GitHubError> {
        let Some(commit) = self.head_commit(branch).await? else { return Ok(None) };
        let tree: Commit = self.read(&format!("/git/commits/{commit}")).await?;
        let tree = tree.tree.sha;
        let listed: Tree = self.read(&format!("/git/trees/{tree}?recursive=1")).await?;
        let files = listed.tree.into_iter().filter(|entry| entry.kind != "tree");
        let files = files.map(|entry| (entry.path.clone(), entry)).collect();
        Ok(Some(Head { commit, tree, files, complete: !listed.truncated }))
    }

    async fn head_commit(&self, branch: &BranchName) -> Result<Option<String>, GitHubError> {
        match self.api.get::<Reference>(&format!("/git/ref/heads/{branch}")).await {
            Ok(reference) => Ok(Some(reference.object.sha)),
            // Either the branch is not there or all of the repository.
            Err(failure) if failure.code() == Some(StatusCode::NOT_FOUND) => {
                self.read::<Value>("").await?;
                Ok(None)
            }
            Err(failure) => Err(self.api.error(failure)),
        }
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, rest: &str) -> Result<T, GitHubError> {
        self.api.get(rest).await.map_err(|failure| match failure.code() {
            Some(StatusCode::NOT_FOUND) => GitHubError::NoRepository { repository: self.api.repository.clone() },
            _ => self.api.error(failure),
        })
    }

    /// A tree of these files, in as many requests as their text needs: each builds on the one before.
    async fn make_tree(&self, head: Option<&Head>, files: &BTreeMap<String, Vec<u8>>) -> Result<String, GitHubError> {
        let known: BTreeSet<&str> =
            head.into_iter().flat_map(|head| head.files.values()).map(|entry| entry.sha.as_str()).collect();
        let mut entries: Vec<Value> = Vec::new();
        if let Some(kept) = head.and_then(|head| head.files.get(KEPT)).filter(|_| !files.contains_key(KEPT)) {
            entries.push(json!({"path": KEPT, "mode": kept.mode, "type": "blob", "sha": kept.sha}));
        }
        let (mut base, mut sent) = (None, 0);
        for (path, content) in files {
            let id = blob_id(content);
            let mut entry = json!({"path": path, "mode": FILE, "type": "blob"});
            match std::str::from_utf8(content) {
                _ if known.contains(id.as_str()) => entry["sha"] = id.into(),
                Ok(text) => {
                    sent += text.len();
                    entry["content"] = text.into();
                }
                Err(_) => entry["sha"] = self.make_blob(content).await?.into(),
            }
            entries.push(entry);
            if sent > SENT_AT_ONCE {
                base = Some(self.post_tree(base, std::mem::take(&mut entries)).await?);
                sent = 0;
            }
        }
        match base {
            Some(base) if entries.is_empty() => Ok(base),
            base => self.post_tree(base, entries).await,
        }
    }

    async fn post_tree(&self, base: Option<String>, entries: Vec<Value>) -> Result<String, GitHubError> {
        let mut tree = json!({"tree": entries});
        if let Some(base) = base {
            tree["base_tree"] = base.into();
        }
        let made: Named = self.api.post("/git/trees", &tree).await.map_err(|failure| self.api.error(failure))?;
        Ok(made.sha)
    }

    /// What is no text cannot be sent with the tree.
    async fn make_blob(&self, content: &[u8]) -> Result<String, GitHubError> {
        let blob = json!({"content": STANDARD.encode(content), "encoding": "base64"});
        let made: Named = self.api.post("/git/blobs", &blob).await.map_err(|failure| self.api.error(failure))?;
        Ok(made.sha)
    }

    /// Whether the branch is there now; not, when it has moved since its head was read.
    async fn move_branch(&self, branch: &BranchName, head: Option<&Head>, commit: &str) -> Result<bool, GitHubError> {
        let moved: Result<Value, Failure> = match head {
            Some(_) => {
                let wanted = json!({"sha": commit, "force": false});
                self.api.patch(&format!("/git/refs/heads/{branch}"), &wanted).await
            }
            None => {
                let wanted = json!({"ref": format!("refs/heads/{branch}"), "sha": commit});
                self.api.post("/git/refs", &wanted).await
            }
        };
        match moved {
            Ok(_) => Ok(true),
            Err(failure) if failure.code() == Some(StatusCode::UNPROCESSABLE_ENTITY) => {
                self.why_not_moved(branch, head, failure).await
            }
            Err(failure) => Err(self.api.error(failure)),
        }
    }

    /// GitHub has one code for all reasons not to move a branch; which one it was is seen from the branch.
    async fn why_not_moved(
        &self,
        branch: &BranchName,
        head: Option<&Head>,
        failure: Failure,
    ) -> Result<bool, GitHubError> {
        let now = self.head_commit(branch).await?;
        if now.as_deref() != head.map(|head| head.commit.as_str()) {
            return Ok(false);
        }
        let looked: Result<Branch, Failure> = self.api.get(&format!("/branches/{branch}")).await;
        if looked.is_ok_and(|branch| branch.protected) {
            let (repository, why) = (self.api.repository.clone(), failure.why().to_owned());
            return Err(GitHubError::Protected { repository, branch: branch.clone(), why });
        }
        Err(self.api.error(failure))
    }
}

impl Head {
    fn holds_exactly(&self, files: &BTreeMap<String, Vec<u8>>) -> bool {
        let wanted = files.len() + usize::from(self.files.contains_key(KEPT) && !files.contains_key(KEPT));
        let holds = |(path, content): (&String, &Vec<u8>)| {
            self.files.get(path).is_some_and(|entry| entry.mode == FILE && entry.sha == blob_id(content))
        };
        self.complete && self.files.len() == wanted && files.iter().all(holds)
    }
}
