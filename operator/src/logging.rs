//! Structured logs on standard error, as JSON for machines or as text for people.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::options::LogFormat;

/// What is logged where `RUST_LOG` says nothing. That a cluster does not answer is a fact, which the engine reports in
/// the platform's status; the client's own errors about it would only say it again at each attempt. The controller's
/// span says less than that of a pass.
const DEFAULT_FILTER: &str = "info,kube_client::client::builder=off,kube_runtime=warn";

/// Starts logging, at `info` where `RUST_LOG` says nothing else. Later calls change nothing.
pub fn logging(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that somebody else logs already, and then that is what was wanted.
    let _ = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        LogFormat::Pretty => lines.try_init(),
    };
}
