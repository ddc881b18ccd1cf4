//! Records of DNS: which requests make up a call. A set of records has no number; it is named by zone, name and type.

use async_trait::async_trait;
use helix_engine::seams::{Accepted, CloudError, Zones};
use helix_plan::observed::{Record, Tags};
use helix_plan::step::Lane;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::HetznerProject;
use super::cloud::of_helix;
use super::request::{Request, Subject};
use super::wire::Page;

const KIND: &str = "DNS record";

/// How long answers are kept by those who asked, in seconds: an address changes when a load balancer is made anew.
const TTL_SECONDS: u32 = 300;

/// A page; what Helix owns in a zone fits on one by far, and further ones are read all the same.
const PER_PAGE: &str = "50";

/// More than so many pages is a list that never ends.
const MOST_PAGES: u64 = 20;

/// A set of records, as far as Helix reads it.
#[derive(Debug, Deserialize)]
pub(super) struct RrSetWire {
    name: String,
    #[serde(default)]
    labels: Tags,
    records: Vec<Value>,
}

impl RrSetWire {
    pub(super) fn into_facts(self, zone: &str) -> Record {
        let value = |record: &Value| record.get("value")?.as_str()?.parse().ok();
        let addresses = self.records.iter().filter_map(value).collect();
        Record { zone: zone.to_owned(), name: self.name, addresses, labels: self.labels }
    }
}

/// A zone, as far as Helix reads it.
#[derive(Debug, Deserialize)]
pub(super) struct ZoneWire {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
struct One {
    rrset: RrSetWire,
}

fn subject(zone: &str, name: &str) -> Subject {
    let host = if name == "@" { zone.to_owned() } else { format!("{name}.{zone}") };
    Subject::named(KIND, &host)
}

fn values(record: &Record) -> Vec<Value> {
    record.addresses.iter().map(|address| json!({"value": address.to_string()})).collect()
}

pub(super) fn all() -> Request {
    Request::get("/zones", Subject::all("zone"))
}

pub(super) fn list(zone: &str) -> Request {
    Request::get(format!("/zones/{zone}/rrsets"), Subject::named("zone", zone)).with("type", "A")
}

pub(super) fn get(zone: &str, name: &str) -> Request {
    Request::get(format!("/zones/{zone}/rrsets/{name}/A"), subject(zone, name))
}

pub(super) fn create(new: &Record) -> Request {
    let body = json!({
        "name": new.name, "type": "A", "ttl": TTL_SECONDS, "records": values(new), "labels": new.labels,
    });
    Request::post(format!("/zones/{}/rrsets", new.zone), subject(&new.zone, &new.name), &body)
}

pub(super) fn set(record: &Record) -> Request {
    let Record { zone, name, .. } = record;
    let body = json!({"records": values(record)});
    Request::post(format!("/zones/{zone}/rrsets/{name}/A/actions/set_records"), subject(zone, name), &body)
}

pub(super) fn delete(zone: &str, name: &str) -> Request {
    Request::delete(format!("/zones/{zone}/rrsets/{name}/A"), subject(zone, name))
}

impl HetznerProject {
    /// All pages of a list.
    async fn pages<T: DeserializeOwned>(
        &self,
        lane: Lane,
        request: impl Fn() -> Request + Send + Sync,
    ) -> Result<Vec<T>, CloudError> {
        let mut items = Vec::new();
        for number in 1..=MOST_PAGES {
            let request = request().with("page", number.to_string()).with("per_page", PER_PAGE);
            let page: Page<T> = self.transport.call(lane, &request).await?;
            items.extend(page.items);
            if page.meta.pagination.next_page.is_none() {
                return Ok(items);
            }
        }
        Err(self.transport.malformed(&format!("a list of more than {MOST_PAGES} pages")))
    }
}

#[async_trait]
impl Zones for HetznerProject {
    async fn zones(&self, lane: Lane) -> Result<Vec<String>, CloudError> {
        let zones: Vec<ZoneWire> = self.pages(lane, all).await?;
        Ok(zones.into_iter().map(|zone| zone.name).collect())
    }

    async fn records(&self, lane: Lane, zone: &str) -> Result<Vec<Record>, CloudError> {
        let records: Vec<RrSetWire> = self.pages(lane, || of_helix(list(zone))).await?;
        Ok(records.into_iter().map(|it| it.into_facts(zone)).collect())
    }

    async fn record(&self, lane: Lane, zone: &str, name: &str) -> Result<Option<Record>, CloudError> {
        match self.transport.call::<One>(lane, &get(zone, name)).await {
            Ok(one) => Ok(Some(one.rrset.into_facts(zone))),
            Err(CloudError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create_record(&self, lane: Lane, new: &Record) -> Result<Accepted<()>, CloudError> {
        self.start(lane, &create(new)).await
    }

    async fn set_record(&self, lane: Lane, record: &Record) -> Result<Accepted<()>, CloudError> {
        self.start(lane, &set(record)).await
    }

    async fn delete_record(&self, lane: Lane, zone: &str, name: &str) -> Result<Accepted<()>, CloudError> {
        match self.start(lane, &delete(zone, name)).await {
            Err(CloudError::NotFound { .. }) => Ok(Accepted { value: (), actions: Vec::new() }),
            outcome => outcome,
        }
    }
}
