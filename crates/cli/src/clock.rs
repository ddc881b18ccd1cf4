//! The wall clock, behind the engine's seam.

use helix_engine::seams::Clock;
use jiff::Timestamp;

/// The time of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
