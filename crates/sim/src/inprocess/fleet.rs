//! Several platforms of one token, kept by one engine process: they share its client, its budget and its readings.
//!
//! What it doesn't do: kill the engine, or hold the world against the invariants after each call, which look at one
//! platform. A [`Life`](super::life::Life) does both.

use helix_crds::HelixPlatform;
use helix_engine::Memory;
use helix_engine::seams::Seams;
use helix_plan::observed::Intents;
use jiff::{SignedDuration, Timestamp};

use super::Universe;
use super::life::{Ended, is_ready, turn_at_once};

/// A platform of the fleet.
struct Member {
    platform: HelixPlatform,
    memory: Memory,
    look_at: Timestamp,
}

/// Platforms and the engine process that keeps them.
pub struct Fleet {
    universe: Universe,
    seams: Seams,
    members: Vec<Member>,
    began: Timestamp,
    turns: u64,
}

impl Fleet {
    /// Platforms whose engine has just been started.
    #[must_use]
    pub fn new(universe: Universe, platforms: Vec<HelixPlatform>) -> Self {
        let seams = universe.seams();
        let began = seams.clock.now();
        let member = |platform| Member { platform, memory: Memory::default(), look_at: began };
        Self { universe, seams, members: platforms.into_iter().map(member).collect(), began, turns: 0 }
    }

    /// The universe they live in.
    #[must_use]
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    /// Simulated time since the beginning.
    #[must_use]
    pub fn passed(&self) -> SignedDuration {
        self.seams.clock.now().duration_since(self.began)
    }

    /// Turns whichever is due until every platform is Ready.
    ///
    /// # Errors
    /// [`Ended::Stuck`], with what the first one that is not Ready waits for.
    pub fn until_ready(&mut self, within: SignedDuration) -> Result<(), Ended> {
        let deadline = self.seams.clock.now() + within;
        let first = self.turns;
        while let Some(waiting) = self.members.iter().find(|member| !is_ready(&member.platform)) {
            let status = waiting.platform.status.as_ref();
            let waiting = status.and_then(|status| status.waiting_for.clone()).unwrap_or_default();
            if self.next_due() > deadline {
                return Err(Ended::Stuck { turns: self.turns - first, passed: self.passed(), waiting });
            }
            self.turn_next();
        }
        Ok(())
    }

    /// Turns whichever is due while so much time passes.
    pub fn pass(&mut self, span: SignedDuration) {
        let until = self.seams.clock.now() + span;
        while self.next_due() <= until {
            self.turn_next();
        }
        self.universe.advance_to(until);
    }

    /// Lets the last platform's user change it while every platform is due, and turns them in their row until Hetzner is
    /// called; whether it was, before everybody had had two turns.
    pub fn change_last_in_row(&mut self, change: impl FnOnce(&mut HelixPlatform)) -> bool {
        let now = self.seams.clock.now();
        self.members.iter_mut().for_each(|member| member.look_at = now);
        if let Some(last) = self.members.last_mut() {
            change(&mut last.platform);
            last.platform.metadata.generation = last.platform.metadata.generation.map(|generation| generation + 1);
            last.memory.look_now();
        }
        let before = self.universe.counts().hetzner;
        let mut turns = 2 * self.members.len();
        while turns > 0 && self.universe.counts().hetzner == before {
            self.turn_next();
            turns -= 1;
        }
        self.universe.counts().hetzner > before
    }

    fn next_due(&self) -> Timestamp {
        self.members.iter().map(|member| member.look_at).min().unwrap_or(Timestamp::MAX)
    }

    /// Turns the platform that is due first, as soon as it is.
    fn turn_next(&mut self) {
        let Some(member) = self.members.iter_mut().min_by_key(|member| member.look_at) else { return };
        self.universe.advance_to(member.look_at);
        self.turns += 1;
        let made = turn_at_once(&self.seams, &member.platform, &Intents::default(), &mut member.memory);
        let Some(turn) = made else { return };
        // Whoever has news looks again at once, and at the end of the row: none may keep the others from their turns.
        member.look_at = turn.look_again_at.max(self.seams.clock.now());
        member.platform.status = Some(turn.status);
    }
}
