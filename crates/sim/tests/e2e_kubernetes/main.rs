//! Real etcd members and real API servers behind simulated machines, from the configurations that Talos' own generator
//! made: they come up, join, register their nodes, hang, lose power, leave and come back.
//!
//! It needs the program `kube` (`cargo xtask test` builds it) and the reference data beside the repository.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod argo_cd;
mod control_planes;
mod day_two;
#[allow(dead_code, reason = "some of it only the tests of the API use")]
#[path = "../talos/lab.rs"]
mod lab;
mod members;
mod operators;
mod processes;
#[allow(dead_code, reason = "some of it only the tests of the charts use")]
#[path = "../support/rendered.rs"]
mod rendered;
mod rotation;
