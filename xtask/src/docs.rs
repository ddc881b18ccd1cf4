//! `cargo xtask docs [--check]`: the documents that are derived from the code, so that they can't say something else.
//!
//! Written whole: the reference of every field, and the index of the runbooks. Written into a page between two marks: its
//! figures. Prose is nobody's but its author's. `--check` writes nothing and compares what is the same on every machine;
//! how long something took, and how much code there is, is only ever written anew.

mod costs;
mod figures;
mod reference;
mod runbooks;
mod times;

use crate::codegen::{Generated, settle};
use crate::error::Error;
use crate::repository::Repository;

/// The page that figures are written into.
const FIGURES: &str = "docs/architecture/cost-time-complexity.md";

/// Arguments of `cargo xtask docs`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail when a document differs from what would be written
    #[arg(long)]
    check: bool,
}

/// `cargo xtask docs`.
///
/// # Errors
/// [`Error::StaleDocs`] with `--check` and a difference; [`Error::Untidy`] when reasons and runbooks don't match, all
/// printed; otherwise when files can't be read or written.
pub(crate) fn run(repository: &Repository, arguments: &Arguments) -> Result<(), Error> {
    let files = vec![reference::generate()?, runbooks::index(), page_of_figures(repository, arguments.check)?];
    let stale = settle(repository, files, arguments.check)?;
    let findings = runbooks::findings(repository)?;
    for finding in &findings {
        println!("{finding}");
    }
    match (arguments.check, stale.is_empty(), findings.len()) {
        (true, false, _) => Err(Error::StaleDocs { files: stale }),
        (_, _, 0) => Ok(()),
        (_, _, count) => Err(Error::Untidy { count }),
    }
}

/// The page with its figures; only those that are the same everywhere where it is only compared.
fn page_of_figures(repository: &Repository, check: bool) -> Result<Generated, Error> {
    let mut page = figures::Page::new(FIGURES, repository.read(FIGURES)?);
    page.put("costs", &costs::table(repository)?)?;
    if !check {
        let before = page.get("times")?.to_owned();
        page.put("times", &times::table(repository, &before)?)?;
        let before = page.get("code-size")?.to_owned();
        page.put("code-size", &figures::code_size(repository, &before)?)?;
    }
    Ok(page.into())
}
