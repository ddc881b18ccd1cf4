//! Data with copies on several nodes, and what becomes of the copies while nodes come and go: one whose node is away is not
//! whole any more, and another is made whole after a while, where its disk is or on a node that takes pods.
//!
//! Stands for Longhorn's volumes and CloudNativePG's instances alike, one copy at a time. Sizes, disks that fill up and
//! who is the primary are left out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::Guests;
use super::nodes::{Node, NodeCondition};

/// Data with copies on several nodes: a volume, or a database, which is named as in `namespace/name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replicated {
    /// How many copies it is to have.
    pub wanted: u32,
    /// Nodes with a healthy copy.
    pub healthy_on: BTreeSet<String>,
    /// Nodes whose disks hold a copy that is not whole.
    stale_on: BTreeSet<String>,
    /// How long a copy takes to become whole; `None` where copies are as well as hands leave them.
    rebuilt_in: Option<SignedDuration>,
    /// Where a copy becomes whole, and when.
    rebuilding: Option<(String, Timestamp)>,
}

impl Replicated {
    /// Copies that are as well as hands leave them.
    #[must_use]
    pub fn by_hand(wanted: u32, healthy_on: BTreeSet<String>) -> Self {
        Self { wanted, healthy_on, ..Self::default() }
    }

    /// Copies that follow their nodes; another takes so long to become whole.
    #[must_use]
    pub fn rebuilt_in(wanted: u32, healthy_on: BTreeSet<String>, takes: SignedDuration) -> Self {
        Self { rebuilt_in: Some(takes), ..Self::by_hand(wanted, healthy_on) }
    }

    /// Whether there are as many healthy copies as there should be.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.healthy_on.len() >= self.wanted as usize
    }

    /// When the next copy is whole.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.rebuilding.as_ref().map(|(_, at)| *at)
    }

    /// The copies are where their nodes leave them; of the nodes, these run.
    pub(super) fn follow(&mut self, nodes: &BTreeMap<String, Node>, running: &BTreeSet<&str>, now: Timestamp) {
        let Some(takes) = self.rebuilt_in else { return };
        let runs = |name: &String| running.contains(name.as_str());
        self.stale_on.extend(self.healthy_on.iter().filter(|name| !runs(name)).cloned());
        self.healthy_on.retain(runs);
        self.stale_on.retain(|name| nodes.contains_key(name));
        if self.healthy_on.is_empty() {
            // Nobody has written meanwhile: the first that is back is as good as it was.
            let back = self.stale_on.iter().find(|name| runs(name)).cloned();
            self.healthy_on.extend(back);
        }
        if let Some((name, _)) = self.rebuilding.take_if(|(name, at)| !runs(name) || *at <= now)
            && runs(&name)
        {
            self.healthy_on.insert(name);
        }
        let healthy = &self.healthy_on;
        self.stale_on.retain(|name| !healthy.contains(name));
        if self.rebuilding.is_none() && !healthy.is_empty() && !self.is_whole() {
            let there = self.stale_on.iter().find(|name| runs(name));
            let elsewhere = || nodes.values().filter(|node| takes_copies(node)).map(|node| &node.name);
            let next = there.or_else(|| elsewhere().find(|name| runs(name) && !healthy.contains(*name)));
            self.rebuilding = next.map(|name| (name.clone(), now + takes));
        }
    }
}

fn takes_copies(node: &Node) -> bool {
    let open = node.taints.iter().all(|taint| taint.effect != "NoSchedule");
    node.condition == NodeCondition::Ready && !node.unschedulable && open
}

impl Guests {
    /// Everything that has copies in any cluster, by name.
    pub fn all_replicated(&self) -> impl Iterator<Item = (&String, &Replicated)> {
        self.registries().flat_map(|registry| &registry.inside.volumes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKES: SignedDuration = SignedDuration::from_mins(4);

    fn names(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    fn node(name: &str) -> (String, Node) {
        let node = Node {
            name: name.to_owned(),
            provider_id: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            taints: Vec::new(),
            condition: NodeCondition::Ready,
            since: Timestamp::UNIX_EPOCH,
            unschedulable: false,
            kubelet_version: String::new(),
            internal_ip: None,
        };
        (name.to_owned(), node)
    }

    #[test]
    fn copies_follow_their_nodes() {
        let mut nodes: BTreeMap<String, Node> = ["a", "b", "c"].map(node).into();
        let mut copies = Replicated::rebuilt_in(2, names(&["a", "b"]), TAKES);
        let mut at = Timestamp::UNIX_EPOCH;
        copies.follow(&nodes, &["a", "b", "c"].into(), at);
        assert!(copies.is_whole() && copies.due().is_none());

        copies.follow(&nodes, &["b", "c"].into(), at);
        assert_eq!((&copies.healthy_on, copies.due()), (&names(&["b"]), Some(at + TAKES)), "another is made on c");
        at += TAKES;
        copies.follow(&nodes, &["a", "b", "c"].into(), at);
        assert_eq!(copies.healthy_on, names(&["b", "c"]));

        copies.follow(&nodes, &[].into(), at);
        assert!(copies.healthy_on.is_empty() && copies.due().is_none());
        copies.follow(&nodes, &["c"].into(), at);
        assert_eq!(copies.healthy_on, names(&["c"]), "the first that is back is taken");
        nodes.get_mut("a").unwrap().unschedulable = true;
        copies.follow(&nodes, &["a", "c"].into(), at);
        assert_eq!(copies.due(), Some(at + TAKES), "its disk is still there");
        nodes.retain(|name, _| name == "c");
        nodes.extend([node("d")]);
        nodes.get_mut("d").unwrap().unschedulable = true;
        copies.follow(&nodes, &["c", "d"].into(), at);
        assert_eq!(copies.due(), None, "nobody takes another copy");
    }
}
