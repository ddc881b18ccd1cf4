//! Publishing to a branch: what is on it in the end, and what is said when it cannot be.

use std::fs;

use helix_sim::github::{self, GitHub, Rights};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Run, command, path};

const REPOSITORY: &str = "octocat/helix";

/// The stand-in, in this process, and a directory to publish.
struct Stand {
    github: GitHub,
    url: String,
    directory: tempfile::TempDir,
    _runtime: Runtime,
    _stop: DropGuard,
}

impl Stand {
    fn start() -> Self {
        let github = GitHub::default();
        github.add_token("writer", Rights::Write);
        github.add_token("reader-of-all", Rights::Read);
        github.commit_file(REPOSITORY, "main", "README.md", b"# Helix\n");
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        runtime.spawn(github::serve(listener, github.clone(), stop.clone()));
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("docs")).unwrap();
        fs::write(directory.path().join("index.html"), "first").unwrap();
        fs::write(directory.path().join("docs/a.html"), "a").unwrap();
        Self { github, url, directory, _runtime: runtime, _stop: stop.drop_guard() }
    }

    fn publish(&self, token: Option<&str>, further: &[&str]) -> Run {
        let directory = path(self.directory.path());
        let mut arguments =
            vec!["publish-status", "--dir", directory, "--repository", REPOSITORY, "--github-url", &self.url];
        arguments.extend(further);
        let mut command = command(&arguments);
        command.env_remove("HELIX_GITHUB_TOKEN");
        if let Some(token) = token {
            command.env("HELIX_GITHUB_TOKEN", token);
        }
        let output = command.output().unwrap();
        Run {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn directory_is_on_the_branch_and_published_once() {
    let stand = Stand::start();
    let run = stand.publish(Some("writer\n"), &[]);
    assert_eq!(run.code, 0, "{}", run.err);
    let head = stand.github.head(REPOSITORY, "gh-pages").unwrap();
    assert_eq!(head.files.keys().collect::<Vec<_>>(), ["docs/a.html", "index.html"]);
    assert_eq!(run.out, format!("{REPOSITORY} gh-pages, a new branch: 2 files in {}\n", head.commit));

    let token = tempfile::NamedTempFile::new().unwrap();
    fs::write(token.path(), "writer").unwrap();
    let again = stand.publish(None, &["--token-file", path(token.path())]);
    assert_eq!((again.code, again.err.as_str()), (0, ""));
    assert_eq!(again.out, format!("{REPOSITORY} gh-pages: nothing changed since {}\n", head.commit));
    assert_eq!(stand.github.head(REPOSITORY, "gh-pages").unwrap(), head);
}

#[test]
fn what_is_missing_is_said_and_nothing_is_published() {
    let mut stand = Stand::start();
    for (token, part) in [
        (None, "HELIX_GITHUB_TOKEN"),
        (Some("reader-of-all"), "Contents: read and write"),
        (Some("nobody-we-know"), "does not know the token"),
    ] {
        let run = stand.publish(token, &[]);
        assert_eq!(run.code, 1, "{}", run.err);
        assert!(run.err.contains(part), "{}", run.err);
        assert!(!token.is_some_and(|token| run.err.contains(token)), "{}", run.err);
    }
    stand.directory = tempfile::tempdir().unwrap();
    let run = stand.publish(Some("writer"), &[]);
    assert!(run.code == 1 && run.err.contains("nothing to publish"), "{}", run.err);
    assert!(stand.github.head(REPOSITORY, "gh-pages").is_none());
}
