//! Which instances a PostgreSQL cluster has, and which of them is the primary: what CloudNativePG's operator decides, pure.
//!
//! Instances are numbered from 1 and made one after the other. One that was there before comes back at once, for its
//! volume is there. The primary moves when its pod is not ready, when its node takes no more pods, or on demand, and
//! only to an instance that is ready.

use std::collections::{BTreeMap, BTreeSet};

/// The pod of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) ready: bool,
    /// Whether its node takes pods.
    pub(super) stays: bool,
}

/// What is known of a cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// How many instances are wanted.
    pub(super) wanted: usize,
    pub(super) pods: BTreeMap<u32, Seen>,
    /// The highest number that was ever given.
    pub(super) latest: u32,
    /// The numbers that have volumes.
    pub(super) volumes: BTreeSet<u32>,
    pub(super) primary: Option<u32>,
    /// Whether the primary is lost now.
    pub(super) fails: bool,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// The instances that it has.
    pub(super) instances: BTreeSet<u32>,
    pub(super) latest: u32,
    pub(super) primary: u32,
    /// A primary whose pod goes, to come back as a replica.
    pub(super) lost: Option<u32>,
    pub(super) phase: &'static str,
}

/// The phase of a cluster that is as it should be.
pub(super) const HEALTHY: &str = "Cluster in healthy state";

pub(super) fn decide(known: &Known) -> Decision {
    let is_ready = |number: &u32| known.pods.get(number).is_some_and(|pod| pod.ready);
    let mut instances: BTreeSet<u32> = known.volumes.clone();
    let primary = known.primary.filter(|number| instances.contains(number));
    let calm = |number: &u32| known.pods.get(number).is_some_and(|pod| pod.ready && pod.stays);
    let stays = primary.is_some_and(|number| calm(&number) && !known.fails);
    let others = || instances.iter().copied().filter(|number| Some(*number) != primary);
    let heir = others().find(calm).or_else(|| {
        // Away from a node that is being emptied only to one that stays, away from the dead to any.
        others().find(|number| is_ready(number) && primary.is_none_or(|primary| known.fails || !is_ready(&primary)))
    });
    let (new_primary, moved) = match (primary, heir) {
        (Some(_), Some(heir)) if !stays => (heir, true),
        (Some(primary), _) => (primary, false),
        (None, heir) => (heir.unwrap_or(1), false),
    };
    while instances.len() > known.wanted {
        let last = instances.iter().rev().copied().find(|number| *number != new_primary);
        let Some(last) = last else { break };
        instances.remove(&last);
    }
    let mut latest = known.latest.max(instances.last().copied().unwrap_or_default());
    let all_ready = instances.iter().all(is_ready);
    if all_ready && instances.len() < known.wanted {
        latest += 1;
        instances.insert(latest);
    }
    let phase = if moved {
        "Failing over"
    } else if instances.len() == known.wanted && instances.iter().all(is_ready) {
        HEALTHY
    } else if known.pods.is_empty() && known.primary.is_none() {
        "Setting up primary"
    } else if instances.len() < known.wanted || !known.pods.contains_key(&latest) {
        "Creating a new replica"
    } else {
        "Waiting for the instances to become active"
    };
    let lost = primary.filter(|_| moved && known.fails);
    Decision { instances, latest, primary: new_primary, lost, phase }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Carries out a decision: what is to be there is ready.
    fn next(known: &Known, decision: &Decision) -> Known {
        let ready = Seen { ready: true, stays: true };
        Known {
            pods: decision.instances.iter().map(|number| (*number, ready)).collect(),
            volumes: decision.instances.clone(),
            latest: decision.latest,
            primary: Some(decision.primary),
            fails: false,
            ..*known
        }
    }

    fn healthy(wanted: usize) -> Known {
        let mut known = Known { wanted, ..Known::default() };
        for _ in 0..=wanted {
            known = next(&known, &decide(&known));
        }
        assert_eq!(decide(&known).phase, HEALTHY);
        known
    }

    #[test]
    fn instances_come_one_after_the_other() {
        let empty = Known { wanted: 3, ..Known::default() };
        let first = decide(&empty);
        assert_eq!((first.instances.clone(), first.primary, first.phase), ([1].into(), 1, "Setting up primary"));
        let second = decide(&next(&empty, &first));
        assert_eq!((second.instances, second.phase), ([1, 2].into(), "Creating a new replica"));
        assert_eq!(healthy(3).volumes, [1, 2, 3].into());
    }

    #[test]
    fn the_primary_moves_when_it_is_lost_and_comes_back_as_a_replica() {
        let known = Known { fails: true, ..healthy(3) };
        let decision = decide(&known);
        assert_eq!((decision.primary, decision.lost, decision.phase), (2, Some(1), "Failing over"));
        let after = decide(&next(&known, &decision));
        assert_eq!((after.primary, after.phase), (2, HEALTHY));
        let alone = Known { fails: true, ..healthy(1) };
        assert_eq!(decide(&alone).lost, None, "nobody could take over");
    }

    #[test]
    fn the_primary_leaves_a_node_that_is_being_emptied() {
        let mut known = healthy(2);
        known.pods.insert(1, Seen { ready: true, stays: false });
        let decision = decide(&known);
        assert_eq!((decision.primary, decision.lost), (2, None));
        known.pods.insert(2, Seen { ready: true, stays: false });
        assert_eq!(decide(&known).primary, 1, "nowhere is better");
    }

    #[test]
    fn the_last_instances_go_first_but_never_the_primary() {
        let known = Known { wanted: 1, primary: Some(3), ..healthy(3) };
        assert_eq!(decide(&known).instances, [3].into());
    }

    #[test]
    fn a_pod_that_is_gone_comes_back_with_its_volume() {
        let mut known = healthy(3);
        known.pods.remove(&2);
        let decision = decide(&known);
        assert_eq!(decision.instances, [1, 2, 3].into());
        assert_eq!(decision.phase, "Waiting for the instances to become active");
    }
}
