//! `cargo xtask sandbox`: the main job on this machine, without an account and without a cloud.
//!
//! A real management API server, the simulators and the very operator of production, brought up in the order of [`up`],
//! with the example platform applied and its progress shown. `cargo xtask sandbox down` stops one, whoever started it.
//!
//! Everything of a sandbox lies in one directory (see [`directory`]) and listens on loopback only; two with different
//! directories don't know of each other.

mod access;
mod directory;
mod kubectl;
mod management;
pub(crate) mod measure;
mod operator;
mod platform;
mod processes;
pub(crate) mod programs;
mod progress;
mod prometheus;
mod repositories;
mod signals;
mod simulator;
mod stage;
mod supervisor;
mod watch;
mod ways;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::repository::Repository;
use crate::sandbox::directory::Directory;
use crate::sandbox::kubectl::Kubectl;
use crate::sandbox::platform::Platform;
use crate::sandbox::programs::Programs;
use crate::sandbox::progress::{Display, End, View};
use crate::sandbox::stage::Stage;
use crate::sandbox::supervisor::Supervisor;
use crate::sandbox::watch::{Event, Watch};
use crate::sandbox::ways::Ways;

pub(crate) use prometheus::URL as PROMETHEUS_URL;

/// The platform that is applied when none is named.
const EXAMPLE: &str = "manifests/examples/sandbox.yaml";

/// How often the processes are looked at while nothing happens.
const TICK: Duration = Duration::from_millis(500);

/// Arguments of `cargo xtask sandbox`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Subcommand>,
    #[command(flatten)]
    up: UpArguments,
}

#[derive(clap::Subcommand)]
enum Subcommand {
    /// Stop a sandbox, keeping its logs
    Down(DownArguments),
}

#[derive(clap::Args)]
struct UpArguments {
    /// The platform to apply; its endpoint is replaced by the simulator's [default: manifests/examples/sandbox.yaml]
    #[arg(long, value_name = "FILE")]
    platform: Option<PathBuf>,
    /// Return when the platform is Ready, or as far as it is built, and leave the sandbox running
    #[arg(long)]
    detach: bool,
    /// Start no operator, but say how to run one yourself, in a debugger for instance; with --detach, return at once
    #[arg(long)]
    without_operator: bool,
    /// Run a Prometheus, too, once the platform is Ready, for `cargo xtask badges`; needs Debian's package prometheus
    #[arg(long, conflicts_with = "without_operator")]
    prometheus: bool,
    /// Where the sandbox keeps its files [default: target/sandbox]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// By how much the simulated latencies are shorter than real ones
    #[arg(long, value_name = "N", default_value_t = 20.0, value_parser = time_scale)]
    time_scale: f64,
    /// With --detach: give up, and stop everything, when the platform is not Ready after this long
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    timeout: u64,
}

#[derive(clap::Args)]
struct DownArguments {
    /// The sandbox's directory [default: target/sandbox]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

fn time_scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "write a number, such as 20".to_owned())?;
    if scale.is_finite() && scale > 0.0 {
        Ok(scale)
    } else {
        Err("write a number above 0, such as 20; 1 is as slow as the real thing".to_owned())
    }
}

/// `cargo xtask sandbox`.
///
/// # Errors
/// When something that it needs can't be had, or the platform does not come up. Then nothing is left running.
pub(crate) fn run(repository: &Repository, arguments: &Arguments) -> Result<(), Error> {
    match &arguments.command {
        Some(Subcommand::Down(down)) => stop(repository, down),
        None => live(repository, &arguments.up),
    }
}

fn path(repository: &Repository, given: Option<&PathBuf>) -> Result<PathBuf, Error> {
    match given {
        Some(path) => Ok(path.clone()),
        None => Ok(repository.metadata()?.target_directory()?.join("sandbox")),
    }
}

/// The ways into the sandbox that runs in a directory.
///
/// # Errors
/// When none runs there.
pub(crate) fn ways<'tools>(
    repository: &Repository,
    given: Option<&PathBuf>,
    programs: &'tools Programs,
) -> Result<Ways<'tools>, Error> {
    Ways::into(path(repository, given)?, programs)
}

fn stop(repository: &Repository, arguments: &DownArguments) -> Result<(), Error> {
    let path = path(repository, arguments.dir.as_ref())?;
    if !path.exists() {
        println!("nothing was running; there is no {}", path.display());
        return Ok(());
    }
    let directory = Directory::find(&path)?;
    let was_running = processes::any(&directory);
    processes::stop(&directory)?;
    let outcome = if was_running { "stopped" } else { "nothing was running" };
    println!("{outcome}; logs are in {}", directory.path("logs").display());
    Ok(())
}

/// One sandbox's life, as far as this command is with it.
fn live(repository: &Repository, arguments: &UpArguments) -> Result<(), Error> {
    if !cfg!(target_os = "linux") {
        return Err(Error::OnlyLinux);
    }
    let programs = Programs::build(repository)?;
    let path = path(repository, arguments.dir.as_ref())?;
    within(&path, |supervisor| up(repository, arguments, &programs, supervisor))
}

