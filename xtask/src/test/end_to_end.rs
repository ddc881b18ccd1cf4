//! End-to-end tests, two at a time: they wait for processes more than they compute, so that one beside another costs little
//! of either's time. What each says is shown when it has ended, so that nothing is mixed up.

use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use crate::error::Error;
use crate::process;
use crate::repository::{Metadata, Package};

/// Test files of this prefix start processes.
pub(super) const END_TO_END: &str = "e2e_";

/// How many are run at once. A sandbox life keeps a core busy for half of its time, and some tests live two.
const AT_ONCE: usize = 2;

/// Runs every end-to-end test by a `cargo` that has what they need in its environment.
///
/// # Errors
/// [`Error::Tests`], which names those that failed, after all have run.
pub(super) fn run(metadata: &Metadata, cargo: impl Fn() -> Command + Sync) -> Result<(), Error> {
    let queue = Mutex::new(queue(metadata.packages()));
    let next = || queue.lock().ok()?.pop();
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(test) = next() {
                    if let Err(error) = one(test, cargo()) {
                        eprintln!("error: {error}");
                        failed.lock().into_iter().for_each(|mut failed| failed.push(test.to_owned()));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_default();
    failed.sort_unstable();
    if failed.is_empty() { Ok(()) } else { Err(Error::Tests { failed: failed.join(", ") }) }
}

fn one(test: &str, mut cargo: Command) -> Result<(), Error> {
    let started = Instant::now();
    let result = process::tells(cargo.args(["test", "--workspace", "--locked", "--no-fail-fast", "--test", test]));
    eprintln!(
        "==> {test}: {} after {:.1} s",
        if result.is_ok() { "ok" } else { "failed" },
        started.elapsed().as_secs_f64()
    );
    result
}

/// The names of the tests, the next one last. The crates that depend on most come first, because theirs take longest: what
/// is left to the end is short.
fn queue<'metadata>(packages: impl Iterator<Item = Package<'metadata>>) -> Vec<&'metadata str> {
    let mut packages: Vec<_> = packages.collect();
    packages.sort_by_key(|package| package.dependencies().count());
    let mut names: Vec<&str> = Vec::new();
    for name in packages.into_iter().flat_map(Package::integration_tests) {
        if name.starts_with(END_TO_END) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_to_end_test_is_run_once_and_those_of_the_outermost_crate_first() {
        let target = |name: &str| serde_json::json!({"kind": ["test"], "name": name});
        let dependency = |name: &str| serde_json::json!({"name": name, "kind": null});
        let json = serde_json::json!({"packages": [
            {"name": "outer", "targets": [target("e2e_life"), target("golden")], "dependencies": [dependency("inner")]},
            {"name": "inner", "targets": [target("e2e_lease"), target("e2e_both")], "dependencies": []},
            {"name": "other", "targets": [target("e2e_both")], "dependencies": []},
        ]});
        assert_eq!(queue(Metadata::from_json(json).packages()), ["e2e_lease", "e2e_both", "e2e_life"]);
    }
}
