//! The real implementations of the engine's seams: Hetzner's API, Talos' API and the Kubernetes
//! APIs.
//!
//! Each module is thin: it turns one call of a seam into the requests that make it up and the answers into facts or
//! typed errors. Nothing is decided, retried or remembered here; that is the engine's and the plan's.

pub mod hetzner;
pub mod kube;
pub mod talos;
