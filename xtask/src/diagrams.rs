//! `cargo xtask diagrams [--check]`: draws the Mermaid sources in `diagrams/`, light and dark, without a browser.
//!
//! SVGs go to `diagrams/rendered/` and are committed; PNGs go to `target/diagrams/`. What draws them takes minutes to build
//! and is needed for nothing else, so it is behind the feature `diagrams`, which this command turns on itself by asking
//! cargo to run it once more. Each SVG carries a [`stamp`]: where all of them hold, `--check` needs no drawing.

#[cfg(feature = "diagrams")]
mod colours;
#[cfg(feature = "diagrams")]
mod compare;
mod crate_graph;
#[cfg(feature = "diagrams")]
mod draw;
mod look;
mod sources;
mod stamp;
#[cfg(feature = "diagrams")]
mod studio;

use std::fmt;
use std::fs;
use std::io;

use crate::error::Error;
use crate::repository::Repository;
#[cfg(feature = "diagrams")]
pub(crate) use draw::DrawError;
use look::Look;
use sources::{Source, Sources};
use stamp::Inputs;

/// Where the sources are.
const SOURCES: &str = "diagrams";

/// Where the committed pictures are, one for each source and [`Look`].
const RENDERED: &str = "diagrams/rendered";

/// Arguments of `cargo xtask diagrams`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail when a rendered file is stale, missing or left over, or when a source can't be drawn
    #[arg(long)]
    check: bool,
    /// Draw everything again even where the stamps say that nothing has changed
    #[arg(long, requires = "check")]
    redraw: bool,
    /// Draw with the reference renderer, too (npm, chromium), and lay both side by side in target/diagrams/compare
    #[arg(long, conflicts_with = "check")]
    compare: bool,
}

/// What is wrong with a file, as one reads it after its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// It is not what would be written now.
    Stale,
    /// It should be there.
    Missing,
    /// It comes from no source.
    LeftOver,
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Stale => "stale",
            Self::Missing => "missing",
            Self::LeftOver => "left over",
        })
    }
}

/// A file of the checkout that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Complaint {
    /// Relative to the checkout.
    path: String,
    flaw: Flaw,
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.path, self.flaw)
    }
}

/// `cargo xtask diagrams`.
///
/// # Errors
/// [`Error::StaleDiagrams`] with `--check` and a difference, [`Error::Undrawn`] when a source can't be drawn, each after
/// everything else was done; otherwise when files can't be read or written, or a program fails.
pub(crate) fn run(repository: &Repository, arguments: &Arguments) -> Result<(), Error> {
    if arguments.check && !arguments.redraw {
        let sources = Sources::read(repository)?;
        if complaints_by_stamps(repository, &sources)?.is_empty() {
            println!("{} diagrams are as drawn", sources.all.len());
            return Ok(());
        }
        // Something is not as drawn. Drawing tells what, and of a source that can't be drawn also where.
    }
    draw(repository, arguments)
}

#[cfg(feature = "diagrams")]
fn draw(repository: &Repository, arguments: &Arguments) -> Result<(), Error> {
    let sources = Sources::read(repository)?;
    if arguments.check {
        return studio::check(repository, &sources);
    }
    let directory = repository.metadata()?.target_directory()?.join("diagrams");
    let pictures = studio::draw(repository, &sources, &directory)?;
    if arguments.compare { compare::run(repository, &directory, &pictures) } else { Ok(()) }
}

/// Asks cargo for this very command with what draws.
#[cfg(not(feature = "diagrams"))]
fn draw(repository: &Repository, arguments: &Arguments) -> Result<(), Error> {
    let mut cargo = repository.cargo();
    cargo.args(["run", "--locked", "--profile", "drawing", "--package", "xtask", "--features", "diagrams"]);
    cargo.args(["--", "diagrams"]);
    let flags = [("--check", arguments.check), ("--redraw", arguments.redraw), ("--compare", arguments.compare)];
    cargo.args(flags.into_iter().filter_map(|(flag, is_given)| is_given.then_some(flag)));
    crate::process::step(&mut cargo)
}

