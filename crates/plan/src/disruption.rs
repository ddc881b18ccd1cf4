//! The mark that Helix leaves on a node before it disturbs its machine, or when it finds it ailing, so that the next turn,
//! or the next process, knows what was begun and since when.
//!
//! It is an annotation (`helix.dev/disruption`) in the cluster itself and goes with the node. A node that somebody else cordoned is never
//! uncordoned: the mark remembers that, too.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// What is done to a marked machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Cause {
    /// It gets another Talos and reboots into it.
    Upgrade,
    /// It gets another configuration that only a reboot brings into force.
    Reboot,
    /// It leaves the platform.
    Leave,
    /// It answers, but does not do its work: it is only watched, and given up when that lasts.
    Ailing,
}

impl Cause {
    const ALL: [Self; 4] = [Self::Upgrade, Self::Reboot, Self::Leave, Self::Ailing];

    fn word(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Reboot => "reboot",
            Self::Leave => "leave",
            Self::Ailing => "ailing",
        }
    }
}

/// That a machine is being disturbed: why, since when, and whether its node had been cordoned by others before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// What is done to it, or what ails it.
    pub cause: Cause,
    /// When that began; whole seconds.
    pub since: Timestamp,
    /// Whether the node was cordoned already: then it stays so afterwards.
    pub was_cordoned: bool,
}

impl Mark {
    /// A mark set now.
    #[must_use]
    pub fn new(cause: Cause, was_cordoned: bool, now: Timestamp) -> Self {
        let since = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Self { cause, since, was_cordoned }
    }

    /// How long the machine has been marked.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.since)
    }
}

/// What follows the time where others had cordoned the node.
const CORDONED: &str = "cordoned";

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cause.word(), self.since)?;
        if self.was_cordoned { write!(f, " {CORDONED}") } else { Ok(()) }
    }
}

/// A text that is no mark of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a mark of a disruption")]
pub struct NotAMark;

impl FromStr for Mark {
    type Err = NotAMark;

    fn from_str(text: &str) -> Result<Self, NotAMark> {
        let mut words = text.split(' ');
        let cause = words.next().and_then(|word| Cause::ALL.into_iter().find(|cause| cause.word() == word));
        let since = words.next().and_then(|word| word.parse().ok());
        let was_cordoned = match words.next() {
            None => false,
            Some(CORDONED) => true,
            Some(_) => return Err(NotAMark),
        };
        match (cause, since, words.next()) {
            (Some(cause), Some(since), None) => Ok(Self { cause, since, was_cordoned }),
            _ => Err(NotAMark),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_as_written() {
        let now: Timestamp = "2026-11-21T12:00:00.75Z".parse().unwrap();
        for cause in Cause::ALL {
            for was_cordoned in [false, true] {
                let mark = Mark::new(cause, was_cordoned, now);
                assert_eq!(mark.to_string().parse(), Ok(mark));
            }
        }
        assert_eq!(Mark::new(Cause::Leave, true, now).to_string(), "leave 2026-11-21T12:00:00Z cordoned");
    }

    #[test]
    fn what_somebody_else_wrote_is_no_mark() {
        for text in ["", "leave", "leave soon", "dance 2026-11-21T12:00:00Z", "leave 2026-11-21T12:00:00Z x", "true"] {
            assert_eq!(text.parse::<Mark>(), Err(NotAMark), "{text}");
        }
    }
}
