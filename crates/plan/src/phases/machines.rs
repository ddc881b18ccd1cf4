//! The machines that have a server, each with all that is known of it, found by pool and slot.
//!
//! Every concern asks for the same machines over and over; what a plan for a thousand of them costs is the price of these
//! questions. So the facts about a machine are brought together once, and a question compares numbers, not names. What is
//! concluded from the facts is no part of it.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::names::MachineName;
use crate::observed::{Fact, NodeFacts, Observed, Server, TalosFacts};
use crate::render::machine_config::ConfigDigest;

/// A machine that has a server, and what is known of it.
pub(super) struct Known<'a> {
    pub(super) name: MachineName,
    pub(super) server: &'a Server,
    /// The node of the machine's name.
    pub(super) node: Option<&'a NodeFacts>,
    /// What its Talos said, if it answered.
    pub(super) talos: Option<&'a TalosFacts>,
    /// Whether the node is that of this very server: then the server had its configuration.
    pub(super) is_registered: bool,
    /// Which configuration it is to run, once that was asked for.
    pub(super) wanted: OnceCell<Option<ConfigDigest>>,
}

/// The machines of one pool, by slot.
struct InPool<'a> {
    platform: String,
    pool: String,
    slots: BTreeMap<u32, Known<'a>>,
}

impl InPool<'_> {
    fn key(&self) -> (&str, &str) {
        (&self.platform, &self.pool)
    }
}

/// All machines that have a server, and all nodes.
#[derive(Default)]
pub(super) struct Machines<'a> {
    /// Sorted by platform and pool.
    pools: Vec<InPool<'a>>,
    nodes: BTreeMap<&'a str, &'a NodeFacts>,
    /// Whether any machine's server has registered.
    have_joined: bool,
}

impl<'a> Machines<'a> {
    /// Brings together what is known of the machines behind these servers.
    pub(super) fn of(servers: &'a [Server], nodes: &'a [NodeFacts], observed: &'a Observed) -> Self {
        let nodes = nodes.iter().map(|node| (node.name.as_str(), node)).collect();
        let mut machines = Self { pools: Vec::new(), nodes, have_joined: false };
        for server in servers {
            if let Ok(name) = MachineName::parse(&server.name) {
                machines.add(name, server, observed);
            }
        }
        machines
    }

    fn add(&mut self, name: MachineName, server: &'a Server, observed: &'a Observed) {
        let node = self.nodes.get(server.name.as_str()).copied();
        let provider_id = node.and_then(|node| node.provider_id.as_deref());
        let is_registered = provider_id.is_some_and(|id| id == format!("hcloud://{}", server.id));
        self.have_joined |= is_registered;
        let talos = observed.talos.get(&name).and_then(Fact::value);
        let position = self.position(&name).unwrap_or_else(|position| {
            let (platform, pool) = (name.platform().to_owned(), name.pool().to_owned());
            self.pools.insert(position, InPool { platform, pool, slots: BTreeMap::new() });
            position
        });
        if let Some(pool) = self.pools.get_mut(position) {
            let wanted = OnceCell::new();
            pool.slots.insert(name.slot(), Known { name, server, node, talos, is_registered, wanted });
        }
    }

    fn position(&self, machine: &MachineName) -> Result<usize, usize> {
        self.pools.binary_search_by(|it| it.key().cmp(&(machine.platform(), machine.pool())))
    }

    /// What is known of the machine, if it has a server.
    pub(super) fn get(&self, machine: &MachineName) -> Option<&Known<'a>> {
        self.pools.get(self.position(machine).ok()?)?.slots.get(&machine.slot())
    }

    /// The node of the machine's name, whether or not the machine has a server.
    pub(super) fn node(&self, machine: &MachineName) -> Option<&'a NodeFacts> {
        match self.get(machine) {
            Some(known) => known.node,
            None => self.nodes.get(machine.to_string().as_str()).copied(),
        }
    }

    /// Whether any machine's server has registered as its node.
    pub(super) fn have_joined(&self) -> bool {
        self.have_joined
    }

    /// All that have a server, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Known<'a>> {
        self.pools.iter().flat_map(|pool| pool.slots.values())
    }

    /// Those of pools of that name, by name.
    pub(super) fn of_pool<'m>(&'m self, pool: &'m str) -> impl Iterator<Item = &'m Known<'a>> {
        self.pools.iter().filter(move |it| it.pool == pool).flat_map(|it| it.slots.values())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::farewell::tests::server;
    use crate::observed::CloudFacts;

    fn names<'m>(found: impl Iterator<Item = &'m Known<'m>>) -> Vec<String> {
        found.map(|known| known.name.to_string()).collect()
    }

    #[test]
    fn machines_are_found_by_name_and_told_in_the_order_of_their_names() {
        let named = |id: u64, name: &str| Server { name: name.to_owned(), ..server(id) };
        let servers =
            [named(1, "p-web-10"), named(2, "p-web-9"), named(3, "p-cp-0"), named(4, "o-web-0"), named(5, "by-hand")];
        let observed = Observed::nothing(CloudFacts::default(), Timestamp::UNIX_EPOCH);
        let machines = Machines::of(&servers, &[], &observed);
        assert_eq!(names(machines.iter()), ["o-web-0", "p-cp-0", "p-web-9", "p-web-10"]);
        assert_eq!(names(machines.of_pool("web")), ["o-web-0", "p-web-9", "p-web-10"]);
        let id = |name: &str| machines.get(&MachineName::parse(name).unwrap()).map(|known| known.server.id);
        assert_eq!([id("p-web-9"), id("p-web-1"), id("o-cp-0")], [Some(2), None, None]);
    }
}
