//! `helix publish-status`: a directory, as `cargo xtask site` makes one, onto a branch that GitHub Pages serves.
//!
//! The token comes from the environment or a file, never from the command line, where every process can read it. What the
//! directory holds is not looked at; that it is there and has no links out of it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use helix_clients::github::{GitHub, Published};
use helix_plan::secrets::Secret;

use crate::Outcome;
use crate::arguments::PublishStatusArguments;
use crate::error::CliError;
use crate::output;

/// Holds the token, unless a file does.
const TOKEN: &str = "HELIX_GITHUB_TOKEN";

/// What a commit says whose files did not say otherwise.
const MESSAGE: &str = "Publish the status site";

/// Git's own folder, should the directory be a checkout.
const GIT: &str = ".git";

pub(crate) async fn run(arguments: &PublishStatusArguments) -> Result<Outcome, CliError> {
    let files = files(&arguments.dir)?;
    let token = token(arguments.token_file.as_deref())?;
    let (repository, branch) = (&arguments.repository, &arguments.branch);
    let github = GitHub::connect(&arguments.github_url, repository.clone(), &token)?;
    let said = match github.publish(branch, &files, MESSAGE).await? {
        Published::Unchanged { commit } => {
            format!("{repository} {branch}: nothing changed since {commit}\n")
        }
        Published::Committed { commit, made_branch } => {
            let made = if made_branch { ", a new branch" } else { "" };
            format!("{repository} {branch}{made}: {} files in {commit}\n", files.len())
        }
    };
    output::print(&said)?;
    Ok(Outcome::Done)
}

fn token(file: Option<&Path>) -> Result<Secret, CliError> {
    let text = match file {
        Some(path) => Some(output::read(path)?),
        None => std::env::var(TOKEN).ok(),
    };
    match text.map(Secret::new) {
        Some(token) if !token.expose().trim().is_empty() => Ok(token),
        Some(_) | None => Err(CliError::NoGitHubToken { variable: TOKEN }),
    }
}

/// Every file below a directory by its path there, with `/` between names.
fn files(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
    let read = |path: &Path| {
        let path = path.to_owned();
        move |source| CliError::Read { path, source }
    };
    let mut files = BTreeMap::new();
    let mut folders = vec![(directory.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(read(&folder))? {
            let entry = entry.map_err(read(&folder))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(read(&path))?;
            let name = entry.file_name().into_string().map_err(|_| CliError::Unpublishable { path: path.clone() })?;
            let published = format!("{prefix}{name}");
            if kind.is_dir() && name != GIT {
                folders.push((path, format!("{published}/")));
            } else if kind.is_file() {
                files.insert(published, fs::read(&path).map_err(read(&path))?);
            } else if name != GIT {
                return Err(CliError::Unpublishable { path });
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_all_but_gits_own() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for folder in ["docs/deep", ".git/objects"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in ["index.html", ".nojekyll", "docs/deep/a.html", ".git/HEAD"] {
            fs::write(root.join(file), file).unwrap();
        }
        let found = files(root).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), [".nojekyll", "docs/deep/a.html", "index.html"]);
        assert_eq!(found["docs/deep/a.html"], b"docs/deep/a.html");

        std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
        assert!(matches!(files(root), Err(CliError::Unpublishable { .. })));
    }
}
