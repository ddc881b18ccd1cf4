//! The operator: watches `HelixPlatform`s in a management cluster and turns the engine for each of them.
//!
//! Nothing is decided here about a platform: decisions are `helix-plan`'s. What is the operator's own is when to look
//! (watches, requeues, one pass at a time per platform), who may look (the lease), and how it is told (status,
//! `HelixMachine`s, events, metrics, logs). The parts that are public are so for the program and for tests.

mod clock;
mod controller;
mod error;
mod events;
mod finalizer;
mod kept;
pub mod lease;
mod logging;
mod machines;
mod metrics;
mod operator;
mod options;
mod orphans;
mod pass;
mod projects;
mod run;
mod server;
mod status;

pub use error::StartError;
pub use logging::logging;
pub use options::{LogFormat, Options};
pub use run::run;
