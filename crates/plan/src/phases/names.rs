//! Names: those of the ingress lead to Traefik's load balancer, that of the Kubernetes API to the control planes.
//!
//! What is in the zone at Hetzner Helix writes and owns by a label; everything else somebody else writes, and Helix waits
//! until it resolves so. What it owns in a zone, or under a name, that the specification no longer names is taken away. A name that has somebody else's record is found out when it is to be made, and blocks.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::{Context, Outcome, servers};
use crate::observed::{Fact, Observed, Record};
use crate::report::{Reach, Wait};
use crate::step::{RecordChange, Step};

/// The Service whose load balancer everything that is published is behind.
const INGRESS: (&str, &str) = ("traefik", "traefik");

/// The name of the Kubernetes API, which machines need to find it.
pub(super) fn api(context: &Context<'_>) -> Outcome {
    let Some(host) = &context.platform.dns.api else {
        return Outcome::done("the API is reached without a name", context.observed.cloud.at());
    };
    let public = |machine| context.server_of(machine)?.public_ipv4;
    let addresses: BTreeSet<Ipv4Addr> = servers::control_planes(context).iter().filter_map(public).collect();
    if addresses.is_empty() {
        return Outcome::waiting(Wait::Concern(super::Concern::Servers));
    }
    lead(context, &BTreeSet::from([host.clone()]), &addresses, Vec::new())
}

/// The names of the ingress.
pub(super) fn ingress(context: &Context<'_>) -> Outcome {
    let hosts = &context.platform.dns.ingress;
    let stale = stale(context);
    if hosts.is_empty() && stale.is_empty() {
        return Outcome::done("nothing is published under a name", context.observed.cloud.at());
    }
    let addresses = ingress_addresses(context);
    if addresses.is_empty() && !hosts.is_empty() {
        let waiting = Outcome::waiting(Wait::Reach(Reach::IngressAddress));
        return if stale.is_empty() { waiting } else { Outcome::steps(stale) };
    }
    lead(context, hosts, &addresses, stale)
}

/// What Traefik's Service says of its load balancer: the addresses that the world can reach.
fn ingress_addresses(context: &Context<'_>) -> BTreeSet<Ipv4Addr> {
    let services = context.observed.kubernetes.value().map(|kubernetes| kubernetes.services.as_slice());
    let ingress = services.into_iter().flatten().find(|it| (it.namespace.as_str(), it.name.as_str()) == INGRESS);
    let public = |address: &Ipv4Addr| !context.platform.network.cidr.contains(address);
    ingress.into_iter().flat_map(|it| it.addresses.iter().copied()).filter(public).collect()
}

/// The platform's own records.
fn ours<'a>(context: &Context<'a>, records: &'a [Record]) -> impl Iterator<Item = &'a Record> {
    let identity = &context.platform.identity;
    records.iter().filter(|record| identity.owns(&record.labels))
}

/// Deletions of our records that no name of the platform has any more, or has in another zone now.
fn stale(context: &Context<'_>) -> Vec<Step> {
    let dns = &context.platform.dns;
    let wanted: BTreeSet<(&str, String)> = dns.hosts().filter_map(|host| dns.place(host)).collect();
    let records = context.observed.dns.records.value().map(Vec::as_slice).unwrap_or_default();
    let is_wanted = |record: &&Record| wanted.contains(&(record.zone.as_str(), record.name.clone()));
    let stale = ours(context, records).filter(|record| !is_wanted(record));
    stale.map(deletion).collect()
}

fn deletion(record: &Record) -> Step {
    Step::ChangeRecord(RecordChange::Delete { zone: record.zone.clone(), name: record.name.clone() })
}

/// Lets these hosts lead to these addresses, besides what is to be done anyway.
fn lead(
    context: &Context<'_>,
    hosts: &BTreeSet<String>,
    addresses: &BTreeSet<Ipv4Addr>,
    mut steps: Vec<Step>,
) -> Outcome {
    let dns = &context.platform.dns;
    let facts = &context.observed.dns;
    let mut awaited = None;
    for host in hosts {
        let Some((zone, name)) = dns.place(host) else {
            let leads = facts.resolved.get(host).is_some_and(|found| !found.is_empty() && found.is_subset(addresses));
            if let (false, Some(address)) = (leads, addresses.first()) {
                awaited.get_or_insert(Wait::Reach(Reach::DnsRecord { host: host.clone(), address: *address }));
            }
            continue;
        };
        let records = match &facts.records {
            Fact::Known { value, .. } => value,
            Fact::Missing(missing) => return Outcome::unknown(missing.clone()),
        };
        let labels = context.platform.identity.labels();
        let wanted = Record { zone: zone.to_owned(), name, addresses: addresses.clone(), labels };
        match ours(context, records).find(|it| it.zone == wanted.zone && it.name == wanted.name) {
            Some(found) if found.addresses == wanted.addresses => {}
            Some(_) => steps.push(Step::ChangeRecord(RecordChange::Set(wanted))),
            None => steps.push(Step::ChangeRecord(RecordChange::Create(wanted))),
        }
    }
    match awaited {
        _ if !steps.is_empty() => Outcome::steps(steps),
        Some(wait) => Outcome::resting(wait),
        None => {
            let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let what = format!("{} lead to {}", names.join(", "), addresses.join(", "));
            Outcome::done(what, facts.records.at().or(context.observed.cloud.at()))
        }
    }
}

/// What a platform that is deleted has to do about its names first of all, so that nobody is sent to what is gone: `None`
/// where nothing is left. A zone that is gone, or of another project, holds nothing back.
pub(super) fn leave(observed: &Observed) -> Option<Outcome> {
    match &observed.dns.records {
        Fact::Known { value: records, .. } if records.is_empty() => None,
        Fact::Known { value: records, .. } => Some(Outcome::steps(records.iter().map(deletion).collect())),
        Fact::Missing(missing @ crate::observed::Missing::Unreachable { .. }) => {
            Some(Outcome::unknown(missing.clone()))
        }
        Fact::Missing(_) => None,
    }
}
