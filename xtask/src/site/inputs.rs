//! What the site is made of, read from a checkout in one go.
//!
//! Directories are walked in the order of their names, whatever the file system gives. What is missing is noted; what
//! is there and unreadable is an error that names the file, so that a site is never built of half of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::badge::{self, About, Badge};
use super::diagrams::{Diagram, Theme};
use super::history::{self, Series};
use crate::error::Error;

/// Documents at the root of the checkout, in the order in which people meet them.
pub(super) const ROOT_DOCUMENTS: [&str; 4] = ["README.md", "STATUS.md", "ROADMAP.md", "CONTRIBUTING.md"];

/// Everything.
pub(super) struct Inputs {
    /// The checkout, to see whether a file exists that a document links to.
    pub(super) root: PathBuf,
    /// What the badges are of.
    pub(super) about: Option<About>,
    /// Sorted by slug.
    pub(super) badges: Vec<Badge>,
    /// Sorted by slug.
    pub(super) history: Vec<Series>,
    /// The file that it was read from.
    pub(super) history_text: Option<String>,
    /// Sorted by name.
    pub(super) diagrams: Vec<Diagram>,
    /// Markdown by its path from the root.
    pub(super) documents: BTreeMap<String, String>,
    /// Pictures beside documents, by their paths from the root.
    pub(super) pictures: BTreeMap<String, Vec<u8>>,
    /// What is not there, each with how it is made.
    pub(super) missing: Vec<String>,
}

impl Inputs {
    /// Reads a checkout.
    ///
    /// # Errors
    /// [`Error::Content`] or [`Error::File`] with a file that is there and can't be read.
    pub(super) fn read(root: &Path) -> Result<Self, Error> {
        let mut missing = Vec::new();
        let badges = badges(root)?;
        if badges.is_empty() {
            missing.push("metrics/*.json (badges); `cargo xtask badges` writes them".to_owned());
        }
        let about = about(root)?;
        let history_text = optional(&root.join("metrics/history.jsonl"))?;
        if history_text.is_none() {
            missing
                .push("metrics/history.jsonl (charts); `cargo xtask badges` adds a line to it on each run".to_owned());
        }
        let history = history::read(history_text.as_deref().unwrap_or_default()).map_err(|(line, problem)| {
            Error::Content { path: root.join("metrics/history.jsonl"), problem: format!("line {line}: {problem}") }
        })?;
        let diagrams = diagrams(root)?;
        if diagrams.is_empty() {
            missing.push("diagrams/rendered/*.svg (diagrams); `cargo xtask diagrams` renders them".to_owned());
        }
        let (documents, pictures) = documents(root, &mut missing)?;
        Ok(Self { root: root.to_owned(), about, badges, history, history_text, diagrams, documents, pictures, missing })
    }

    /// The badge of this name.
    pub(super) fn badge(&self, slug: &str) -> Option<&Badge> {
        self.badges.iter().find(|badge| badge.slug == slug)
    }

    /// The diagram of this name.
    pub(super) fn diagram(&self, name: &str) -> Option<&Diagram> {
        self.diagrams.iter().find(|diagram| diagram.name == name)
    }
}

/// The names in a directory, sorted; none when there is no such directory.
fn names(directory: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("list", directory)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::file("list", directory))?.file_name();
        names.extend(name.into_string().ok().filter(|name| !name.starts_with('.')));
    }
    names.sort_unstable();
    Ok(names)
}

/// The text of a file that may be missing.
fn optional(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

fn badges(root: &Path) -> Result<Vec<Badge>, Error> {
    let directory = root.join("metrics");
    let mut badges = Vec::new();
    for name in names(&directory)? {
        let Some(slug) = name.strip_suffix(".json").filter(|_| name != badge::ABOUT) else { continue };
        let path = directory.join(&name);
        let json = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        badges.push(Badge::read(slug, json).map_err(|problem| Error::Content { path, problem })?);
    }
    Ok(badges)
}

fn about(root: &Path) -> Result<Option<About>, Error> {
    let path = root.join("metrics").join(badge::ABOUT);
    let Some(json) = optional(&path)? else { return Ok(None) };
    let about = serde_json::from_str(&json);
    about.map(Some).map_err(|error| Error::Content { path, problem: format!("{error}; run `helix badges` again") })
}

/// Every diagram that is rendered for a light ground; one without its dark twin is shown on a light ground in both themes.
fn diagrams(root: &Path) -> Result<Vec<Diagram>, Error> {
    let directory = root.join("diagrams/rendered");
    let mut diagrams = Vec::new();
    for file in names(&directory)? {
        let Some(name) = file.strip_suffix(Theme::Light.ending()) else { continue };
        let path = directory.join(&file);
        let light = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        let dark = optional(&directory.join(format!("{name}{}", Theme::Dark.ending())))?;
        let source = optional(&root.join(format!("diagrams/{name}.mmd")))?;
        diagrams.push(Diagram::read(name, light, dark, source).map_err(|problem| Error::Content { path, problem })?);
    }
    Ok(diagrams)
}

type Documents = (BTreeMap<String, String>, BTreeMap<String, Vec<u8>>);

fn documents(root: &Path, missing: &mut Vec<String>) -> Result<Documents, Error> {
    let (mut documents, mut pictures) = (BTreeMap::new(), BTreeMap::new());
    for name in ROOT_DOCUMENTS {
        match optional(&root.join(name))? {
            Some(text) => drop(documents.insert(name.to_owned(), text)),
            None if name == "STATUS.md" => {
                missing.push("STATUS.md (evidence of each phase); `cargo xtask status` writes it".to_owned());
            }
            None => missing.push(name.to_owned()),
        }
    }
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for name in names(&root.join(&folder))? {
            let relative = format!("{folder}/{name}");
            let path = root.join(&relative);
            if path.is_dir() {
                folders.push(relative);
            } else if name.ends_with(".md") {
                documents.insert(relative, fs::read_to_string(&path).map_err(Error::file("read", &path))?);
            } else if [".png", ".svg"].iter().any(|ending| name.ends_with(ending)) {
                pictures.insert(relative, fs::read(&path).map_err(Error::file("read", &path))?);
            }
        }
    }
    Ok((documents, pictures))
}
