//! Kubernetes: the management cluster as the store and the source of tokens, and the workload clusters that platforms
//! are, with the objects that components are made of.
//!
//! No controller and no watch is here: those belong to the operator.

mod applications;
mod bucket_credentials;
mod data;
mod failure;
mod git_credentials;
mod inside;
mod intents;
mod names;
mod nodes;
mod objects;
mod pods;
mod receipt;
mod record;
mod secret_keys;
mod store;
mod suite;
mod token;
mod workload;

pub(crate) use bucket_credentials::read_bucket_credentials;
pub(crate) use git_credentials::read_git_credentials;
pub use intents::intents;
pub use store::SecretStore;
pub use suite::{Seen, SuiteFacts, client_of, suite, warnings};
pub use token::{TokenError, read_token};
pub use workload::WorkloadClients;
