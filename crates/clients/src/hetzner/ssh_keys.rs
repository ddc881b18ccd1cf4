//! SSH keys. Talos ignores them; a server made with one has no root password that Hetzner would mail.

use helix_plan::observed::{SshKey, Tags};
use serde_json::json;

use super::request::{Request, Subject};
use super::wire::Labelled;

pub(super) const KIND: &str = "SSH key";

impl From<Labelled> for SshKey {
    fn from(wire: Labelled) -> Self {
        Self { id: wire.id, name: wire.name, labels: wire.labels }
    }
}

pub(super) fn list() -> Request {
    Request::get("/ssh_keys", Subject::all(KIND))
}

pub(super) fn create(name: &str, labels: &Tags, public_key: &str) -> Request {
    let body = json!({"name": name, "labels": labels, "public_key": public_key});
    Request::post("/ssh_keys", Subject::named(KIND, name), &body)
}
