//! Firewalls and their inbound rules.

use helix_plan::observed::{Adoptee, Firewall, FirewallRule, Tags};
use helix_plan::step::NewFirewall;
use serde::Deserialize;
use serde_json::{Value, json};

use super::paging::Item;
use super::request::{Request, Subject};
use super::wire::Reference;

pub(super) const KIND: &str = "firewall";

#[derive(Debug, Deserialize)]
pub(super) struct FirewallWire {
    id: u64,
    name: String,
    #[serde(default)]
    labels: Tags,
    #[serde(default)]
    rules: Vec<RuleWire>,
}

#[derive(Debug, Deserialize)]
struct RuleWire {
    description: Option<String>,
    direction: String,
    #[serde(default)]
    source_ips: Vec<String>,
    protocol: String,
    port: Option<String>,
}

impl Item for FirewallWire {
    fn id(&self) -> u64 {
        self.id
    }
}

impl From<FirewallWire> for Firewall {
    fn from(wire: FirewallWire) -> Self {
        let inbound = wire.rules.into_iter().filter(|rule| rule.direction == "in");
        let rules = inbound.map(FirewallRule::from).collect();
        Self { id: wire.id, name: wire.name, labels: wire.labels, rules }
    }
}

impl From<RuleWire> for FirewallRule {
    fn from(wire: RuleWire) -> Self {
        let mut sources = wire.source_ips;
        sources.sort();
        let description = wire.description.unwrap_or_default();
        Self { description, protocol: wire.protocol, port: wire.port, sources }
    }
}

/// A firewall and what it guards.
#[derive(Debug, Deserialize)]
pub(super) struct GuardingWire {
    #[serde(flatten)]
    firewall: FirewallWire,
    #[serde(default)]
    applied_to: Vec<GuardedWire>,
}

#[derive(Debug, Deserialize)]
struct GuardedWire {
    server: Option<Reference>,
}

impl From<GuardingWire> for Adoptee {
    fn from(wire: GuardingWire) -> Self {
        let guards: Vec<Option<u64>> =
            wire.applied_to.into_iter().map(|it| it.server.map(|server| server.id)).collect();
        Self::Firewall {
            firewall: wire.firewall.into(),
            by_label: guards.iter().any(Option::is_none),
            guards: guards.into_iter().flatten().collect(),
        }
    }
}

pub(super) fn list() -> Request {
    Request::get("/firewalls", Subject::all(KIND))
}

pub(super) fn create(new: &NewFirewall) -> Request {
    let body = json!({"name": new.name, "labels": new.labels, "rules": rules(&new.rules)});
    Request::post("/firewalls", Subject::named(KIND, &new.name), &body)
}

pub(super) fn set_rules(firewall: u64, wanted: &[FirewallRule]) -> Request {
    let path = format!("/firewalls/{firewall}/actions/set_rules");
    Request::post(path, Subject::id(KIND, firewall), &json!({"rules": rules(wanted)}))
}

pub(super) fn apply(firewall: u64, server: u64) -> Request {
    let body = json!({"apply_to": [{"type": "server", "server": {"id": server}}]});
    let path = format!("/firewalls/{firewall}/actions/apply_to_resources");
    Request::post(path, Subject::id(KIND, firewall), &body)
}

fn rules(rules: &[FirewallRule]) -> Vec<Value> {
    rules.iter().map(rule).collect()
}

fn rule(rule: &FirewallRule) -> Value {
    let mut body = json!({
        "description": rule.description,
        "direction": "in",
        "protocol": rule.protocol,
        "source_ips": rule.sources,
    });
    // A rule without ports must not have the field at all.
    if let Some(port) = &rule.port {
        body["port"] = json!(port);
    }
    body
}
