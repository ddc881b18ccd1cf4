//! Whole lives of platforms on the in-process world, by the thousand: `cargo xtask sim`.
//!
//! A life is drawn from a seed: what is asked for, how that changes, and what goes wrong meanwhile. Everything is told by
//! the seed, so a failure is repeated by naming it. [`watch`] holds the world against [`invariants`] before and after
//! every call; [`story`] drives a life; [`scenarios`] are the scripts; [`run`] plays one of them with one seed.
//!
//! What it cannot show is what the in-process world cannot: see [`crate::inprocess`].

pub mod adversity;
pub mod codes;
pub mod invariants;
mod picture;
pub mod run;
pub mod scenarios;
pub mod spec;
pub mod story;
pub mod watch;
