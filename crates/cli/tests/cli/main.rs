//! The program as its users meet it: what it prints, what it writes, and its exit codes. Nothing else is started but the
//! shell that runs what documents say and, in the test's own process, what stands in for GitHub.

// Helpers of a test fail the way tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod badges;
mod diagram;
mod documents;
mod explain;
mod input;
mod plan;
mod policy;
mod publish_status;
mod render;
mod usage;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run of the program came to.
struct Run {
    code: i32,
    out: String,
    err: String,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_helix"));
    // No management cluster, whatever the machine that runs this has.
    command.args(arguments).env("KUBECONFIG", "/nonexistent/kubeconfig").env_remove("KUBERNETES_SERVICE_HOST");
    command
}

/// Runs the program to its end, with `input` on its standard input.
fn helix_with_input(arguments: &[&str], input: &str) -> Run {
    let mut command = command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("helix starts");
    // A command that does not read closes the pipe early.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("helix ends");
    Run {
        code: output.status.code().expect("an exit code"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

fn helix(arguments: &[&str]) -> Run {
    helix_with_input(arguments, "")
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../manifests/examples/{name}.yaml"))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// The smallest platform, changed: each pair replaces a text of it.
fn minimal(changes: &[(&str, &str)]) -> String {
    let text = std::fs::read_to_string(example("minimal")).expect("the example");
    changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "the example has no `{from}`");
        text.replace(from, to)
    })
}
