//! The mesh in a forecast: what is told to its management service, and what NetBird's operator is taken to make.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::{World, durations};
use crate::components::Component;
use crate::observed::{MeshNetwork, MeshPeer};
use crate::step::MeshChange;
use crate::validated::ValidatedPlatform;

/// The id of the group of routing peers, which nobody has made yet.
const ROUTERS: &str = "to-be-made";

impl World<'_> {
    /// Lets a change of the mesh have its effect.
    pub(super) fn change_mesh(&mut self, change: &MeshChange) {
        let Some(mesh) = self.observed.mesh.value_mut() else { return };
        match change {
            MeshChange::CreateZone { domain } => drop(mesh.zones.insert(domain.clone())),
            MeshChange::CreateRoute { network, address, note, .. } => {
                let network = mesh.networks.iter_mut().find(|it| it.id == *network);
                if let Some(network) = network {
                    network.resources.insert(address.clone());
                    network.notes.insert(note.clone());
                }
            }
            MeshChange::DeleteNetwork { id, .. } => mesh.networks.retain(|network| network.id != *id),
        }
    }

    /// Where the operator runs, and there is the zone that it asks for, it makes its network and joins it. Whoever answers
    /// Helix proves that it comes in.
    pub(super) fn settle_mesh(&mut self, platform: &ValidatedPlatform) -> Option<SignedDuration> {
        let answers = self.observed.talos.values().any(|it| it.value().is_some());
        let runs = self.observed.kubernetes.value().is_some() && self.is_well(Component::NetbirdOperator);
        if platform.ports.close && answers && self.observed.way_in.is_none() {
            self.observed.way_in = Some(self.now);
            return Some(durations::PODS_LISTED);
        }
        let name = &platform.identity.name;
        let mesh = self.observed.mesh.value_mut()?;
        if platform.mesh.is_none() || !runs || mesh.zones.is_empty() || !mesh.networks.is_empty() {
            return None;
        }
        let groups = BTreeSet::from([ROUTERS.to_owned()]);
        mesh.groups.insert(format!("{name}-admins"), "to-be-made-admins".to_owned());
        mesh.networks.push(MeshNetwork {
            id: "to-be-made".to_owned(),
            name: format!("{name}-router"),
            router_groups: groups.clone(),
            resources: BTreeSet::new(),
            notes: BTreeSet::new(),
        });
        mesh.peers.push(MeshPeer { name: format!("{name}-router-0"), connected: true, groups });
        Some(durations::TARGET_HEALTHY)
    }
}
