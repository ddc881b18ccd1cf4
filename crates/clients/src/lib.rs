//! The real implementations of the engine's seams: Hetzner's API, Talos' API, the Kubernetes
//! APIs, S3-compatible object stores, Helm's charts, repositories, NetBird's and GitHub's APIs and the system's resolver of
//! names; and Prometheus' and Grafana's APIs, of which badges tell.
//!
//! Each module is thin: it turns one call of a seam into the requests that make it up and the answers into facts or
//! typed errors. Nothing is decided or retried here; that is the engine's and the plan's. What is remembered (connections,
//! charts, the kinds of a cluster) saves calls and can be found out again.

pub mod charts;
pub mod git;
pub mod github;
pub mod grafana;
pub mod hetzner;
pub mod kube;
pub mod mirrors;
pub mod names;
pub mod netbird;
mod outbound;
pub mod prometheus;
pub mod s3;
pub mod talos;
mod telling;
