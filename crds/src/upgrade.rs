//! How machines are changed: the pace of upgrades, and when an unhealthy machine is replaced.
//!
//! Control planes are never disrupted more than one at a time, whatever is written here.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Pace of rolling changes that disrupt machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upgrade {
    /// Most workers of a pool that are disrupted at once, a number or a share of the pool. Default: `1`. Example: `25%`.
    #[serde(default = "default_max_unavailable")]
    #[x_kube(validation = Rule::new("string(self).matches('^([1-9][0-9]{0,3}|([1-9]|[1-9][0-9]|100)%)$')")
        .message("is neither a positive number nor a share: write for example 1 or \"25%\""))]
    pub max_unavailable: IntOrString,
    /// Longest time that pods get to leave a node, in seconds. Default: `300`. Example: `900`.
    #[serde(default = "default_drain_timeout_seconds")]
    #[schemars(range(min = 1, max = 86400))]
    pub drain_timeout_seconds: u32,
    /// Weekly or daily time in which disrupting changes may begin, in UTC. Default: any time. Example: `Sat 02:00-05:00
    /// UTC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^(Mon|Tue|Wed|Thu|Fri|Sat|Sun|Daily) ([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9] UTC$')")
        .message("is not a maintenance window: write a day (or Daily), a span and UTC, for example Sat 02:00-05:00 UTC"))]
    pub window: Option<String>,
}

fn default_max_unavailable() -> IntOrString {
    IntOrString::Int(1)
}

fn default_drain_timeout_seconds() -> u32 {
    300
}

impl Default for Upgrade {
    fn default() -> Self {
        Self {
            max_unavailable: default_max_unavailable(),
            drain_timeout_seconds: default_drain_timeout_seconds(),
            window: None,
        }
    }
}

/// When machines that stay unhealthy are replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Remediation {
    /// Whether unhealthy machines are replaced at all. Default: `true`. Example: `false`.
    #[serde(default = "default_remediation_enabled")]
    pub enabled: bool,
    /// How long a machine must be unhealthy before it is replaced, in seconds. Default: `300`. Example: `900`.
    #[serde(default = "default_unhealthy_after_seconds")]
    #[schemars(range(min = 1, max = 86400))]
    pub unhealthy_after_seconds: u32,
    /// Most machines of a pool, a number or a share, that may be unhealthy with remediation going on: beyond it the cause is
    /// elsewhere. Default: `40%`. Example: `2`.
    #[serde(default = "default_max_unhealthy")]
    #[x_kube(validation = Rule::new("string(self).matches('^([0-9]|[1-9][0-9]{1,3}|([0-9]|[1-9][0-9]|100)%)$')")
        .message("is neither a number nor a share: write for example 2 or \"40%\""))]
    pub max_unhealthy: IntOrString,
}

fn default_remediation_enabled() -> bool {
    true
}

fn default_unhealthy_after_seconds() -> u32 {
    300
}

fn default_max_unhealthy() -> IntOrString {
    IntOrString::String("40%".to_owned())
}

impl Default for Remediation {
    fn default() -> Self {
        Self {
            enabled: default_remediation_enabled(),
            unhealthy_after_seconds: default_unhealthy_after_seconds(),
            max_unhealthy: default_max_unhealthy(),
        }
    }
}