/// Lets `act` start processes in a directory that no other sandbox uses, and stops them however it ends, unless it says
/// that they are to be left.
fn within(path: &Path, act: impl FnOnce(&mut Supervisor) -> Result<Left, Error>) -> Result<(), Error> {
    let directory = Directory::make(path)?;
    let _held = directory.lock()?;
    if processes::any(&directory) {
        return Err(Error::SandboxRuns { directory: directory.root().to_owned() });
    }
    directory.renew()?;
    let mut supervisor = Supervisor::of(&directory)?;
    let lived = match act(&mut supervisor) {
        Ok(Left::Running) => return Ok(()),
        Ok(Left::ToBeStopped) => Ok(()),
        Err(_) if supervisor.was_interrupted() => Err(Error::Interrupted),
        Err(error) => Err(error),
    };
    eprintln!("==> stopping");
    processes::stop(&directory)?;
    lived
}

/// What is to become of a sandbox that is done with.
enum Left {
    Running,
    ToBeStopped,
}

fn up(
    repository: &Repository,
    arguments: &UpArguments,
    programs: &Programs,
    supervisor: &mut Supervisor,
) -> Result<Left, Error> {
    let directory = supervisor.directory().clone();
    let stage = Stage::set(supervisor, repository, programs, arguments.time_scale)?;
    if !arguments.without_operator {
        stage.start_operator(supervisor, programs)?;
    }

    let example = repository.path(EXAMPLE);
    let file = arguments.platform.as_ref().unwrap_or(&example);
    let platform = stage.read(file)?;
    eprintln!("==> platform {} from {}", platform.name(), file.display());
    if let Some(lack) = platform.kubernetes().map(|version| programs.lack(version)).transpose()?.flatten() {
        eprintln!("==> {lack}");
    }
    stage.apply(&platform)?;

    if arguments.without_operator {
        print!("{}", access::run_operator(&stage.operator(programs)));
        if arguments.detach {
            return Ok(Left::Running);
        }
    }
    let mut following = Following::start(supervisor, stage.kubectl(), &platform)?;
    let limit = arguments.detach.then(|| Duration::from_secs(arguments.timeout));
    let end = following.until_end(limit)?;
    access::fetch(stage.kubectl(), &platform, &directory)?;
    let seconds = following.since.elapsed().as_secs_f64();
    match end {
        End::Ready => eprintln!("==> Ready {seconds:.1} s after it was applied"),
        End::NotImplemented(what) => eprintln!("==> a cluster {seconds:.1} s after it was applied; {what}"),
    }
    if arguments.prometheus {
        prometheus::start(following.supervisor)?;
    }
    print!("{}", access::look_around(&platform, &directory, &programs.kube_program(), arguments.detach));
    if arguments.detach {
        return Ok(Left::Running);
    }
    match following.until_interrupted() {
        Err(Error::Interrupted) => Ok(Left::ToBeStopped),
        // `cargo xtask sandbox down` from another shell ends all of them.
        Err(Error::Ended { .. }) if processes::is_stopping(&directory) => Ok(Left::ToBeStopped),
        Err(error) => Err(error),
        Ok(never) => match never {},
    }
}

/// A platform that is being followed.
struct Following<'sandbox> {
    supervisor: &'sandbox mut Supervisor,
    kubectl: &'sandbox Kubectl<'sandbox>,
    platform: &'sandbox Platform,
    watch: Watch,
    view: View,
    display: Display,
    /// When it was applied.
    since: Instant,
}

impl<'sandbox> Following<'sandbox> {
    fn start(
        supervisor: &'sandbox mut Supervisor,
        kubectl: &'sandbox Kubectl<'sandbox>,
        platform: &'sandbox Platform,
    ) -> Result<Self, Error> {
        let since = Instant::now();
        let watch = watch(supervisor, kubectl, platform)?;
        Ok(Self { supervisor, kubectl, platform, watch, view: View::default(), display: Display::new(since), since })
    }

    /// Shows what happens until the platform has come as far as it can, for at most `limit`.
    fn until_end(&mut self, limit: Option<Duration>) -> Result<End, Error> {
        loop {
            if let Some(end) = self.view.end() {
                self.display.rest();
                return Ok(end);
            }
            if limit.is_some_and(|limit| self.since.elapsed() > limit) {
                let waiting_for = self.view.waiting_for().unwrap_or("nothing yet");
                return Err(Error::NotReady {
                    what: format!("the platform {} (it waits for: {waiting_for})", self.platform.name()),
                    seconds: self.since.elapsed().as_secs(),
                    logs: self.supervisor.directory().path("logs"),
                });
            }
            self.follow()?;
        }
    }

    /// Goes on showing what happens.
    fn until_interrupted(&mut self) -> Result<std::convert::Infallible, Error> {
        self.display = Display::new(self.since);
        loop {
            self.follow()?;
        }
    }

    fn follow(&mut self) -> Result<(), Error> {
        match self.supervisor.next(TICK)? {
            None => {}
            Some(Event::WatchEnded(id)) if self.watch.has(id) => {
                self.watch = watch(self.supervisor, self.kubectl, self.platform)?;
            }
            Some(Event::Unreadable(problem)) => {
                return Err(Error::Answer { command: "kubectl get --watch".to_owned(), problem });
            }
            Some(event) => {
                self.view.see(event);
                self.display.show(&self.view);
            }
        }
        Ok(())
    }
}

fn watch(supervisor: &Supervisor, kubectl: &Kubectl<'_>, platform: &Platform) -> Result<Watch, Error> {
    let which = (platform.namespace(), platform.name());
    Watch::start(kubectl, supervisor.directory(), which, &supervisor.sender())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_scale_is_a_number_above_zero() {
        assert_eq!(time_scale("20"), Ok(20.0));
        for wrong in ["0", "-1", "inf", "NaN", "fast"] {
            assert!(time_scale(wrong).unwrap_err().contains("such as 20"), "{wrong}");
        }
    }
}
