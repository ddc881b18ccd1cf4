//! Load balancers: the API endpoint of a platform.

use std::net::Ipv4Addr;

use helix_plan::observed::{LoadBalancer, LoadBalancerService, LoadBalancerTarget, Tags, TargetHealth};
use helix_plan::step::NewLoadBalancer;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::paging::Item;
use super::request::{Request, Subject};
use super::wire::{Named, PrivateNetWire, Reference, places};

pub(super) const KIND: &str = "load balancer";

/// How long one health check may take: less than the shortest interval (3 s), so that checks do not overlap.
const CHECK_TIMEOUT_SECONDS: u32 = 2;

#[derive(Debug, Deserialize)]
pub(super) struct LoadBalancerWire {
    id: u64,
    name: String,
    #[serde(default)]
    labels: Tags,
    load_balancer_type: Named,
    location: Named,
    public_net: PublicNet,
    #[serde(default)]
    private_net: Vec<PrivateNetWire>,
    #[serde(default)]
    services: Vec<ServiceWire>,
    #[serde(default)]
    targets: Vec<TargetWire>,
    created: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PublicNet {
    enabled: bool,
    ipv4: Option<Address>,
}

#[derive(Debug, Deserialize)]
struct Address {
    ip: Option<Ipv4Addr>,
}

#[derive(Debug, Deserialize)]
struct ServiceWire {
    listen_port: u16,
    destination_port: u16,
    health_check: CheckWire,
}

#[derive(Debug, Deserialize)]
struct CheckWire {
    protocol: String,
    interval: u32,
    retries: u32,
    http: Option<HttpCheckWire>,
}

#[derive(Debug, Deserialize)]
struct HttpCheckWire {
    path: Option<String>,
    #[serde(default)]
    status_codes: Vec<String>,
    tls: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct TargetWire {
    /// Only targets that are servers have one; Helix makes no others.
    server: Option<Reference>,
    #[serde(default)]
    health_status: Vec<HealthWire>,
}

#[derive(Debug, Deserialize)]
struct HealthWire {
    status: String,
}

impl Item for LoadBalancerWire {
    fn id(&self) -> u64 {
        self.id
    }
}

impl LoadBalancerWire {
    /// Whether something is behind it that is no server named by its id.
    pub(super) fn has_other_targets(&self) -> bool {
        self.targets.iter().any(|target| target.server.is_none())
    }

    /// The load balancer as the plan knows it.
    pub(super) fn into_facts(self) -> LoadBalancer {
        LoadBalancer {
            private: places(&self.private_net),
            id: self.id,
            name: self.name,
            labels: self.labels,
            kind: self.load_balancer_type.name,
            location: self.location.name,
            public: self.public_net.enabled,
            public_ipv4: self.public_net.ipv4.and_then(|address| address.ip),
            services: self.services.into_iter().map(LoadBalancerService::from).collect(),
            targets: self.targets.iter().filter_map(TargetWire::facts).collect(),
            created: self.created.and_then(|text| text.parse::<Timestamp>().ok()),
        }
    }
}

impl From<ServiceWire> for LoadBalancerService {
    fn from(wire: ServiceWire) -> Self {
        let check = wire.health_check;
        // A TCP check may carry the settings of an HTTP check that it is not.
        let http = check.http.filter(|_| check.protocol == "http");
        let http = http.unwrap_or(HttpCheckWire { path: None, status_codes: Vec::new(), tls: None });
        Self {
            listen_port: wire.listen_port,
            destination_port: wire.destination_port,
            check_protocol: check.protocol,
            check_tls: http.tls.unwrap_or(false),
            check_path: http.path,
            check_status_codes: http.status_codes,
            check_interval_seconds: check.interval,
            check_retries: check.retries,
        }
    }
}

impl TargetWire {
    fn facts(&self) -> Option<LoadBalancerTarget> {
        let all = |word| !self.health_status.is_empty() && self.health_status.iter().all(|h| h.status == word);
        let health = if all("healthy") {
            TargetHealth::Healthy
        } else if self.health_status.iter().any(|health| health.status == "unhealthy") {
            TargetHealth::Unhealthy
        } else {
            TargetHealth::Unknown
        };
        self.server.as_ref().map(|server| LoadBalancerTarget { server: server.id, health })
    }
}

pub(super) fn list() -> Request {
    Request::get("/load_balancers", Subject::all(KIND))
}

pub(super) fn create(new: &NewLoadBalancer) -> Request {
    let body = json!({
        "name": new.name,
        "labels": new.labels,
        "load_balancer_type": new.kind,
        "location": new.location,
        "network": new.network,
        "public_interface": new.public,
        "algorithm": {"type": "least_connections"},
        "services": [service(&new.service)],
    });
    Request::post("/load_balancers", Subject::named(KIND, &new.name), &body)
}

pub(super) fn set_service(load_balancer: u64, wanted: &LoadBalancerService, missing: bool) -> Request {
    let verb = if missing { "add_service" } else { "update_service" };
    Request::post(action(load_balancer, verb), Subject::id(KIND, load_balancer), &service(wanted))
}

pub(super) fn set_public(load_balancer: u64, public: bool) -> Request {
    let verb = if public { "enable_public_interface" } else { "disable_public_interface" };
    Request::post_empty(action(load_balancer, verb), Subject::id(KIND, load_balancer))
}

pub(super) fn attach(load_balancer: u64, network: u64) -> Request {
    let path = action(load_balancer, "attach_to_network");
    Request::post(path, Subject::id(KIND, load_balancer), &json!({"network": network}))
}

pub(super) fn add_target(load_balancer: u64, server: u64) -> Request {
    let body = json!({"type": "server", "server": {"id": server}, "use_private_ip": true});
    Request::post(action(load_balancer, "add_target"), Subject::id(KIND, load_balancer), &body)
}

pub(super) fn remove_target(load_balancer: u64, server: u64) -> Request {
    let body = json!({"type": "server", "server": {"id": server}});
    Request::post(action(load_balancer, "remove_target"), Subject::id(KIND, load_balancer), &body)
}

pub(super) fn remove_service(load_balancer: u64, listen_port: u16) -> Request {
    let path = action(load_balancer, "delete_service");
    Request::post(path, Subject::id(KIND, load_balancer), &json!({"listen_port": listen_port}))
}

pub(super) fn detach(load_balancer: u64, network: u64) -> Request {
    let path = action(load_balancer, "detach_from_network");
    Request::post(path, Subject::id(KIND, load_balancer), &json!({"network": network}))
}

fn action(load_balancer: u64, verb: &str) -> String {
    format!("/load_balancers/{load_balancer}/actions/{verb}")
}

fn service(service: &LoadBalancerService) -> Value {
    let mut check = json!({
        "protocol": service.check_protocol,
        "port": service.destination_port,
        "interval": service.check_interval_seconds,
        "timeout": CHECK_TIMEOUT_SECONDS.min(service.check_interval_seconds),
        "retries": service.check_retries,
    });
    if let Some(path) = &service.check_path {
        check["http"] = json!({
            "domain": null,
            "path": path,
            "status_codes": service.check_status_codes,
            "tls": service.check_tls,
        });
    }
    json!({
        "protocol": "tcp",
        "listen_port": service.listen_port,
        "destination_port": service.destination_port,
        "proxyprotocol": false,
        "health_check": check,
    })
}
