//! Private networks.

use helix_plan::observed::{Network, Tags};
use helix_plan::step::NewNetwork;
use ipnet::Ipv4Net;
use serde::Deserialize;
use serde_json::json;

use super::paging::Item;
use super::request::{Request, Subject};

pub(super) const KIND: &str = "network";

#[derive(Debug, Deserialize)]
pub(super) struct NetworkWire {
    id: u64,
    name: String,
    #[serde(default)]
    labels: Tags,
    ip_range: Ipv4Net,
    #[serde(default)]
    subnets: Vec<SubnetWire>,
}

#[derive(Debug, Deserialize)]
struct SubnetWire {
    #[serde(rename = "type")]
    kind: String,
    ip_range: Option<Ipv4Net>,
}

impl Item for NetworkWire {
    fn id(&self) -> u64 {
        self.id
    }
}

impl From<NetworkWire> for Network {
    fn from(wire: NetworkWire) -> Self {
        // `server` is the old word for `cloud`; a vSwitch subnet is for dedicated machines.
        let cloud = wire.subnets.into_iter().filter(|subnet| matches!(subnet.kind.as_str(), "cloud" | "server"));
        let subnets = cloud.filter_map(|subnet| subnet.ip_range).collect();
        Self { id: wire.id, name: wire.name, labels: wire.labels, cidr: wire.ip_range, subnets }
    }
}

pub(super) fn list() -> Request {
    Request::get("/networks", Subject::all(KIND))
}

pub(super) fn create(new: &NewNetwork) -> Request {
    let body = json!({
        "name": new.name,
        "labels": new.labels,
        "ip_range": new.cidr,
        "subnets": [{"type": "cloud", "ip_range": new.subnet, "network_zone": new.zone}],
    });
    Request::post("/networks", Subject::named(KIND, &new.name), &body)
}

pub(super) fn add_subnet(network: u64, subnet: Ipv4Net, zone: &str) -> Request {
    let body = json!({"type": "cloud", "ip_range": subnet, "network_zone": zone});
    Request::post(format!("/networks/{network}/actions/add_subnet"), Subject::id(KIND, network), &body)
}
