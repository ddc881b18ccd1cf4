//! `cargo xtask bench [--only NAME]`: figures of speed and memory beside their goals, as a table and as
//! `target/bench.json`.
//!
//! `helix-bench` measures what needs no process but its own, virtual time and pure work; here is added what only a
//! running sandbox can show. A goal that is missed is told, not punished, because a figure is one machine's on one day:
//! what must never be missed is a test. A figure that can't be measured is left out, and the reason is printed.

pub(crate) mod figure;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::figure::{Figure, table};
use crate::error::Error;
use crate::process;
use crate::repository::Repository;
use crate::sandbox::measure;
use crate::sandbox::programs::Programs;

/// Optimised as a release is; see the root Cargo.toml.
const PROFILE: &str = "--profile=bench";

/// Where cargo puts what it builds with that profile, below its target directory.
const BUILT: &str = "release";

/// What measures a figure in a sandbox in a directory.
type Measure = fn(&Repository, &Programs, &Path) -> Result<f64, Error>;

/// A figure that needs a running sandbox.
struct InSandbox {
    name: &'static str,
    unit: &'static str,
    goal: f64,
    measure: Measure,
}

const IN_SANDBOX: [InSandbox; 3] = [
    InSandbox { name: "sandbox-ready", unit: "s", goal: 90.0, measure: measure::seconds_to_ready },
    InSandbox { name: "sandbox-all-phases", unit: "s", goal: 180.0, measure: measure::seconds_to_all_phases },
    InSandbox { name: "operator-memory-20x10", unit: "MiB", goal: 64.0, measure: measure::operator_memory },
];

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Measure only the figures whose names begin with this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// `cargo xtask bench`.
///
/// # Errors
/// When nothing has that name, programs can't be built, or the result can't be written. A missed goal is none.
pub(crate) fn run(repository: &Repository, arguments: &Arguments) -> Result<(), Error> {
    let target = repository.metadata()?.target_directory()?;
    let only = arguments.only.as_deref().unwrap_or_default();
    let chosen: Vec<&InSandbox> = IN_SANDBOX.iter().filter(|figure| figure.name.starts_with(only)).collect();
    // A whole name of a sandbox's figure, and nothing else, says that no other can be meant.
    let in_process = !IN_SANDBOX.iter().any(|figure| figure.name == only);

    let mut figures = Vec::new();
    if in_process {
        figures.extend(measured_in_process(repository, &target.join(BUILT), only)?);
    }
    if !chosen.is_empty() {
        figures.extend(measured_in_sandbox(repository, &target, &chosen)?);
    }
    if figures.is_empty() && chosen.is_empty() {
        return Err(Error::NoFigure { name: only.to_owned() });
    }

    let file = target.join("bench.json");
    let json = format!("{:#}\n", serde_json::json!(figures));
    fs::write(&file, json).map_err(Error::file("write", &file))?;
    print!("{}", table(&figures));
    Ok(())
}

fn build(repository: &Repository, programs: &[&str]) -> Result<(), Error> {
    let mut cargo = repository.cargo();
    // One selection of packages for all programs: with the same features on, nothing is compiled twice.
    cargo.args(["build", PROFILE, "--locked", "--package=helix-sim", "--package=helix-operator"]);
    for program in programs {
        cargo.args(["--bin", program]);
    }
    process::step(&mut cargo)
}

fn measured_in_process(repository: &Repository, built: &Path, only: &str) -> Result<Vec<Figure>, Error> {
    build(repository, &["helix-bench"])?;
    let mut bench = Command::new(built.join("helix-bench"));
    if !only.is_empty() {
        bench.args(["--only", only]);
    }
    eprintln!("==> helix-bench");
    let lines = process::answer(&mut bench)?;
    let read = |line| serde_json::from_str(line);
    lines.lines().map(read).collect::<Result<_, _>>().map_err(|error| Error::Answer {
        command: "helix-bench".to_owned(),
        problem: format!("{error}; build it and xtask from one checkout"),
    })
}

fn measured_in_sandbox(repository: &Repository, target: &Path, chosen: &[&InSandbox]) -> Result<Vec<Figure>, Error> {
    build(repository, &["helix-operator", "helix-sim"])?;
    let programs = Programs::of(repository, target.join(BUILT))?;
    let mut figures = Vec::new();
    for InSandbox { name, unit, goal, measure } in chosen {
        eprintln!("==> {name}");
        let directory: PathBuf = target.join("bench").join(name);
        match measure(repository, &programs, &directory) {
            Ok(value) => figures.push(Figure::new(name, value, unit, *goal)),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(reason) => eprintln!("{name} is not measured: {reason}"),
        }
    }
    Ok(figures)
}
