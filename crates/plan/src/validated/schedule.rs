//! Cron schedules of five fields, in UTC: when something was due last, and when it is due next. Pure: the time is given.
//!
//! Numbers, names of months and days, `*`, lists, ranges and steps, as in cron(8): where both the day of the month and
//! the day of the week are restricted, either suffices. No seconds, no time zones, no `@daily`.

use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp, ToSpan as _, tz};

/// A schedule that comes again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day has to be right by the month and by the week, because one of the two is not restricted.
    both: bool,
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The longest that a schedule may rest, in days: the 29th of February around a century's year without one.
const LONGEST_REST: i32 = 8 * 366;

impl Schedule {
    /// Reads a schedule as in `*/30 * * * *`; `None` for anything else, and for one that never comes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(' ');
        let mut field = |lowest, highest, names: &[&str]| set(fields.next()?, lowest, highest, names);
        let (minutes, hours) = (field(0, 59, &[])?, field(0, 23, &[])?);
        let (days, months) = (field(1, 31, &[])?, field(1, 12, &MONTHS)?);
        let weekdays = field(0, 7, &WEEKDAYS)?;
        if fields.next().is_some() {
            return None;
        }
        // Sunday is 0 and 7.
        let weekdays = (weekdays | (weekdays >> 7)) & 0x7f;
        let mut words = text.split(' ').skip(2);
        let unrestricted = |word: Option<&str>| word.is_some_and(|word| word.starts_with('*'));
        let (by_month, _, by_week) = (unrestricted(words.next()), words.next(), unrestricted(words.next()));
        let schedule = Self { minutes, hours, days, months, weekdays, both: by_month || by_week };
        schedule.next(Timestamp::UNIX_EPOCH).map(|_| schedule)
    }

    /// How often it comes on a day at most.
    #[must_use]
    pub fn most_per_day(&self) -> u32 {
        self.minutes.count_ones() * self.hours.count_ones()
    }

    /// The latest moment up to `now` at which it was due.
    #[must_use]
    pub fn last(&self, now: Timestamp) -> Option<Timestamp> {
        let (today, time) = civil(now);
        let mut latest = time;
        for back in 0..=LONGEST_REST {
            let date = today.checked_sub(back.days()).ok()?;
            if self.is_on(date)
                && let Some(at) = self.latest(latest)
            {
                return moment(date, at);
            }
            latest = Time::MAX;
        }
        None
    }

    /// The earliest moment after `now` at which it is due.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let (today, time) = civil(now + SignedDuration::from_mins(1));
        let mut earliest = time;
        for ahead in 0..=LONGEST_REST {
            let date = today.checked_add(ahead.days()).ok()?;
            if self.is_on(date)
                && let Some(at) = self.earliest(earliest)
            {
                return moment(date, at);
            }
            earliest = Time::MIN;
        }
        None
    }

    fn is_on(&self, date: Date) -> bool {
        let by_month = has(self.days, date.day());
        let by_week = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let day = if self.both { by_month && by_week } else { by_month || by_week };
        day && has(self.months, date.month())
    }

    fn latest(&self, until: Time) -> Option<(i8, i8)> {
        let hour = (0..=until.hour()).rev().filter(|hour| has(self.hours, *hour));
        let minute = |hour| {
            let until = if hour == until.hour() { until.minute() } else { 59 };
            (0..=until).rev().find(|minute| has(self.minutes, *minute))
        };
        hour.filter_map(|hour| Some((hour, minute(hour)?))).next()
    }

    fn earliest(&self, from: Time) -> Option<(i8, i8)> {
        let hour = (from.hour()..=23).filter(|hour| has(self.hours, *hour));
        let minute = |hour| {
            let from = if hour == from.hour() { from.minute() } else { 0 };
            (from..=59).find(|minute| has(self.minutes, *minute))
        };
        hour.filter_map(|hour| Some((hour, minute(hour)?))).next()
    }
}

fn has(set: u64, value: i8) -> bool {
    set >> value & 1 == 1
}

