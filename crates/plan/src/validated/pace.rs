//! How fast machines may be disturbed, and when one that is lost is given up.

use helix_crds::{HelixPlatformSpec, Remediation as RemediationSpec};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Rejections;
use super::window::Window;

/// A number of machines, or a share of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many.
    Number(u32),
    /// So many of a hundred.
    Percent(u32),
}

impl Share {
    fn parse(value: &IntOrString) -> Option<Self> {
        match value {
            IntOrString::Int(number) => Some(Self::Number(u32::try_from(*number).ok()?)),
            IntOrString::String(text) => match text.strip_suffix('%') {
                Some(percent) => percent.parse().ok().filter(|percent| *percent <= 100).map(Self::Percent),
                None => text.parse().ok().map(Self::Number),
            },
        }
    }

    /// The machines of a pool of `size`, rounded down.
    #[must_use]
    pub fn of(self, size: u32) -> u32 {
        match self {
            Self::Number(number) => number,
            Self::Percent(percent) => size.saturating_mul(percent) / 100,
        }
    }
}

/// The pace of changes that disturb machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Most workers of a pool that are disturbed at once.
    max_unavailable: Share,
    /// Longest time that pods get to leave a node.
    pub drain_timeout: SignedDuration,
    /// When a disturbance may begin; `None` is always.
    pub window: Option<Window>,
}

impl Pace {
    /// Workers of a pool of `size` that may be disturbed at once: at least one, or nothing would ever change.
    #[must_use]
    pub fn workers_at_once(&self, size: u32) -> u32 {
        self.max_unavailable.of(size).max(1)
    }
}

/// When a lost machine is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remediation {
    /// Whether lost machines are replaced at all.
    pub enabled: bool,
    /// How long a machine must be lost first.
    pub unhealthy_after: SignedDuration,
    /// Most machines of a pool that may be lost at once with any of them being replaced.
    max_unhealthy: Share,
}

impl Remediation {
    /// Machines of a pool of `size` that may be lost at once; a single one may always be.
    #[must_use]
    pub fn most_lost(&self, size: u32) -> u32 {
        match self.max_unhealthy {
            Share::Number(number) => number,
            share @ Share::Percent(_) => share.of(size).max(1),
        }
    }
}

pub(super) fn pace(spec: &HelixPlatformSpec, rejections: &mut Rejections) -> Pace {
    let upgrade = &spec.upgrade;
    let max_unavailable = share("spec.upgrade.maxUnavailable", &upgrade.max_unavailable, rejections);
    let window = upgrade.window.as_deref().and_then(|text| {
        let window = Window::parse(text);
        if window.is_none() {
            rejections.add(
                "spec.upgrade.window",
                format!("`{text}` is no span of a day that ever opens"),
                "write a day (or Daily), a span and UTC, as in `Sat 02:00-05:00 UTC`, or leave it out",
            );
        }
        window
    });
    let drain_timeout = SignedDuration::from_secs(i64::from(upgrade.drain_timeout_seconds));
    Pace { max_unavailable, drain_timeout, window }
}

pub(super) fn remediation(spec: &RemediationSpec, rejections: &mut Rejections) -> Remediation {
    Remediation {
        enabled: spec.enabled,
        unhealthy_after: SignedDuration::from_secs(i64::from(spec.unhealthy_after_seconds)),
        max_unhealthy: share("spec.remediation.maxUnhealthy", &spec.max_unhealthy, rejections),
    }
}

fn share(field: &str, value: &IntOrString, rejections: &mut Rejections) -> Share {
    Share::parse(value).unwrap_or_else(|| {
        let written = match value {
            IntOrString::Int(number) => number.to_string(),
            IntOrString::String(text) => text.clone(),
        };
        rejections.add(
            field,
            format!("`{written}` is neither a number of machines nor a share of them"),
            "write a number, as in 1, or a share, as in \"25%\"",
        );
        Share::Number(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_down_but_never_to_nothing() {
        let pace = |text: &str| Pace {
            max_unavailable: Share::parse(&IntOrString::String(text.to_owned())).unwrap(),
            drain_timeout: SignedDuration::ZERO,
            window: None,
        };
        assert_eq!(pace("25%").workers_at_once(3), 1);
        assert_eq!(pace("25%").workers_at_once(9), 2);
        assert_eq!(pace("3").workers_at_once(2), 3);
    }

    #[test]
    fn a_number_of_zero_stops_remediation_and_a_share_of_one_does_not() {
        let remediation = |value| Remediation {
            enabled: true,
            unhealthy_after: SignedDuration::ZERO,
            max_unhealthy: Share::parse(&value).unwrap(),
        };
        assert_eq!(remediation(IntOrString::Int(0)).most_lost(10), 0);
        assert_eq!(remediation(IntOrString::String("40%".to_owned())).most_lost(1), 1);
        assert_eq!(remediation(IntOrString::String("40%".to_owned())).most_lost(5), 2);
    }
}
