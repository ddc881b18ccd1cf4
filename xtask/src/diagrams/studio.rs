//! All pictures at once: drawn on every core, told of one by one, and written whole or not at all.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::draw::{DrawError, Pen};
use super::look::Look;
use super::sources::{Source, Sources};
use super::stamp::{self, Inputs};
use super::{Complaint, Flaw, RENDERED};
use crate::error::Error;
use crate::repository::Repository;

/// One picture that was drawn.
pub(super) struct Picture<'a> {
    pub(super) source: &'a Source,
    pub(super) look: Look,
    /// Stamped.
    pub(super) svg: String,
    /// How long the SVG took.
    pub(super) took: Duration,
}

/// Draws everything and writes what has changed, PNGs into a directory of their own. What can't be drawn keeps its earlier
/// pictures.
///
/// # Errors
/// [`Error::Undrawn`] at the end of it all, or when a file can't be written.
pub(super) fn draw<'a>(repository: &Repository, sources: &'a Sources, pngs: &Path) -> Result<Vec<Picture<'a>>, Error> {
    let pen = pen()?;
    let started = Instant::now();
    let (pictures, mut refused) = svgs(repository, &pen, sources)?;
    let svgs_took = started.elapsed();
    if let Some(complaint) = &sources.complaint {
        let graph = sources.all.iter().find(|source| source.path() == complaint.path);
        write_all(repository, graph.map(|graph| (graph.path(), graph.text.as_str())))?;
    }
    let files = pictures.iter().map(|picture| (super::rendered(picture.source, picture.look), picture.svg.as_str()));
    write_all(repository, files)?;
    for Complaint { path, .. } in super::left_over(repository, sources)? {
        let path = repository.path(&path);
        fs::remove_file(&path).map_err(Error::file("remove", path))?;
    }
    let jobs: Vec<(&Source, Look)> = pictures.iter().map(|picture| (picture.source, picture.look)).collect();
    let drawn = on_every_core(&jobs, |(source, look)| pen.png(source, *look));
    for ((source, look), png) in jobs.iter().zip(drawn) {
        match png {
            Ok(png) => write_whole(&pngs.join(format!("{}.{}.png", source.name, look.name())), &png)?,
            Err(error) => refused.push(error),
        }
    }
    println!(
        "{} pictures in {RENDERED}: all SVGs in {:.2} s, with PNGs (in {}) {:.2} s",
        pictures.len(),
        svgs_took.as_secs_f64(),
        pngs.display(),
        started.elapsed().as_secs_f64()
    );
    tell(refused)?;
    Ok(pictures)
}

/// Draws everything and compares.
///
/// # Errors
/// [`Error::Undrawn`] or [`Error::StaleDiagrams`].
pub(super) fn check(repository: &Repository, sources: &Sources) -> Result<(), Error> {
    let (pictures, refused) = svgs(repository, &pen()?, sources)?;
    let mut complaints: Vec<Complaint> = sources.complaint.iter().cloned().collect();
    for picture in &pictures {
        let path = super::rendered(picture.source, picture.look);
        let flaw = match super::read(repository, &path)? {
            None => Flaw::Missing,
            Some(svg) if svg == picture.svg => continue,
            Some(_) => Flaw::Stale,
        };
        complaints.push(Complaint { path, flaw });
    }
    complaints.extend(super::left_over(repository, sources)?);
    for complaint in &complaints {
        println!("{complaint}");
    }
    tell(refused)?;
    if complaints.is_empty() { Ok(()) } else { Err(Error::StaleDiagrams { count: complaints.len() }) }
}

fn pen() -> Result<Pen, Error> {
    Pen::new().map_err(|source| Error::Drawing { source })
}

