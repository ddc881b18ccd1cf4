//! Calls on one repository: what they ask for, what they change, and why they are refused.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::{Answer, Document, Refusal};
use super::objects::{Entry, FOLDER, Object};
use super::repositories::Repository;

/// One call by somebody who may.
pub(super) struct Call<'a> {
    pub(super) method: &'a Method,
    pub(super) body: &'a [u8],
}

impl Call<'_> {
    fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(self.body).map_err(|error| Refusal::new(422, format!("Invalid request. {error}")))
    }
}

#[derive(Deserialize)]
struct NewBlob {
    content: String,
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct NewTree {
    base_tree: Option<String>,
    tree: Vec<NewEntry>,
}

#[derive(Deserialize)]
struct NewEntry {
    path: String,
    mode: String,
    sha: Option<String>,
    content: Option<String>,
}

#[derive(Deserialize)]
struct NewCommit {
    message: String,
    tree: String,
    #[serde(default)]
    parents: Vec<String>,
}

#[derive(Deserialize)]
struct NewReference {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
}

#[derive(Deserialize)]
struct Move {
    sha: String,
    #[serde(default)]
    force: bool,
}

fn unprocessable(message: &str) -> Refusal {
    Refusal::new(422, message)
}

pub(super) fn repository(full_name: &str) -> Document {
    Document::found(json!({"id": 1, "full_name": full_name, "private": true, "default_branch": "main"}))
}

fn reference_document(branch: &str, commit: &str) -> Value {
    json!({
        "ref": format!("refs/heads/{branch}"), "node_id": "", "url": "https://api.github.com/",
        "object": {"type": "commit", "sha": commit, "url": "https://api.github.com/"},
    })
}

pub(super) fn reference(repository: &Repository, branch: &str) -> Answer {
    let commit = repository.branches.get(branch).ok_or_else(Refusal::not_found)?;
    Ok(Document::found(reference_document(branch, commit)))
}

pub(super) fn branch(repository: &Repository, branch: &str) -> Answer {
    let commit = repository.branches.get(branch).ok_or_else(Refusal::not_found)?;
    let protected = repository.protected.contains(branch);
    Ok(Document::found(json!({"name": branch, "commit": {"sha": commit}, "protected": protected})))
}

pub(super) fn commit(repository: &Repository, id: &str) -> Answer {
    let commit = repository.commit(id).ok_or_else(Refusal::not_found)?;
    let parents: Vec<Value> = commit.parents.iter().map(|parent| json!({"sha": parent})).collect();
    Ok(Document::found(json!({"sha": id, "message": commit.message, "tree": {"sha": commit.tree}, "parents": parents})))
}

/// With all that is below: nobody asks for less here.
pub(super) fn tree(repository: &Repository, id: &str) -> Answer {
    repository.tree(id).ok_or_else(Refusal::not_found)?;
    Ok(Document::found(tree_document(repository, id)))
}

fn tree_document(repository: &Repository, id: &str) -> Value {
    let entry =
        |(path, entry): (&String, &Entry)| json!({"path": path, "mode": entry.mode, "type": "blob", "sha": entry.id});
    let entries: Vec<Value> = repository.files(id).iter().map(entry).collect();
    json!({"sha": id, "url": "https://api.github.com/", "tree": entries, "truncated": false})
}

pub(super) fn make_blob(repository: &mut Repository, call: &Call<'_>) -> Answer {
    let blob: NewBlob = call.read()?;
    let content = match blob.encoding.as_deref() {
        Some("base64") => STANDARD.decode(&blob.content).map_err(|_| unprocessable("content is not valid Base64"))?,
        Some("utf-8") | None => blob.content.into_bytes(),
        Some(_) => return Err(unprocessable("Invalid encoding")),
    };
    let id = repository.keep(Object::Blob(content));
    Ok(Document::created(json!({"sha": id, "url": "https://api.github.com/"})))
}

pub(super) fn make_tree(repository: &mut Repository, call: &Call<'_>) -> Answer {
    let new: NewTree = call.read()?;
    let mut files: BTreeMap<String, Entry> = match &new.base_tree {
        Some(base) if repository.tree(base).is_none() => {
            return Err(unprocessable("base_tree is not a valid tree oid"));
        }
        Some(base) => repository.files(base),
        None => BTreeMap::new(),
    };
    for entry in new.tree {
        if entry.mode == FOLDER || entry.path.split('/').any(|part| ["", ".", "..", ".git"].contains(&part)) {
            return Err(unprocessable("tree.path contains a malformed path component"));
        }
        let id = match (entry.sha, entry.content) {
            (Some(id), None) if matches!(repository.object(&id), Some(Object::Blob(_))) => id,
            (None, Some(content)) => repository.keep(Object::Blob(content.into_bytes())),
            _ => return Err(unprocessable("tree.sha is not a valid blob")),
        };
        files.insert(entry.path, Entry { mode: entry.mode, id });
    }
    let id = repository.folder(&files);
    Ok(Document::created(tree_document(repository, &id)))
}

pub(super) fn make_commit(repository: &mut Repository, call: &Call<'_>) -> Answer {
    let new: NewCommit = call.read()?;
    if repository.tree(&new.tree).is_none() {
        return Err(unprocessable("Tree SHA does not exist"));
    }
    if new.parents.iter().any(|parent| repository.commit(parent).is_none()) {
        return Err(unprocessable("Parent SHA does not exist or is not a commit object"));
    }
    let tree = new.tree.clone();
    let id = repository.make_commit(new.tree, new.parents, new.message);
    Ok(Document::created(json!({"sha": id, "tree": {"sha": tree}})))
}

/// Somebody else is faster, if that was asked for.
fn rival(repository: &mut Repository, branch: &str) {
    if let Some(left) = repository.rivals.checked_sub(1) {
        repository.rivals = left;
        repository.add_file(branch, &format!("rival-{left}.txt"), b"first");
    }
}

pub(super) fn make_reference(repository: &mut Repository, call: &Call<'_>) -> Answer {
    let new: NewReference = call.read()?;
    let branch = new.name.strip_prefix("refs/heads/").ok_or_else(|| unprocessable("Reference name is invalid"))?;
    rival(repository, branch);
    if repository.branches.contains_key(branch) {
        return Err(unprocessable("Reference already exists"));
    }
    if repository.protected.contains(branch) {
        return Err(unprocessable("Repository rule violations found"));
    }
    place(repository, branch, &new.sha).map(Document::created)
}

pub(super) fn move_reference(repository: &mut Repository, branch: &str, call: &Call<'_>) -> Answer {
    let wanted: Move = call.read()?;
    rival(repository, branch);
    let current = repository.branches.get(branch).ok_or_else(|| unprocessable("Reference does not exist"))?;
    if repository.protected.contains(branch) {
        return Err(unprocessable("Repository rule violations found"));
    }
    if !wanted.force && !repository.follows(&wanted.sha, current) {
        return Err(unprocessable("Update is not a fast forward"));
    }
    place(repository, branch, &wanted.sha).map(Document::found)
}

fn place(repository: &mut Repository, branch: &str, commit: &str) -> Result<Value, Refusal> {
    if repository.commit(commit).is_none() {
        return Err(unprocessable("Object does not exist"));
    }
    repository.branches.insert(branch.to_owned(), commit.to_owned());
    Ok(reference_document(branch, commit))
}
