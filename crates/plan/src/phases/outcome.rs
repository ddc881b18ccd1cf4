//! What a concern decided: its steps, where it stands, and what it wants to see soon.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::approval::manual::Gate;
use crate::observed::{Missing, Observed, Setback, SetbackKind};
use crate::plan::Look;
use crate::report::{Block, Evidence, State, Wait};
use crate::step::Step;

/// What a concern waits to see, and so what has to be looked at more often than usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// Machines and clusters; asking them costs nothing.
    Machines,
    /// Servers at Hetzner; since when the newest of them has been awaited, which is the next to be worth a look.
    Servers(Timestamp),
    /// Other resources at Hetzner; since when the newest of them has been awaited.
    Project(Timestamp),
    /// Nothing but an hour that comes.
    Hour(Timestamp),
}

/// How soon machines and clusters are asked again while something is awaited.
const SOON: SignedDuration = SignedDuration::from_secs(1);

/// How soon Hetzner is asked again while something is awaited from it.
const HETZNER_SOON: SignedDuration = SignedDuration::from_secs(2);

/// The longest pause between two looks at what is awaited from it.
const HETZNER_LATEST: SignedDuration = SignedDuration::from_secs(30);

/// What recent attempts met that is still worth waiting for, by target: of several, what was met first.
pub(crate) struct Setbacks<'a>(BTreeMap<&'a str, &'a Setback>);

impl<'a> Setbacks<'a> {
    pub(crate) fn fresh(all: &'a [Setback], now: Timestamp) -> Self {
        let fresh = all.iter().rev().filter(|setback| setback.until > now);
        Self(fresh.map(|setback| (setback.target.as_str(), setback)).collect())
    }
}

/// The decision of one concern.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What is to be done now; empty while held back.
    pub steps: Vec<Step>,
    /// Where the concern stands.
    pub state: State,
    watch: Option<Watch>,
}

impl Outcome {
    fn new(steps: Vec<Step>, state: State, watch: Option<Watch>) -> Self {
        Self { steps, state, watch }
    }

    /// Everything is as specified, as was seen at `at`.
    #[must_use]
    pub fn done(what: impl Into<String>, at: Option<Timestamp>) -> Self {
        let evidence = at.map(|observed_at| Evidence { what: what.into(), observed_at }).into_iter().collect();
        Self::new(Vec::new(), State::Done(evidence), None)
    }

    /// Steps are needed.
    #[must_use]
    pub fn steps(steps: Vec<Step>) -> Self {
        Self::new(steps, State::Progressing, Some(Watch::Machines))
    }

    /// One step is needed.
    #[must_use]
    pub fn step(step: Step) -> Self {
        Self::steps(vec![step])
    }

    /// Machines or clusters have to get further.
    #[must_use]
    pub fn waiting(wait: Wait) -> Self {
        Self::new(Vec::new(), State::WaitingOn(wait), Some(Watch::Machines))
    }

    /// Somebody has to let go of something, an hour has to come, or another concern watches: no reason to look more often
    /// than usual.
    #[must_use]
    pub fn resting(wait: Wait) -> Self {
        Self::new(Vec::new(), State::WaitingOn(wait), None)
    }

    /// Servers at Hetzner have to get further; `since` is when the newest of them was asked for: one that takes for ever
    /// does not keep the others from being seen soon.
    #[must_use]
    pub fn waiting_for_servers(wait: Wait, since: Timestamp) -> Self {
        Self::new(Vec::new(), State::WaitingOn(wait), Some(Watch::Servers(since)))
    }

    /// Other resources at Hetzner have to get further; `since` is when the newest of them was asked for.
    #[must_use]
    pub fn waiting_for_hetzner(what: impl Into<String>, since: Timestamp) -> Self {
        let wait = Wait::Hetzner { what: what.into() };
        Self::new(Vec::new(), State::WaitingOn(wait), Some(Watch::Project(since)))
    }

    /// Somebody has to act.
    #[must_use]
    pub fn blocked(block: Block) -> Self {
        Self::new(Vec::new(), State::Blocked(block), None)
    }

    /// It could not be observed.
    #[must_use]
    pub fn unknown(missing: Missing) -> Self {
        Self::new(Vec::new(), State::Unknown(missing), Some(Watch::Machines))
    }

    /// Lets the state be another than the steps alone would say.
    #[must_use]
    pub fn with_state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// Lets the platform be looked at when that hour has come, unless something is awaited sooner.
    #[must_use]
    pub(crate) fn until(mut self, hour: Option<Timestamp>) -> Self {
        self.watch = self.watch.or(hour.map(Watch::Hour));
        self
    }

