//! Which Talos and which Kubernetes run on the machines.
//!
//! Whether a pair is supported, and whether the way to it skips a minor version, is judged by the planner.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Versions of the operating system and of Kubernetes; changing one is a rolling upgrade in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Versions {
    /// Talos version with a leading `v`. Default: `v1.13.9`. Example: `v1.13.9`.
    #[serde(default = "default_talos")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^v[0-9]+[.][0-9]+[.][0-9]+$')")
        .message("is not a release version: write it as vX.Y.Z, for example v1.13.9"))]
    pub talos: String,
    /// Kubernetes version with a leading `v`; Talos 1.13 runs 1.31 to 1.36. Default: `v1.36.3`. Example: `v1.35.9`.
    #[serde(default = "default_kubernetes")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^v[0-9]+[.][0-9]+[.][0-9]+$')")
        .message("is not a release version: write it as vX.Y.Z, for example v1.36.3"))]
    pub kubernetes: String,
}

fn default_talos() -> String {
    "v1.13.9".to_owned()
}

fn default_kubernetes() -> String {
    "v1.36.3".to_owned()
}

impl Default for Versions {
    fn default() -> Self {
        Self { talos: default_talos(), kubernetes: default_kubernetes() }
    }
}
