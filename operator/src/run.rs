//! From options to a running operator, and to its end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::controller;
use crate::error::StartError;
use crate::lease::{Candidate, Terms};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::server::{self, Readiness, Stage};

/// How long passes may go on after the operator was told to stop. What is cut off then, the next operator finds.
const GRACE: Duration = Duration::from_secs(8);

/// Name of the Lease.
const LEASE: &str = "helix-operator";

/// Runs the operator until SIGTERM or SIGINT, or until it may not lead any more.
///
/// # Errors
/// [`StartError`], with what to do about it.
pub async fn run(options: Options) -> Result<(), StartError> {
    // Fails only where a provider is installed already, and then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = stop_on_signals()?;
    let config = Config::infer().await.map_err(StartError::Config)?;
    let client = Client::try_from(config).map_err(StartError::Client)?;
    let listener = server::listen(options.listen, options.address_file.as_deref()).await?;
    let (metrics, readiness) = (Arc::new(Metrics::default()), Arc::new(Readiness::default()));
    let serving = CancellationToken::new();
    let server = tokio::spawn(server::serve(listener, Arc::clone(&readiness), Arc::clone(&metrics), serving.clone()));
    let outcome = elect_and_work(client, &options, metrics, readiness, stop).await;
    serving.cancel();
    // A scrape that hangs must not keep the operator.
    if tokio::time::timeout(Duration::from_secs(1), server).await.is_err() {
        tracing::debug!("a connection is cut off");
    }
    outcome
}

async fn elect_and_work(
    client: Client,
    options: &Options,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let work = controller::run(client.clone(), options, Arc::clone(&metrics), Arc::clone(&readiness), stop.clone())?;
    let work = until_stopped(work, stop.clone());
    if !options.leader_elect {
        metrics.leads(true);
        work.await;
        return Ok(());
    }
    let namespace = options.lease_namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let terms = Terms::of(Duration::from_secs(options.lease_seconds.into()));
    let mut candidate = Candidate::new(client, &namespace, LEASE, &options.identity, terms);
    readiness.reached(Stage::StandingBy);
    tokio::select! {
        () = candidate.campaign() => {}
        () = stop.cancelled() => return Ok(()),
    }
    tracing::info!(identity = options.identity, "leading");
    readiness.reached(Stage::Starting);
    metrics.leads(true);
    tokio::select! {
        lost = candidate.hold() => {
            metrics.leads(false);
            return Err(StartError::LeaseLost(lost));
        }
        () = work => {}
    }
    candidate.release().await;
    Ok(())
}

/// The work, and after the signal only so much more of it.
async fn until_stopped(work: impl Future<Output = ()>, stop: CancellationToken) {
    let grace = async {
        stop.cancelled().await;
        tracing::info!("stopping: passes under way are finished");
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = work => {}
        () = grace => tracing::warn!(seconds = GRACE.as_secs(), "passes are cut off"),
    }
}

fn stop_on_signals() -> Result<CancellationToken, StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(stop)
}
