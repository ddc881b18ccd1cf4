//! An account at NetBird's management service: peers, groups, setup keys, networks with their routers and resources,
//! policies, and zones of names. Who asks, and how it looks on the wire, is the server's matter (`crate::netbird`).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde_json::Value;

/// Peers have their addresses from here on, as at NetBird.
const FIRST_ADDRESS: u32 = u32::from_be_bytes([100, 64, 0, 1]);
/// The group that every peer is in.
pub const ALL: &str = "All";

/// A machine or pod of the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its address in the mesh.
    pub ip: Ipv4Addr,
    /// Where it connects from.
    pub connection_ip: Ipv4Addr,
    /// Whether it is connected now.
    pub connected: bool,
    /// Since when it is known.
    pub created: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// Whether it is forgotten once it has left.
    pub ephemeral: bool,
}

/// A group of peers and resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Ids of its peers.
    pub peers: Vec<String>,
}

/// What a peer registers by.
#[derive(Clone, PartialEq, Eq)]
pub struct SetupKey {
    /// Its name.
    pub name: String,
    /// The key.
    pub key: String,
    /// Whether more than one peer may use it.
    pub reusable: bool,
    /// Until when it counts.
    pub expires: Timestamp,
    /// Whether it was taken back.
    pub revoked: bool,
    /// How many have used it.
    pub used_times: u32,
    /// How many may; 0 for any number.
    pub usage_limit: u32,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
    /// When it was last changed.
    pub updated: Timestamp,
    /// Groups of the peers that use it.
    pub auto_groups: Vec<String>,
    /// Whether its peers are forgotten once they have left.
    pub ephemeral: bool,
}

impl std::fmt::Debug for SetupKey {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetupKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SetupKey {
    /// As NetBird calls what has become of it.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> &'static str {
        let limit = if self.reusable { self.usage_limit } else { 1 };
        match self {
            Self { revoked: true, .. } => "revoked",
            Self { expires, .. } if *expires <= now => "expired",
            Self { used_times, .. } if limit > 0 && *used_times >= limit => "overused",
            Self { .. } => "valid",
        }
    }
}

/// What is behind some peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// What its owner says of it.
    pub description: String,
    /// Who leads into it.
    pub routers: BTreeMap<String, Router>,
    /// What can be reached there.
    pub resources: BTreeMap<String, Resource>,
}

/// A peer, or the peers of groups, that lead into a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// Id of the peer.
    pub peer: Option<String>,
    /// Ids of the groups.
    pub peer_groups: Vec<String>,
    /// The lower, the sooner it is taken.
    pub metric: u32,
    /// Whether it calls in its own name.
    pub masquerade: bool,
    /// Whether it is in force.
    pub enabled: bool,
}

/// A host, subnet or domain in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// What its owner says of it.
    pub description: String,
    /// Address, range or name.
    pub address: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// Ids of the groups that it is in.
    pub groups: Vec<String>,
}

impl Resource {
    /// What its address is, as NetBird calls it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.address.split_once('/') {
            Some((address, length)) if address.parse::<Ipv4Addr>().is_ok() && length != "32" => "subnet",
            Some(_) => "host",
            None if self.address.parse::<Ipv4Addr>().is_ok() => "host",
            None => "domain",
        }
    }
}

/// Names that peers of some groups resolve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// What its names end with.
    pub domain: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// Whether short names are looked for in it.
    pub enable_search_domain: bool,
    /// Ids of the groups whose peers resolve it.
    pub distribution_groups: Vec<String>,
}

/// The account.
#[derive(Clone, Default)]
pub struct Mesh {
    token: Option<String>,
    last_id: u64,
    /// Peers by id.
    pub peers: BTreeMap<String, Peer>,
    /// Groups by id.
    pub groups: BTreeMap<String, Group>,
    /// Setup keys by id.
    pub setup_keys: BTreeMap<String, SetupKey>,
    /// Networks by id.
    pub networks: BTreeMap<String, Network>,
    /// Policies by id, as they were asked for.
    pub policies: BTreeMap<String, Value>,
    /// Zones of names by id.
    pub zones: BTreeMap<String, Zone>,
}

impl std::fmt::Debug for Mesh {
    /// Without token and keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh").field("peers", &self.peers).field("networks", &self.networks).finish_non_exhaustive()
    }
}

