//! One turn of the engine: observe, plan, check, apply, report, over traits for everything outside.
//!
//! [`seams`] says what the engine needs of the world; the real implementations are in `helix-clients`, those on a
//! simulated world in `helix-sim`. [`turn`] is the loop's body. The engine decides nothing about platforms: decisions
//! are `helix-plan`'s.

mod actions;
mod apply;
pub mod budget;
mod components;
mod in_hand;
mod memory;
mod observe;
mod project;
mod report;
pub mod seams;
pub mod secrets;
pub mod snapshot;
pub mod sweep;
pub mod turn;

pub use components::request as chart_request;
pub use memory::Memory;
pub use project::Project;
