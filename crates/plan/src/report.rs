//! What a plan says about the platform: for each concern where it stands, as types that conditions, phase states and
//! messages are derived from. Nothing here decides; it only puts decisions into words.

mod block;
mod component;
mod extensions;
mod ports;
mod reach;
mod restore;
pub mod runbook;
mod wait;

use helix_crds::PhaseName;
use jiff::Timestamp;

pub use block::Block;
pub use component::Obstacle;
pub use extensions::ExtensionsMissing;
pub use ports::PortsOpen;
pub use reach::Reach;
pub use restore::{RestoreRefusal, WayBack};
pub use wait::Wait;

use crate::observed::Missing;
use crate::phases::Concern;

/// Something that was seen and that makes a concern done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What was seen, in words.
    pub what: String,
    /// When.
    pub observed_at: Timestamp,
}

/// Where a concern stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything is as specified, and was seen to be.
    Done(Vec<Evidence>),
    /// Steps for it are in this plan.
    Progressing,
    /// Something is under way that ends by itself.
    WaitingOn(Wait),
    /// It goes on only when somebody acts.
    Blocked(Block),
    /// What would tell could not be observed.
    Unknown(Missing),
}

/// The state of one concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcernReport {
    /// Which.
    pub concern: Concern,
    /// Where it stands.
    pub state: State,
}

impl ConcernReport {
    /// What it is blocked by, if it is.
    fn block(&self) -> Option<&Block> {
        match &self.state {
            State::Blocked(block) => Some(block),
            State::Done(_) | State::Progressing | State::WaitingOn(_) | State::Unknown(_) => None,
        }
    }
}

/// The states of all concerns, in the order of the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One entry for each concern.
    pub concerns: Vec<ConcernReport>,
}

/// A phase's state, derived from its concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhaseReport {
    /// The specification stops before it.
    NotRequested,
    /// An earlier phase is not Ready.
    Pending {
        /// The phase that comes first.
        after: PhaseName,
    },
    /// Work is under way.
    Progressing {
        /// The one thing that is waited for.
        message: String,
    },
    /// All concerns are done.
    Ready {
        /// What shows it.
        evidence: Vec<Evidence>,
    },
    /// It goes on only when somebody acts.
    Blocked {
        /// A stable word.
        reason: &'static str,
        /// Object, reason and remedy.
        message: String,
    },
    /// It could not be observed.
    Unknown {
        /// Why.
        message: String,
    },
}

impl PhaseReport {
    /// Whether the phase is Ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

impl Report {
    /// The state of one phase by itself, without regard to the phases before it. What is blocked is told before what
    /// could not be seen, and that before what is under way: the user should first read what only the user can change.
    #[must_use]
    pub fn phase(&self, phase: PhaseName) -> PhaseReport {
        let states = || self.concerns.iter().filter(|c| c.concern.phase() == phase && !c.concern.is_aside());
        let blocks: Vec<&Block> = states().filter_map(ConcernReport::block).collect();
        if let Some(first) = blocks.first() {
            return PhaseReport::Blocked { reason: first.reason(), message: block::listed(&blocks) };
        }
        if let Some(refusal) = states().find_map(|c| match &c.state {
            State::Unknown(missing @ Missing::Refused { .. }) => Some(missing),
            _ => None,
        }) {
            return PhaseReport::Blocked { reason: "AccessRefused", message: refusal.to_string() };
        }
        if let Some(missing) = states().find_map(|c| match &c.state {
            State::Unknown(missing) => Some(missing),
            _ => None,
        }) {
            return PhaseReport::Unknown { message: missing.to_string() };
        }
        let mut evidence = Vec::new();
        for concern in states() {
            match &concern.state {
                State::Done(seen) => evidence.extend(seen.iter().cloned()),
                State::WaitingOn(wait) => return PhaseReport::Progressing { message: wait.to_string() },
                State::Progressing => {
                    return PhaseReport::Progressing { message: format!("making the {}", concern.concern) };
                }
                State::Blocked(_) | State::Unknown(_) => {}
            }
        }
        // What is told for itself holds up no phase, and shows how it is.
        let aside = self.concerns.iter().filter(|c| c.concern.phase() == phase && c.concern.is_aside());
        evidence.extend(
            aside
                .filter_map(|concern| match &concern.state {
                    State::Done(seen) => Some(seen),
                    _ => None,
                })
                .flatten()
                .cloned(),
        );
        PhaseReport::Ready { evidence }
    }

    /// All that is blocked, in whatever phase, in words: what stands in the way of what, and the remedies. `None` where
    /// nothing is.
    #[must_use]
    pub fn blocked(&self) -> Option<String> {
        let blocks: Vec<&Block> = self.concerns.iter().filter_map(ConcernReport::block).collect();
        (!blocks.is_empty()).then(|| block::listed(&blocks))
    }

    /// The state of one concern; `None` where the platform does not go that far.
    #[must_use]
    pub fn of(&self, concern: Concern) -> Option<&State> {
        self.concerns.iter().find(|report| report.concern == concern).map(|report| &report.state)
    }

    /// Whether nothing is under way: every concern is done, or waits for somebody.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let settled = |state: &State| {
            matches!(state, State::Done(_) | State::Blocked(_) | State::WaitingOn(Wait::Held { .. } | Wait::Window))
        };
        self.concerns.iter().all(|concern| concern.concern.is_aside() || settled(&concern.state))
    }

    /// The states of all phases up to `until`, in order; those after a phase that is not Ready are `Pending`.
    #[must_use]
    pub fn phases(&self, until: PhaseName) -> Vec<(PhaseName, PhaseReport)> {
        let mut first_unready = None;
        PhaseName::ALL
            .into_iter()
            .map(|phase| {
                if phase > until {
                    return (phase, PhaseReport::NotRequested);
                }
                if let Some(after) = first_unready {
                    return (phase, PhaseReport::Pending { after });
                }
                let report = self.phase(phase);
                if !report.is_ready() {
                    first_unready = Some(phase);
                }
                (phase, report)
            })
            .collect()
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotThereYet => f.write_str("there is nobody to ask yet"),
            Self::Unreachable { who, why } => write!(f, "{who} does not answer: {why}"),
            Self::Refused { who, why, remedy } => write!(f, "{who} refuses: {why}. {remedy}"),
        }
    }
}
