//! The dated table of types and prices, for plans that are made without a token. Hetzner's API is the authority.

use std::collections::BTreeMap;

use jiff::civil::date;
use rust_decimal::Decimal;

use super::{Architecture, Catalogue, EurMonthly, Offer, ServerType, Source};

/// Locations and their network zones.
const LOCATIONS: [(&str, &str); 6] = [
    ("ash", "us-east"),
    ("fsn1", "eu-central"),
    ("hel1", "eu-central"),
    ("hil", "us-west"),
    ("nbg1", "eu-central"),
    ("sin", "ap-southeast"),
];

/// The locations for which the table has prices.
const PRICED: [&str; 3] = ["fsn1", "hel1", "nbg1"];

/// Name, cores, memory in GB, disk in GB, price in cents per month.
type Row = (&'static str, u32, u32, u32, i64);

const X86: [Row; 16] = [
    ("cx23", 2, 4, 40, 549),
    ("cx33", 4, 8, 80, 849),
    ("cx43", 8, 16, 160, 1_599),
    ("cx53", 16, 32, 320, 2_949),
    ("cpx12", 1, 2, 40, 1_149),
    ("cpx22", 2, 4, 80, 1_949),
    ("cpx32", 4, 8, 160, 3_549),
    ("cpx42", 8, 16, 320, 6_949),
    ("cpx52", 12, 24, 480, 10_049),
    ("cpx62", 16, 32, 640, 12_999),
    ("ccx13", 2, 8, 80, 4_299),
    ("ccx23", 4, 16, 160, 8_599),
    ("ccx33", 8, 32, 240, 13_849),
    ("ccx43", 16, 64, 360, 27_599),
    ("ccx53", 32, 128, 600, 53_349),
    ("ccx63", 48, 192, 960, 85_349),
];

const ARM: [Row; 4] =
    [("cax11", 2, 4, 40, 599), ("cax21", 4, 8, 80, 1_049), ("cax31", 8, 16, 160, 2_099), ("cax41", 16, 32, 320, 4_099)];

/// Types and net prices in the EU as published from 2026-06-15 on and seen again on 2026-10-28.
#[must_use]
pub fn dated_table() -> Catalogue {
    let rows = |rows: &'static [Row], architecture| rows.iter().map(move |row| server_type(row, architecture));
    Catalogue {
        source: Source::Table { of: date(2026, 10, 28) },
        locations: LOCATIONS.iter().map(|(name, zone)| ((*name).to_owned(), (*zone).to_owned())).collect(),
        server_types: rows(&X86, Architecture::X86).chain(rows(&ARM, Architecture::Arm)).collect(),
        load_balancers: BTreeMap::from([("lb11".to_owned(), EurMonthly::from_cents(749))]),
        primary_ipv4: EurMonthly::from_cents(50),
        volume_gb: EurMonthly::new(Decimal::new(572, 4)),
    }
}

fn server_type(&(name, cores, memory_gb, disk_gb, cents): &Row, architecture: Architecture) -> (String, ServerType) {
    let offer = Offer { monthly: EurMonthly::from_cents(cents), available: true, unavailable_after: None };
    let offers = PRICED.iter().map(|location| ((*location).to_owned(), offer.clone())).collect();
    (name.to_owned(), ServerType { architecture, cores, memory_gb, disk_gb, offers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_costs_its_type_and_its_address() {
        let catalogue = dated_table();
        assert_eq!(catalogue.server_monthly("cx33", "fsn1"), Some(EurMonthly::from_cents(899)));
        assert_eq!(catalogue.server_monthly("cx33", "ash"), None);
        assert_eq!(catalogue.server_monthly("cx99", "fsn1"), None);
    }
}
