//! What is known of names: the records that platforms own in a zone at Hetzner, and what other names lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::Serialize;

use super::{Fact, Tags};

/// The name of a zone's own records.
pub const APEX: &str = "@";

/// An A record, with all its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The zone, as in `example.com`.
    pub zone: String,
    /// The name within it; [`APEX`] for the zone itself.
    pub name: String,
    /// Where it leads.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// Labels.
    pub labels: Tags,
}

impl Record {
    /// The whole name.
    #[must_use]
    pub fn host(&self) -> String {
        host(&self.zone, &self.name)
    }
}

/// The whole name of a record in a zone.
#[must_use]
pub fn host(zone: &str, name: &str) -> String {
    if name == APEX { zone.to_owned() } else { format!("{name}.{zone}") }
}

/// What is known of a platform's names.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsFacts {
    /// The platform's records at Hetzner, in whatever zone of the token they are.
    pub records: Fact<Vec<Record>>,
    /// What names that others write lead to, as seen from where Helix is.
    pub resolved: BTreeMap<String, BTreeSet<Ipv4Addr>>,
}
