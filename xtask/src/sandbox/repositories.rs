//! The Git repositories of a sandbox: what `https://HOST/PATH.git` leads to for its operator and its simulators is
//! `repositories/HOST/PATH.git` in its directory. Anybody may clone from there and push to it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::process;
use crate::sandbox::directory::Directory;

/// Where they are, in the sandbox's directory.
pub(crate) const FOLDER: &str = "repositories";

/// The beginning of every URL that leads there.
const SCHEME: &str = "https://";

/// What a program's environment holds so that its git finds them, and nothing in the network.
pub(crate) fn environment(directory: &Directory) -> [(&'static str, String); 4] {
    let base = directory.path(FOLDER);
    [
        ("GIT_ALLOW_PROTOCOL", "file".to_owned()),
        ("GIT_CONFIG_COUNT", "1".to_owned()),
        ("GIT_CONFIG_KEY_0", format!("url.{}/.insteadOf", base.display())),
        ("GIT_CONFIG_VALUE_0", SCHEME.to_owned()),
    ]
}

/// Makes the repository that a URL leads to, with a first commit on the branch, unless it is there.
///
/// # Errors
/// Without git, or when files can't be written.
pub(crate) fn make(directory: &Directory, url: &str, branch: &str) -> Result<(), Error> {
    let Some(path) = url.strip_prefix(SCHEME) else {
        return Err(Error::Content {
            path: url.into(),
            problem: format!("a sandbox has repositories for URLs that begin with {SCHEME} only; write one of these"),
        });
    };
    let bare = directory.path(FOLDER).join(path);
    if bare.exists() {
        return Ok(());
    }
    fs::create_dir_all(&bare).map_err(Error::file("create", &bare))?;
    process::succeeds_or_tells(git(&bare).args(["init", "--quiet", "--bare", "--initial-branch", branch]))?;
    // The empty tree has the same id everywhere.
    let tree = process::answer(git(&bare).args(["hash-object", "-t", "tree", "-w", "--stdin"]))?;
    let author = ["-c", "user.name=Sandbox", "-c", "user.email=sandbox@helix.dev"];
    let mut commit = git(&bare);
    commit.args(author).args(["commit-tree", "-m", "An empty repository", tree.trim()]);
    let commit = process::answer(&mut commit)?;
    process::succeeds_or_tells(git(&bare).args(["update-ref", &format!("refs/heads/{branch}"), commit.trim()]))
}

fn git(bare: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("--git-dir").arg(bare).env("GIT_CONFIG_GLOBAL", "/dev/null");
    git
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_leads_to_a_repository_with_a_first_commit() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::make(parent.path()).unwrap();
        let url = "https://github.com/acme/platform.git";
        make(&directory, url, "main").unwrap();
        make(&directory, url, "main").unwrap();
        let mut remote = Command::new("git");
        remote.args(["ls-remote", url]).envs(environment(&directory));
        assert!(process::answer(&mut remote).unwrap().contains("refs/heads/main"));
        assert!(make(&directory, "git@github.com:acme/platform.git", "main").is_err());
    }
}
