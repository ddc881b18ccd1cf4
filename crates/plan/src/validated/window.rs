//! The maintenance window: a weekly or daily span of UTC in which disrupting changes may begin.

use jiff::civil::{Time, Weekday};
use jiff::{Timestamp, tz};

/// A span of every week's day, or of every day. One that ends before it begins goes past midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The day on which it begins; `None` is every day.
    day: Option<Weekday>,
    from: Time,
    to: Time,
}

/// The days as users write them.
const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

impl Window {
    /// Reads `Sat 02:00-05:00 UTC` or `Daily 22:00-02:00 UTC`; `None` for anything else, and for a span of no length.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (day, span, zone) = (words.next()?, words.next()?, words.next()?);
        let day = match day {
            "Daily" => None,
            day => Some(DAYS.iter().find(|(name, _)| *name == day)?.1),
        };
        let (from, to) = span.split_once('-')?;
        let (from, to) = (clock(from)?, clock(to)?);
        (zone == "UTC" && words.next().is_none() && from != to).then_some(Self { day, from, to })
    }

    /// Whether the window is open.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        let now = now.to_zoned(tz::TimeZone::UTC).datetime();
        let today = |weekday: Weekday| self.day.is_none_or(|day| day == weekday);
        let weekday = now.date().weekday();
        if self.from < self.to {
            return today(weekday) && self.from <= now.time() && now.time() < self.to;
        }
        let after_midnight = today(weekday.previous()) && now.time() < self.to;
        after_midnight || today(weekday) && self.from <= now.time()
    }
}

/// Reads `HH:MM`.
fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 is a Saturday.
    fn is_open(window: &str, at: &str) -> bool {
        Window::parse(window).unwrap().is_open(at.parse().unwrap())
    }

    #[test]
    fn a_weekly_window_is_open_on_its_day() {
        assert!(is_open("Sat 02:00-05:00 UTC", "2026-11-21T02:00:00Z"));
        assert!(!is_open("Sat 02:00-05:00 UTC", "2026-11-21T05:00:00Z"));
        assert!(!is_open("Sat 02:00-05:00 UTC", "2026-11-22T03:00:00Z"));
    }

    #[test]
    fn a_window_past_midnight_belongs_to_the_day_on_which_it_begins() {
        assert!(is_open("Sat 23:00-01:00 UTC", "2026-11-22T00:59:59Z"));
        assert!(is_open("Sat 23:00-01:00 UTC", "2026-11-21T23:00:00Z"));
        assert!(!is_open("Sat 23:00-01:00 UTC", "2026-11-21T00:30:00Z"));
        assert!(is_open("Daily 23:00-01:00 UTC", "2026-11-21T00:30:00Z"));
    }

    #[test]
    fn what_never_opens_or_cannot_be_read_is_no_window() {
        let wrong =
            ["", "Sat", "Sat 02:00-02:00 UTC", "Sat 02:00-25:00 UTC", "Sat 2:00-05:00 UTC", "Day 02:00-05:00 UTC"];
        for text in wrong.into_iter().chain(["Sat 02:00-05:00 CET", "Sat 02:00-05:00 UTC and more"]) {
            assert_eq!(Window::parse(text), None, "{text}");
        }
    }
}