impl Mesh {
    /// Lets the holder of a token in, and nobody else.
    pub fn set_token(&mut self, token: &str) {
        self.token = Some(token.to_owned());
        if self.groups.is_empty() {
            let id = self.next_id();
            self.groups.insert(id, Group { name: ALL.to_owned(), ..Group::default() });
        }
    }

    /// Whether it is the account's token.
    #[must_use]
    pub fn is_token(&self, token: &str) -> bool {
        self.token.as_deref() == Some(token)
    }

    /// A new id, of NetBird's form.
    pub fn next_id(&mut self) -> String {
        self.last_id += 1;
        format!("ch{:018}", self.last_id)
    }

    /// The id of the group of this name, which is made if there is none.
    pub fn group_named(&mut self, name: &str) -> String {
        if let Some((id, _)) = self.groups.iter().find(|(_, group)| group.name == name) {
            return id.clone();
        }
        let id = self.next_id();
        self.groups.insert(id.clone(), Group { name: name.to_owned(), ..Group::default() });
        id
    }

    /// The id of the network of this name, which is made if there is none.
    pub fn network_named(&mut self, name: &str) -> String {
        if let Some((id, _)) = self.networks.iter().find(|(_, network)| network.name == name) {
            return id.clone();
        }
        let id = self.next_id();
        self.networks.insert(id.clone(), Network { name: name.to_owned(), ..Network::default() });
        id
    }

    /// A peer that registers, or is seen again, in these groups; its id.
    pub fn join(&mut self, name: &str, from: Ipv4Addr, groups: &[String], now: Timestamp) -> String {
        let known = self.peers.iter().find(|(_, peer)| peer.name == name).map(|(id, _)| id.clone());
        let id = known.unwrap_or_else(|| self.next_id());
        let ip = self.free_address();
        let peer = self.peers.entry(id.clone()).or_insert_with(|| Peer {
            name: name.to_owned(),
            ip,
            connection_ip: from,
            connected: true,
            created: now,
            last_seen: now,
            ephemeral: true,
        });
        (peer.connected, peer.last_seen, peer.connection_ip) = (true, now, from);
        let all = self.group_named(ALL);
        for group in groups.iter().chain([&all]) {
            if let Some(group) = self.groups.get_mut(group)
                && !group.peers.contains(&id)
            {
                group.peers.push(id.clone());
            }
        }
        id
    }

    /// Forgets a peer, wherever it is named.
    pub fn remove_peer(&mut self, id: &str) -> bool {
        for group in self.groups.values_mut() {
            group.peers.retain(|peer| peer != id);
        }
        self.peers.remove(id).is_some()
    }

    fn free_address(&self) -> Ipv4Addr {
        let taken = |address: &Ipv4Addr| self.peers.values().any(|peer| peer.ip == *address);
        let mut addresses = (FIRST_ADDRESS..).map(Ipv4Addr::from);
        addresses.find(|address| !taken(address)).unwrap_or(Ipv4Addr::UNSPECIFIED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_comes_again_is_the_same_and_leaves_no_trace() {
        let mut mesh = Mesh::default();
        mesh.set_token("t");
        let (group, now) = (mesh.group_named("routers"), Timestamp::UNIX_EPOCH);
        let from = Ipv4Addr::LOCALHOST;
        let id = mesh.join("router-0", from, std::slice::from_ref(&group), now);
        assert_eq!(mesh.join("router-0", from, std::slice::from_ref(&group), now), id);
        mesh.join("router-1", from, &[], now);
        assert_eq!(mesh.groups[&group].peers, std::slice::from_ref(&id));
        assert_ne!(mesh.peers.values().next().unwrap().ip, mesh.peers.values().last().unwrap().ip);
        assert!(mesh.remove_peer(&id) && !mesh.remove_peer(&id));
        assert!(mesh.groups.values().all(|group| !group.peers.contains(&id)));
    }

    #[test]
    fn what_an_address_is_stands_in_its_form() {
        let kind = |address: &str| {
            let address = address.to_owned();
            Resource { name: String::new(), description: String::new(), address, enabled: true, groups: vec![] }.kind()
        };
        assert_eq!(
            ["10.0.1.0/24", "10.0.1.5/32", "10.0.1.5", "*.example.com"].map(kind),
            ["subnet", "host", "host", "domain"]
        );
    }
}
