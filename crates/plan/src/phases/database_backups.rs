//! Backups of the users' databases: CloudNativePG takes them, and Helix tells how old the newest of each is.
//!
//! A database that missed two backups in a row by its schedule is late; one that is younger than that is not. Nothing waits
//! for a backup: what is late is told for itself.

use jiff::{SignedDuration, Timestamp};

use super::{Context, Outcome};
use crate::components::Component;
use crate::observed::{Fact, Missing, SavedDatabase};
use crate::report::{State, Wait};
use crate::validated::Schedule;

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let wanted = context.platform.layers.postgres.iter();
    let scheduled: Vec<(&str, Option<Schedule>)> = wanted
        .filter_map(|wanted| Some((wanted.name.as_str(), Schedule::parse(&wanted.backup.as_ref()?.schedule))))
        .collect();
    if scheduled.is_empty() {
        return Outcome::done("no backups of databases are asked for", context.observed.store.at());
    }
    let facts = context.observed.components.get(&Component::Databases);
    let (installed, at) = match facts.map(|facts| &facts.installed) {
        Some(Fact::Known { value, at }) => (value, *at),
        None | Some(Fact::Missing(Missing::NotThereYet)) => {
            return Outcome::resting(Wait::Components(vec![Component::Databases]));
        }
        Some(Fact::Missing(missing)) => {
            return Outcome::done("", None).with_state(State::Unknown(missing.clone()));
        }
    };
    let (mut fresh, mut late) = (Vec::new(), Vec::new());
    for (name, schedule) in scheduled {
        // One that is not there yet is told by the component.
        let Some(saved) = installed.saved.iter().find(|saved| saved.name == name) else { continue };
        let told = told(saved, context.now);
        if schedule.is_some_and(|schedule| is_late(saved, &schedule, context.now)) {
            late.push(told);
        } else {
            fresh.push(told);
        }
    }
    match (late.is_empty(), fresh.is_empty()) {
        (false, _) => Outcome::resting(Wait::DatabaseBackups(late)),
        (true, false) => Outcome::done(fresh.join(", "), Some(at)),
        (true, true) => Outcome::resting(Wait::Components(vec![Component::Databases])),
    }
}

/// Whether two backups were due since the newest one, or since the database was made.
fn is_late(saved: &SavedDatabase, schedule: &Schedule, now: Timestamp) -> bool {
    let before = |at: Timestamp| schedule.last(at - SignedDuration::from_secs(1));
    let second = schedule.last(now).and_then(before);
    second.is_some_and(|second| saved.newest.unwrap_or(saved.since) < second)
}

/// In words that change with the hours, not with every look.
fn told(saved: &SavedDatabase, now: Timestamp) -> String {
    const HOURS_OF_TWO_DAYS: i64 = 48;
    let name = &saved.name;
    let Some(newest) = saved.newest else { return format!("PostgreSQL cluster {name} has no backup yet") };
    let age = match now.duration_since(newest).as_hours() {
        ..1 => "less than an hour".to_owned(),
        1 => "an hour".to_owned(),
        hours @ ..HOURS_OF_TWO_DAYS => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    };
    format!("the newest backup of PostgreSQL cluster {name} is {age} old")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn saved(newest: Option<&str>) -> SavedDatabase {
        SavedDatabase { name: "main".to_owned(), since: at("2026-11-18T12:00:00Z"), newest: newest.map(at) }
    }

    #[test]
    fn a_backup_is_late_when_two_were_due_since() {
        let nightly = Schedule::parse("0 0 * * *").unwrap();
        let late = |newest, now: &str| is_late(&saved(newest), &nightly, at(now));
        let taken = Some("2026-11-20T00:03:00Z");
        assert!(!late(taken, "2026-11-21T23:59:00Z"), "one was missed");
        assert!(late(taken, "2026-11-22T00:00:00Z"), "two were");
        assert!(!late(None, "2026-11-19T23:00:00Z"), "the first was due after it was made");
        assert!(late(None, "2026-11-20T00:00:00Z"));
    }

    /// 2026-11-20 is a Friday.
    #[test]
    fn a_weekend_is_no_delay() {
        let workdays = Schedule::parse("0 0 * * MON-FRI").unwrap();
        let late = |now: &str| is_late(&saved(Some("2026-11-20T00:03:00Z")), &workdays, at(now));
        assert!(!late("2026-11-22T23:00:00Z") && !late("2026-11-23T12:00:00Z"));
        assert!(late("2026-11-24T00:00:00Z"));
    }

    #[test]
    fn ages_are_told_in_hours_and_days() {
        let told = |now: &str| told(&saved(Some("2026-11-20T00:00:00Z")), at(now));
        assert_eq!(
            told("2026-11-20T00:59:00Z"),
            "the newest backup of PostgreSQL cluster main is less than an hour old"
        );
        assert!(told("2026-11-20T01:10:00Z").ends_with("is an hour old"));
        assert!(told("2026-11-21T23:10:00Z").ends_with("is 47 hours old"));
        assert!(told("2026-11-22T01:00:00Z").ends_with("is 2 days old"));
    }
}
