//! `cargo xtask badges` and `cargo xtask status`: `helix badges` against the sandbox that runs, with its addresses, and with
//! a note in what is written that it is of a sandbox.
//!
//! Nothing is observed or judged here, and no sandbox is started: that is `cargo xtask sandbox --prometheus --detach`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::process;
use crate::repository::Repository;
use crate::sandbox;
use crate::sandbox::programs::Programs;

/// Readers are told.
const NOTE: &str = "Of a sandbox: a real operator and real API servers against simulators of Hetzner, Talos and NetBird, on \
                    one machine. Nothing of it runs anywhere else.";

/// All that was asked is known; or not all of it, which was told.
const WRITTEN: [i32; 2] = [0, 4];

/// Arguments of `cargo xtask badges`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The sandbox's directory [default: target/sandbox]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The platform, where several are in the sandbox
    #[arg(long, value_name = "NAME")]
    platform: Option<String>,
    /// Where badges and their history go [default: metrics/]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Results of the newest pipeline [default: target/reports, where it is there]
    #[arg(long, value_name = "DIR")]
    reports: Option<PathBuf>,
}

/// Arguments of `cargo xtask status`.
#[derive(clap::Args)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    badges: Arguments,
    /// The page [default: STATUS.md]
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

/// `cargo xtask badges`.
///
/// # Errors
/// When no sandbox runs there, it holds no or several platforms, or `helix badges` fails.
pub(crate) fn badges(repository: &Repository, arguments: &Arguments) -> Result<(), Error> {
    observe(repository, arguments, None)
}

/// `cargo xtask status`: the page, and with it the badges that it links to.
///
/// # Errors
/// As [`badges`].
pub(crate) fn status(repository: &Repository, arguments: &StatusArguments) -> Result<(), Error> {
    let page = arguments.page.clone().unwrap_or_else(|| repository.path("STATUS.md"));
    observe(repository, &arguments.badges, Some(&page))
}

fn observe(repository: &Repository, arguments: &Arguments, page: Option<&Path>) -> Result<(), Error> {
    let programs = Programs::build(repository)?;
    let ways = sandbox::ways(repository, arguments.dir.as_ref(), &programs)?;
    let (namespace, name) = ways.platform(arguments.platform.as_deref())?;
    let reports = match &arguments.reports {
        Some(directory) => Some(directory.clone()),
        None => Some(repository.metadata()?.target_directory()?.join("reports")).filter(|reports| reports.is_dir()),
    };
    let mut helix = Command::new(programs.own("helix"));
    helix.env("KUBECONFIG", ways.file("management.kubeconfig")).env("NO_PROXY", "127.0.0.0/8,localhost");
    helix.arg("badges").arg(name).args(["--namespace", &namespace, "--note", NOTE]);
    helix.arg("--output").arg(arguments.output.clone().unwrap_or_else(|| repository.path("metrics")));
    helix.arg("--workload-kubeconfig").arg(ways.file("workload.kubeconfig"));
    helix.arg(format!("--mirror={}", ways.mesh()?));
    if let Ok(url) = fs::read_to_string(ways.file(sandbox::PROMETHEUS_URL)) {
        helix.args(["--prometheus", url.trim()]);
    }
    if let Some(reports) = reports {
        helix.arg("--reports").arg(reports);
    }
    if let Some(page) = page {
        helix.arg("--status").arg(page);
    }
    let mut child = process::start(&mut helix)?;
    let status = child.wait().map_err(Error::file("wait for", "helix"))?;
    match status.code() {
        Some(code) if WRITTEN.contains(&code) => Ok(()),
        _ => Err(Error::Failed { command: "helix badges".to_owned(), status }),
    }
}
