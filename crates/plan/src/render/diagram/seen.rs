//! What was last seen of a platform, as its status and its machines tell it: what a diagram is coloured by.

use std::collections::BTreeMap;

use helix_crds::{HelixMachine, HelixPlatformStatus, PhaseName, PhaseState};

/// A colour that says how something is. The word stands beside it: nobody has to tell colours apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// As specified.
    Ready,
    /// Under way.
    Progressing,
    /// Somebody has to act.
    Blocked,
    /// Not seen, not begun, or not asked for.
    Unknown,
}

impl Mark {
    pub(super) const ALL: [Self; 4] = [Self::Ready, Self::Progressing, Self::Blocked, Self::Unknown];

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Progressing => "progressing",
            Self::Blocked => "blocked",
            Self::Unknown => "unknown",
        }
    }

    /// Dark text on a light ground, whichever theme is around it; every pair has a contrast of 7 to 1 or more.
    pub(super) fn style(self) -> &'static str {
        match self {
            Self::Ready => "fill:#d3f2dc,stroke:#1a7f37,color:#04260f",
            Self::Progressing => "fill:#dbeafe,stroke:#1d4ed8,color:#0b1f4d",
            Self::Blocked => "fill:#ffdcd7,stroke:#b42318,color:#470c06,stroke-width:3px",
            Self::Unknown => "fill:#e7e9ec,stroke:#57606a,color:#1f2328,stroke-dasharray:4 3",
        }
    }

    fn of(state: PhaseState) -> Self {
        match state {
            PhaseState::Ready => Self::Ready,
            PhaseState::Progressing => Self::Progressing,
            PhaseState::Blocked => Self::Blocked,
            PhaseState::Pending | PhaseState::Unknown | PhaseState::NotRequested => Self::Unknown,
        }
    }
}

/// How a phase was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenPhase {
    pub(super) mark: Mark,
    /// Its state, and what it waits for.
    pub(super) words: Vec<String>,
}

/// How a machine was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenMachine {
    pub(super) pool: String,
    pub(super) location: Option<String>,
    pub(super) server_type: Option<String>,
    pub(super) mark: Mark,
    pub(super) words: String,
}

/// What was last seen of a platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    phases: BTreeMap<PhaseName, SeenPhase>,
    pub(super) machines: BTreeMap<String, SeenMachine>,
}

impl Seen {
    /// As the operator wrote it down; without a status nothing was seen.
    #[must_use]
    pub fn of(status: Option<&HelixPlatformStatus>, machines: &[HelixMachine]) -> Self {
        let phases = status.map(|status| status.phases.as_slice()).unwrap_or_default();
        let phase = |it: &helix_crds::PhaseStatus| {
            let state = it.state.to_string();
            let words = [state].into_iter().chain(it.message.clone()).collect();
            (it.name, SeenPhase { mark: Mark::of(it.state), words })
        };
        Self {
            phases: phases.iter().map(phase).collect(),
            machines: machines.iter().filter_map(|it| Some((it.metadata.name.clone()?, seen_machine(it)))).collect(),
        }
    }

    /// How a phase was seen; nothing is known of one that the status does not have.
    pub(super) fn phase(&self, name: PhaseName) -> SeenPhase {
        let unseen = || SeenPhase { mark: Mark::Unknown, words: vec!["not seen yet".to_owned()] };
        self.phases.get(&name).cloned().unwrap_or_else(unseen)
    }
}

fn seen_machine(machine: &HelixMachine) -> SeenMachine {
    let status = machine.status.clone().unwrap_or_default();
    let (mark, word) = match (status.ready, &status.state) {
        (true, _) => (Mark::Ready, "ready".to_owned()),
        (false, Some(state)) => (Mark::Progressing, state.clone()),
        (false, None) => (Mark::Unknown, "not seen yet".to_owned()),
    };
    SeenMachine {
        pool: machine.spec.pool.clone(),
        location: status.location,
        server_type: status.server_type,
        mark,
        words: if status.held && status.ready { format!("{word}, held") } else { word },
    }
}
