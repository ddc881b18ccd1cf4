//! A tree in a directory: what is Helix' own there is known by its marker, and nothing else is touched.
//!
//! Each file is written beside its place and then moved there, and the marker comes last: an interrupted run leaves files
//! that are as wanted, which the next one finds so.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use helix_plan::gitops::{Changes, Found, MARKER, Marker, Tree, digest};

use crate::error::CliError;

/// Stands for what is no plain file; no file has such a digest.
const NO_FILE: &str = "no plain file";

/// Makes the directory hold the tree.
pub(super) fn write(root: &Path, tree: &Tree) -> Result<Changes, CliError> {
    let found = look(root, tree)?;
    let changes = tree.changes(&found);
    if let Some(path) = changes.foreign.first() {
        return Err(CliError::Foreign { path: root.join(path) });
    }
    for (path, bytes) in tree.files().iter().filter(|(path, _)| changes.write.contains(*path)) {
        put(&root.join(path), bytes)?;
    }
    for path in &changes.remove {
        remove(root, path)?;
    }
    let marker = tree.marker(&found);
    if found.marker.as_ref() != Some(&marker) {
        put(&root.join(MARKER), &marker.bytes())?;
    }
    Ok(changes)
}

/// What is there of all that the tree or the marker names.
fn look(root: &Path, tree: &Tree) -> Result<Found, CliError> {
    let marker = match read(&root.join(MARKER))? {
        Some(Ok(bytes)) => Some(Marker::read(&bytes)?),
        Some(Err(NoFile)) => return Err(CliError::Foreign { path: root.join(MARKER) }),
        None => None,
    };
    let mut files = BTreeMap::new();
    for path in tree.files().keys().chain(marker.iter().flat_map(|marker| marker.files.keys())) {
        match read(&root.join(path))? {
            Some(Ok(bytes)) => files.insert(path.clone(), digest(&bytes)),
            Some(Err(NoFile)) => files.insert(path.clone(), NO_FILE.to_owned()),
            None => None,
        };
    }
    Ok(Found { marker, files })
}

/// A directory, a link, or whatever else is no plain file.
struct NoFile;

/// The content of a file; `None` where there is nothing. A link is not followed: it may lead anywhere.
fn read(path: &Path) -> Result<Option<Result<Vec<u8>, NoFile>>, CliError> {
    let failed = |source: io::Error| CliError::Read { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => fs::read(path).map(|bytes| Some(Ok(bytes))).map_err(failed),
        Ok(_) => Ok(Some(Err(NoFile))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let failed = |source| CliError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path)).map_err(failed)
}

/// Removes a file and the folders that are empty without it, up to the root.
fn remove(root: &Path, path: &str) -> Result<(), CliError> {
    let path = root.join(path);
    fs::remove_file(&path).map_err(|source| CliError::Write { path: path.clone(), source })?;
    for folder in path.ancestors().skip(1).take_while(|folder| *folder != root) {
        // What is not empty stays, and so do those above it.
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use helix_plan::components::{manifests, wanted};
    use helix_plan::validated::Layers;

    use super::*;

    fn tree(models: bool) -> Tree {
        let text = include_str!("../../../../manifests/examples/full.yaml");
        let mut layers = Layers::new(&serde_saphyr::from_str(text).unwrap()).unwrap();
        layers.ollama = layers.ollama.filter(|_| models);
        let manifests = wanted(&layers).into_iter().map(|it| (it.component, manifests(&it, &[]))).collect();
        Tree::new(&layers, &manifests).unwrap()
    }

    const OLLAMA: &str = "applications/ollama.yaml";

    #[test]
    fn a_tree_is_written_once_and_its_stale_files_go() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("README.md"), "theirs").unwrap();
        let first = write(root.path(), &tree(true)).unwrap();
        assert_eq!(first.write.len(), tree(true).files().len());
        assert_eq!(fs::read(root.path().join(OLLAMA)).unwrap(), tree(true).files()[OLLAMA]);
        assert!(write(root.path(), &tree(true)).unwrap().are_none());
        let gone = write(root.path(), &tree(false)).unwrap().remove;
        assert!(gone.contains(OLLAMA) && !root.path().join(OLLAMA).exists());
        let folder = |name: &str| root.path().join("6-ai-agentic").join(name).exists();
        assert!(!folder("ollama") && folder("langgraph"));
        assert_eq!(fs::read_to_string(root.path().join("README.md")).unwrap(), "theirs");
    }

    #[test]
    fn what_others_made_is_not_written_over() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("applications")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.path().join(OLLAMA)).unwrap();
        let refused = write(root.path(), &tree(true)).unwrap_err();
        assert!(matches!(refused, CliError::Foreign { path } if path.ends_with(OLLAMA)));
        assert_eq!(fs::read_dir(root.path().join("applications")).unwrap().count(), 1, "nothing else was written");
        fs::remove_file(root.path().join(OLLAMA)).unwrap();
        write(root.path(), &tree(true)).unwrap();
        fs::write(root.path().join(OLLAMA), "theirs").unwrap();
        assert!(matches!(write(root.path(), &tree(false)), Err(CliError::Foreign { .. })));
        fs::write(root.path().join(MARKER), "{}").unwrap();
        assert!(matches!(write(root.path(), &tree(true)), Err(CliError::Marker(_))));
    }
}
