//! Running other programs and saying what was run when they fail. Output of a step goes straight to the developer;
//! only answers that xtask itself reads are captured.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use crate::error::Error;

/// How to get a program that could not be started.
fn remedy(program: &str) -> String {
    match program {
        "go" => "install Go 1.26 or later (https://go.dev/doc/install) and put it into PATH, or set \
                 KUBEBUILDER_ASSETS to a directory that holds etcd, kube-apiserver, kube-controller-manager, \
                 kube-scheduler and kubectl"
            .to_owned(),
        "git" => "install git and put it into PATH".to_owned(),
        "cargo" => "install Rust (https://rustup.rs) and put it into PATH".to_owned(),
        "prometheus" => {
            "install Debian's package prometheus (apt-get install --no-install-recommends prometheus) or put a \
                         prometheus into PATH"
                .to_owned()
        }
        other => format!("check that {other} exists and may be executed"),
    }
}

/// The command line as a developer would type it; arguments here never hold a secret.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn start_error(command: &Command, source: std::io::Error) -> Error {
    let program = command.get_program().to_string_lossy().into_owned();
    Error::Start { remedy: remedy(&program), program, source }
}

/// Runs a program to its end, its output going where xtask's goes.
///
/// # Errors
/// [`Error::Start`] when it can't be started, [`Error::Failed`] when it ends with a failure.
pub(crate) fn run(command: &mut Command) -> Result<(), Error> {
    let status = command.stdin(Stdio::null()).status().map_err(|source| start_error(command, source))?;
    if status.success() { Ok(()) } else { Err(Error::Failed { command: line(command), status }) }
}

/// As [`run`], and prints what runs and for how long it ran.
///
/// # Errors
/// As [`run`].
pub(crate) fn step(command: &mut Command) -> Result<(), Error> {
    eprintln!("==> {}", line(command));
    let started = Instant::now();
    let result = run(command);
    eprintln!("    {:.1} s", started.elapsed().as_secs_f64());
    result
}

/// Runs a program silently and gives back what it printed to its standard output.
///
/// # Errors
/// As [`run`], and [`Error::Answer`] when the output is no UTF-8.
pub(crate) fn answer(command: &mut Command) -> Result<String, Error> {
    let line = line(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| start_error(command, source))?;
    if !output.status.success() {
        return Err(Error::Failed { command: line, status: output.status });
    }
    String::from_utf8(output.stdout).map_err(|error| Error::Answer { command: line, problem: error.to_string() })
}

/// Runs a program silently and gives back how it ended and what it said.
///
/// # Errors
/// [`Error::Start`].
pub(crate) fn output(command: &mut Command) -> Result<Output, Error> {
    command.stdin(Stdio::null()).output().map_err(|source| start_error(command, source))
}

/// Runs a program silently, and shows what it said only if it ends with a failure.
///
/// # Errors
/// As [`run`].
pub(crate) fn succeeds_or_tells(command: &mut Command) -> Result<(), Error> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(());
    }
    eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(Error::Failed { command: line(command), status: output.status })
}

/// Runs a program and shows what it said once it has ended, so that it can't be mixed up with another's.
///
/// # Errors
/// As [`run`].
pub(crate) fn tells(command: &mut Command) -> Result<(), Error> {
    let output = output(command)?;
    eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(Error::Failed { command: line(command), status: output.status }) }
}

/// As [`answer`], read as JSON.
///
/// # Errors
/// As [`answer`], and [`Error::Answer`] when the output is no JSON.
pub(crate) fn json(command: &mut Command) -> Result<serde_json::Value, Error> {
    let text = answer(command)?;
    serde_json::from_str(&text).map_err(|error| Error::Answer { command: line(command), problem: error.to_string() })
}

/// Starts a program and leaves it running; its streams are the caller's to choose.
///
/// # Errors
/// [`Error::Start`].
pub(crate) fn start(command: &mut Command) -> Result<Child, Error> {
    command.spawn().map_err(|source| start_error(command, source))
}

/// Runs a program silently with an input.
///
/// # Errors
/// As [`run`].
pub(crate) fn feed(command: &mut Command, input: &str) -> Result<(), Error> {
    let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::null()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says itself why; its status is judged below.
        let _ = stdin.write_all(input.as_bytes());
    }
    let status = child.wait().map_err(|source| start_error(command, source))?;
    if status.success() { Ok(()) } else { Err(Error::Failed { command: line(command), status }) }
}

/// Whether a program ends well; nothing of what it says is shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}
