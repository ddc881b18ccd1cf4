//! One platform's life on a simulated universe: the engine turned over and over, with time passing in between.
//!
//! After every turn the invariants that can be seen on the world are asserted; a breach ends the life with the reason.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use helix_crds::{HelixPlatform, PhaseState};
use helix_engine::Memory;
use helix_engine::seams::Seams;
use helix_engine::turn::{Event, Turn, turn};
use helix_plan::observed::Intents;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Universe;
use crate::lives::watch::Watch;

/// Why a life ended before it came to what was waited for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// Something happened that never may.
    #[error("invariant {invariant} is broken: {found}")]
    Broken {
        /// Its number.
        invariant: u8,
        /// What was found.
        found: String,
    },
    /// What was waited for did not come in time.
    #[error("not there after {turns} turns and {passed}: {waiting}")]
    Stuck {
        /// Turns made.
        turns: u64,
        /// Simulated time.
        passed: SignedDuration,
        /// What the platform said that it waits for.
        waiting: String,
    },
}

/// Whether every phase that is asked for is Ready.
pub(super) fn is_ready(platform: &HelixPlatform) -> bool {
    platform.status.as_ref().is_some_and(|status| {
        !status.phases.is_empty()
            && status.phases.iter().all(|p| matches!(p.state, PhaseState::Ready | PhaseState::NotRequested))
    })
}

/// One turn of the engine; `None` if it was killed. Calls answer at once, or, when the engine is killed, never: one poll
/// decides.
pub(super) fn turn_at_once(
    seams: &Seams,
    platform: &HelixPlatform,
    intents: &Intents,
    memory: &mut Memory,
) -> Option<Turn> {
    let mut turn = pin!(turn(seams, platform, intents, memory));
    match turn.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(turn) => Some(turn),
        Poll::Pending => None,
    }
}

/// A platform and the engine process that keeps it.
pub struct Life {
    universe: Universe,
    seams: Seams,
    memory: Memory,
    platform: HelixPlatform,
    began: Timestamp,
    turns: u64,
    /// What users ask of single machines.
    pub intents: Intents,
    /// Every event, in order.
    pub events: Vec<Event>,
    /// How often the engine was killed.
    pub kills: u64,
}

/// The longest that time may stand between two turns.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// More turns than any life needs.
const MOST_TURNS: u64 = 20_000;

impl Life {
    /// A platform whose engine has just been started.
    #[must_use]
    pub fn new(universe: Universe, platform: HelixPlatform) -> Self {
        let seams = universe.seams();
        let began = seams.clock.now();
        let (intents, memory) = (Intents::default(), Memory::default());
        Self { universe, seams, memory, platform, began, turns: 0, intents, events: Vec::new(), kills: 0 }
    }

    /// The platform with its last status.
    #[must_use]
    pub fn platform(&self) -> &HelixPlatform {
        &self.platform
    }

    /// The universe it lives in.
    #[must_use]
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    /// Turns so far.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Simulated time since the beginning.
    #[must_use]
    pub fn passed(&self) -> SignedDuration {
        self.seams.clock.now().duration_since(self.began)
    }

    /// Changes the resource, as its user would.
    pub fn edit(&mut self, change: impl FnOnce(&mut HelixPlatform)) {
        change(&mut self.platform);
        self.platform.metadata.generation = self.platform.metadata.generation.map(|generation| generation + 1);
        self.memory.look_now();
    }

    /// Annotates the resource, which is no new generation of it.
    pub fn annotate(&mut self, key: &str, value: &str) {
        let annotations = self.platform.metadata.annotations.get_or_insert_default();
        annotations.insert(key.to_owned(), value.to_owned());
        let asked = self.platform.status.as_ref().and_then(|status| status.waiting_for.as_deref());
        if key == helix_crds::labels::APPROVE && asked.is_some_and(|asked| asked.contains(value)) {
            self.universe.with_watch(Watch::approve);
        }
        self.memory.look_now();
    }

    /// Stops the engine's process and starts a new one.
    pub fn restart(&mut self) {
        self.universe.end_work();
        self.seams = self.universe.seams();
        self.memory = Memory::default();
    }

    /// Turns until every requested phase is Ready.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn until_ready(&mut self, within: SignedDuration) -> Result<(), Ended> {
        self.until(within, |platform, _| is_ready(platform))
    }

    /// Deletes the platform and turns until nothing is left.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn until_gone(&mut self, within: SignedDuration) -> Result<(), Ended> {
        let now = self.seams.clock.now();
        self.edit(|platform| platform.metadata.deletion_timestamp = Some(Time(now)));
        self.until(within, |_, turn| turn.gone)
    }

    /// Turns until `there`, letting time pass as the turns ask for.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn until(
        &mut self,
        within: SignedDuration,
        there: impl Fn(&HelixPlatform, &Turn) -> bool,
    ) -> Result<(), Ended> {
        let deadline = self.seams.clock.now() + within;
        let first = self.turns;
        while self.seams.clock.now() <= deadline && self.turns - first < MOST_TURNS {
            let Some(turn) = self.turn_once()? else { continue };
            if there(&self.platform, &turn) {
                return Ok(());
            }
            let now = self.seams.clock.now();
            self.universe.advance_to(turn.look_again_at.clamp(now, now + LONGEST_PAUSE));
        }
        let waiting = self.platform.status.as_ref().and_then(|status| status.waiting_for.clone());
        Err(Ended::Stuck {
            turns: self.turns - first,
            passed: self.passed(),
            waiting: waiting.unwrap_or_else(|| "nothing".to_owned()),
        })
    }

    /// One turn; `None` if the engine was killed in it, and has been started again.
    fn turn_once(&mut self) -> Result<Option<Turn>, Ended> {
        self.turns += 1;
        if self.universe.take_killed() {
            // Not in a turn: in what goes on beside them.
            self.kills += 1;
            self.restart();
        }
        self.universe.with_watch(|watch| watch.tell(&self.platform));
        let made = turn_at_once(&self.seams, &self.platform, &self.intents, &mut self.memory);
        self.universe.after_turn(made.as_ref(), &self.platform);
        if let Some(breach) = self.universe.breach() {
            return Err(Ended::Broken {
                invariant: breach.invariant,
                found: format!("{}: {}", breach.name, breach.found),
            });
        }
        match made {
            Some(turn) => {
                self.platform.status = Some(turn.status.clone());
                self.events.extend(turn.events.iter().cloned());
                Ok(Some(turn))
            }
            None => {
                self.kills += u64::from(self.universe.take_killed());
                self.restart();
                Ok(None)
            }
        }
    }
}
