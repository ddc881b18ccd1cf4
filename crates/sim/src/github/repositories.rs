//! What there is: repositories with their objects and branches, and who may do what. Nothing is served here.

use std::collections::{BTreeMap, BTreeSet};

use super::objects::{Commit, Entry, FILE, FOLDER, Object};

/// When the first commit of a simulated repository was made; each later one is a second younger.
const FIRST_COMMIT: u64 = 1_767_225_600;

/// What a token may do with every repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// See them and write to them.
    Write,
    /// See them.
    Read,
    /// Not even see them.
    Nothing,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Repositories {
    pub(super) tokens: BTreeMap<String, Rights>,
    pub(super) repositories: BTreeMap<String, Repository>,
    /// Whether every call is refused for there were too many.
    pub(super) exhausted: bool,
}

/// A repository.
#[derive(Debug, Default)]
pub(super) struct Repository {
    objects: BTreeMap<String, Object>,
    pub(super) branches: BTreeMap<String, String>,
    pub(super) protected: BTreeSet<String>,
    /// How many more times somebody else commits to a branch right before it is to be moved.
    pub(super) rivals: u32,
    commits: u64,
}

/// A branch's newest commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its name.
    pub commit: String,
    /// The commits that it follows.
    pub parents: Vec<String>,
    /// What it says.
    pub message: String,
    /// All of its files by path.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Repository {
    pub(super) fn object(&self, id: &str) -> Option<&Object> {
        self.objects.get(id)
    }

    pub(super) fn commit(&self, id: &str) -> Option<&Commit> {
        match self.object(id)? {
            Object::Commit(commit) => Some(commit),
            Object::Blob(_) | Object::Tree(_) => None,
        }
    }

    pub(super) fn tree(&self, id: &str) -> Option<&BTreeMap<String, Entry>> {
        match self.object(id)? {
            Object::Tree(entries) => Some(entries),
            Object::Blob(_) | Object::Commit(_) => None,
        }
    }

    /// Keeps an object, and gives it its name.
    pub(super) fn keep(&mut self, object: Object) -> String {
        let id = object.id();
        self.objects.insert(id.clone(), object);
        id
    }

    /// Makes a commit.
    pub(super) fn make_commit(&mut self, tree: String, parents: Vec<String>, message: String) -> String {
        let at = FIRST_COMMIT + self.commits;
        self.commits += 1;
        self.keep(Object::Commit(Commit { tree, parents, message, at }))
    }

    /// Every file below a folder by its path.
    pub(super) fn files(&self, tree: &str) -> BTreeMap<String, Entry> {
        let mut files = BTreeMap::new();
        for (name, entry) in self.tree(tree).into_iter().flatten() {
            if entry.is_folder() {
                let below = self.files(&entry.id).into_iter().map(|(path, entry)| (format!("{name}/{path}"), entry));
                files.extend(below);
            } else {
                files.insert(name.clone(), entry.clone());
            }
        }
        files
    }

    /// The folder that holds exactly these files.
    pub(super) fn folder(&mut self, files: &BTreeMap<String, Entry>) -> String {
        let mut entries = BTreeMap::new();
        let mut below: BTreeMap<&str, BTreeMap<String, Entry>> = BTreeMap::new();
        for (path, entry) in files {
            match path.split_once('/') {
                Some((folder, rest)) => drop(below.entry(folder).or_default().insert(rest.to_owned(), entry.clone())),
                None => drop(entries.insert(path.clone(), entry.clone())),
            }
        }
        for (name, files) in below {
            let id = self.folder(&files);
            entries.insert(name.to_owned(), Entry { mode: FOLDER.to_owned(), id });
        }
        self.keep(Object::Tree(entries))
    }

    /// Somebody's own commit: one more file on top of what a branch has.
    pub(super) fn add_file(&mut self, branch: &str, path: &str, content: &[u8]) {
        let parent = self.branches.get(branch).cloned();
        let tree = parent.as_deref().and_then(|parent| self.commit(parent)).map(|commit| commit.tree.clone());
        let mut files = tree.map(|tree| self.files(&tree)).unwrap_or_default();
        let id = self.keep(Object::Blob(content.to_vec()));
        files.insert(path.to_owned(), Entry { mode: FILE.to_owned(), id });
        let tree = self.folder(&files);
        let commit = self.make_commit(tree, parent.into_iter().collect(), format!("Add {path}"));
        self.branches.insert(branch.to_owned(), commit);
    }

    /// Whether a commit is another one or follows it.
    pub(super) fn follows(&self, commit: &str, earlier: &str) -> bool {
        commit == earlier
            || self.commit(commit).is_some_and(|made| made.parents.iter().any(|parent| self.follows(parent, earlier)))
    }

    pub(super) fn head(&self, branch: &str) -> Option<Head> {
        let id = self.branches.get(branch)?;
        let commit = self.commit(id)?;
        let content = |entry: &Entry| match self.object(&entry.id) {
            Some(Object::Blob(content)) => content.clone(),
            Some(Object::Tree(_) | Object::Commit(_)) | None => Vec::new(),
        };
        let files = self.files(&commit.tree).iter().map(|(path, entry)| (path.clone(), content(entry))).collect();
        Some(Head { commit: id.clone(), parents: commit.parents.clone(), message: commit.message.clone(), files })
    }
}
