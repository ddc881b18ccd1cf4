//! Snapshots that boot Talos. Helix reads them and never makes, changes or deletes one.

use helix_plan::observed::{Image, Tags};
use serde::Deserialize;

use super::paging::Item;
use super::request::{Request, Subject};

#[derive(Debug, Deserialize)]
pub(super) struct ImageWire {
    id: u64,
    status: String,
    architecture: String,
    #[serde(default)]
    labels: Tags,
}

impl Item for ImageWire {
    fn id(&self) -> u64 {
        self.id
    }
}

impl From<ImageWire> for Image {
    fn from(wire: ImageWire) -> Self {
        Self {
            id: wire.id,
            labels: wire.labels,
            architecture: wire.architecture,
            available: wire.status == "available",
        }
    }
}

pub(super) fn list() -> Request {
    Request::get("/images", Subject::all("image")).with("type", "snapshot")
}
