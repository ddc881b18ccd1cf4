//! One request budget per token, shared by all platforms that use it.
//!
//! Hetzner gives a token a bucket of requests (3,600) that refills evenly over an hour and tells its level on every
//! answer. Between answers the level is estimated here. Each [`Lane`] leaves a reserve to the lanes before it, so looking
//! for drift runs dry first and deleting last. A lane that ran dry opens again with enough for a whole look at a project:
//! what takes several requests would else spend each as it comes in, and never get to its end.
//!
//! Nothing here sleeps, asks for the time or sends anything: time is an argument, and whoever is told to wait decides
//! what that means.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use helix_plan::step::Lane;
use jiff::{SignedDuration, Timestamp};

/// The bucket that every token has until an answer says otherwise.
const USUAL_LIMIT: u32 = 3_600;
/// Seconds in which an empty bucket is full again, whatever its size.
const REFILL_SECONDS: i64 = 3_600;
/// How long everything pauses after a 429 that names no reset.
const UNNAMED_PAUSE: SignedDuration = SignedDuration::from_secs(60);
/// Levels are kept in thousandths of a request, so that a refill of one per second is one per millisecond.
const UNITS: i64 = 1_000;

/// The share of the bucket, in percent, that a lane leaves to the lanes before it.
fn reserve_percent(lane: Lane) -> i64 {
    match lane {
        Lane::Teardown => 0,
        Lane::ControlPlane => 5,
        Lane::Workers => 15,
        Lane::Drift => 30,
    }
}

/// The share of the bucket, in percent, that has to be there besides before a lane that ran dry is open again: 36 requests
/// read a project of a thousand servers.
const REOPENING_PERCENT: i64 = 1;

/// What the `RateLimit-*` headers of one answer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a full bucket.
    pub limit: u32,
    /// Requests left.
    pub remaining: u32,
    /// When the bucket is full again, if nothing more is drawn.
    pub resets_at: Timestamp,
}

/// Whether requests may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Yes; they are counted.
    Granted,
    /// The lane's share is used up until then; nothing was counted.
    Wait {
        /// When the lane's share is refilled far enough.
        until: Timestamp,
    },
    /// Hetzner refused a request of this token (429): nothing goes out before then, whatever its lane.
    Paused {
        /// The reset that Hetzner named.
        until: Timestamp,
    },
}

/// The budget at one moment, for status and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSnapshot {
    /// Requests in a full bucket.
    pub limit: u32,
    /// Requests left, requests under way already taken off.
    pub remaining: u32,
    /// When the bucket is full again, or, while paused, when the pause ends.
    pub resets_at: Timestamp,
}

/// The budget of one token.
///
/// # Flow
/// [`try_acquire`](Self::try_acquire) before a request; after it exactly one of [`answered`](Self::answered),
/// [`refused`](Self::refused), [`unanswered`](Self::unanswered) and [`unsent`](Self::unsent) for each request that was granted.
///
/// # Guarantees
/// A grant is never given above what the last answer left, less what is under way: requests whose answers are still
/// out cannot be spent twice.
#[derive(Debug)]
pub struct TokenBudget {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: u32,
    /// Level at `as_of`, in thousandths, as the API would see it with everything answered.
    level: i64,
    as_of: Timestamp,
    /// Requests that were granted and have no answer yet.
    under_way: u32,
    paused_until: Option<Timestamp>,
    /// Lanes that have been told to wait, and have not been granted anything since.
    dry: BTreeSet<Lane>,
}

