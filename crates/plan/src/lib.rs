//! The pure core of Helix: from a specification and observed facts to the next steps.
//!
//! Everything that Helix decides is decided here, by total, deterministic, synchronous functions. The crate knows no
//! client, clock, randomness, file or environment; `cargo xtask tidy` holds its dependency tree against an allow-list.
//!
//! The way through the crate is the way of one turn of the engine:
//! [`validated`] (a specification that may be acted on) and [`observed`] (facts with their age) go into [`plan()`],
//! which asks each concern in [`phases`] and yields a [`Plan`] of independent [`step`]s with a [`report`]; [`check`]
//! is the second opinion on it, [`forecast`] plays it forward to show the whole way. What runs in the cluster is in
//! [`components`], and may talk to only whom [`policy`] names.

pub mod approval;
pub mod badges;
pub mod catalogue;
pub mod check;
pub mod components;
pub mod cost;
pub mod data_gate;
pub mod disruption;
pub mod endpoints;
pub mod farewell;
pub mod forecast;
pub mod gitops;
pub mod guard;
pub mod inside;
pub mod mesh;
pub mod names;
pub mod observed;
pub mod owned;
pub mod phases;
mod plan;
pub mod policy;
pub mod quorum;
#[cfg(test)]
mod reference;
pub mod render;
pub mod report;
pub mod schematic;
pub mod secrets;
pub mod step;
pub mod sweep;
pub mod validated;
pub mod versions;

pub use plan::{Look, Plan, PlanItem, SWEEP, plan, plan_teardown};
