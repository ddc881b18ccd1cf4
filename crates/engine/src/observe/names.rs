//! Reading names: the platform's records in its zone at Hetzner, one paged call in a sweep, and what other names lead to.

use std::collections::BTreeMap;

use futures::future::join_all;
use helix_plan::SWEEP;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{DnsFacts, Fact, Missing, Record};
use helix_plan::step::Lane;
use helix_plan::validated::Dns;
use jiff::Timestamp;

use super::missing_cloud;
use crate::memory::Memory;
use crate::seams::{CloudError, Seams};

/// What a living platform's names are like.
pub(super) async fn ask(
    seams: &Seams,
    platform: &PlatformIdentity,
    dns: &Dns,
    memory: &mut Memory,
    now: Timestamp,
) -> DnsFacts {
    let zone = dns.zone.as_deref().filter(|_| dns.hosts().any(|host| dns.place(host).is_some()));
    let lane = if memory.settled { Lane::Drift } else { Lane::ControlPlane };
    let records = records(seams, platform, zone, lane, memory, now).await;
    let by_hand = dns.hosts().filter(|host| dns.place(host).is_none());
    let asked = by_hand.map(|host| async move { (host.clone(), seams.names.resolve(host).await) });
    let resolved = join_all(asked).await.into_iter().map(|(host, found)| (host, found.into_iter().collect()));
    DnsFacts { records, resolved: resolved.collect() }
}

/// What is left of the names of a platform that is deleted.
pub(super) async fn ask_of_the_leaving(
    seams: &Seams,
    platform: &PlatformIdentity,
    zone: Option<&str>,
    memory: &mut Memory,
    now: Timestamp,
) -> DnsFacts {
    let records = records(seams, platform, zone, Lane::Teardown, memory, now).await;
    DnsFacts { records, resolved: BTreeMap::new() }
}

async fn records(
    seams: &Seams,
    platform: &PlatformIdentity,
    zone: Option<&str>,
    lane: Lane,
    memory: &mut Memory,
    now: Timestamp,
) -> Fact<Vec<Record>> {
    let Some(zone) = zone else {
        memory.records = None;
        return Fact::known(Vec::new(), now);
    };
    if let Some((at, of, records)) = &memory.records
        && of == zone
        && *at + SWEEP > now
    {
        return Fact::known(records.clone(), *at);
    }
    match seams.project.cloud().records(lane, zone).await {
        Ok(mut records) => {
            records.retain(|record| platform.owns(&record.labels));
            memory.records = Some((now, zone.to_owned(), records.clone()));
            Fact::known(records, now)
        }
        Err(CloudError::NotFound { .. }) => Fact::Missing(Missing::Refused {
            who: "Hetzner's DNS".to_owned(),
            why: format!("the project has no zone {zone}"),
            remedy: "Make the zone in the token's project, name another in spec.dns.zone, or write provider: Manual"
                .to_owned(),
        }),
        Err(error) => Fact::Missing(missing_cloud(&error)),
    }
}
