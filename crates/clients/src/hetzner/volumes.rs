//! Volumes: made by the cluster's own driver, never by Helix, and looked after when their platform goes.

use helix_plan::observed::{Tags, Volume};
use serde::Deserialize;

use super::paging::Item;
use super::request::{Request, Subject};
use super::wire::Named;

pub(super) const KIND: &str = "volume";

#[derive(Debug, Deserialize)]
pub(super) struct VolumeWire {
    id: u64,
    name: String,
    #[serde(default)]
    labels: Tags,
    location: Named,
    size: u32,
    server: Option<u64>,
}

impl Item for VolumeWire {
    fn id(&self) -> u64 {
        self.id
    }
}

impl From<VolumeWire> for Volume {
    fn from(wire: VolumeWire) -> Self {
        Self {
            id: wire.id,
            name: wire.name,
            labels: wire.labels,
            location: wire.location.name,
            size_gb: wire.size,
            server: wire.server,
        }
    }
}

pub(super) fn list() -> Request {
    Request::get("/volumes", Subject::all(KIND))
}

pub(super) fn detach(volume: u64) -> Request {
    Request::post_empty(format!("/volumes/{volume}/actions/detach"), Subject::id(KIND, volume))
}