impl TokenBudget {
    /// A full bucket of the usual size: what is true until the first answer tells more.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let state = State {
            limit: USUAL_LIMIT,
            level: i64::from(USUAL_LIMIT) * UNITS,
            as_of: now,
            under_way: 0,
            paused_until: None,
            dry: BTreeSet::new(),
        };
        Self { state: Mutex::new(state) }
    }

    /// Asks for `calls` requests in `lane`.
    pub fn try_acquire(&self, lane: Lane, calls: u32, now: Timestamp) -> Grant {
        let mut state = self.lock();
        if let Some(until) = state.pause(now) {
            return Grant::Paused { until };
        }
        let full = state.full();
        let reserve = full * reserve_percent(lane) / 100;
        // A full bucket serves whatever is asked for: else a wish above its size would wait for ever.
        let needed = (reserve + i64::from(calls) * UNITS).min(full);
        let to_reopen = (needed + full * REOPENING_PERCENT / 100).min(full);
        let available = state.available(now);
        if available < if state.dry.contains(&lane) { to_reopen } else { needed } {
            state.dry.insert(lane);
            return Grant::Wait { until: state.after_refill_of(to_reopen - available, now) };
        }
        state.dry.remove(&lane);
        state.under_way = state.under_way.saturating_add(calls);
        Grant::Granted
    }

    /// A request was answered; `told` is what its headers said, if they were there.
    pub fn answered(&self, told: Option<RateLimit>, now: Timestamp) {
        let mut state = self.lock();
        state.settle(told, now);
    }

    /// A request was refused with 429: pauses all lanes until the reset that it named.
    pub fn refused(&self, told: Option<RateLimit>, now: Timestamp) -> Timestamp {
        let mut state = self.lock();
        state.settle(told, now);
        let named = told.map(|told| told.resets_at).filter(|reset| *reset > now);
        let until = named.unwrap_or_else(|| later(now, UNNAMED_PAUSE));
        let until = state.paused_until.map_or(until, |earlier| earlier.max(until));
        state.paused_until = Some(until);
        if named == Some(until) {
            // The reset is when the bucket is full again: after the pause no lane waits for its share.
            (state.level, state.as_of) = (state.full(), until);
            state.dry.clear();
        }
        until
    }

    /// A request got no answer. It may have counted, so it is taken as spent.
    pub fn unanswered(&self, now: Timestamp) {
        self.lock().settle(None, now);
    }

    /// A request never went out, because there was no connection: nothing is spent.
    pub fn unsent(&self) {
        let mut state = self.lock();
        state.under_way = state.under_way.saturating_sub(1);
    }

    /// The budget now.
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> BudgetSnapshot {
        let mut state = self.lock();
        if let Some(resets_at) = state.pause(now) {
            return BudgetSnapshot { limit: state.limit, remaining: 0, resets_at };
        }
        let available = state.available(now).max(0);
        BudgetSnapshot {
            limit: state.limit,
            remaining: u32::try_from(available / UNITS).unwrap_or(state.limit),
            resets_at: state.after_refill_of(state.full() - available, now),
        }
    }

    /// A panic elsewhere cannot leave the state half-changed: every change is a few assignments that cannot panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn full(&self) -> i64 {
        i64::from(self.limit) * UNITS
    }

    fn level_at(&self, now: Timestamp) -> i64 {
        let elapsed = now.duration_since(self.as_of).as_millis().max(0);
        let refill = elapsed * i128::from(self.limit) * i128::from(UNITS) / i128::from(REFILL_SECONDS * 1_000);
        let level = i128::from(self.level) + refill;
        i64::try_from(level).unwrap_or(i64::MAX).min(self.full())
    }

    fn available(&self, now: Timestamp) -> i64 {
        self.level_at(now) - i64::from(self.under_way) * UNITS
    }

    fn after_refill_of(&self, missing: i64, now: Timestamp) -> Timestamp {
        let full = self.full().max(1);
        let millis = missing.saturating_mul(REFILL_SECONDS * 1_000).saturating_add(full - 1) / full;
        later(now, SignedDuration::from_millis(millis))
    }

    /// The end of the pause, if one is on; forgets one that is over.
    fn pause(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.paused_until = self.paused_until.filter(|until| *until > now);
        self.paused_until
    }

    fn settle(&mut self, told: Option<RateLimit>, now: Timestamp) {
        self.under_way = self.under_way.saturating_sub(1);
        self.level = match told {
            Some(told) => {
                self.limit = told.limit.max(1);
                i64::from(told.remaining.min(told.limit)) * UNITS
            }
            None => (self.level_at(now) - UNITS).max(0),
        };
        self.as_of = now;
    }
}

