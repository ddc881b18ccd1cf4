//! Whether the simulation is to be believed: every scenario ends well as the engine is, and none of the guards can be
//! broken without its being noticed. A stage of `cargo xtask test`.
//!
//! The program is the very one that `cargo xtask sim` runs, so that both cost one build.

use std::path::Path;
use std::process::Command;

use super::build;
use crate::error::Error;
use crate::process;
use crate::repository::Repository;

/// Seeds with which each scenario is played.
const SEEDS: &str = "0..4";

/// Fewer guards than the simulation promises to try.
const FEWEST: usize = 12;

/// The exit code that says that a life failed; another that it was not lived.
const LIFE_FAILED: i32 = 1;

/// Plays every scenario, then breaks every guard.
///
/// # Errors
/// When the program can't be built or run, a scenario fails, or a broken guard goes unnoticed.
pub(crate) fn run(repository: &Repository) -> Result<(), Error> {
    eprintln!("==> every scenario, and every guard broken");
    let program = build(repository)?;
    for scenario in names(&program, "--list-scenarios")? {
        process::succeeds_or_tells(Command::new(&program).args(["--seeds", SEEDS, "--scenario", &scenario]))?;
    }
    let guards = names(&program, "--list-guards")?;
    let unnoticed = guards.iter().filter_map(|guard| match is_noticed(&program, guard) {
        Ok(true) => None,
        Ok(false) => Some(Ok(guard.clone())),
        Err(error) => Some(Err(error)),
    });
    judge(guards.len(), unnoticed.collect::<Result<_, _>>()?)
}

/// The first word of every line.
fn names(program: &Path, list: &str) -> Result<Vec<String>, Error> {
    let told = process::answer(Command::new(program).arg(list))?;
    Ok(told.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

fn is_noticed(program: &Path, guard: &str) -> Result<bool, Error> {
    let mut command = Command::new(program);
    let output = process::output(command.args(["--break", guard]))?;
    match output.status.code() {
        Some(0) => Ok(false),
        Some(LIFE_FAILED) => Ok(true),
        _ => Err(Error::Failed { command: format!("helix-lives --break {guard}"), status: output.status }),
    }
}

fn judge(guards: usize, unnoticed: Vec<String>) -> Result<(), Error> {
    if unnoticed.is_empty() && guards >= FEWEST {
        eprintln!("    {guards} guards, and each is missed when it is broken");
        return Ok(());
    }
    Err(Error::Unnoticed { guards, fewest: FEWEST, unnoticed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_that_nobody_misses_is_a_failure_and_so_are_too_few() {
        assert!(judge(FEWEST, Vec::new()).is_ok());
        assert!(judge(FEWEST - 1, Vec::new()).is_err());
        let told = judge(FEWEST, vec!["approval".to_owned()]).unwrap_err().to_string();
        assert!(told.contains("approval"), "{told}");
    }
}
