//! What doesn't change: `/server_types`, `/load_balancer_types`, `/locations`, `/pricing`, and `/datacenters`, which is
//! gone.

use axum::Router;
use axum::extract::Path;
use axum::routing::{any, get};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Caller;
use super::body::Params;
use super::list::ListQuery;
use super::reply::{Answer, Reply, price, time};
use crate::world::catalogue::{
    BACKUP_PERCENT, IMAGE_GB_MONTHLY, INCLUDED_TRAFFIC_BYTES, IPV4_MONTHLY, LOAD_BALANCER_TYPES, LOCATIONS,
    LoadBalancerType, Location, SERVER_TYPES, ServerType, TRAFFIC_TB, VOLUME_GB_MONTHLY,
};
use crate::world::money::{Money, VAT_PERCENT};
use crate::world::{ApiError, ErrorCode, World};

/// A deprecation is announced so many seconds before its end.
const NOTICE_SECONDS: i64 = 90 * 24 * 3600;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/server_types", get(server_types))
        .route("/server_types/{id}", get(server_type))
        .route("/load_balancer_types", get(load_balancer_types))
        .route("/load_balancer_types/{id}", get(load_balancer_type))
        .route("/locations", get(locations))
        .route("/locations/{id}", get(location))
        .route("/pricing", get(pricing))
        .route("/datacenters", any(gone))
        .route("/datacenters/{id}", any(gone))
}

async fn server_types(caller: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &[])?;
    let found: Vec<&ServerType> = SERVER_TYPES.iter().filter(|kind| query.names(kind.name)).collect();
    caller.with(|world, _, _| Ok(query.page_of("server_types", &found, |kind| server_type_view(world, kind))))
}

async fn server_type(caller: Caller, Path(id): Path<String>) -> Answer {
    let kind = SERVER_TYPES.iter().find(|kind| kind.id.to_string() == id);
    let kind = kind.ok_or_else(|| ApiError::not_found("server_type", id))?;
    caller.with(|world, _, _| Ok(Reply::Ok(json!({"server_type": server_type_view(world, kind)}))))
}

async fn load_balancer_types(_: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &[])?;
    let found: Vec<&LoadBalancerType> = LOAD_BALANCER_TYPES.iter().filter(|kind| query.names(kind.name)).collect();
    Ok(query.page_of("load_balancer_types", &found, |kind| load_balancer_type_view(kind)))
}

async fn load_balancer_type(_: Caller, Path(id): Path<String>) -> Answer {
    let kind = LOAD_BALANCER_TYPES.iter().find(|kind| kind.id.to_string() == id);
    let kind = kind.ok_or_else(|| ApiError::not_found("load_balancer_type", id))?;
    Ok(Reply::Ok(json!({"load_balancer_type": load_balancer_type_view(kind)})))
}

async fn locations(_: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &[])?;
    let found: Vec<&Location> = LOCATIONS.iter().filter(|location| query.names(location.name)).collect();
    Ok(query.page_of("locations", &found, |location| location_view(location)))
}

async fn location(_: Caller, Path(id): Path<String>) -> Answer {
    let location = LOCATIONS.iter().find(|location| location.id.to_string() == id);
    let location = location.ok_or_else(|| ApiError::not_found("location", id))?;
    Ok(Reply::Ok(json!({"location": location_view(location)})))
}

