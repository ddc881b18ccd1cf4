//! NetBird's answers, as far as Helix reads them. No I/O.

use std::collections::BTreeSet;

use helix_plan::observed::{MeshNetwork, MeshPeer, MeshSetupKey};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Peer {
    name: String,
    connected: bool,
    #[serde(default)]
    groups: Vec<Group>,
}

impl Peer {
    pub(super) fn into_facts(self) -> MeshPeer {
        let groups = self.groups.into_iter().map(|group| group.id).collect();
        MeshPeer { name: self.name, connected: self.connected, groups }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Zone {
    pub(super) domain: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Network {
    pub(super) id: String,
    name: String,
}

impl Network {
    pub(super) fn into_facts(self, routers: Vec<Router>, resources: Vec<Resource>) -> MeshNetwork {
        let enabled = routers.into_iter().filter(|router| router.enabled);
        let router_groups: BTreeSet<String> = enabled.filter_map(|router| router.peer_groups).flatten().collect();
        let notes = resources.iter().map(|it| it.description.clone().unwrap_or_default()).collect();
        let resources = resources.into_iter().filter(|it| it.enabled).map(|it| it.address).collect();
        MeshNetwork { id: self.id, name: self.name, router_groups, resources, notes }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Router {
    enabled: bool,
    peer_groups: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Resource {
    pub(super) address: String,
    enabled: bool,
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SetupKey {
    id: String,
    #[serde(default)]
    auto_groups: Vec<String>,
}

impl SetupKey {
    pub(super) fn into_facts(self) -> MeshSetupKey {
        MeshSetupKey { id: self.id, groups: self.auto_groups.into_iter().collect() }
    }
}

/// What an error says.
pub(super) fn message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    const LONGEST: usize = 200;
    let error: Error = serde_json::from_slice(body).ok()?;
    Some(error.message.chars().take(LONGEST).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_read_as_they_are_documented() {
        let peer = json!({
            "id": "chacbco6lnnbn6cg5s90", "name": "networkrouter-0", "ip": "10.64.0.1", "connected": true,
            "last_seen": "2026-11-21T10:05:26.420578Z", "os": "linux", "version": "0.60.0",
            "groups": [{"id": "g1", "name": "routers", "peers_count": 2, "resources_count": 0, "issued": "api"}],
        });
        let peer: Peer = serde_json::from_value(peer).unwrap();
        let facts = peer.into_facts();
        assert!(facts.connected && facts.groups.contains("g1"));

        let network = json!({"id": "n1", "name": "prod-router", "routers": ["r1"], "resources": ["s1"], "policies": [],
            "routing_peers_count": 1, "description": ""});
        let network: Network = serde_json::from_value(network).unwrap();
        let router = |enabled: bool, groups: serde_json::Value| -> Router {
            let router =
                json!({"id": "r1", "peer_groups": groups, "metric": 9999, "masquerade": true, "enabled": enabled});
            serde_json::from_value(router).unwrap()
        };
        let resource = json!({"id": "s1", "type": "subnet", "groups": [], "name": "nodes", "address": "10.0.1.0/24",
            "enabled": true});
        let resource: Resource = serde_json::from_value(resource).unwrap();
        let routers = vec![router(true, json!(["g1"])), router(false, json!(["g2"])), router(true, json!(null))];
        let facts = network.into_facts(routers, vec![resource]);
        assert_eq!(facts.router_groups, BTreeSet::from(["g1".to_owned()]));
        assert_eq!(facts.resources, BTreeSet::from(["10.0.1.0/24".to_owned()]));
        assert_eq!(facts.notes, BTreeSet::from([String::new()]), "somebody has made it, and says nothing");
    }

    #[test]
    fn an_error_is_told_by_its_message() {
        assert_eq!(message(br#"{"message": "token invalid", "code": 401}"#).as_deref(), Some("token invalid"));
        assert_eq!(message(b"<html>"), None);
    }
}
