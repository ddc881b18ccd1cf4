//! Records of DNS, played on the world's zones.

use async_trait::async_trait;
use helix_engine::seams::{Accepted, CloudError, Zones};
use helix_plan::observed::Record;
use helix_plan::step::Lane;

use super::Client;
use super::request::gone;
use crate::world::zones::RrSet;
use crate::world::{ActionId, ApiResult};

/// The only type of records that Helix writes.
const A: &str = "A";

fn facts(zone: &str, it: &RrSet) -> Record {
    Record {
        zone: zone.to_owned(),
        name: it.name.clone(),
        addresses: it.records.iter().filter_map(|value| value.parse().ok()).collect(),
        labels: it.labels.clone(),
    }
}

fn values(record: &Record) -> Vec<String> {
    record.addresses.iter().map(ToString::to_string).collect()
}

fn accepted(action: ApiResult<ActionId>) -> ApiResult<Accepted<()>> {
    action.map(|action| Accepted { value: (), actions: vec![action.0] })
}

#[async_trait]
impl Zones for Client {
    async fn zones(&self, lane: Lane) -> Result<Vec<String>, CloudError> {
        self.ask("zones", |inner| {
            inner.request(self.on(lane), "GET", "/zones", |inner| {
                let zones = inner.world.project(inner.project).zones.values();
                Ok(zones.map(|zone| zone.meta.name.clone()).collect())
            })
        })
        .await
    }

    async fn records(&self, lane: Lane, zone: &str) -> Result<Vec<Record>, CloudError> {
        self.ask("records", |inner| {
            inner.request(self.on(lane), "GET", "/zones/*/rrsets", |inner| {
                let found = inner.world.project(inner.project).zone(zone)?;
                let ours = |it: &&RrSet| it.kind == A && it.labels.contains_key(helix_crds::labels::PLATFORM_UID);
                Ok(found.rrsets.values().filter(ours).map(|it| facts(zone, it)).collect())
            })
        })
        .await
    }

    async fn record(&self, lane: Lane, zone: &str, name: &str) -> Result<Option<Record>, CloudError> {
        self.ask("record", |inner| {
            inner.request(self.on(lane), "GET", "/zones/*/rrsets/*/A", |inner| {
                Ok(inner.world.project(inner.project).rrset(zone, name, A).ok().map(|it| facts(zone, it)))
            })
        })
        .await
    }

    async fn create_record(&self, lane: Lane, new: &Record) -> Result<Accepted<()>, CloudError> {
        self.tell("create record", |inner| {
            inner.request(self.on(lane), "POST", "/zones/*/rrsets", |inner| {
                let (project, now) = (inner.project, inner.now);
                let order = RrSet {
                    name: new.name.clone(),
                    kind: A.to_owned(),
                    ttl_seconds: None,
                    labels: new.labels.clone(),
                    records: values(new),
                };
                accepted(inner.world.create_rrset(project, &new.zone, order, now))
            })
        })
        .await
    }

    async fn set_record(&self, lane: Lane, record: &Record) -> Result<Accepted<()>, CloudError> {
        self.tell("set record", |inner| {
            inner.request(self.on(lane), "POST", "/zones/*/rrsets/*/A/actions/set_records", |inner| {
                let (project, now) = (inner.project, inner.now);
                let place = (record.zone.as_str(), record.name.as_str(), A);
                accepted(inner.world.set_records(project, place, values(record), now))
            })
        })
        .await
    }

    async fn delete_record(&self, lane: Lane, zone: &str, name: &str) -> Result<Accepted<()>, CloudError> {
        let result = self.tell("delete record", |inner| {
            inner.request(self.on(lane), "DELETE", "/zones/*/rrsets/*/A", |inner| {
                let (project, now) = (inner.project, inner.now);
                accepted(inner.world.delete_rrset(project, (zone, name, A), now))
            })
        });
        gone(result.await)
    }
}
