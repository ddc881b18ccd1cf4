//! `cargo xtask COMMAND`: the project's own tools, one file or folder per command.
//!
//! Nothing here is part of the product, and nothing of the product depends on it.

mod bench;
mod codegen;
mod diagrams;
mod docs;
mod error;
mod observe;
mod process;
mod repository;
mod sandbox;
mod sim;
mod site;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;
use crate::repository::Repository;

/// The project's own tools.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the main job on this machine against simulators, or stop it: `sandbox down`
    Sandbox(sandbox::Arguments),
    /// Run every test, building first what the tests need
    Test(test::Arguments),
    /// Live whole lives of platforms on the in-process world, by seeds
    Sim(sim::Arguments),
    /// Write what is generated from the code: the custom resource definitions in crds/
    Codegen(codegen::Arguments),
    /// Draw the diagrams in diagrams/, light and dark, as SVG and PNG
    Diagrams(diagrams::Arguments),
    /// Write the documents that are derived from the code: the reference, the index of runbooks, and figures
    Docs(docs::Arguments),
    /// Hold the code against the rules that the compiler does not know
    Tidy,
    /// Measure speed and memory, and write the figures to target/bench.json
    Bench(bench::Arguments),
    /// Build the status site from what is in the repository, as static files in target/site
    Site(site::Arguments),
    /// Observe the sandbox that runs, and write its status badges to metrics/
    Badges(observe::Arguments),
    /// The same, and STATUS.md
    Status(observe::StatusArguments),
    /// Build what tests and the sandbox run besides the project's own programs, and say where it is
    Tools(tools::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    let repository = Repository::of_this_build();
    match command {
        Command::Sandbox(arguments) => sandbox::run(&repository, &arguments),
        Command::Test(arguments) => test::run(&repository, &arguments),
        Command::Sim(arguments) => sim::run(&repository, &arguments),
        Command::Codegen(arguments) => codegen::run(&repository, &arguments),
        Command::Diagrams(arguments) => diagrams::run(&repository, &arguments),
        Command::Docs(arguments) => docs::run(&repository, &arguments),
        Command::Tidy => tidy::run(&repository),
        Command::Bench(arguments) => bench::run(&repository, &arguments),
        Command::Site(arguments) => site::run(&repository, &arguments),
        Command::Badges(arguments) => observe::badges(&repository, &arguments),
        Command::Status(arguments) => observe::status(&repository, &arguments),
        Command::Tools(arguments) => tools::run(&repository, &arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calls of xtask in the blocks of shell and in the lines that are indented as code.
    fn calls(text: &str) -> Vec<String> {
        let mut fenced = false;
        let mut calls = Vec::new();
        for line in text.lines() {
            if let Some(info) = line.strip_prefix("```") {
                fenced = info.starts_with("sh");
            }
            let typed = if fenced { Some(line) } else { line.strip_prefix("    ") };
            let call = typed.and_then(|line| line.trim_start_matches("$ ").strip_prefix("cargo xtask "));
            calls.extend(call.map(|call| call.split(['#', '|', '>', '&', ';']).next().unwrap_or_default().to_owned()));
        }
        calls
    }

    #[test]
    fn what_documents_tell_people_to_type_is_understood() {
        let repository = Repository::of_this_build();
        for file in repository.files().unwrap().iter().filter(|file| file.ends_with(".md")) {
            for call in calls(&repository.read(file).unwrap()) {
                let words = std::iter::once("xtask").chain(call.split_whitespace());
                if let Err(error) = Arguments::try_parse_from(words) {
                    panic!("{file}: cargo xtask {call}\n{error}");
                }
            }
        }
    }

    #[test]
    fn calls_are_found_where_they_are_typed() {
        let text = "    cargo xtask sandbox   # tries it\n\n```sh run\ncargo xtask tidy | cat\n```\ncargo xtask no\n";
        assert_eq!(calls(text), ["sandbox   ", "tidy "]);
    }
}
