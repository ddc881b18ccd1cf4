//! What is billed: each started hour that something exists, also when it is off, up to its monthly price per calendar
//! month (behaviour 24).

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::actions::ResourceRef;
use super::money::Money;

const SECONDS_PER_HOUR: i64 = 3600;

/// A stretch of time in which something was billed at one price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillItem {
    /// What.
    pub resource: ResourceRef,
    /// Its name when it was ordered.
    pub name: String,
    /// Its price per month; the hour costs 1/624 of it.
    pub monthly: Money,
    /// Since when.
    pub from: Timestamp,
    /// Until when, if it is over.
    pub until: Option<Timestamp>,
}

impl BillItem {
    /// What it has cost by `now`.
    #[must_use]
    pub fn cost(&self, now: Timestamp) -> Money {
        let seconds = self.until.unwrap_or(now).as_second() - self.from.as_second();
        // The first hour is started at once.
        let started = if seconds < 0 { 0 } else { seconds / SECONDS_PER_HOUR + 1 };
        let mut hours_per_month: BTreeMap<Date, u64> = BTreeMap::new();
        for hour in 0..started {
            *hours_per_month.entry(month_of(self.from.as_second() + hour * SECONDS_PER_HOUR)).or_default() += 1;
        }
        hours_per_month.values().map(|hours| (self.monthly.hourly() * *hours).min(self.monthly)).sum()
    }
}

/// The first day of the month of a time in UTC.
fn month_of(second: i64) -> Date {
    let at = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    at.to_zoned(TimeZone::UTC).date().first_of_month()
}

/// What a project was and is billed for.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    items: Vec<BillItem>,
}

impl Ledger {
    /// The bill, in the order in which things were ordered.
    #[must_use]
    pub fn items(&self) -> &[BillItem] {
        &self.items
    }

    /// What everything has cost by `now`.
    #[must_use]
    pub fn accrued(&self, now: Timestamp) -> Money {
        self.items.iter().map(|item| item.cost(now)).sum()
    }

    /// What everything that exists costs per month.
    #[must_use]
    pub fn monthly(&self) -> Money {
        self.items.iter().filter(|item| item.until.is_none()).map(|item| item.monthly).sum()
    }

    pub(super) fn open(&mut self, resource: ResourceRef, name: String, monthly: Money, from: Timestamp) {
        self.items.push(BillItem { resource, name, monthly, from, until: None });
    }

    pub(super) fn close(&mut self, resource: ResourceRef, at: Timestamp) {
        for item in self.items.iter_mut().filter(|item| item.resource == resource && item.until.is_none()) {
            item.until = Some(at);
        }
    }

    pub(super) fn reprice(&mut self, resource: ResourceRef, monthly: Money, at: Timestamp) {
        let open = self.items.iter().find(|item| item.resource == resource && item.until.is_none());
        let Some(name) = open.map(|item| item.name.clone()) else { return };
        self.close(resource, at);
        self.open(resource, name, monthly, at);
    }
}

#[cfg(test)]
mod tests {
    use super::super::ids::ServerId;
    use super::*;

    fn item(from: &str, until: &str) -> BillItem {
        BillItem {
            resource: ResourceRef::Server(ServerId(1)),
            name: "a".into(),
            monthly: Money::ten_thousandths(62_400),
            from: from.parse().unwrap(),
            until: Some(until.parse().unwrap()),
        }
    }

    #[test]
    fn started_hours_count_and_the_month_caps_them() {
        let cost = |from, until| item(from, until).cost(Timestamp::MAX).to_string();
        assert_eq!(cost("2026-11-01T00:00:00Z", "2026-11-01T00:00:01Z"), "0.0100");
        assert_eq!(cost("2026-11-01T00:00:00Z", "2026-11-01T01:30:00Z"), "0.0200");
        assert_eq!(cost("2026-11-01T00:00:00Z", "2026-11-30T23:59:00Z"), "6.2400");
        assert_eq!(cost("2026-11-01T00:00:00Z", "2026-12-01T00:30:00Z"), "6.2500");
    }
}