async fn pricing(_: Caller) -> Answer {
    let server_types: Vec<Value> = SERVER_TYPES
        .iter()
        .map(|kind| json!({"id": kind.id, "name": kind.name, "prices": server_prices(kind)}))
        .collect();
    let load_balancer_types: Vec<Value> = LOAD_BALANCER_TYPES
        .iter()
        .map(|kind| json!({"id": kind.id, "name": kind.name, "prices": load_balancer_prices(kind)}))
        .collect();
    let primary_ips: Vec<Value> = [("ipv4", IPV4_MONTHLY), ("ipv6", Money::default())]
        .into_iter()
        .map(|(kind, monthly)| {
            let prices: Vec<Value> = LOCATIONS
                .iter()
                .map(|location| {
                    json!({
                        "location": location.name,
                        "price_hourly": price(monthly.hourly()),
                        "price_monthly": price(monthly),
                    })
                })
                .collect();
            json!({"type": kind, "prices": prices})
        })
        .collect();
    Ok(Reply::Ok(json!({"pricing": {
        "currency": "EUR",
        "vat_rate": format!("{VAT_PERCENT}.00"),
        "image": {"price_per_gb_month": price(IMAGE_GB_MONTHLY)},
        "volume": {"price_per_gb_month": price(VOLUME_GB_MONTHLY)},
        "server_backup": {"percentage": format!("{BACKUP_PERCENT}.00")},
        "primary_ips": primary_ips,
        "floating_ip": {"price_monthly": price(Money::default())},
        "floating_ips": [],
        "server_types": server_types,
        "load_balancer_types": load_balancer_types,
    }})))
}

/// Removed on 2026-10-01 (behaviour 22).
async fn gone() -> ApiError {
    ApiError::new(ErrorCode::DeprecatedApiEndpoint, "API functionality was removed")
}

/// A location on the wire.
pub(super) fn location_view(location: &Location) -> Value {
    let (latitude, longitude) = location.position;
    json!({
        "id": location.id,
        "name": location.name,
        "description": location.description,
        "country": location.country,
        "city": location.city,
        "latitude": f64::from(latitude) / 1e6,
        "longitude": f64::from(longitude) / 1e6,
        "network_zone": location.network_zone,
    })
}

/// A server type on the wire.
pub(super) fn server_type_view(world: &World, kind: &ServerType) -> Value {
    let offers: Vec<Value> = kind
        .locations()
        .map(|location| {
            let offer = world.offer(kind.name, location.name);
            json!({
                "id": location.id,
                "name": location.name,
                "available": offer.available,
                "recommended": offer.available && offer.retires.is_none(),
                "deprecation": offer.retires.map(deprecation),
            })
        })
        .collect();
    let retires: Vec<Option<Timestamp>> =
        kind.locations().map(|location| world.offer(kind.name, location.name).retires).collect();
    let everywhere = retires.iter().copied().min().flatten();
    json!({
        "id": kind.id,
        "name": kind.name,
        "description": kind.name.to_uppercase(),
        "cores": kind.cores,
        "memory": kind.memory_gb,
        "disk": kind.disk_gb,
        "deprecated": everywhere.is_some(),
        "deprecation": everywhere.map(deprecation),
        "prices": server_prices(kind),
        "storage_type": "local",
        "cpu_type": if kind.dedicated { "dedicated" } else { "shared" },
        "category": kind.category(),
        "architecture": kind.architecture.as_str(),
        "locations": offers,
    })
}

/// A load balancer type on the wire.
pub(super) fn load_balancer_type_view(kind: &LoadBalancerType) -> Value {
    json!({
        "id": kind.id,
        "name": kind.name,
        "description": kind.name.to_uppercase(),
        "max_connections": kind.max_connections,
        "max_services": kind.max_services,
        "max_targets": kind.max_targets,
        "max_assigned_certificates": kind.max_certificates,
        "deprecated": null,
        "deprecation": null,
        "prices": load_balancer_prices(kind),
    })
}

fn deprecation(end: Timestamp) -> Value {
    let announced = Timestamp::from_second(end.as_second() - NOTICE_SECONDS).unwrap_or(Timestamp::MIN);
    json!({"announced": time(announced), "unavailable_after": time(end)})
}

fn server_prices(kind: &ServerType) -> Vec<Value> {
    kind.locations().map(|location| price_in(location, kind.monthly)).collect()
}

fn load_balancer_prices(kind: &LoadBalancerType) -> Vec<Value> {
    LOCATIONS.iter().map(|location| price_in(location, kind.monthly)).collect()
}

fn price_in(location: &Location, monthly: Money) -> Value {
    json!({
        "location": location.name,
        "price_hourly": price(monthly.hourly()),
        "price_monthly": price(monthly),
        "included_traffic": INCLUDED_TRAFFIC_BYTES,
        "price_per_tb_traffic": price(TRAFFIC_TB),
    })
}