fn civil(at: Timestamp) -> (Date, Time) {
    let at = at.to_zoned(tz::TimeZone::UTC).datetime();
    (at.date(), at.time())
}

fn moment(date: Date, (hour, minute): (i8, i8)) -> Option<Timestamp> {
    date.at(hour, minute, 0, 0).to_zoned(tz::TimeZone::UTC).ok().map(|at| at.timestamp())
}

/// The values that a field names, as bits.
fn set(field: &str, lowest: u32, highest: u32, names: &[&str]) -> Option<u64> {
    field.split(',').try_fold(0, |set, part| Some(set | range(part, lowest, highest, names)?))
}

fn range(part: &str, lowest: u32, highest: u32, names: &[&str]) -> Option<u64> {
    let (span, step) = match part.split_once('/') {
        Some((span, step)) => (span, Some(step.parse().ok().filter(|step| *step > 0)?)),
        None => (part, None),
    };
    let (from, to) = match span.split_once('-') {
        _ if span == "*" => (lowest, highest),
        Some((from, to)) => (value(from, lowest, names)?, value(to, lowest, names)?),
        // A single value with a step begins a range.
        None => {
            let from = value(span, lowest, names)?;
            (from, if step.is_some() { highest } else { from })
        }
    };
    if from < lowest || to > highest || from > to {
        return None;
    }
    Some((from..=to).step_by(step.unwrap_or(1)).fold(0, |set, value| set | 1 << value))
}

fn value(text: &str, lowest: u32, names: &[&str]) -> Option<u32> {
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
    match named {
        Some(position) => u32::try_from(position).ok().map(|position| position + lowest),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(schedule: &str, now: &str) -> [String; 2] {
        let (schedule, now) = (Schedule::parse(schedule).unwrap(), now.parse().unwrap());
        [schedule.last(now).unwrap().to_string(), schedule.next(now).unwrap().to_string()]
    }

    #[test]
    fn every_half_hour() {
        let expected = ["2026-11-21T09:00:00Z", "2026-11-21T09:30:00Z"];
        assert_eq!(around("*/30 * * * *", "2026-11-21T09:00:00Z"), expected, "due at this moment");
        assert_eq!(around("*/30 * * * *", "2026-11-21T09:29:59.9Z"), expected);
        assert_eq!(around("0,30 * * * *", "2026-11-21T09:00:01Z"), expected);
    }

    #[test]
    fn days_months_and_years_are_crossed() {
        assert_eq!(around("0 0 * * *", "2027-01-01T00:00:00Z"), ["2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"]);
        assert_eq!(around("15 22 31 * *", "2027-01-01T00:00:00Z"), ["2026-12-31T22:15:00Z", "2027-01-31T22:15:00Z"]);
        assert_eq!(around("5 4 29 2 *", "2026-11-21T00:00:00Z"), ["2024-02-29T04:05:00Z", "2028-02-29T04:05:00Z"]);
    }

    /// 2026-11-21 is a Saturday.
    #[test]
    fn days_of_the_week_count_beside_those_of_the_month() {
        assert_eq!(around("0 3 * * MON-fri", "2026-11-21T12:00:00Z"), ["2026-11-20T03:00:00Z", "2026-11-23T03:00:00Z"]);
        assert_eq!(around("0 3 * * 7", "2026-11-21T12:00:00Z"), ["2026-11-15T03:00:00Z", "2026-11-22T03:00:00Z"]);
        assert_eq!(around("0 3 19 * sun", "2026-11-21T12:00:00Z"), ["2026-11-19T03:00:00Z", "2026-11-22T03:00:00Z"]);
    }

    #[test]
    fn what_cannot_be_read_or_never_comes_is_no_schedule() {
        let never = ["0 0 31 2 *", "0 0 30 2 *"];
        let wrong =
            ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *"];
        for text in never.into_iter().chain(wrong).chain(["@daily", "x * * * *", "* * * * 8", "*  * * * *"]) {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
    }
}
