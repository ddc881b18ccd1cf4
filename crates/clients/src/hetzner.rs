//! Hetzner Cloud's API under one token: the engine's [`Cloud`] on HTTP.
//!
//! Every request draws on the token's shared budget before it goes out and feeds it with what its answer says. A
//! mutation is sent once: whether to send it again is for the engine, which looks first.
//!
//! Deliberately absent: waiting for actions (the next look shows their effect), retries, caches of resources.

mod actions;
mod adoptees;
mod catalogue;
mod cloud;
mod connect;
#[cfg(test)]
mod contract;
mod error;
mod firewalls;
mod images;
mod load_balancers;
mod networks;
mod paging;
mod placement_groups;
mod request;
mod servers;
mod ssh_keys;
mod transport;
mod volumes;
mod wire;
mod zones;

pub use connect::{ConnectError, Connection, Projects};
use transport::Transport;

/// The endpoint of Hetzner's public cloud.
pub const PUBLIC_ENDPOINT: &str = "https://api.hetzner.cloud/v1";

/// One project at Hetzner, as its token shows it. Made by [`Projects::connect`], so that one token has one budget.
#[derive(Debug)]
pub struct HetznerProject {
    transport: Transport,
}
