//! `helix`: what would happen, why it waits, what is rendered, what it looks like, who may talk to whom, how a platform is,
//! and the way out of a lost secret bundle.
//!
//! Nothing here changes a platform but `helix secrets import`, which only ever creates; `helix publish-status` changes a
//! branch of a repository. Each command is a file; what
//! they share is where a platform comes from ([`file`](mod@file), [`live`]) and where text goes ([`output`]).

mod arguments;
mod badges;
mod charts;
mod clock;
mod diagram;
mod error;
mod explain;
mod file;
mod live;
mod orphans;
mod output;
mod plan;
mod policy;
mod publish_status;
mod render;
mod secrets;
mod sight;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command, PolicyCommand, SecretsCommand};
use error::CliError;
use helix_plan::guard::{self, Guard};

/// Does not compile in a build in which guards can be broken: see [`guard`].
const _: () = assert!(guard::holds(Guard::Approval));

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing is to be changed, or the command knows no changes.
    Done,
    /// There is something to change.
    Changes,
    /// What was asked about is denied.
    Denied,
    /// All was written, but something that was asked for is unknown or stale.
    Unobserved,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Changes => Self::from(2),
            Outcome::Denied => Self::from(3),
            Outcome::Unobserved => Self::from(4),
        }
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return output::usage(&error),
    };
    match run(arguments.command) {
        Ok(outcome) => outcome.into(),
        Err(error) => output::failure(&error),
    }
}

fn run(command: Command) -> Result<Outcome, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    runtime.block_on(async {
        match command {
            Command::Plan(arguments) => plan::run(&arguments).await,
            Command::Explain(arguments) => explain::run(&arguments).await,
            Command::Orphans(arguments) => orphans::run(&arguments).await,
            Command::Render(arguments) => render::run(&arguments).await,
            Command::Diagram(arguments) => diagram::run(&arguments).await,
            Command::PublishStatus(arguments) => publish_status::run(&arguments).await,
            Command::Policy { command: PolicyCommand::Matrix(arguments) } => policy::matrix(&arguments),
            Command::Policy { command: PolicyCommand::Check(arguments) } => policy::check(&arguments),
            Command::Policy { command: PolicyCommand::Render(arguments) } => policy::render(&arguments),
            Command::Badges(arguments) => Box::pin(badges::run(&arguments)).await,
            Command::Secrets { command: SecretsCommand::Export(arguments) } => secrets::export(&arguments).await,
            Command::Secrets { command: SecretsCommand::Import(arguments) } => secrets::import(&arguments).await,
        }
    })
}
