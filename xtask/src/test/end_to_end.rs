//! End-to-end tests, two at a time: they wait for processes more than they compute, so that one beside another costs little
//! of either's time. What each says is shown when it has ended, so that nothing is mixed up.
//!
//! Their programs are run as cargo has built them for the whole workspace. A `cargo test` that names one of them would build
//! its dependencies anew, with the features that this one alone asks for.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::error::Error;
use crate::process;
use crate::repository::Repository;

/// Test files of this prefix start processes.
pub(super) const END_TO_END: &str = "e2e_";

/// How many are run at once. A sandbox life keeps a core busy for half of its time, and some tests live two.
const AT_ONCE: usize = 2;

/// The package whose tests are begun with: they live whole sandbox lives, and what is left to the end is short.
const FIRST: &str = "xtask";

/// A built test.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    is_first: bool,
    name: String,
    program: PathBuf,
    /// Of its package, in which cargo, too, runs it.
    directory: PathBuf,
}

/// Runs every end-to-end test with these variables.
///
/// # Errors
/// [`Error::Tests`], which names those that failed, after all have run; as [`process::answer`], when they can't be built.
pub(super) fn run(repository: &Repository, variables: &[(&str, PathBuf)]) -> Result<(), Error> {
    let mut cargo = repository.cargo();
    let built = process::answer(cargo.args(["test", "--workspace", "--locked", "--no-run", "--message-format=json"]))?;
    let queue = Mutex::new(queue(&built));
    let next = || queue.lock().ok()?.pop();
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(test) = next() {
                    if let Err(error) = one(&test, variables) {
                        eprintln!("error: {error}");
                        failed.lock().into_iter().for_each(|mut failed| failed.push(test.name.clone()));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_default();
    failed.sort_unstable();
    if failed.is_empty() { Ok(()) } else { Err(Error::Tests { failed: failed.join(", ") }) }
}

fn one(test: &Test, variables: &[(&str, PathBuf)]) -> Result<(), Error> {
    eprintln!("==> {}", test.name);
    let started = Instant::now();
    let mut command = Command::new(&test.program);
    command.current_dir(&test.directory).envs(variables.iter().map(|(name, value)| (name, value)));
    let result = process::tells(&mut command);
    let outcome = if result.is_ok() { "ok" } else { "failed" };
    eprintln!("    {}: {outcome} after {:.1} s", test.name, started.elapsed().as_secs_f64());
    result
}

/// The end-to-end tests among what cargo says that it has built, the next one last.
fn queue(built: &str) -> Vec<Test> {
    let messages = built.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut tests: Vec<Test> = messages.filter_map(|message| test(&message)).collect();
    tests.sort_unstable();
    tests
}

fn test(artifact: &Value) -> Option<Test> {
    let name = artifact["target"]["name"].as_str()?;
    if artifact["target"]["kind"][0] != "test" || !name.starts_with(END_TO_END) {
        return None;
    }
    let directory = PathBuf::from(artifact["manifest_path"].as_str()?).parent()?.to_owned();
    let is_first = directory.file_name().is_some_and(|package| package == FIRST);
    Some(Test { is_first, name: name.to_owned(), program: artifact["executable"].as_str()?.into(), directory })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_to_end_test_is_run_and_whole_lives_first() {
        let artifact = |package: &str, kind: &str, name: &str| {
            let target = serde_json::json!({"kind": [kind], "name": name});
            let (manifest, program) = (format!("/helix/{package}/Cargo.toml"), format!("/helix/target/{name}-1"));
            serde_json::json!({"reason": "compiler-artifact", "target": target, "manifest_path": manifest,
                "executable": program})
            .to_string()
        };
        let built = [
            artifact("xtask", "test", "e2e_life"),
            artifact("crates/clients", "test", "e2e_kube"),
            artifact("crates/clients", "test", "talos"),
            artifact("operator", "bin", "e2e_no_test"),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        let queue = queue(&built.join("\n"));
        assert_eq!(queue.iter().map(|test| test.name.as_str()).collect::<Vec<_>>(), ["e2e_kube", "e2e_life"]);
        assert_eq!(queue[0].directory, PathBuf::from("/helix/crates/clients"));
        assert_eq!(queue[0].program, PathBuf::from("/helix/target/e2e_kube-1"));
    }
}
