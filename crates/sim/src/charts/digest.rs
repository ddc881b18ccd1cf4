//! SHA-256 as registries and indexes write it.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// In hex digits.
pub(super) fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// With the algorithm's name before it.
pub(super) fn named(content: &[u8]) -> String {
    format!("sha256:{}", hex(content))
}
