//! Where the real Helm is.

use std::path::PathBuf;

/// The real one, or `None` (with a word about it) where it has not been built.
pub(crate) fn helm() -> Option<PathBuf> {
    match std::env::var_os("HELIX_HELM") {
        Some(helm) => Some(PathBuf::from(helm)),
        None if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("CI must set HELIX_HELM"),
        None => {
            eprintln!("this test needs HELIX_HELM (`cargo xtask test` sets it) and has checked nothing");
            None
        }
    }
}