/// `span` after `now`; at the end of time, the end of time.
fn later(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.checked_add(span).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn told(remaining: u32, resets_at: Timestamp) -> Option<RateLimit> {
        Some(RateLimit { limit: 3_600, remaining, resets_at })
    }

    /// A budget whose last answer left `remaining` at second 0.
    fn budget_with(remaining: u32) -> TokenBudget {
        let budget = TokenBudget::new(second(0));
        assert_eq!(budget.try_acquire(Lane::Teardown, 1, second(0)), Grant::Granted);
        budget.answered(told(remaining, second(3_600)), second(0));
        budget
    }

    #[test]
    fn lanes_run_dry_in_their_order() {
        let lanes = [Lane::Teardown, Lane::ControlPlane, Lane::Workers, Lane::Drift];
        let served = |remaining| {
            lanes.map(|lane| matches!(budget_with(remaining).try_acquire(lane, 1, second(0)), Grant::Granted))
        };
        assert_eq!(served(1_081), [true, true, true, true]);
        assert_eq!(served(1_080), [true, true, true, false]);
        assert_eq!(served(540), [true, true, false, false]);
        assert_eq!(served(180), [true, false, false, false]);
        assert_eq!(served(0), [false, false, false, false]);
    }

    #[test]
    fn a_wait_names_the_moment_at_which_it_is_granted() {
        let budget = budget_with(1_080);
        let Grant::Wait { until } = budget.try_acquire(Lane::Drift, 10, second(0)) else { panic!("must wait") };
        assert_eq!(until, second(10 + 36));
        assert!(matches!(budget.try_acquire(Lane::Drift, 10, second(45)), Grant::Wait { .. }));
        assert_eq!(budget.try_acquire(Lane::Drift, 10, until), Grant::Granted);
    }

    /// Seven requests, of which each is worth nothing without the others, every five seconds.
    #[test]
    fn what_takes_several_requests_comes_to_its_end() {
        let budget = budget_with(186);
        let mut left = 186;
        let mut look = |at| {
            left += if at > 0 { 5 } else { 0 };
            (0..7).all(|_| {
                let granted = budget.try_acquire(Lane::ControlPlane, 1, second(at)) == Grant::Granted;
                if granted {
                    left -= 1;
                    budget.answered(told(left, second(3_600)), second(at));
                }
                granted
            })
        };
        assert!((0..=60).step_by(5).any(&mut look));
    }

    #[test]
    fn a_lane_that_ran_dry_is_open_when_an_answer_says_that_there_is_more() {
        let budget = budget_with(1_080);
        assert!(matches!(budget.try_acquire(Lane::Drift, 1, second(0)), Grant::Wait { .. }));
        assert_eq!(budget.try_acquire(Lane::Teardown, 1, second(0)), Grant::Granted);
        budget.answered(told(2_000, second(1_600)), second(0));
        assert_eq!(budget.try_acquire(Lane::Drift, 1, second(0)), Grant::Granted);
    }

    #[test]
    fn what_is_under_way_cannot_be_spent_twice() {
        let budget = budget_with(3);
        assert_eq!(budget.try_acquire(Lane::Teardown, 2, second(0)), Grant::Granted);
        // The first of the two is answered: the API has counted it, the second it may not have seen.
        budget.answered(told(2, second(3_598)), second(0));
        assert_eq!(budget.try_acquire(Lane::Teardown, 1, second(0)), Grant::Granted);
        assert!(matches!(budget.try_acquire(Lane::Teardown, 1, second(0)), Grant::Wait { .. }));
    }

    #[test]
    fn a_refusal_pauses_every_lane_until_the_reset_it_names() {
        let budget = budget_with(2_000);
        assert_eq!(budget.try_acquire(Lane::Workers, 2, second(0)), Grant::Granted);
        assert_eq!(budget.refused(told(0, second(90)), second(0)), second(90));
        // An answer that was under way does not end the pause.
        budget.answered(told(100, second(3_500)), second(1));
        assert_eq!(budget.try_acquire(Lane::Teardown, 1, second(89)), Grant::Paused { until: second(90) });
        assert_eq!(budget.snapshot(second(89)).resets_at, second(90));
        assert_eq!(budget.try_acquire(Lane::Teardown, 1, second(90)), Grant::Granted);
    }

    #[test]
    fn no_lane_waits_any_longer_than_the_reset_that_a_refusal_named() {
        let budget = budget_with(100);
        assert!(matches!(budget.try_acquire(Lane::Drift, 1, second(0)), Grant::Wait { .. }));
        assert_eq!(budget.try_acquire(Lane::Teardown, 1, second(0)), Grant::Granted);
        assert_eq!(budget.refused(told(0, second(30)), second(0)), second(30));
        assert_eq!(budget.snapshot(second(29)).remaining, 0);
        assert_eq!(budget.try_acquire(Lane::Drift, 1, second(30)), Grant::Granted);
    }

    #[test]
    fn a_refusal_without_a_reset_pauses_for_a_minute() {
        let budget = budget_with(2_000);
        assert_eq!(budget.refused(None, second(0)), second(60));
        assert_eq!(budget.refused(told(0, second(-5)), second(0)), second(60));
    }

    #[test]
    fn silence_counts_as_spent_and_is_made_good_by_the_next_answer() {
        let budget = budget_with(10);
        assert_eq!(budget.try_acquire(Lane::Teardown, 1, second(0)), Grant::Granted);
        budget.unanswered(second(0));
        assert_eq!(budget.snapshot(second(0)).remaining, 9);
        assert_eq!(budget.try_acquire(Lane::Teardown, 1, second(0)), Grant::Granted);
        budget.answered(told(42, second(3_558)), second(0));
        assert_eq!(budget.snapshot(second(0)).remaining, 42);
    }

    #[test]
    fn what_never_went_out_is_not_spent() {
        let budget = budget_with(10);
        assert_eq!(budget.try_acquire(Lane::Teardown, 1, second(0)), Grant::Granted);
        budget.unsent();
        assert_eq!(budget.snapshot(second(0)).remaining, 10);
    }

    #[test]
    fn the_bucket_refills_to_its_limit_and_not_beyond() {
        let budget = budget_with(3_000);
        assert_eq!(budget.snapshot(second(60)).remaining, 3_060);
        assert_eq!(budget.snapshot(second(10_000)).remaining, 3_600);
        assert_eq!(budget.snapshot(second(0)).resets_at, second(600));
        assert_eq!(budget.snapshot(second(-60)).remaining, 3_000, "a clock that was set back takes nothing away");
    }

    #[test]
    fn a_wish_above_the_limit_is_served_by_a_full_bucket() {
        let budget = TokenBudget::new(second(0));
        assert_eq!(budget.try_acquire(Lane::Drift, 5_000, second(0)), Grant::Granted);
    }
}