    /// Whether everything is as specified.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done(_))
    }

    /// Withholds the steps that wait for an approval, and says so.
    pub(crate) fn ask(&mut self, gate: &Gate) {
        let planned = self.steps.len();
        self.steps.retain(|step| gate.lets_pass(step));
        if self.steps.len() < planned {
            self.state = State::Blocked(Block::approval_needed(&gate.changes));
            self.watch = None;
        }
    }

    /// Leaves out steps whose work is done in another way, and says what is waited for.
    pub(crate) fn leave_out(&mut self, is_left_out: impl Fn(&Step) -> bool, wait: Wait) {
        let planned = self.steps.len();
        self.steps.retain(|step| !is_left_out(step));
        if self.steps.is_empty() && planned > 0 {
            self.hold_back(wait);
        }
    }

    /// Withholds the steps, because something else comes first. What is done, blocked or unknown stays told.
    pub(crate) fn hold_back(&mut self, wait: Wait) {
        self.steps.clear();
        self.watch = None;
        if matches!(self.state, State::Progressing | State::WaitingOn(_)) {
            self.state = State::WaitingOn(wait);
        }
    }

    /// Withholds steps whose last attempt met something that is still worth waiting for, and tells what.
    pub(crate) fn heed(&mut self, setbacks: &Setbacks<'_>) {
        if setbacks.0.is_empty() {
            return;
        }
        let mut told = None;
        self.steps.retain(|step| {
            let target = step.target().to_string();
            match setbacks.0.get(target.as_str()).and_then(|setback| as_state(setback)) {
                None => true,
                Some(state) => {
                    told.get_or_insert(state);
                    false
                }
            }
        });
        if let Some(state) = told {
            self.state = state;
        }
    }

    /// When this outcome wants the world to be looked at again.
    pub(crate) fn look(&self, observed: &Observed, now: Timestamp) -> Look {
        let settled = Look::settled(observed, now);
        let cloud_at = observed.cloud.at().unwrap_or(now);
        match self.watch {
            None => settled,
            Some(Watch::Hour(hour)) => Look { again_at: settled.again_at.min(hour), ..settled },
            Some(Watch::Machines) => Look { again_at: now + SOON, ..settled },
            Some(Watch::Servers(since)) => {
                Look { again_at: now + SOON, servers_at: cloud_at + hetzner_pause(since, now), ..settled }
            }
            Some(Watch::Project(since)) => {
                Look { again_at: now + SOON, project_at: cloud_at + hetzner_pause(since, now), ..settled }
            }
        }
    }
}

/// The pause between two looks at what has been awaited from Hetzner since then. It grows with the time waited, so that
/// what is slow costs few calls and what is quick is seen soon.
fn hetzner_pause(since: Timestamp, now: Timestamp) -> SignedDuration {
    (now.duration_since(since) / 4).clamp(HETZNER_SOON, HETZNER_LATEST)
}

/// What a setback means for the concern that met it; none where the concern itself knows another way.
fn as_state(setback: &Setback) -> Option<State> {
    let target = setback.target.clone();
    Some(match &setback.kind {
        SetbackKind::PlacementUnavailable { .. } => return None,
        SetbackKind::UnderWay => State::WaitingOn(Wait::Effect { target }),
        SetbackKind::ForeignResource { kind, name } => {
            State::Blocked(Block::ForeignResource { kind, name: name.clone() })
        }
        SetbackKind::Namesake { kind, name } => State::Blocked(Block::Namesake { kind, name: name.clone() }),
        SetbackKind::LimitExceeded { message } => {
            State::Blocked(Block::LimitExceeded { target, message: message.clone() })
        }
        SetbackKind::NotPermitted { message } => {
            State::Blocked(Block::NotPermitted { target, message: message.clone() })
        }
        SetbackKind::Rejected { reason, message } => {
            State::Blocked(Block::Rejected { target, reason, message: message.clone() })
        }
        SetbackKind::Failed { message, .. } => {
            State::WaitingOn(Wait::Retry { target, message: message.clone(), at: setback.until })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::CloudFacts;

    #[test]
    fn what_is_long_awaited_from_hetzner_is_looked_at_rarely() {
        let now: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
        let observed = Observed::nothing(CloudFacts::default(), now);
        let pause = |waited: i64| {
            let since = now - SignedDuration::from_secs(waited);
            Outcome::waiting_for_hetzner("load balancer", since).look(&observed, now).project_at.duration_since(now)
        };
        assert_eq!([0, 20, 3_600].map(pause), [2, 5, 30].map(SignedDuration::from_secs));
    }

    #[test]
    fn an_hour_that_comes_is_not_slept_through_and_makes_nothing_awaited_later() {
        let now: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
        let observed = Observed::nothing(CloudFacts::default(), now);
        let again = |outcome: Outcome| outcome.look(&observed, now).again_at.duration_since(now).as_secs();
        let in_seconds = |seconds| Some(now + SignedDuration::from_secs(seconds));
        assert_eq!(again(Outcome::done("", None).until(None)), 60, "as rarely as a settled platform");
        assert_eq!(again(Outcome::done("", None).until(in_seconds(7))), 7);
        assert_eq!(again(Outcome::done("", None).until(in_seconds(3_600))), 60);
        assert_eq!(again(Outcome::waiting(Wait::EtcdLeader).until(in_seconds(7))), 1);
    }
}
