//! Texts that a platform is made with, rendered from decided inputs: machine configurations and client configurations; and
//! [`diagram`], the platform as a picture.
//!
//! Pure: no clock, no randomness, no file. What is secret comes out wrapped in [`crate::secrets::Secret`].

pub mod client_config;
pub mod diagram;
pub mod machine_config;
