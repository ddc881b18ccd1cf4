//! Structured logs on standard error, as JSON for machines or as text for people.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;

use crate::options::LogFormat;

/// Starts logging, at `info` where `RUST_LOG` says nothing else. Later calls change nothing.
pub fn logging(format: LogFormat) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that somebody else logs already, and then that is what was wanted.
    let _ = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        LogFormat::Pretty => lines.try_init(),
    };
}
