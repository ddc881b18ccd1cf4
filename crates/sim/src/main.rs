//! `helix-sim`: the simulator as a program. It prints where it listens into two files and runs until it is told to stop.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use helix_sim::simulator::{
    CONTROL_FILE, ENVIRONMENT_FILE, MachineOptions, OBJECT_STORAGE_FILE, Options, Simulator, StartError,
};
use helix_sim::world::{TimeScale, WorldConfig};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A simulator of Hetzner's API and of the machines that boot there.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Where to write hetzner.env (endpoint and token), object-storage.env (endpoint, bucket and key pair), control.json,
    /// and what the machines keep.
    #[arg(long)]
    dir: PathBuf,
    /// Divides simulated latencies: 20 makes 20 seconds one.
    #[arg(long, default_value = "1", value_parser = time_scale)]
    time_scale: TimeScale,
    /// Where Hetzner's API listens; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_parser = loopback)]
    listen: SocketAddr,
    /// The program that is etcd and Kubernetes by its first argument; without it machines have no sockets. Once more for
    /// each further version of Kubernetes that machines may run.
    #[arg(long)]
    kube: Vec<PathBuf>,
    /// Where all chance comes from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Requests per hour that a token may make.
    #[arg(long, default_value_t = 3600)]
    requests_per_hour: u32,
}

fn time_scale(text: &str) -> Result<TimeScale, String> {
    let divisor = text.parse().ok().and_then(TimeScale::new);
    divisor.ok_or_else(|| "write a positive number, as in 20".to_owned())
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "write ADDRESS:PORT, as in 127.0.0.1:0".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("only loopback addresses are served: nothing here is protected from the network".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the simulator can't run");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let options = Options {
        world: WorldConfig {
            seed: arguments.seed,
            time_scale: arguments.time_scale,
            requests_per_hour: arguments.requests_per_hour,
            ..WorldConfig::default()
        },
        listen: arguments.listen,
        machines: (!arguments.kube.is_empty())
            .then(|| MachineOptions { dir: arguments.dir.clone(), kube: arguments.kube }),
    };
    prepare(&arguments.dir)?;
    let simulator = Simulator::start(options).await?;
    let written = simulator.write_files(&arguments.dir);
    if written.is_ok() {
        tracing::info!(endpoint = simulator.endpoint, control = simulator.control, "the simulator listens");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
    simulator.stop().await;
    written
}

/// Makes the directory, without what an earlier run wrote: whoever waits for the files must not find stale ones.
fn prepare(dir: &Path) -> Result<(), StartError> {
    let unusable = |source| StartError::Write { path: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(unusable)?;
    for name in [ENVIRONMENT_FILE, OBJECT_STORAGE_FILE, CONTROL_FILE] {
        match std::fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(error)),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
