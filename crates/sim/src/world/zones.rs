//! Zones of DNS and the sets of records in them, as Hetzner's Cloud API keeps them.
//!
//! A change shows in the API at once; its action ends when the name servers have it. Left out: zones in secondary mode,
//! zone files, protection, and the records that Hetzner itself puts into a new zone.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::World;
use super::actions::{Effect, NewAction, ResourceRef};
use super::error::{ApiError, ApiResult};
use super::ids::{ActionId, ProjectId, ZoneId};
use super::labels::{self, Labels};
use super::project::{self, Meta, Project};

/// The zone that a project starts with: the domain that is set aside for examples.
pub const EXAMPLE_ZONE: &str = "example.com";

/// The TTL of a zone that says nothing else, in seconds.
pub const DEFAULT_TTL_SECONDS: u32 = 3_600;

/// The name of records of the zone itself.
const APEX: &str = "@";

/// Types of records that the API knows.
const KINDS: [&str; 16] =
    ["A", "AAAA", "CAA", "CNAME", "DS", "HINFO", "HTTPS", "MX", "NS", "PTR", "RP", "SOA", "SRV", "SVCB", "TLSA", "TXT"];

/// A zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its number.
    pub id: ZoneId,
    /// Name, labels, age, protection.
    pub meta: Meta,
    /// TTL of records that say nothing else.
    pub ttl_seconds: u32,
    /// Sets of records by name and type.
    pub rrsets: BTreeMap<(String, String), RrSet>,
}

/// All records of one name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrSet {
    /// The name within the zone; `@` for the zone itself.
    pub name: String,
    /// As in `A`.
    pub kind: String,
    /// TTL; `None` is the zone's.
    pub ttl_seconds: Option<u32>,
    /// Labels.
    pub labels: Labels,
    /// The records' values.
    pub records: Vec<String>,
}

impl RrSet {
    fn key(&self) -> (String, String) {
        (self.name.clone(), self.kind.clone())
    }
}

impl Project {
    /// The zone of that name or number.
    ///
    /// # Errors
    /// `not_found`.
    pub fn zone(&self, name_or_id: &str) -> ApiResult<&Zone> {
        let is_it = |zone: &&Zone| zone.meta.name == name_or_id || zone.id.to_string() == name_or_id;
        self.zones.values().find(is_it).ok_or_else(|| ApiError::not_found("zone", name_or_id))
    }

    /// A set of records.
    ///
    /// # Errors
    /// `not_found`, also about the zone.
    pub fn rrset(&self, zone: &str, name: &str, kind: &str) -> ApiResult<&RrSet> {
        let found = self.zone(zone)?.rrsets.get(&(name.to_owned(), kind.to_owned()));
        found.ok_or_else(|| ApiError::not_found("rrset", format!("{name}/{kind}")))
    }

    /// Every address that a name in the project's zones leads to, as a resolver would find it.
    #[must_use]
    pub fn resolve(&self, host: &str) -> Vec<String> {
        let within = |zone: &Zone| match host.strip_suffix(zone.meta.name.as_str())? {
            "" => Some(APEX.to_owned()),
            rest => rest.strip_suffix('.').map(str::to_owned),
        };
        let found = self.zones.values().filter_map(|zone| zone.rrsets.get(&(within(zone)?, "A".to_owned())));
        found.flat_map(|rrset| rrset.records.clone()).collect()
    }
}

