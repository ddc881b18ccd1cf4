//! Hetzner's side of the simulator: the 24 behaviours of the contract, by number, the published document, and an
//! independent client.

mod contract;
mod fixture;
mod hcloud_client;
mod load_balancers;
mod networks;
mod resources;
mod servers;
mod wire;
