//! Kubernetes: the management cluster as the store and the source of tokens, and the workload clusters that platforms
//! are.
//!
//! No controller and no watch is here: those belong to the operator.

mod bucket_credentials;
mod failure;
mod inside;
mod intents;
mod names;
mod nodes;
mod pods;
mod receipt;
mod record;
mod store;
mod token;
mod workload;

pub(crate) use bucket_credentials::read_bucket_credentials;
pub use intents::intents;
pub use store::SecretStore;
pub use token::{TokenError, read_token};
pub use workload::WorkloadClients;
