//! Hetzner's side of the simulator: the 24 behaviours of the contract, by number, the published document, independent
//! clients, and the object store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod contract;
mod fixture;
mod hcloud_client;
mod load_balancers;
mod networks;
mod object_store;
mod program;
mod resources;
mod servers;
mod wire;
