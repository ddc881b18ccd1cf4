//! Hetzner's side of the simulator: the 24 behaviours of the contract, by number, the published document, and an
//! independent client.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod contract;
mod fixture;
mod hcloud_client;
mod load_balancers;
mod networks;
mod program;
mod resources;
mod servers;
mod wire;
