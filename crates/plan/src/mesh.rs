//! What a platform has in the account of its mesh, by which names, and whether that is proved.
//!
//! Names prove nothing: an account is shared by whoever has it. Proved is the network behind which the way to the machines
//! is, for Helix has noted the platform's UID on that, and nothing else but what NetBird's operator has made for the
//! platform; and with the network what hangs on it alone. The zone of names carries no note, and so it is nobody's.

use std::collections::BTreeSet;

use crate::names::PlatformIdentity;
use crate::observed::{MeshFacts, MeshNetwork, MeshPeer};

/// The network that NetBird's operator makes for the platform's router.
pub(crate) fn network_name(platform: &str) -> String {
    format!("{platform}-router")
}

/// The group of administrators, as NetBird's operator makes it.
pub(crate) fn admins(platform: &str) -> String {
    format!("{platform}-admins")
}

/// The zone of names that the router wants to exist.
pub(crate) fn zone(platform: &str) -> String {
    format!("{platform}.internal")
}

/// What Helix notes on the way to the machines.
#[must_use]
pub fn note(platform: &PlatformIdentity) -> String {
    format!("The machines of {}, made by Helix for {}", platform.display_name(), platform.uid)
}

/// What NetBird's operator notes on what it makes.
fn operators_note(platform: &PlatformIdentity) -> String {
    format!("Created by netbird-operator in {}", platform.name)
}

/// Of all that is in the account what is proved to be the platform's, and goes with it: networks, the keys by which their
/// routing peers register, and groups in which nobody is any more.
#[must_use]
pub fn proved(mesh: &MeshFacts, platform: &PlatformIdentity) -> MeshFacts {
    let networks: Vec<MeshNetwork> = mesh.networks.iter().filter(|it| is_proved(it, platform)).cloned().collect();
    if networks.is_empty() {
        return MeshFacts::default();
    }
    let routers: BTreeSet<&String> = networks.iter().flat_map(|network| &network.router_groups).collect();
    let others = |network: &&MeshNetwork| !networks.contains(network);
    let shared: BTreeSet<&String> = mesh.networks.iter().filter(others).flat_map(|it| &it.router_groups).collect();
    let is_in = |peer: &MeshPeer, group: &String| peer.groups.contains(group);
    let admins = admins(&platform.name);
    // Pods of the router have gone with the cluster, and stay in its group for a while; people stay for good.
    let goes = |name: &String, group: &String| {
        let of_router = routers.contains(group) && !mesh.peers.iter().any(|peer| peer.connected && is_in(peer, group));
        let of_admins = *name == admins && !mesh.peers.iter().any(|peer| is_in(peer, group));
        (of_router || of_admins) && !shared.contains(group)
    };
    let is_routers = |groups: &BTreeSet<String>| {
        !groups.is_empty() && groups.iter().all(|it| routers.contains(it) && !shared.contains(it))
    };
    let groups = mesh.groups.iter().filter(|(name, id)| goes(name, id));
    let setup_keys = mesh.setup_keys.iter().filter(|key| is_routers(&key.groups)).cloned().collect();
    let groups = groups.map(|(name, id)| (name.clone(), id.clone())).collect();
    MeshFacts { networks, groups, setup_keys, ..MeshFacts::default() }
}

fn is_proved(network: &MeshNetwork, platform: &PlatformIdentity) -> bool {
    let (ours, operators) = (note(platform), operators_note(platform));
    network.name == network_name(&platform.name)
        && network.notes.contains(&ours)
        && network.notes.iter().all(|note| *note == ours || *note == operators)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::MeshSetupKey;

    fn platform() -> PlatformIdentity {
        PlatformIdentity { namespace: "helix-system".to_owned(), name: "prod".to_owned(), uid: "u1".to_owned() }
    }

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn peer(connected: bool, group: &str) -> MeshPeer {
        MeshPeer { name: "p".to_owned(), connected, groups: set(&[group]) }
    }

    fn account() -> MeshFacts {
        let network = |id: &str, name: &str, group: &str, notes: &[&str]| MeshNetwork {
            id: id.to_owned(),
            name: name.to_owned(),
            router_groups: set(&[group]),
            resources: BTreeSet::new(),
            notes: set(notes),
        };
        let key = |id: &str, groups: &[&str]| MeshSetupKey { id: id.to_owned(), groups: set(groups) };
        let ours = note(&platform());
        let groups = [("prod-admins", "g1"), ("prod-routers", "g2"), ("office", "g3"), ("All", "g0")];
        MeshFacts {
            networks: vec![
                network("n1", "prod-router", "g2", &[&ours, "Created by netbird-operator in prod"]),
                network("n2", "office", "g3", &["printers"]),
            ],
            groups: groups.map(|(name, id)| (name.to_owned(), id.to_owned())).into(),
            setup_keys: vec![key("k1", &["g2"]), key("k2", &["g2", "g3"]), key("k3", &[])],
            peers: vec![peer(false, "g2"), peer(true, "g3")],
            ..MeshFacts::default()
        }
    }

    #[test]
    fn what_hangs_on_the_proved_network_alone_goes_with_it() {
        let proved = proved(&account(), &platform());
        assert_eq!(proved.networks.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["n1"]);
        assert_eq!(proved.groups.values().cloned().collect::<BTreeSet<_>>(), set(&["g1", "g2"]));
        assert_eq!(proved.setup_keys.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["k1"]);
    }

    #[test]
    fn who_is_in_a_group_keeps_it() {
        let mut account = account();
        account.peers = vec![peer(false, "g1"), peer(true, "g2")];
        assert!(proved(&account, &platform()).groups.is_empty());
    }

    #[test]
    fn nothing_goes_by_its_name() {
        let nothing = MeshFacts::default();
        let another = PlatformIdentity { uid: "u2".to_owned(), ..platform() };
        assert_eq!(proved(&account(), &another), nothing, "of a platform of the same name");
        let mut shared = account();
        shared.networks[0].notes.insert("the printer".to_owned());
        assert_eq!(proved(&shared, &platform()), nothing, "others have something behind it");
        shared.networks[0].notes = set(&["Created by netbird-operator in prod"]);
        assert_eq!(proved(&shared, &platform()), nothing, "Helix has noted nothing");
    }
}
