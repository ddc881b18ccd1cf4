//! The machines of a platform: its control planes, its worker pools and the endpoint in front of the API servers.
//!
//! Which server type exists where, and which is sold out, is seen by the planner.

mod endpoint;
mod machines;

pub use endpoint::{Endpoint, EndpointType};
pub use machines::{
    Autoscale, ControlPlane, MachineConfigPatch, Placement, PoolStorage, Spread, Taint, TaintEffect, WorkerPool,
};
