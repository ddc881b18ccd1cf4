//! `helix-operator`: parses its options, runs until it is told to stop, and leaves with a code that says how it went.

use std::process::ExitCode;

use clap::Parser as _;
use helix_operator::Options;
use helix_plan::guard::{self, Guard};

/// Does not compile in a build in which guards can be broken: see [`guard`].
const _: () = assert!(guard::holds(Guard::Approval));

fn main() -> ExitCode {
    let options = Options::parse();
    helix_operator::logging(options.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime cannot be started");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(helix_operator::run(options));
    // Passes that outlived the grace period are cut off here, as a crash would: the next pass finds out where they got.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(reason = error.reason(), "{error}");
            ExitCode::FAILURE
        }
    }
}
