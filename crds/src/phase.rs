//! The six phases in their order, and the states a phase can be in.
//!
//! What makes a phase Ready is decided by the planner; here are only the names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A phase of the platform, ordered as they are built: `HardenedCore`, `ImmutableSubstrate`, `SecurityWeave`,
/// `GitOpsControlPlane`, `StateAndDataHa`, `AiAgentic`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PhaseName {
    /// Secret bundle, network, firewalls, placement groups, API load balancer, image.
    HardenedCore,
    /// Servers, machine configs, etcd, nodes.
    ImmutableSubstrate,
    /// Cilium with default-deny, mesh, ingress, single sign-on.
    SecurityWeave,
    /// Argo CD and the user's repository.
    GitOpsControlPlane,
    /// Longhorn, PostgreSQL, Redis, backups.
    StateAndDataHa,
    /// Models, agents and a browser behind an egress allow-list.
    #[default]
    AiAgentic,
}

impl PhaseName {
    /// All phases, first to last.
    pub const ALL: [Self; 6] = [
        Self::HardenedCore,
        Self::ImmutableSubstrate,
        Self::SecurityWeave,
        Self::GitOpsControlPlane,
        Self::StateAndDataHa,
        Self::AiAgentic,
    ];

    /// The name as it is written in specs, conditions and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HardenedCore => "HardenedCore",
            Self::ImmutableSubstrate => "ImmutableSubstrate",
            Self::SecurityWeave => "SecurityWeave",
            Self::GitOpsControlPlane => "GitOpsControlPlane",
            Self::StateAndDataHa => "StateAndDataHa",
            Self::AiAgentic => "AiAgentic",
        }
    }
}

impl fmt::Display for PhaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// State of a phase: `Pending`, `Progressing`, `Ready`, `Blocked`, `Unknown` or `NotRequested`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PhaseState {
    /// An earlier phase isn't Ready yet.
    #[default]
    Pending,
    /// Work is under way or being waited for.
    Progressing,
    /// Everything that is asked for was seen, freshly.
    Ready,
    /// Only a person can go on; the phase's condition says how.
    Blocked,
    /// What is needed to judge could not be observed.
    Unknown,
    /// Later than `spec.untilPhase`, or nothing of it is asked for.
    NotRequested,
}

impl PhaseState {
    /// The state as it is written in status and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Progressing => "Progressing",
            Self::Ready => "Ready",
            Self::Blocked => "Blocked",
            Self::Unknown => "Unknown",
            Self::NotRequested => "NotRequested",
        }
    }
}

impl fmt::Display for PhaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::PhaseName;

    #[test]
    fn phases_are_ordered_as_they_are_built() {
        assert!(PhaseName::ALL.is_sorted());
        assert_eq!(PhaseName::ALL.last().copied(), Some(PhaseName::default()));
    }

    #[test]
    fn a_phase_is_written_as_it_is_named() {
        for phase in PhaseName::ALL {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.to_string());
        }
    }
}
