//! Git's objects under the names that Git gives them: a SHA-1 of their kind, length and content.
//!
//! Signatures, tags and submodules are left out.

use std::collections::BTreeMap;

use sha1::{Digest as _, Sha1};

/// Mode of a file.
pub(super) const FILE: &str = "100644";
/// Mode of a folder, as Git writes it; the API puts a zero in front.
pub(super) const FOLDER: &str = "40000";

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) mode: String,
    pub(super) id: String,
}

impl Entry {
    pub(super) fn is_folder(&self) -> bool {
        self.mode == FOLDER
    }
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Blob(Vec<u8>),
    /// By name within the folder.
    Tree(BTreeMap<String, Entry>),
    Commit(Commit),
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) tree: String,
    pub(super) parents: Vec<String>,
    pub(super) message: String,
    /// In seconds since 1970; of author and committer.
    pub(super) at: u64,
}

impl Object {
    /// Its name.
    pub(super) fn id(&self) -> String {
        let (kind, content) = match self {
            Self::Blob(content) => ("blob", content.clone()),
            Self::Tree(entries) => ("tree", tree(entries)),
            Self::Commit(made) => ("commit", commit(made).into_bytes()),
        };
        let mut hash = Sha1::new();
        hash.update(format!("{kind} {}\0", content.len()));
        hash.update(content);
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Git sorts folders as if their names ended in a slash.
fn tree(entries: &BTreeMap<String, Entry>) -> Vec<u8> {
    let mut sorted: Vec<(&String, &Entry)> = entries.iter().collect();
    sorted.sort_by_key(|(name, entry)| if entry.is_folder() { format!("{name}/") } else { (*name).clone() });
    let mut content = Vec::new();
    for (name, entry) in sorted {
        content.extend_from_slice(format!("{} {name}\0", entry.mode).as_bytes());
        let digits = entry.id.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok());
        content.extend(digits.filter_map(|pair| u8::from_str_radix(pair, 16).ok()));
    }
    content
}

fn commit(commit: &Commit) -> String {
    let who = format!("A Writer <writer@example.com> {} +0000", commit.at);
    let parents: String = commit.parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    format!("tree {}\n{parents}author {who}\ncommitter {who}\n\n{}", commit.tree, commit.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names are those that the `git` program gives these objects.
    #[test]
    fn names_are_gits_own() {
        assert_eq!(Object::Blob(b"hello\n".to_vec()).id(), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(Object::Tree(BTreeMap::new()).id(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        let entry = |mode: &str, id: &str| Entry { mode: mode.to_owned(), id: id.to_owned() };
        let entries = BTreeMap::from([
            ("a".to_owned(), entry(FOLDER, "4b825dc642cb6eb9a060e54bf8d69288fbee4904")),
            ("a.txt".to_owned(), entry(FILE, "ce013625030ba8dba906f756967f9e9ca394464a")),
        ]);
        let tree = Object::Tree(entries).id();
        assert_eq!(tree, "2c0bd19122fb3055c6b349e444cfcbd6c83c0b70");
        let commit = Commit { tree, parents: Vec::new(), message: "First".to_owned(), at: 1_767_225_600 };
        assert_eq!(Object::Commit(commit).id(), "2759011846f46bfbf0c30eb6e23db68f65a6147c");
    }
}