impl World {
    /// Adds a zone.
    ///
    /// # Errors
    /// `invalid_input`, `uniqueness_error`.
    pub fn create_zone(
        &mut self,
        project: ProjectId,
        name: &str,
        labels: Labels,
        now: Timestamp,
    ) -> ApiResult<(ZoneId, ActionId)> {
        self.advance(now);
        project::check_new(&self.project(project).zones, name, &labels)?;
        if !name.contains('.') || name.ends_with('.') || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ApiError::invalid("name", "must be a domain in lower case without a dot at its end"));
        }
        let id = self.add_zone(project, name, labels);
        Ok((id, self.zone_action(project, "create_zone", id)))
    }

    pub(super) fn add_zone(&mut self, project: ProjectId, name: &str, labels: Labels) -> ZoneId {
        let id = ZoneId(self.next_id());
        let meta = Meta::new(name.to_owned(), labels, self.now());
        let zone = Zone { id, meta, ttl_seconds: DEFAULT_TTL_SECONDS, rrsets: BTreeMap::new() };
        self.project_mut(project).zones.insert(id, zone);
        id
    }

    /// Deletes a zone with all that is in it.
    ///
    /// # Errors
    /// `not_found`, `protected`.
    pub fn delete_zone(&mut self, project: ProjectId, zone: &str, now: Timestamp) -> ApiResult<ActionId> {
        self.advance(now);
        let zone = self.project(project).zone(zone)?;
        project::check_deletable(zone)?;
        let id = zone.id;
        self.project_mut(project).zones.remove(&id);
        Ok(self.zone_action(project, "delete_zone", id))
    }

    /// Adds a set of records.
    ///
    /// # Errors
    /// `not_found` about the zone, `invalid_input`, `uniqueness_error`.
    pub fn create_rrset(&mut self, project: ProjectId, zone: &str, new: RrSet, now: Timestamp) -> ApiResult<ActionId> {
        self.advance(now);
        let found = self.project(project).zone(zone)?;
        labels::validate(&new.labels)?;
        check_name(&new.name)?;
        check_records(&new.kind, &new.records)?;
        if found.rrsets.contains_key(&new.key()) {
            return Err(ApiError::not_unique("rrset", "name"));
        }
        let of_name = |kind: &str| found.rrsets.contains_key(&(new.name.clone(), kind.to_owned()));
        if new.kind != "CNAME" && of_name("CNAME") {
            return Err(ApiError::invalid("name", "has a CNAME record, beside which there is no other"));
        }
        let id = found.id;
        if let Some(zone) = self.project_mut(project).zones.get_mut(&id) {
            zone.rrsets.insert(new.key(), new);
        }
        Ok(self.zone_action(project, "create_rrset", id))
    }

    /// Replaces all records of a set.
    ///
    /// # Errors
    /// `not_found`, `invalid_input`.
    pub fn set_records(
        &mut self,
        project: ProjectId,
        (zone, name, kind): (&str, &str, &str),
        records: Vec<String>,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        check_records(kind, &records)?;
        let id = self.change_rrset(project, (zone, name, kind), now, |rrset| rrset.records = records)?;
        Ok(self.zone_action(project, "set_rrset_records", id))
    }

    /// Replaces all labels of a set.
    ///
    /// # Errors
    /// `not_found`, `invalid_input`.
    pub fn label_rrset(
        &mut self,
        project: ProjectId,
        rrset: (&str, &str, &str),
        labels: Labels,
        now: Timestamp,
    ) -> ApiResult<()> {
        labels::validate(&labels)?;
        self.change_rrset(project, rrset, now, |rrset| rrset.labels = labels).map(drop)
    }

    /// Deletes a set of records.
    ///
    /// # Errors
    /// `not_found`.
    pub fn delete_rrset(
        &mut self,
        project: ProjectId,
        (zone, name, kind): (&str, &str, &str),
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        let key = self.project(project).rrset(zone, name, kind)?.key();
        let id = self.project(project).zone(zone)?.id;
        if let Some(zone) = self.project_mut(project).zones.get_mut(&id) {
            zone.rrsets.remove(&key);
        }
        Ok(self.zone_action(project, "delete_rrset", id))
    }

    fn change_rrset(
        &mut self,
        project: ProjectId,
        (zone, name, kind): (&str, &str, &str),
        now: Timestamp,
        change: impl FnOnce(&mut RrSet),
    ) -> ApiResult<ZoneId> {
        self.advance(now);
        let key = self.project(project).rrset(zone, name, kind)?.key();
        let id = self.project(project).zone(zone)?.id;
        let zone = self.project_mut(project).zones.get_mut(&id);
        if let Some(rrset) = zone.and_then(|zone| zone.rrsets.get_mut(&key)) {
            change(rrset);
        }
        Ok(id)
    }

    fn zone_action(&mut self, project: ProjectId, command: &'static str, zone: ZoneId) -> ActionId {
        let takes = self.latencies().minor;
        self.start_action(project, NewAction::new(command, ResourceRef::Zone(zone), takes, Effect::None))
    }
}

fn check_name(name: &str) -> ApiResult<()> {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        !label.is_empty() && label.len() <= 63 && (label == "*" || label.bytes().all(inner))
    };
    if name == APEX || name.split('.').all(label) {
        return Ok(());
    }
    Err(ApiError::invalid("name", "must be a name within the zone in lower case, or @"))
}

fn check_records(kind: &str, records: &[String]) -> ApiResult<()> {
    if !KINDS.contains(&kind) {
        return Err(ApiError::invalid("type", "is not a known type of records"));
    }
    if records.is_empty() || records.len() > 50 {
        return Err(ApiError::invalid("records", "must have 1 to 50 records"));
    }
    let fits = |value: &String| match kind {
        "A" => value.parse::<std::net::Ipv4Addr>().is_ok(),
        "AAAA" => value.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => !value.is_empty(),
    };
    if records.iter().all(fits) { Ok(()) } else { Err(ApiError::invalid("records", "has a value of another type")) }
}
