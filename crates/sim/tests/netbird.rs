//! NetBird's management service on its socket: who is let in, and what of its documented wire format is counted on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;

use helix_sim::faults::{CallPattern, Fault};
use helix_sim::simulator::{Options, Simulator};
use helix_sim::world::WorldConfig;
use serde_json::{Value, json};

struct Account {
    simulator: Simulator,
    http: reqwest::Client,
}

impl Account {
    async fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listen = ([127, 0, 0, 1], 0).into();
        let options = Options { world: WorldConfig::default(), listen, machines: None };
        Self { simulator: Simulator::start(options).await.unwrap(), http: reqwest::Client::new() }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.call_as(self.simulator.netbird_token(), method, path, body).await
    }

    async fn call_as(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/api/{path}", self.simulator.netbird);
        let request = self.http.request(method.parse().unwrap(), url).header("Authorization", format!("Token {token}"));
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }
}

#[tokio::test]
async fn nobody_is_let_in_without_the_token() {
    let account = Account::open().await;
    let (status, answer) = account.call_as("wrong", "GET", "peers", Value::Null).await;
    assert_eq!((status, &answer["code"]), (401, &json!(401)));
    assert_eq!(account.done("GET", "peers", Value::Null).await, json!([]));
    let refused = Fault::Refused { call: CallPattern::new("GET", "/netbird/api/peers"), code: "forbidden".to_owned() };
    account.simulator.world.with(|world, _| world.inject_once(refused));
    assert_eq!(account.call("GET", "peers", Value::Null).await.0, 403);
    assert_eq!(account.call("GET", "nothing", Value::Null).await.0, 404);
    account.simulator.stop().await;
}

#[tokio::test]
async fn a_network_is_led_into_by_a_groups_peers_and_has_resources_in_groups() {
    let account = Account::open().await;
    let routers = account.done("POST", "groups", json!({"name": "routers"})).await;
    let admins = account.done("POST", "groups", json!({"name": "admins"})).await;
    assert_eq!(account.call("POST", "groups", json!({"name": "admins"})).await.0, 409);
    let peer = account.simulator.world.with(|world, now| {
        let id = routers["id"].as_str().unwrap().to_owned();
        world.mesh().join("router-0", Ipv4Addr::LOCALHOST, &[id], now)
    });

    let network = account.done("POST", "networks", json!({"name": "prod", "description": "machines"})).await;
    let at = format!("networks/{}", network["id"].as_str().unwrap());
    let router = json!({"peer_groups": [routers["id"]], "metric": 9999, "masquerade": true, "enabled": true});
    let router = account.done("POST", &format!("{at}/routers"), router).await;
    let bad = json!({"metric": 9999, "masquerade": true, "enabled": true});
    assert_eq!(account.call("POST", &format!("{at}/routers"), bad).await.0, 422);
    let subnet = json!({"name": "nodes", "address": "10.0.1.0/24", "enabled": true, "groups": [admins["id"]]});
    let subnet = account.done("POST", &format!("{at}/resources"), subnet).await;
    assert_eq!((&subnet["type"], &subnet["groups"][0]["name"]), (&json!("subnet"), &json!("admins")));

    let rule = json!({
        "name": "r", "enabled": true, "action": "accept", "bidirectional": false, "protocol": "tcp", "ports": ["6443"],
        "sources": [admins["id"]], "destinations": [admins["id"]],
    });
    let policy = json!({"name": "admins", "enabled": true, "rules": [rule]});
    let policy = account.done("POST", "policies", policy).await;
    assert_eq!(policy["rules"][0]["sources"][0]["name"], "admins");

    let network = account.done("GET", &at, Value::Null).await;
    assert_eq!(network["routers"], json!([router["id"]]));
    assert_eq!(network["resources"], json!([subnet["id"]]));
    assert_eq!(network["policies"], json!([policy["id"]]));
    assert_eq!(network["routing_peers_count"], 1);
    let peers = account.done("GET", "peers", Value::Null).await;
    assert_eq!((&peers[0]["id"], &peers[0]["connected"]), (&json!(peer), &json!(true)));

    let group = format!("groups/{}", routers["id"].as_str().unwrap());
    assert_eq!(account.call("DELETE", &group, Value::Null).await.0, 400, "the router names it");
    account.done("DELETE", &at, Value::Null).await;
    account.done("DELETE", &group, Value::Null).await;
    assert_eq!(account.call("GET", &at, Value::Null).await.0, 404);
    account.simulator.stop().await;
}

#[tokio::test]
async fn a_zone_of_names_is_made_once() {
    let account = Account::open().await;
    let groups = account.done("GET", "groups", Value::Null).await;
    let everybody = groups.as_array().unwrap().iter().find(|group| group["name"] == "All").unwrap();
    let wanted = json!({
        "name": "prod.internal", "domain": "prod.internal", "enabled": true, "enable_search_domain": false,
        "distribution_groups": [everybody["id"]],
    });
    let made = account.done("POST", "dns/zones", wanted.clone()).await;
    assert_eq!(account.call("POST", "dns/zones", wanted).await.0, 409);
    let zones = account.done("GET", "dns/zones", Value::Null).await;
    assert_eq!((zones.as_array().unwrap().len(), &zones[0]["domain"]), (1, &json!("prod.internal")));
    let strange = json!({"name": "a", "domain": "a.internal", "distribution_groups": ["nobody"]});
    assert_eq!(account.call("POST", "dns/zones", strange).await.0, 404);
    account.done("DELETE", &format!("dns/zones/{}", made["id"].as_str().unwrap()), Value::Null).await;
    assert_eq!(account.done("GET", "dns/zones", Value::Null).await, json!([]));
    account.simulator.stop().await;
}

#[tokio::test]
async fn a_setup_key_is_told_once() {
    let account = Account::open().await;
    let wanted = json!({"name": "k", "type": "reusable", "expires_in": 3600, "auto_groups": [], "usage_limit": 0});
    let made = account.done("POST", "setup-keys", wanted).await;
    let at = format!("setup-keys/{}", made["id"].as_str().unwrap());
    let shown = account.done("GET", &at, Value::Null).await;
    assert_ne!(shown["key"], made["key"]);
    assert_eq!((&shown["state"], &shown["valid"]), (&json!("valid"), &json!(true)));
    account.done("PUT", &at, json!({"revoked": true, "auto_groups": []})).await;
    assert_eq!(account.done("GET", "setup-keys", Value::Null).await[0]["state"], "revoked");
    account.simulator.stop().await;
}
