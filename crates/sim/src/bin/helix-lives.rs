//! `helix-lives`: whole lives of platforms, by seeds. Run by `cargo xtask sim`, which builds it with the switches that
//! `--break` needs.
//!
//! Two lives are lived at a time; what became of them is told in the order of their seeds. The exit code is 1 when any
//! failed.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use clap::Parser;
use helix_plan::guard::Guard;
use helix_sim::lives::invariants;
use helix_sim::lives::run::{Failure, Passed, live};
use helix_sim::lives::scenarios::{SCENARIOS, Scenario, by_name, that_tries};

/// Lives that are lived at a time.
const AT_A_TIME: usize = 2;

/// Seeds with which a broken guard is tried.
const TRIES: u64 = 20;

/// Whole lives of platforms, by seeds.
#[derive(Parser)]
#[command(name = "helix-lives", version)]
struct Arguments {
    /// The seeds, as in 0..2000: the last is left out
    #[arg(long, value_name = "A..B", value_parser = seeds, default_value = "0..100")]
    seeds: (u64, u64),
    /// One seed
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// The scenario to play
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Tell every call of a life that fails
    #[arg(short, long)]
    verbose: bool,
    /// Print the names of all scenarios
    #[arg(long)]
    list_scenarios: bool,
    /// Print the names of all guards that can be broken
    #[arg(long)]
    list_guards: bool,
    /// Print the invariants
    #[arg(long)]
    list_invariants: bool,
    /// Break this guard, and see whether it is noticed: then the exit code is 1
    #[arg(long = "break", value_name = "NAME")]
    broken: Option<String>,
}

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("`{text}` are no seeds: write for example 0..2000");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    Ok((from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list_scenarios {
        SCENARIOS.iter().for_each(|scenario| println!("{:<40} {}", scenario.name, scenario.shows));
    }
    if arguments.list_guards {
        Guard::ALL.iter().for_each(|guard| println!("{}", guard.name()));
    }
    if arguments.list_invariants {
        invariants::names().for_each(|(number, name)| println!("{number:>2} {name}"));
    }
    if arguments.list_scenarios || arguments.list_guards || arguments.list_invariants {
        return ExitCode::SUCCESS;
    }
    match play(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
    }
}

/// How many lives failed.
fn play(arguments: &Arguments) -> Result<u64, String> {
    let mut name = arguments.scenario.as_deref().unwrap_or("random");
    let mut range = arguments.seed.map_or(arguments.seeds, |seed| (seed, seed + 1));
    if let Some(wanted) = &arguments.broken {
        let guard = Guard::ALL.iter().find(|guard| guard.name() == wanted);
        let guard = *guard.ok_or_else(|| format!("there is no guard `{wanted}`: see --list-guards"))?;
        break_guard(guard)?;
        if arguments.scenario.is_none() {
            name = that_tries(guard);
        }
        if arguments.seed.is_none() && range == (0, 100) {
            range = (0, TRIES);
        }
    }
    let scenario = by_name(name).ok_or_else(|| format!("there is no scenario `{name}`: see --list-scenarios"))?;
    let began = Instant::now();
    let (mut passed, mut failed, mut calls) = (0, 0, 0);
    live_all(scenario, range, arguments.verbose, |outcome| match outcome {
        Ok(life) => {
            passed += 1;
            calls += life.calls;
        }
        Err(failure) => {
            failed += 1;
            println!("{failure}\n");
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("{seconds:.1} s, {calls} calls");
    println!("{passed} passed, {failed} failed");
    Ok(failed)
}

#[cfg(feature = "mutations")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn break_guard(guard: Guard) -> Result<(), String> {
    helix_plan::guard::break_only(Some(guard));
    Ok(())
}

#[cfg(not(feature = "mutations"))]
fn break_guard(guard: Guard) -> Result<(), String> {
    Err(format!("this build cannot break {}: run it by `cargo xtask sim --break {}`", guard.name(), guard.name()))
}

/// Lives all of them, and tells of each in the order of seeds.
fn live_all(
    scenario: &'static Scenario,
    (from, to): (u64, u64),
    verbose: bool,
    mut tell: impl FnMut(Result<Passed, Box<Failure>>),
) {
    let next = AtomicU64::new(from);
    let (sender, outcomes) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= to || sender.send((seed, live(scenario, seed, verbose))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut due = from;
        for (seed, outcome) in outcomes {
            early.insert(seed, outcome);
            while let Some(outcome) = early.remove(&due) {
                tell(outcome);
                due += 1;
            }
        }
    });
}
