//! Spread placement groups.

use helix_plan::observed::{PlacementGroup, Tags};
use serde::Deserialize;
use serde_json::json;

use super::paging::Item;
use super::request::{Request, Subject};

pub(super) const KIND: &str = "placement group";

#[derive(Debug, Deserialize)]
pub(super) struct PlacementGroupWire {
    id: u64,
    name: String,
    #[serde(default)]
    labels: Tags,
    #[serde(default)]
    servers: Vec<u64>,
}

impl Item for PlacementGroupWire {
    fn id(&self) -> u64 {
        self.id
    }
}

impl From<PlacementGroupWire> for PlacementGroup {
    fn from(wire: PlacementGroupWire) -> Self {
        Self { id: wire.id, name: wire.name, labels: wire.labels, servers: wire.servers }
    }
}

pub(super) fn list() -> Request {
    Request::get("/placement_groups", Subject::all(KIND))
}

pub(super) fn create(name: &str, labels: &Tags) -> Request {
    let body = json!({"name": name, "labels": labels, "type": "spread"});
    Request::post("/placement_groups", Subject::named(KIND, name), &body)
}
