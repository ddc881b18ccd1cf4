//! Zones of names that peers of some groups resolve.

use axum::Json;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Call;
use super::answer::{Answer, Refusal, check_groups, check_name};
use crate::world::mesh::{Mesh, Zone};

#[derive(Deserialize)]
struct ZoneRequest {
    name: String,
    domain: String,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    enable_search_domain: bool,
    distribution_groups: Vec<String>,
}

fn yes() -> bool {
    true
}

pub(super) fn zones(mesh: &mut Mesh, rest: &[&str], call: &Call<'_>) -> Answer {
    match (call.method, rest) {
        (&Method::GET, []) => Ok(Json(mesh.zones.iter().map(|(id, zone)| shown(id, zone)).collect())),
        (&Method::POST, []) => {
            let zone = read(mesh, call)?;
            if mesh.zones.values().any(|known| known.domain == zone.domain) {
                return Err(Refusal::new(409, format!("zone with domain {} already exists", zone.domain)));
            }
            let id = mesh.next_id();
            let told = shown(&id, &zone);
            mesh.zones.insert(id, zone);
            Ok(Json(told))
        }
        (_, [id]) if !mesh.zones.contains_key(*id) => Err(Refusal::not_found("zone", id)),
        (&Method::GET, [id]) => Ok(Json(mesh.zones.get(*id).map(|zone| shown(id, zone)).unwrap_or_default())),
        (&Method::DELETE, [id]) => {
            mesh.zones.remove(*id);
            Ok(Json(json!({})))
        }
        _ => Err(Refusal::no_such_method()),
    }
}

fn read(mesh: &Mesh, call: &Call<'_>) -> Result<Zone, Refusal> {
    let ZoneRequest { name, domain, enabled, enable_search_domain, distribution_groups } = call.read()?;
    check_name(&name)?;
    if !domain.split('.').all(|label| !label.is_empty()) {
        return Err(Refusal::new(422, "invalid domain format"));
    }
    check_groups(mesh, &distribution_groups)?;
    Ok(Zone { name, domain, enabled, enable_search_domain, distribution_groups })
}

fn shown(id: &str, zone: &Zone) -> Value {
    json!({
        "id": id,
        "name": zone.name,
        "domain": zone.domain,
        "enabled": zone.enabled,
        "enable_search_domain": zone.enable_search_domain,
        "distribution_groups": zone.distribution_groups,
        "records": [],
    })
}
