//! How long things take at Hetzner and in a booting machine.
//!
//! The defaults are times seen on the real thing (talos-hetzner.md, "Seen times") where there are any; the others are
//! marked as guesses. The time scale divides these latencies only: time stamps and the token bucket keep wall time.

use std::time::Duration;

use super::machine::GuestLatencies;
use super::rng::Rng;

/// A latency: anything between two bounds, drawn from the world's seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub from: Duration,
    /// The longest.
    pub to: Duration,
}

impl Span {
    /// Between two numbers of milliseconds.
    #[must_use]
    pub const fn millis(from: u64, to: u64) -> Self {
        Self { from: Duration::from_millis(from), to: Duration::from_millis(to) }
    }

    /// Always the same number of milliseconds.
    #[must_use]
    pub const fn exactly_millis(millis: u64) -> Self {
        Self::millis(millis, millis)
    }
}

/// Every latency of the world, before scaling.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// Until a create call for a server is answered (seen: 0.2 s).
    pub create_call: Span,
    /// `create_server`; with `start_server` 17–28 s (seen).
    pub create_server: Span,
    /// `start_server`.
    pub start_server: Span,
    /// `stop_server`: the plug is pulled (guess).
    pub stop_server: Span,
    /// `shutdown_server`, `reboot_server`: until the signal is sent (guess).
    pub send_signal: Span,
    /// What the machines take once they have power.
    pub guest: GuestLatencies,
    /// `delete_server` (seen: 2 s).
    pub delete_server: Span,
    /// `change_server_type` (guess: the disk is copied).
    pub change_type: Span,
    /// `rebuild_server` (guess).
    pub rebuild_server: Span,
    /// `create_image` from a server (seen: minutes for a large one).
    pub create_image: Span,
    /// How long a firewall counts as in use after its last server is gone (seen: up to a minute).
    pub firewall_release: Span,
    /// How long a deleted server still counts in its placement group (seen, of unknown length).
    pub group_release: Span,
    /// Until a label change reaches label-selected firewalls and targets (guess).
    pub selector_update: Span,
    /// Actions on a network (guess).
    pub network_change: Span,
    /// `attach_to_network` (guess).
    pub attach_to_network: Span,
    /// `detach_from_network` (seen: 7 s).
    pub detach_from_network: Span,
    /// Actions on a firewall (guess).
    pub firewall_change: Span,
    /// `create_load_balancer` and its actions (guess).
    pub load_balancer_change: Span,
    /// `create_volume`, `attach_volume` (seen: 6 s).
    pub volume_create: Span,
    /// `detach_volume` (seen: 3 s).
    pub volume_detach: Span,
    /// Actions that only change a flag, and those on primary IPs (guess).
    pub minor: Span,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            create_call: Span::exactly_millis(200),
            create_server: Span::millis(15_000, 24_500),
            start_server: Span::millis(2_000, 3_500),
            stop_server: Span::millis(1_000, 2_500),
            send_signal: Span::millis(500, 1_500),
            guest: GuestLatencies::default(),
            delete_server: Span::millis(1_500, 2_500),
            change_type: Span::millis(20_000, 60_000),
            rebuild_server: Span::millis(15_000, 30_000),
            create_image: Span::millis(60_000, 180_000),
            firewall_release: Span::millis(10_000, 60_000),
            group_release: Span::millis(10_000, 60_000),
            selector_update: Span::millis(5_000, 20_000),
            network_change: Span::millis(500, 1_500),
            attach_to_network: Span::millis(3_000, 7_000),
            detach_from_network: Span::millis(6_000, 8_000),
            firewall_change: Span::millis(500, 2_000),
            load_balancer_change: Span::millis(1_000, 3_000),
            volume_create: Span::millis(5_000, 7_000),
            volume_detach: Span::millis(2_500, 3_500),
            minor: Span::millis(300, 800),
        }
    }
}

/// By how much simulated latencies are shortened: 20 makes a latency of 20 s one of 1 s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeScale(f64);

impl TimeScale {
    /// Latencies as they are outside.
    pub const REAL: Self = Self(1.0);

    /// A scale; `None` when it is not a positive finite number.
    #[must_use]
    pub fn new(divisor: f64) -> Option<Self> {
        (divisor.is_finite() && divisor > 0.0).then_some(Self(divisor))
    }

    /// The latency as it passes in this simulation.
    #[must_use]
    pub fn shorten(self, latency: Duration) -> Duration {
        Duration::from_secs_f64(latency.as_secs_f64() / self.0)
    }

    /// The divisor.
    #[must_use]
    pub fn divisor(self) -> f64 {
        self.0
    }
}

/// Draws a latency between the bounds of `span`, shortened by `scale`.
pub(super) fn draw(rng: &mut Rng, span: Span, scale: TimeScale) -> Duration {
    let width = span.to.saturating_sub(span.from);
    let millis = u64::try_from(width.as_millis()).unwrap_or(u64::MAX);
    scale.shorten(span.from + Duration::from_millis(rng.below(millis.saturating_add(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_stays_between_its_bounds_and_is_scaled() {
        let mut rng = Rng::new(3);
        let Some(scale) = TimeScale::new(10.0) else { panic!("10 is a scale") };
        for _ in 0..100 {
            let drawn = draw(&mut rng, Span::millis(1_000, 2_000), scale);
            assert!(drawn >= Duration::from_millis(100) && drawn <= Duration::from_millis(200), "{drawn:?}");
        }
    }

    #[test]
    fn a_scale_is_a_positive_number() {
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(TimeScale::new(wrong), None);
        }
    }
}
