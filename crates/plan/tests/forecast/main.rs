//! The planner played forward: golden scenarios (a script in, a plan out) and properties over random platforms.

// Helpers of a test fail the way tests do, and golden files are files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod golden;
mod inside;
mod listing;
mod loss;
mod properties;
mod random;
mod single;
