//! The request budget of a project: a bucket that refills by one a second (behaviour 6). It keeps wall time, whatever the
//! time scale.

use jiff::Timestamp;

/// What a caller learns about its budget with every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Whether this request may pass.
    pub admitted: bool,
    /// Size of the bucket: requests per hour.
    pub limit: u32,
    /// Requests left.
    pub remaining: u32,
    /// When the bucket will be full again, in seconds since 1970.
    pub reset: i64,
}

/// A token bucket.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    limit: u32,
    /// Requests left, at `counted`.
    remaining: u32,
    /// Up to which time refills are counted, in whole seconds since 1970.
    counted: i64,
}

impl TokenBucket {
    pub(super) fn full(limit: u32, now: Timestamp) -> Self {
        Self { limit, remaining: limit, counted: now.as_second() }
    }

    /// Takes one request out, if there is one.
    pub(super) fn take(&mut self, now: Timestamp) -> Budget {
        self.refill(now);
        let admitted = self.remaining > 0;
        self.remaining = self.remaining.saturating_sub(1);
        Budget { admitted, ..self.budget(now) }
    }

    /// What is left, without taking.
    pub(super) fn look(&mut self, now: Timestamp) -> Budget {
        self.refill(now);
        self.budget(now)
    }

    fn budget(&self, now: Timestamp) -> Budget {
        let missing = i64::from(self.limit - self.remaining);
        Budget { admitted: true, limit: self.limit, remaining: self.remaining, reset: now.as_second() + missing }
    }

    fn refill(&mut self, now: Timestamp) {
        let passed = u32::try_from(now.as_second() - self.counted).unwrap_or(0);
        self.remaining = self.remaining.saturating_add(passed).min(self.limit);
        self.counted = self.counted.max(now.as_second());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_request_a_second_comes_back() {
        let start = Timestamp::UNIX_EPOCH;
        let mut bucket = TokenBucket::full(2, start);
        assert_eq!(bucket.take(start), Budget { admitted: true, limit: 2, remaining: 1, reset: 1 });
        assert!(bucket.take(start).admitted);
        assert_eq!(bucket.take(start), Budget { admitted: false, limit: 2, remaining: 0, reset: 2 });
        let later = start + Duration::from_secs(1);
        assert!(bucket.take(later).admitted);
        assert_eq!(bucket.look(later + Duration::from_secs(60)).remaining, 2);
    }
}
