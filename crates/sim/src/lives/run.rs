//! One seed, one scenario: the life, and what to tell of it when it went wrong.

use std::fmt;

use super::scenarios::Scenario;
use super::story::Story;
use crate::inprocess::Called;
use crate::world::Rng;

/// Calls that a failure shows.
const SHOWN: usize = 25;

/// A life that did not go as it should.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// Its scenario.
    pub scenario: &'static str,
    /// What went wrong.
    pub why: String,
    /// The number of calls until then.
    pub step: u64,
    /// The last calls, or with `verbose` all.
    pub trace: Vec<Called>,
    /// The last events.
    pub events: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} ({}), step {}: {}", self.seed, self.scenario, self.step, self.why)?;
        for called in &self.trace {
            writeln!(f, "  {called}")?;
        }
        for event in &self.events {
            writeln!(f, "  event {event}")?;
        }
        write!(f, "  again: cargo xtask sim --scenario {} --seed {} -v", self.scenario, self.seed)
    }
}

/// What a life took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passed {
    /// External calls.
    pub calls: u64,
    /// Turns of the engine.
    pub turns: u64,
}

/// Lives one life to its end.
///
/// # Errors
/// [`Failure`].
pub fn live(scenario: &'static Scenario, seed: u64, verbose: bool) -> Result<Passed, Box<Failure>> {
    let mut rng = Rng::new(seed ^ 0x11fe);
    let fail = |why: String, story: Option<&Story>| {
        let calls = story.map_or(0, |story| story.universe().counts().calls);
        let trace = story.map(|story| story.universe().trace()).unwrap_or_default();
        let skip = if verbose { 0 } else { trace.len().saturating_sub(SHOWN) };
        let events = story.map(|story| story.life.events.as_slice()).unwrap_or_default();
        let events = events.iter().skip(if verbose { 0 } else { events.len().saturating_sub(10) });
        Box::new(Failure {
            seed,
            scenario: scenario.name,
            why,
            step: calls,
            trace: trace.into_iter().skip(skip).collect(),
            events: events.map(|event| format!("{}: {}", event.reason, event.message)).collect(),
        })
    };
    let platform = (scenario.platform)(&mut rng).map_err(|error| fail(error.to_string(), None))?;
    let mut story = Story::begin(seed, rng, platform);
    if verbose {
        story.universe().trace_all();
    }
    match (scenario.play)(&mut story) {
        Ok(()) => Ok(Passed { calls: story.universe().counts().calls, turns: story.life.turns() }),
        Err(why) => Err(fail(why.to_string(), Some(&story))),
    }
}