/// What is not as drawn, as far as the stamps can tell: sources, renderer and pictures are those that belong together.
fn complaints_by_stamps(repository: &Repository, sources: &Sources) -> Result<Vec<Complaint>, Error> {
    let inputs = Inputs::of(repository)?;
    let mut complaints: Vec<Complaint> = sources.complaint.iter().cloned().collect();
    for (source, look) in pictures(&sources.all) {
        let path = rendered(source, look);
        let flaw = match read(repository, &path)? {
            None => Some(Flaw::Missing),
            Some(svg) => (!stamp::holds(&svg, &inputs.digest(source, look))).then_some(Flaw::Stale),
        };
        complaints.extend(flaw.map(|flaw| Complaint { path, flaw }));
    }
    complaints.extend(left_over(repository, sources)?);
    Ok(complaints)
}

/// Every picture that there should be.
fn pictures(sources: &[Source]) -> impl Iterator<Item = (&Source, Look)> {
    sources.iter().flat_map(|source| Look::ALL.into_iter().map(move |look| (source, look)))
}

/// The path of a committed picture.
fn rendered(source: &Source, look: Look) -> String {
    format!("{RENDERED}/{}.{}.svg", source.name, look.name())
}

/// Rendered files that come from no source.
fn left_over(repository: &Repository, sources: &Sources) -> Result<Vec<Complaint>, Error> {
    let expected: Vec<String> = pictures(&sources.all).map(|(source, look)| rendered(source, look)).collect();
    let found = sources::names(repository, RENDERED)?.into_iter().map(|name| format!("{RENDERED}/{name}"));
    let unexpected = found.filter(|path| !expected.contains(path));
    Ok(unexpected.map(|path| Complaint { path, flaw: Flaw::LeftOver }).collect())
}

/// The content of a file of the checkout, if it is there.
fn read(repository: &Repository, relative: &str) -> Result<Option<String>, Error> {
    let path = repository.path(relative);
    match fs::read_to_string(&path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File { action: "read", path, source }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sources(repository: &Repository) -> Sources {
        Sources::with(repository, Source { name: "graph".to_owned(), text: "flowchart RL\n".to_owned() }).unwrap()
    }

    fn complaints(repository: &Repository) -> Vec<String> {
        complaints_by_stamps(repository, &sources(repository)).unwrap().iter().map(Complaint::to_string).collect()
    }

    fn repository(directory: &Path) -> Repository {
        fs::create_dir_all(directory.join(RENDERED)).unwrap();
        fs::write(directory.join("Cargo.lock"), "").unwrap();
        fs::write(directory.join("diagrams/graph.mmd"), "flowchart RL\n").unwrap();
        fs::write(directory.join("diagrams/one.mmd"), "flowchart LR\n").unwrap();
        let repository = Repository::at(directory);
        let inputs = Inputs::of(&repository).unwrap();
        for (source, look) in pictures(&sources(&repository).all) {
            let svg = stamp::stamped("<svg/>", &inputs.digest(source, look));
            fs::write(directory.join(rendered(source, look)), svg).unwrap();
        }
        repository
    }

    #[test]
    fn the_stamps_tell_what_is_stale_missing_and_left_over() {
        let directory = tempfile::tempdir().unwrap();
        let repository = repository(directory.path());
        assert_eq!(complaints(&repository), [""; 0]);

        let file = |name: &str| directory.path().join(name);
        fs::write(file("diagrams/one.mmd"), "flowchart TB\n").unwrap();
        fs::write(file("diagrams/graph.mmd"), "of another day").unwrap();
        fs::remove_file(file("diagrams/rendered/graph.dark.svg")).unwrap();
        fs::write(file("diagrams/rendered/gone.light.svg"), "").unwrap();
        let expected = [
            "diagrams/graph.mmd (stale)",
            "diagrams/rendered/graph.dark.svg (missing)",
            "diagrams/rendered/one.light.svg (stale)",
            "diagrams/rendered/one.dark.svg (stale)",
            "diagrams/rendered/gone.light.svg (left over)",
        ];
        assert_eq!(complaints(&repository), expected);
    }
}
