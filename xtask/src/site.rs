//! `cargo xtask site`: the status site, static files that any web server can serve as they are.
//!
//! All of it comes from files of the repository: badges and their history (`metrics/`), STATUS.md, rendered diagrams
//! and documents. Nothing is observed here, and no clock is read: the same files make the same bytes. What is not there
//! yet is left out, with a word on standard error and a sentence on the page; what is there and cannot be read is an
//! error, and the site that was there stays. Pages have no scripts, ask no other host for anything, and say so to the
//! browser in their content security policy.

mod badge;
mod badge_picture;
mod charts;
mod diagrams;
mod documents;
mod history;
mod inputs;
mod links;
mod markdown;
mod output;
mod page;
mod status;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::error::Error;
use crate::repository::Repository;
use inputs::Inputs;

/// The files of the site by their paths, with `/` between names.
type Files = BTreeMap<String, Vec<u8>>;

/// How pages look, in both themes.
const STYLE: &str = include_str!("site/style.css");
/// The picture of the site in a browser's tab.
const ICON: &str = include_str!("site/icon.svg");

/// Arguments of `cargo xtask site`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Directory to write the site to; an earlier site there is replaced [default: target/site]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Checkout to build it from [default: the one that this program was built from]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Where people read files of the repository that are no page of the site, as in
    /// https://github.com/OWNER/NAME/blob/main; without it they are named and not linked
    #[arg(long, value_name = "URL")]
    source_url: Option<String>,
}

/// `cargo xtask site`.
///
/// # Errors
/// [`Error::Content`] with a file that is there and can't be read, or an output that is no site; otherwise when files
/// can't be read or written.
pub(crate) fn run(repository: &Repository, arguments: &Arguments) -> Result<(), Error> {
    let started = Instant::now();
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => repository.metadata()?.target_directory()?.join("site"),
    };
    let inputs = match &arguments.root {
        Some(root) => Inputs::read(root)?,
        None => Inputs::read(&repository.path(""))?,
    };
    for missing in &inputs.missing {
        eprintln!("left out: {missing}");
    }
    let files = files(&inputs, arguments.source_url.as_deref());
    output::replace(&output, &files)?;
    println!("{} ({} files, {:.2} s)", output.display(), files.len(), started.elapsed().as_secs_f64());
    Ok(())
}

/// The whole site.
fn files(inputs: &Inputs, source_url: Option<&str>) -> Files {
    let mut files = Files::new();
    files.insert("style.css".to_owned(), STYLE.into());
    files.insert("icon.svg".to_owned(), ICON.into());
    // Without it GitHub Pages would build the branch with Jekyll first, which leaves files out by their names.
    files.insert(".nojekyll".to_owned(), Vec::new());
    for badge in &inputs.badges {
        files.insert(format!("metrics/{}.json", badge.slug), badge.json.clone().into());
        files.insert(format!("metrics/{}.svg", badge.slug), badge_picture::svg(badge).into());
    }
    if let Some(history) = &inputs.history_text {
        files.insert("metrics/history.jsonl".to_owned(), history.clone().into());
    }
    files.insert("index.html".to_owned(), status::page(inputs).into());
    diagrams::write(inputs, &mut files);
    documents::write(inputs, source_url, &mut files);
    files
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn empty_checkout_makes_a_site_that_says_what_is_not_observed() {
        let root = tempfile::tempdir().unwrap();
        let inputs = Inputs::read(root.path()).unwrap();
        assert!(inputs.missing.iter().any(|missing| missing.contains("metrics")), "{:?}", inputs.missing);
        let files = files(&inputs, None);
        let index = String::from_utf8(files["index.html"].clone()).unwrap();
        assert!(index.contains("Nothing is observed yet"), "{index}");
    }

    #[test]
    fn same_files_make_the_same_bytes() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("metrics")).unwrap();
        let badge = r#"{"schemaVersion":1,"label":"uptime","message":"99.9 %","color":"brightgreen"}"#;
        fs::write(root.path().join("metrics/uptime.json"), badge).unwrap();
        let history = r#"{"at":"2026-01-01T00:00:00Z","values":{"uptime":99.9}}"#;
        fs::write(root.path().join("metrics/history.jsonl"), history).unwrap();
        fs::write(root.path().join("README.md"), "# Helix\n\nSee [the map](docs/map.md#parts).").unwrap();
        let make = || files(&Inputs::read(root.path()).unwrap(), None);
        assert_eq!(make(), make());
        assert_eq!(make()["metrics/uptime.json"], badge.as_bytes());
    }
}
