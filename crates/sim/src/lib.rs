//! What stands in for the outside: Hetzner's API, the machines that boot there, and what runs in them.
//!
//! [`world`] is the state machine, pure and seeded; [`clock`] drives it by wall time; [`hetzner`], [`s3`],
//! [`charts`], [`netbird`], [`github`] and [`load_balancer`] give it sockets; [`control`] lets a test reach in. Nothing here shares a wire type with Helix' own clients: what both
//! had wrong would look right.

pub mod charts;
pub mod clock;
pub mod control;
pub mod faults;
pub mod github;
pub mod hetzner;
mod http_faults;
mod http_server;
pub mod inprocess;
pub mod kubernetes;
pub mod lease;
pub mod lives;
pub mod load_balancer;
pub mod netbird;
pub mod s3;
pub mod simulator;
pub mod talos;
pub mod world;