/// Every picture as SVG, and of each source that can't be drawn why.
fn svgs<'a>(
    repository: &Repository,
    pen: &Pen,
    sources: &'a Sources,
) -> Result<(Vec<Picture<'a>>, Vec<DrawError>), Error> {
    let inputs = Inputs::of(repository)?;
    let jobs: Vec<(&Source, Look)> = super::pictures(&sources.all).collect();
    let drawn = on_every_core(&jobs, |(source, look)| {
        let started = Instant::now();
        let svg = pen.svg(source, *look)?;
        let svg = stamp::stamped(&svg, &inputs.digest(source, *look));
        Ok(Picture { source, look: *look, svg, took: started.elapsed() })
    });
    let (mut pictures, mut refused, mut told) = (Vec::new(), Vec::new(), None);
    for ((source, _), picture) in jobs.iter().zip(drawn) {
        match picture {
            Ok(picture) => pictures.push(picture),
            // In the other look it can't be drawn for the same reason: once is enough.
            Err(error) if told != Some(&source.name) => {
                told = Some(&source.name);
                refused.push(error);
            }
            Err(_) => {}
        }
    }
    Ok((pictures, refused))
}

fn tell(refused: Vec<DrawError>) -> Result<(), Error> {
    for error in &refused {
        println!("{error}");
    }
    if refused.is_empty() { Ok(()) } else { Err(Error::Undrawn { count: refused.len() }) }
}

/// Does each job on whichever core is free; results in the order of the jobs.
fn on_every_core<Job: Sync, Done: Send>(jobs: &[Job], work: impl Fn(&Job) -> Done + Sync) -> Vec<Done> {
    let next = Mutex::new(jobs.iter().enumerate());
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                loop {
                    // A poisoned lock is another thread's panic, which the scope hands on.
                    let Some((index, job)) = next.lock().ok().and_then(|mut next| next.next()) else { break };
                    let result = work(job);
                    if let Ok(mut done) = done.lock() {
                        done.push((index, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Writes those of the files of the checkout whose content is another by now.
fn write_all<'a>(repository: &Repository, files: impl IntoIterator<Item = (String, &'a str)>) -> Result<(), Error> {
    for (path, content) in files {
        if super::read(repository, &path)?.as_deref() != Some(content) {
            write_whole(&repository.path(&path), content.as_bytes())?;
            println!("{path}");
        }
    }
    Ok(())
}

/// Writes beside the file and renames, so that nobody ever finds half of it.
fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
    let beside = path.with_extension("part");
    fs::write(&beside, content).and_then(|()| fs::rename(&beside, path)).map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "flowchart LR\n  accTitle: One\n  accDescr: Two\n  a --> b\n";
    const BAD: &str = "sequenceDiagram\n  accTitle: One\n  accDescr: Two\n  a->>\n";

    fn sources(repository: &Repository) -> Sources {
        Sources::with(repository, Source { name: "graph".to_owned(), text: GOOD.to_owned() }).unwrap()
    }

    #[test]
    fn one_bad_source_leaves_the_others_drawn_and_its_own_pictures_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::at(directory.path());
        let (file, pngs) = (|name: &str| directory.path().join(name), directory.path().join("png"));
        fs::create_dir_all(file(RENDERED)).unwrap();
        for (name, text) in [
            ("Cargo.lock", ""),
            ("diagrams/bad.mmd", BAD),
            ("diagrams/good.mmd", GOOD),
            ("diagrams/rendered/bad.light.svg", "as it was"),
            ("diagrams/rendered/gone.light.svg", "of a source that is gone"),
        ] {
            fs::write(file(name), text).unwrap();
        }
        let all = sources(&repository);
        assert!(matches!(draw(&repository, &all, &pngs), Err(Error::Undrawn { count: 1 })));
        let found = crate::diagrams::sources::names(&repository, RENDERED).unwrap();
        let expected = ["bad.light.svg", "good.dark.svg", "good.light.svg", "graph.dark.svg", "graph.light.svg"];
        assert_eq!(found, expected);
        assert_eq!(fs::read_to_string(file("diagrams/rendered/bad.light.svg")).unwrap(), "as it was");
        assert_eq!(fs::read_to_string(file("diagrams/graph.mmd")).unwrap(), GOOD);
        assert!(pngs.join("good.dark.png").is_file());

        fs::remove_file(file("diagrams/bad.mmd")).unwrap();
        assert!(matches!(check(&repository, &sources(&repository)), Err(Error::StaleDiagrams { count: 1 })));
        draw(&repository, &sources(&repository), &pngs).unwrap();
        check(&repository, &sources(&repository)).unwrap();
        assert_eq!(crate::diagrams::complaints_by_stamps(&repository, &sources(&repository)).unwrap(), []);
    }
}
