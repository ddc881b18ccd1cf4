//! Servers.

use std::net::Ipv4Addr;

use helix_plan::observed::{Server, ServerStatus, Tags};
use helix_plan::step::NewServer;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::paging::Item;
use super::request::{Request, Subject};
use super::wire::{Named, PrivateNetWire, Reference, places};

pub(super) const KIND: &str = "server";

#[derive(Debug, Deserialize)]
pub(super) struct ServerWire {
    id: u64,
    name: String,
    #[serde(default)]
    labels: Tags,
    status: String,
    #[serde(default)]
    locked: bool,
    server_type: Named,
    location: Named,
    public_net: PublicNet,
    #[serde(default)]
    private_net: Vec<PrivateNetWire>,
    placement_group: Option<Reference>,
    created: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PublicNet {
    ipv4: Option<Address>,
    #[serde(default)]
    firewalls: Vec<Guard>,
}

#[derive(Debug, Deserialize)]
struct Address {
    ip: Ipv4Addr,
}

/// A firewall of a server; `pending` until it is in force.
#[derive(Debug, Deserialize)]
struct Guard {
    id: u64,
}

impl Item for ServerWire {
    fn id(&self) -> u64 {
        self.id
    }
}

impl ServerWire {
    /// The server as the plan knows it.
    pub(super) fn into_facts(self) -> Server {
        Server {
            private: places(&self.private_net),
            status: status(self.status),
            public_ipv4: self.public_net.ipv4.map(|address| address.ip),
            firewalls: self.public_net.firewalls.into_iter().map(|guard| guard.id).collect(),
            placement_group: self.placement_group.map(|group| group.id),
            created: self.created.and_then(|text| text.parse::<Timestamp>().ok()),
            id: self.id,
            name: self.name,
            labels: self.labels,
            locked: self.locked,
            server_type: self.server_type.name,
            location: self.location.name,
        }
    }
}

fn status(word: String) -> ServerStatus {
    match word.as_str() {
        "initializing" => ServerStatus::Initializing,
        "starting" => ServerStatus::Starting,
        "running" => ServerStatus::Running,
        "stopping" => ServerStatus::Stopping,
        "off" => ServerStatus::Off,
        "deleting" => ServerStatus::Deleting,
        _ => ServerStatus::Other(word),
    }
}

pub(super) fn list() -> Request {
    Request::get("/servers", Subject::all(KIND))
}

/// No user data: a machine gets its configuration through Talos, where only it can read it.
pub(super) fn create(new: &NewServer) -> Request {
    let name = new.machine.to_string();
    let mut body = json!({
        "name": name,
        "labels": new.labels,
        "server_type": new.server_type,
        "location": new.location,
        "image": new.image.to_string(),
        "networks": [new.network],
        "firewalls": [{"firewall": new.firewall}],
        "ssh_keys": [new.ssh_key.to_string()],
        "start_after_create": true,
        "public_net": {"enable_ipv4": true, "enable_ipv6": true},
    });
    if let Some(group) = new.placement_group {
        body["placement_group"] = json!(group);
    }
    Request::post("/servers", Subject::named(KIND, &name), &body)
}

pub(super) fn attach(server: u64, network: u64) -> Request {
    let path = format!("/servers/{server}/actions/attach_to_network");
    Request::post(path, Subject::id(KIND, server), &json!({"network": network}))
}

pub(super) fn power_on(server: u64) -> Request {
    Request::post_empty(format!("/servers/{server}/actions/poweron"), Subject::id(KIND, server))
}
