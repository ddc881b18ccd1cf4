//! `cargo xtask sim [--seeds A..B] [--scenario NAME] [--seed N -v] [--break NAME]`: whole lives of platforms, by seeds.
//!
//! Builds `helix-lives` with the switches by which it can break a guard of the planner or the engine, runs it, and ends as
//! it ends. What the arguments mean is said there: `cargo xtask sim --help`. Whether it can be believed is [`trial`]'s.

pub(crate) mod trial;

use std::path::PathBuf;

use crate::error::Error;
use crate::process;
use crate::repository::Repository;

/// The program.
const PROGRAM: &str = "helix-lives";

/// What breaks guards on demand; no other build has it.
const FEATURE: &str = "mutations";

/// Arguments of `cargo xtask sim`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Arguments of helix-lives
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

/// `cargo xtask sim`.
///
/// # Errors
/// When it can't be built or run, or when a life failed.
pub(crate) fn run(repository: &Repository, arguments: &Arguments) -> Result<(), Error> {
    let program = build(repository)?;
    process::run(std::process::Command::new(program).args(&arguments.arguments))
}

/// The program, built. Alone, because no other build may have the switches, and without what tests need.
fn build(repository: &Repository) -> Result<PathBuf, Error> {
    let mut cargo = repository.cargo();
    // Optimised as a release is: thousands of lives in minutes.
    cargo.args([
        "build",
        "--profile=bench",
        "--locked",
        "--package=helix-sim",
        "--features",
        FEATURE,
        "--bin",
        PROGRAM,
    ]);
    process::run(cargo.arg("--quiet"))?;
    Ok(repository.metadata()?.target_directory()?.join("release").join(PROGRAM))
}
