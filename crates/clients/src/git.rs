//! Git repositories: the engine's [`Git`](helix_engine::seams::Git) by the `git` program.
//!
//! One bare repository for each URL is kept in a directory of the operator's own; it holds what was fetched last, and
//! can be thrown away at any time. Nothing is ever checked out: files are read from it and written to it as objects.
//!
//! The program starts with an environment of ours, asks nobody, reads no configuration but what it is given, follows no
//! redirection and is bounded in time and in what it says. Credentials reach it by `GIT_ASKPASS` and the environment:
//! they are in no argument, no URL and no file.
//!
//! Deliberately absent: keys of SSH and GitHub Apps, pull requests, signatures.

mod answer;
mod commit;
mod credentials;
mod program;
mod repositories;
mod snapshot;

pub use credentials::Credentials;
pub use repositories::{GitRepositories, SetUpError};
