//! The sources of the diagrams: files that people write, and the crate graph, which cargo knows.

use std::fs;
use std::io;

use super::{Complaint, Flaw, SOURCES, crate_graph};
use crate::error::Error;
use crate::repository::Repository;

/// How the names of sources end.
const ENDING: &str = ".mmd";

/// One diagram, in Mermaid's language.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The file's name without its ending.
    pub(super) name: String,
    /// What is drawn.
    pub(super) text: String,
}

impl Source {
    /// The path of the file, relative to the checkout.
    pub(super) fn path(&self) -> String {
        format!("{SOURCES}/{}{ENDING}", self.name)
    }

    /// What it says after a keyword, as in `accTitle: The six phases`.
    #[cfg(feature = "diagrams")]
    pub(super) fn says(&self, keyword: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.trim_start().strip_prefix(keyword)).map(str::trim)
    }
}

/// All sources, by name.
#[derive(Debug)]
pub(super) struct Sources {
    /// As they should be: the crate graph is the one of today.
    pub(super) all: Vec<Source>,
    /// Whether the crate graph's file says something else.
    pub(super) complaint: Option<Complaint>,
}

impl Sources {
    /// Those of the checkout.
    ///
    /// # Errors
    /// When a file can't be read, or cargo does not know its own workspace.
    pub(super) fn read(repository: &Repository) -> Result<Self, Error> {
        let graph = crate_graph::source(&repository.metadata()?);
        Self::with(repository, graph)
    }

    /// Those of the checkout, with this crate graph.
    ///
    /// # Errors
    /// When a file can't be read.
    pub(super) fn with(repository: &Repository, graph: Source) -> Result<Self, Error> {
        let mut all = Vec::new();
        for name in names(repository, SOURCES)? {
            let Some(stem) = name.strip_suffix(ENDING) else { continue };
            let text = repository.read(&format!("{SOURCES}/{name}"))?;
            all.push(Source { name: stem.to_owned(), text });
        }
        let found = all.iter().position(|source| source.name == graph.name);
        let flaw = match found {
            None => Some(Flaw::Missing),
            Some(at) => (all.remove(at).text != graph.text).then_some(Flaw::Stale),
        };
        let complaint = flaw.map(|flaw| Complaint { path: graph.path(), flaw });
        all.push(graph);
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { all, complaint })
    }
}

/// The names of the files in a directory of the checkout, sorted; none where there is no such directory.
///
/// # Errors
/// [`Error::File`] when it can't be listed.
pub(super) fn names(repository: &Repository, relative: &str) -> Result<Vec<String>, Error> {
    let path = repository.path(relative);
    let failure = |source| Error::File { action: "list", path: path.clone(), source };
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failure)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failure)?;
        if entry.file_type().map_err(failure)?.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}
