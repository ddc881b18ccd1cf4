//! Writing the site: beside its place first, then in one step into it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Files, page};
use crate::error::Error;

/// Replaces the site in a directory, or makes it. A failure leaves what was there.
///
/// # Errors
/// [`Error::Content`] when something else is in the directory; otherwise when files can't be written.
pub(super) fn replace(output: &Path, files: &Files) -> Result<(), Error> {
    let is_there = check(output)?;
    let building = beside(output, "building");
    let replaced = beside(output, "replaced");
    for leftover in [&building, &replaced] {
        remove(leftover)?;
    }
    for (name, content) in files {
        let path = building.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        }
        fs::write(&path, content).map_err(Error::file("write", &path))?;
    }
    if is_there {
        fs::rename(output, &replaced).map_err(Error::file("move", output))?;
    }
    fs::rename(&building, output).map_err(Error::file("create", output))?;
    remove(&replaced)
}

/// Whether a site is there. Nothing that this command did not make is ever taken away.
fn check(output: &Path) -> Result<bool, Error> {
    let mut entries = match fs::read_dir(output) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::file("list", output)(error)),
    };
    let index = fs::read_to_string(output.join("index.html")).unwrap_or_default();
    if entries.next().is_none() || index.contains(page::GENERATOR) {
        return Ok(true);
    }
    let problem = "it holds something other than a site that this command made; choose another --output";
    Err(Error::Content { path: output.to_owned(), problem: problem.to_owned() })
}

/// A name in the same directory, so that moving is one step.
fn beside(output: &Path, what: &str) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    output.with_file_name(name)
}

fn remove(directory: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", directory)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(content: &str) -> Files {
        let index = format!("<meta name=\"generator\" content=\"{}\">{content}", page::GENERATOR);
        Files::from([("index.html".to_owned(), index.into()), ("docs/a.html".to_owned(), "a".into())])
    }

    #[test]
    fn a_site_is_replaced_and_anything_else_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let output = parent.path().join("site");
        replace(&output, &files("first")).unwrap();
        fs::write(output.join("old.html"), "old").unwrap();
        replace(&output, &files("second")).unwrap();
        assert!(fs::read_to_string(output.join("index.html")).unwrap().contains("second"));
        assert!(!output.join("old.html").exists());

        let photos = parent.path().join("photos");
        fs::create_dir(&photos).unwrap();
        fs::write(photos.join("cat.png"), "cat").unwrap();
        assert!(matches!(replace(&photos, &files("")), Err(Error::Content { .. })));
        assert!(photos.join("cat.png").exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 2, "nothing is left beside");
    }
}
