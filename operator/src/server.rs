//! `/healthz`, `/readyz` and `/metrics` over plain HTTP, for the kubelet and for Prometheus. Nothing can be changed here.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::StartError;
use crate::metrics::Metrics;

/// What a scrape answers with.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How far the operator has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// The resources have not been listed yet.
    Starting,
    /// Another replica leads.
    StandingBy,
    /// The resources were listed; platforms are being looked after.
    Working,
}

/// The stage, as `/readyz` tells it.
#[derive(Debug, Default)]
pub(crate) struct Readiness(AtomicU8);

impl Readiness {
    pub(crate) fn reached(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Release);
    }

    fn answer(&self) -> (StatusCode, &'static str) {
        match self.0.load(Ordering::Acquire) {
            stage if stage == Stage::Working as u8 => (StatusCode::OK, "working\n"),
            stage if stage == Stage::StandingBy as u8 => (StatusCode::OK, "standing by for the lease\n"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "the resources have not been listed yet\n"),
        }
    }
}

/// Listens, and tells where: in the log and, if asked for, in a file that appears as a whole.
pub(crate) async fn listen(address: SocketAddr, file: Option<&Path>) -> Result<TcpListener, StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!(address = %bound, "serving /healthz, /readyz and /metrics");
    if let Some(path) = file {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let written = tokio::fs::write(&partial, format!("{bound}\n")).await;
        let renamed = match written {
            Ok(()) => tokio::fs::rename(&partial, path).await,
            Err(error) => Err(error),
        };
        renamed.map_err(|source| StartError::AddressFile { path: path.to_owned(), source })?;
    }
    Ok(listener)
}

/// Serves until it is told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|State(readiness): State<Arc<Readiness>>| async move { readiness.answer() }))
        .with_state(readiness)
        .route("/metrics", get(scrape).with_state(metrics));
    if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "/healthz, /readyz and /metrics are not served any more");
    }
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    match metrics.encode() {
        Ok(text) => Ok(([(CONTENT_TYPE, OPENMETRICS)], text)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics cannot be written: {error}\n"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_works_or_stands_by() {
        let readiness = Readiness::default();
        assert_eq!(readiness.answer().0, StatusCode::SERVICE_UNAVAILABLE);
        for stage in [Stage::StandingBy, Stage::Working] {
            readiness.reached(stage);
            assert_eq!(readiness.answer().0, StatusCode::OK);
        }
        readiness.reached(Stage::Starting);
        assert_eq!(readiness.answer().0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
