//! What can be bought and for how much: server types, locations and prices.

use std::collections::BTreeMap;

use helix_engine::seams::CloudError;
use helix_plan::catalogue::{Architecture, Catalogue, EurMonthly, Offer, ServerType, Source};
use helix_plan::step::Lane;
use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::Deserialize;

use super::paging::Item;
use super::request::{Request, Subject};
use super::transport::Transport;
use super::wire::Amount;

#[derive(Debug, Deserialize)]
pub(super) struct LocationWire {
    id: u64,
    name: String,
    network_zone: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ServerTypeWire {
    id: u64,
    name: String,
    architecture: String,
    cores: Decimal,
    memory: Decimal,
    disk: Decimal,
    #[serde(default)]
    prices: Vec<PriceWire>,
    #[serde(default)]
    locations: Vec<SaleWire>,
}

#[derive(Debug, Deserialize)]
struct PriceWire {
    location: String,
    price_monthly: Amount,
}

/// Whether a type is sold in a location.
#[derive(Debug, Deserialize)]
struct SaleWire {
    name: String,
    /// Absent where Hetzner does not say: it can be ordered then, and ordering tells.
    #[serde(default = "orderable")]
    available: bool,
    deprecation: Option<DeprecationWire>,
}

fn orderable() -> bool {
    true
}

#[derive(Debug, Deserialize)]
struct DeprecationWire {
    unavailable_after: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(super) struct PricingWire {
    pricing: Pricing,
}

#[derive(Debug, Deserialize)]
struct Pricing {
    #[serde(default)]
    load_balancer_types: Vec<PricedWire>,
    #[serde(default)]
    primary_ips: Vec<PrimaryIpWire>,
    volume: VolumeWire,
}

#[derive(Debug, Deserialize)]
struct PricedWire {
    name: String,
    prices: Vec<PriceWire>,
}

#[derive(Debug, Deserialize)]
struct PrimaryIpWire {
    #[serde(rename = "type")]
    kind: String,
    prices: Vec<PriceWire>,
}

#[derive(Debug, Deserialize)]
struct VolumeWire {
    price_per_gb_month: Amount,
}

impl Item for LocationWire {
    fn id(&self) -> u64 {
        self.id
    }
}

impl Item for ServerTypeWire {
    fn id(&self) -> u64 {
        self.id
    }
}

pub(super) fn locations() -> Request {
    Request::get("/locations", Subject::all("location"))
}

pub(super) fn server_types() -> Request {
    Request::get("/server_types", Subject::all("server type"))
}

pub(super) fn pricing() -> Request {
    Request::get("/pricing", Subject::all("price list"))
}

pub(super) async fn read(transport: &Transport, lane: Lane) -> Result<Catalogue, CloudError> {
    let (locations, server_types, pricing) = (locations(), server_types(), pricing());
    let (locations, server_types, pricing) = futures::try_join!(
        transport.list::<LocationWire>(lane, &locations),
        transport.list::<ServerTypeWire>(lane, &server_types),
        transport.call::<PricingWire>(lane, &pricing),
    )?;
    Ok(assemble(transport.now(), locations, server_types, pricing))
}

fn assemble(
    at: Timestamp,
    locations: Vec<LocationWire>,
    server_types: Vec<ServerTypeWire>,
    pricing: PricingWire,
) -> Catalogue {
    let pricing = pricing.pricing;
    let ipv4 = pricing.primary_ips.iter().filter(|ip| ip.kind == "ipv4");
    Catalogue {
        source: Source::Api { at },
        locations: locations.into_iter().map(|location| (location.name, location.network_zone)).collect(),
        server_types: server_types.into_iter().filter_map(server_type).collect(),
        load_balancers: pricing
            .load_balancer_types
            .iter()
            .map(|kind| (kind.name.clone(), dearest(&kind.prices)))
            .collect(),
        primary_ipv4: ipv4.map(|ip| dearest(&ip.prices)).max().unwrap_or_default(),
        volume_gb: EurMonthly::new(pricing.volume.price_per_gb_month.net),
    }
}

/// The price that no location exceeds: an estimate must not promise less than the bill.
fn dearest(prices: &[PriceWire]) -> EurMonthly {
    prices.iter().map(|price| EurMonthly::new(price.price_monthly.net)).max().unwrap_or_default()
}

/// A type that Talos has an image for; one of an architecture that is new to us cannot be used, so it is not offered.
fn server_type(wire: ServerTypeWire) -> Option<(String, ServerType)> {
    let architecture = match wire.architecture.as_str() {
        "x86" => Architecture::X86,
        "arm" => Architecture::Arm,
        _ => return None,
    };
    let sales: BTreeMap<&str, &SaleWire> = wire.locations.iter().map(|sale| (sale.name.as_str(), sale)).collect();
    let offer = |price: &PriceWire| {
        let sale = sales.get(price.location.as_str());
        let deprecation = sale.and_then(|sale| sale.deprecation.as_ref());
        let offer = Offer {
            monthly: EurMonthly::new(price.price_monthly.net),
            available: sale.is_some_and(|sale| sale.available),
            unavailable_after: deprecation.map(|deprecation| deprecation.unavailable_after),
        };
        (price.location.clone(), offer)
    };
    let server_type = ServerType {
        architecture,
        cores: wire.cores.to_u32()?,
        memory_gb: wire.memory.to_u32()?,
        disk_gb: wire.disk.to_u32()?,
        offers: wire.prices.iter().map(offer).collect(),
    };
    Some((wire.name, server_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = r#"{"id": 1, "name": "cax11", "architecture": "arm", "cores": 2, "memory": 4.0, "disk": 40,
        "prices": [{"location": "fsn1", "price_monthly": {"net": "5.9900", "gross": "7.1281"}},
                   {"location": "hel1", "price_monthly": {"net": "6.4900", "gross": "7.7231"}}],
        "locations": [{"id": 1, "name": "fsn1", "available": true, "recommended": true,
                       "deprecation": {"announced": "2026-01-01T00:00:00Z", "unavailable_after": "2026-12-01T00:00:00Z"}}]}"#;

    #[test]
    fn a_type_is_available_where_hetzner_says_so_and_nowhere_else() {
        let (name, found) = server_type(serde_json::from_str(TYPE).unwrap()).unwrap();
        assert_eq!((name.as_str(), found.cores, found.memory_gb, found.disk_gb), ("cax11", 2, 4, 40));
        let fsn1 = &found.offers["fsn1"];
        assert_eq!((fsn1.available, fsn1.monthly), (true, EurMonthly::from_cents(599)));
        assert_eq!(fsn1.unavailable_after, Some("2026-12-01T00:00:00Z".parse().unwrap()));
        assert!(!found.offers["hel1"].available);
    }

    #[test]
    fn a_location_that_says_nothing_of_availability_is_open() {
        let text = TYPE.replace(r#""available": true, "#, "");
        let (_, found) = server_type(serde_json::from_str(&text).unwrap()).unwrap();
        assert!(found.offers["fsn1"].available && !found.offers["hel1"].available);
    }

    #[test]
    fn an_architecture_of_tomorrow_is_passed_over() {
        let text = TYPE.replace(r#""arm""#, r#""riscv""#);
        assert_eq!(server_type(serde_json::from_str(&text).unwrap()), None);
    }

    #[test]
    fn what_is_priced_by_location_is_estimated_at_its_dearest() {
        let text = r#"{"pricing": {"currency": "EUR",
            "primary_ips": [{"type": "ipv4", "prices": [{"location": "fsn1", "price_monthly": {"net": "0.5000"}}]},
                            {"type": "ipv6", "prices": [{"location": "fsn1", "price_monthly": {"net": "9.0000"}}]}],
            "load_balancer_types": [{"name": "lb11", "prices": [
                {"location": "fsn1", "price_monthly": {"net": "7.4900"}},
                {"location": "ash", "price_monthly": {"net": "8.4900"}}]}],
            "volume": {"price_per_gb_month": {"net": "0.0572"}}}}"#;
        let found = assemble(Timestamp::UNIX_EPOCH, Vec::new(), Vec::new(), serde_json::from_str(text).unwrap());
        assert_eq!(found.primary_ipv4, EurMonthly::from_cents(50));
        assert_eq!(found.load_balancers["lb11"], EurMonthly::from_cents(849));
        assert_eq!(found.volume_gb.euros().to_string(), "0.0572");
    }
}
