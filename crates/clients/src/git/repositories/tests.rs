//! Against real repositories on this machine, and against a server that lets nobody in.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

use helix_plan::components::{manifests, wanted};
use helix_plan::gitops::MARKER;
use helix_plan::validated::Layers;

use super::*;

const FULL: &str = include_str!("../../../../../manifests/examples/full.yaml");

/// A directory with a repository in it that has one commit, and a place in that repository.
struct Remote {
    root: tempfile::TempDir,
}

impl Remote {
    fn new() -> Self {
        let remote = Self { root: tempfile::tempdir().unwrap() };
        remote.git(&["init", "--quiet", "--bare", "--initial-branch=main", "platform.git"]);
        remote.git(&["clone", "--quiet", "platform.git", "user"]);
        remote.commit("README.md", "ours");
        remote
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=User", "-c", "user.email=user@example.com"])
            .args(arguments)
            .current_dir(self.root.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Lets the user push a file.
    fn commit(&self, path: &str, text: &str) {
        if self.git(&["ls-remote", "platform.git", "refs/heads/main"]).is_empty() {
            self.git(&["-C", "user", "checkout", "--quiet", "-B", "main"]);
        } else {
            self.git(&["-C", "user", "fetch", "--quiet", "origin"]);
            self.git(&["-C", "user", "checkout", "--quiet", "-B", "main", "origin/main"]);
        }
        let file = self.root.path().join("user").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        self.git(&["-C", "user", "add", "--all"]);
        self.git(&["-C", "user", "commit", "--quiet", "--message", path]);
        self.git(&["-C", "user", "push", "--quiet", "origin", "main"]);
    }

    /// The repository that the example names, which leads to this one.
    fn place(&self, name: &str) -> Place {
        let asked = self.root.path().join("asked.sh");
        program::write_asked(&asked).unwrap();
        let base = self.root.path().join("platform.git");
        let environment: Vec<(OsString, OsString)> = [
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("GIT_ALLOW_PROTOCOL".to_owned(), "file".to_owned()),
            ("GIT_CONFIG_COUNT".to_owned(), "1".to_owned()),
            ("GIT_CONFIG_KEY_0".to_owned(), format!("url.{}.insteadOf", base.display())),
            ("GIT_CONFIG_VALUE_0".to_owned(), "https://github.com/acme/platform.git".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
        let program = Program::new(self.root.path().join(name), asked, environment);
        Place::new(program, layers().gitops.unwrap().repository.as_ref().unwrap())
    }

    fn at_head(&self, path: &str) -> String {
        self.git(&["--git-dir=platform.git", "show", &format!("main:clusters/prod/{path}")])
    }

    fn commits(&self) -> usize {
        self.git(&["--git-dir=platform.git", "log", "--format=%H", "main"]).lines().count()
    }
}

fn layers() -> Layers {
    Layers::new(&serde_saphyr::from_str(FULL).unwrap()).unwrap()
}

fn tree_of(layers: &Layers) -> Tree {
    let manifests: BTreeMap<_, _> =
        wanted(layers).into_iter().map(|found| (found.component, manifests(&found, &[]))).collect();
    Tree::new(layers, &manifests).unwrap()
}

fn tree() -> Tree {
    tree_of(&layers())
}

fn without_models() -> Tree {
    let mut layers = layers();
    layers.ollama = None;
    tree_of(&layers)
}

const OLLAMA: &str = "applications/ollama.yaml";

#[tokio::test]
async fn a_tree_is_committed_once_and_its_stale_files_go() {
    let remote = Remote::new();
    let mut place = remote.place("ours");
    let seen = place.look(&tree(), None).await.unwrap();
    assert!(!seen.changes.are_none() && seen.changes.foreign.is_empty());
    let commit = place.publish(&tree(), None, Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(remote.git(&["--git-dir=platform.git", "rev-parse", "main"]).trim(), commit);
    assert_eq!(place.publish(&tree(), None, Timestamp::UNIX_EPOCH).await.unwrap(), commit);
    assert_eq!(remote.commits(), 2);
    assert_eq!(remote.at_head(OLLAMA).as_bytes(), tree().files()[OLLAMA]);
    assert_eq!(remote.git(&["--git-dir=platform.git", "show", "main:README.md"]), "ours");
    place.publish(&without_models(), None, Timestamp::UNIX_EPOCH).await.unwrap();
    assert!(!remote.at_head(MARKER).contains(OLLAMA));
    let listed = remote.git(&["--git-dir=platform.git", "ls-tree", "-r", "--name-only", "main"]);
    assert!(!listed.contains("ollama"), "{listed}");
}

#[tokio::test]
async fn a_branch_that_others_push_to_is_followed_and_never_rewritten() {
    let remote = Remote::new();
    let mut place = remote.place("ours");
    let first = place.publish(&tree(), None, Timestamp::UNIX_EPOCH).await.unwrap();
    remote.commit("docs/notes.md", "theirs");
    let seen = place.look(&tree(), None).await.unwrap();
    assert!(seen.changes.are_none() && seen.revision != first);
    assert_eq!(seen.alike, [first]);
    place.publish(&without_models(), None, Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(remote.git(&["--git-dir=platform.git", "show", "main:docs/notes.md"]), "theirs");
    assert_eq!(remote.commits(), 4);
}

#[tokio::test]
async fn a_file_that_somebody_else_changed_is_not_written_over() {
    let remote = Remote::new();
    let mut place = remote.place("ours");
    place.publish(&tree(), None, Timestamp::UNIX_EPOCH).await.unwrap();
    remote.commit(&format!("clusters/prod/{OLLAMA}"), "theirs");
    let seen = place.look(&tree(), None).await.unwrap();
    assert_eq!(seen.changes.foreign.iter().collect::<Vec<_>>(), [OLLAMA]);
    for tree in [tree(), without_models()] {
        let refused = place.publish(&tree, None, Timestamp::UNIX_EPOCH).await.unwrap_err();
        assert_eq!(refused, GitError::Foreign { path: OLLAMA.to_owned() });
    }
    assert_eq!(remote.at_head(OLLAMA), "theirs");
    // Another operator with nothing on its disk sees the same.
    let refused = remote.place("another").publish(&tree(), None, Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert_eq!(refused.reason(), "ForeignFile");
}

#[tokio::test]
async fn what_is_missing_is_told_by_name() {
    let remote = Remote::new();
    let mut repository = layers().gitops.unwrap().repository.unwrap();
    let program = remote.place("ours").program;
    repository.branch = "production".to_owned();
    let error = Place::new(program.clone(), &repository).look(&tree(), None).await.unwrap_err();
    assert!(matches!(error, GitError::NoBranch { ref branch, .. } if branch == "production"), "{error}");
    repository.url = remote.root.path().join("nowhere.git").display().to_string();
    let error = Place::new(program.clone(), &repository).look(&tree(), None).await.unwrap_err();
    assert_eq!(error.reason(), "RepositoryNotFound", "{error}");
    repository.url = "ext::sh -c true".to_owned();
    assert!(Place::new(program, &repository).look(&tree(), None).await.is_err());
}

#[tokio::test]
async fn a_branch_that_is_protected_says_so() {
    let remote = Remote::new();
    let hook = remote.root.path().join("platform.git/hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\necho protected >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = remote.place("ours").publish(&tree(), None, Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert_eq!(error.reason(), "BranchProtected", "{error}");
}

#[tokio::test]
async fn a_password_gets_to_the_server_and_nowhere_else() {
    const PASSWORD: &str = "correct-horse-battery";
    let remote = Remote::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || refuse_everybody(&listener));
    let mut repository = layers().gitops.unwrap().repository.unwrap();
    repository.url = format!("http://{address}/acme/platform.git");
    let mut program = remote.place("ours").program;
    program.environment.retain(|(name, _)| !name.to_str().unwrap().starts_with("GIT_"));
    program.environment.push(("GIT_ALLOW_PROTOCOL".into(), "http".into()));
    let credentials = Credentials::new("helix", PASSWORD);
    let error = Place::new(program, &repository).look(&tree(), Some(&credentials)).await.unwrap_err();
    assert_eq!(error.reason(), "GitRefused", "{error}");
    assert!(!error.to_string().contains(PASSWORD));
    // One more call, so that the server knows that it was the last.
    drop(std::net::TcpStream::connect(address).unwrap());
    let authorized = server.join().unwrap();
    assert_eq!(authorized, ["Basic aGVsaXg6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"]);
    let found = Command::new("grep").args(["-r", PASSWORD]).arg(remote.root.path()).status().unwrap();
    assert!(!found.success(), "the password is on the disk");
}

/// Answers 401 to everybody, and tells with what they came; ends with a call that asks for nothing.
fn refuse_everybody(listener: &TcpListener) -> Vec<String> {
    let mut authorized = Vec::new();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let Some(Ok(_request)) = lines.next() else { break };
        for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
            authorized.extend(line.strip_prefix("Authorization: ").map(str::to_owned));
        }
        let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
    }
    authorized
}
