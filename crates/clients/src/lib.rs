//! The real implementations of the engine's seams: Hetzner's API, Talos' API, the Kubernetes
//! APIs and S3-compatible object stores.
//!
//! Each module is thin: it turns one call of a seam into the requests that make it up and the answers into facts or
//! typed errors. Nothing is decided, retried or remembered here; that is the engine's and the plan's.

pub mod hetzner;
pub mod kube;
mod public_tls;
pub mod s3;
pub mod talos;
