//! `cargo xtask tidy`: the rules of the project that neither the compiler nor clippy knows.
//!
//! A rule looks at the checkout, changes nothing, and says of each finding where it is, what the rule is and what to
//! do. Bounds and lists here may be tightened, never loosened to let a finding pass.

mod dependencies;
mod links;
mod names;
mod purity;
pub(crate) mod scan;
pub(crate) mod size;

use std::fmt;

use crate::error::Error;
use crate::repository::Repository;

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) file: String,
    /// Counted from 1; none where the whole file, or its absence, is meant.
    pub(crate) line: Option<usize>,
    /// The rule that is broken and the remedy, as one sentence.
    pub(crate) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "{}:{line}: {}", self.file, self.message),
            None => write!(formatter, "{}: {}", self.file, self.message),
        }
    }
}

/// `cargo xtask tidy`.
///
/// # Errors
/// [`Error::Untidy`] with findings, all printed; otherwise when the checkout can't be read.
pub(crate) fn run(repository: &Repository) -> Result<(), Error> {
    let mut findings = dependencies::findings(repository)?;
    findings.extend(purity::findings(repository)?);
    findings.extend(links::findings(repository)?);
    for file in repository.files()? {
        findings.extend(names::in_path(&file));
        // What is no text (an image) has neither lines nor names to judge.
        let Ok(text) = repository.read(&file) else { continue };
        findings.extend(names::in_text(&file, &text));
        if file.ends_with(".rs") {
            findings.extend(size::findings(&file, &text));
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() { Ok(()) } else { Err(Error::Untidy { count: findings.len() }) }
}
