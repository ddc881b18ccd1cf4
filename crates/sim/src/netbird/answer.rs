//! What is answered: documents, and errors as NetBird's with the status in the body.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::mesh::Mesh;

/// A document, or why there is none.
pub(super) type Answer = Result<Json<Value>, Refusal>;

/// An error.
#[derive(Debug)]
pub(super) struct Refusal {
    code: u16,
    message: String,
}

impl Refusal {
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn not_found(what: &str, id: &str) -> Self {
        Self::new(404, format!("{what}: {id} not found"))
    }

    pub(super) fn no_such_method() -> Self {
        Self::new(405, "method not allowed")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(json!({"code": self.code, "message": self.message}))).into_response()
    }
}

/// A group as others name it.
pub(super) fn group_minimum(mesh: &Mesh, id: &str) -> Option<Value> {
    let group = mesh.groups.get(id)?;
    Some(json!({
        "id": id,
        "name": group.name,
        "peers_count": group.peers.len(),
        "resources_count": resources_of(mesh, id).len(),
        "issued": "api",
    }))
}

/// Several of them.
pub(super) fn group_minimums(mesh: &Mesh, ids: &[String]) -> Vec<Value> {
    ids.iter().filter_map(|id| group_minimum(mesh, id)).collect()
}

/// The resources that are in a group.
pub(super) fn resources_of(mesh: &Mesh, group: &str) -> Vec<Value> {
    let all = mesh.networks.values().flat_map(|network| &network.resources);
    let here = all.filter(|(_, resource)| resource.groups.iter().any(|it| it == group));
    here.map(|(id, resource)| json!({"id": id, "type": resource.kind()})).collect()
}

/// Refuses groups that nobody has made.
pub(super) fn check_groups(mesh: &Mesh, ids: &[String]) -> Result<(), Refusal> {
    match ids.iter().find(|id| !mesh.groups.contains_key(*id)) {
        Some(missing) => Err(Refusal::not_found("group", missing)),
        None => Ok(()),
    }
}

/// Refuses an empty name.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() { Err(Refusal::new(422, "name should not be empty")) } else { Ok(()) }
}
