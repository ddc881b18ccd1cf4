//! Talos' API over real sockets: TLS, roles, routing and the numbered behaviours that a client can see. The machines
//! are those of the model; `e2e_kubernetes` has the real processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod authentication;
mod calls;
mod lab;
mod protos;
mod streams;
