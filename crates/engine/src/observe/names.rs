//! Reading names: the platform's records in its zone at Hetzner, one paged call in a sweep, and what other names lead to.
//!
//! A platform may have had another zone once: the token's other zones are looked through whenever its specification has
//! changed, and when it is deleted. What another token's project holds is out of reach.

use std::collections::BTreeMap;

use futures::future::join_all;
use helix_plan::SWEEP;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{DnsFacts, Fact, Missing, Record};
use helix_plan::step::Lane;
use helix_plan::validated::Dns;
use jiff::Timestamp;

use super::missing_cloud;
use crate::memory::{KeptRecords, Memory};
use crate::seams::{Cloud, CloudError, Seams};

/// What a living platform's names are like.
pub(super) async fn ask(
    seams: &Seams,
    platform: &PlatformIdentity,
    dns: &Dns,
    memory: &mut Memory,
    now: Timestamp,
) -> DnsFacts {
    let named = dns.hosts().next().is_some();
    let zone = dns.zone.as_deref().filter(|_| dns.hosts().any(|host| dns.place(host).is_some()));
    let lane = if memory.settled { Lane::Drift } else { Lane::ControlPlane };
    let mut records = records(seams, platform, zone, lane, memory, now).await;
    if named && let Some(records) = records.value_mut() {
        records.extend(elsewhere(seams, platform, zone, lane, memory, now).await);
    }
    let by_hand = dns.hosts().filter(|host| dns.place(host).is_none());
    let asked = by_hand.map(|host| async move { (host.clone(), seams.names.resolve(host).await) });
    let resolved = join_all(asked).await.into_iter().map(|(host, found)| (host, found.into_iter().collect()));
    DnsFacts { records, resolved: resolved.collect() }
}

/// What is left of the names of a platform that is deleted, in whatever zone.
pub(super) async fn ask_of_the_leaving(
    seams: &Seams,
    platform: &PlatformIdentity,
    memory: &mut Memory,
    now: Timestamp,
) -> DnsFacts {
    let records = match &memory.records {
        Some(kept) if kept.zone.is_none() && kept.at + SWEEP > now => Fact::known(kept.records.clone(), kept.at),
        _ => match everywhere(seams.project.cloud(), None, Lane::Teardown).await {
            Ok(mut records) => {
                records.retain(|record| platform.owns(&record.labels));
                memory.records = Some(KeptRecords { at: now, zone: None, records: records.clone() });
                Fact::known(records, now)
            }
            // A token that sees no zones has written none.
            Err(CloudError::NotFound { .. }) => Fact::known(Vec::new(), now),
            Err(error) => Fact::Missing(missing_cloud(&error)),
        },
    };
    DnsFacts { records, resolved: BTreeMap::new() }
}

/// The records of any platform in all zones that the token can see, but for one zone.
pub(crate) async fn everywhere(cloud: &dyn Cloud, but: Option<&str>, lane: Lane) -> Result<Vec<Record>, CloudError> {
    let mut records = Vec::new();
    for zone in cloud.zones(lane).await? {
        if but != Some(zone.as_str()) {
            match cloud.records(lane, &zone).await {
                // It has gone since.
                Err(CloudError::NotFound { .. }) => {}
                found => records.extend(found?),
            }
        }
    }
    Ok(records)
}

/// The platform's records in other zones than its own: looked for again while there are any, and after one could not be
/// told with the next sweep. Nothing waits for them.
async fn elsewhere(
    seams: &Seams,
    platform: &PlatformIdentity,
    zone: Option<&str>,
    lane: Lane,
    memory: &mut Memory,
    now: Timestamp,
) -> Vec<Record> {
    if let Some((again_at, records)) = &memory.elsewhere
        && *again_at > now
    {
        return records.clone();
    }
    let mut records = match everywhere(seams.project.cloud(), zone, lane).await {
        Ok(records) => records,
        Err(error) => {
            tracing::debug!(reason = error.reason(), %error, "records in other zones are not known");
            memory.elsewhere = Some((now + SWEEP, Vec::new()));
            return Vec::new();
        }
    };
    records.retain(|record| platform.owns(&record.labels));
    let again_at = if records.is_empty() { Timestamp::MAX } else { now + SWEEP };
    memory.elsewhere = Some((again_at, records.clone()));
    records
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
    if let Some(kept) = &memory.records
        && kept.zone.as_deref() == Some(zone)
        && kept.at + SWEEP > now
    {
        return Fact::known(kept.records.clone(), kept.at);
    }
    match seams.project.cloud().records(lane, zone).await {
        Ok(mut records) => {
            records.retain(|record| platform.owns(&record.labels));
            memory.records = Some(KeptRecords { at: now, zone: Some(zone.to_owned()), records: records.clone() });
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
