//! The mesh' management service: what hands have put into it, and what NetBird's operator makes of the routers and groups
//! in a cluster. It makes nothing before there is a zone of names, which it asks for.

use std::collections::BTreeSet;

use async_trait::async_trait;
use helix_engine::seams::{Mesh, MeshError};
use helix_plan::observed::{MeshFacts, MeshNetwork, MeshPeer};
use helix_plan::step::MeshChange;
use helix_plan::validated::MeshAccount;

use super::objects::is_up;
use super::{Inner, Universe};

impl Universe {
    /// Looks at the mesh' account, or changes it as others do.
    pub fn with_mesh<T>(&self, act: impl FnOnce(&mut MeshFacts) -> T) -> T {
        act(&mut self.lock().mesh)
    }
}

impl Inner {
    /// Lets NetBird's operator do its part: every group and router in a cluster is there, and one pod of each router has
    /// joined.
    fn join_mesh(&mut self) {
        if self.mesh.zones.is_empty() {
            return;
        }
        let guests = self.world.guests();
        let objects =
            guests.iter().filter_map(|guest| guests.inside_at(guest.host().server)).flat_map(|it| &it.objects);
        let made = objects.filter(|(key, held)| key.0.starts_with("netbird.io/") && is_up(held, self.now));
        let made: BTreeSet<(String, String)> = made.map(|(key, _)| (key.1.clone(), key.3.clone())).collect();
        for (kind, name) in made {
            match kind.as_str() {
                "Group" => drop(self.mesh.groups.entry(name.clone()).or_insert(name)),
                "NetworkRouter" if self.mesh.networks.iter().all(|network| network.name != name) => {
                    let groups = BTreeSet::from([format!("{name}-routers")]);
                    self.mesh.peers.push(MeshPeer {
                        name: format!("{name}-0"),
                        connected: true,
                        groups: groups.clone(),
                    });
                    self.mesh.networks.push(MeshNetwork {
                        id: name.clone(),
                        name,
                        router_groups: groups,
                        resources: BTreeSet::new(),
                        notes: BTreeSet::new(),
                    });
                }
                _ => {}
            }
        }
    }
}

#[async_trait]
impl Mesh for Universe {
    async fn look(&self, _: &str, _: &MeshAccount) -> Result<MeshFacts, MeshError> {
        self.ask("look at the mesh", |inner| {
            inner.join_mesh();
            Ok(inner.mesh.clone())
        })
        .await
    }

    async fn change(&self, _: &str, _: &MeshAccount, change: &MeshChange) -> Result<(), MeshError> {
        self.tell("change the mesh", |inner| {
            match change {
                MeshChange::CreateZone { domain } => drop(inner.mesh.zones.insert(domain.clone())),
                MeshChange::CreateRoute { network, address, note, .. } => {
                    let network = inner.mesh.networks.iter_mut().find(|it| it.id == *network);
                    if let Some(network) = network {
                        network.resources.insert(address.clone());
                        network.notes.insert(note.clone());
                    }
                }
                MeshChange::DeleteNetwork { id, setup_keys, groups, .. } => {
                    inner.mesh.setup_keys.retain(|key| !setup_keys.contains(&key.id));
                    inner.mesh.networks.retain(|network| network.id != *id);
                    inner.mesh.groups.retain(|_, group| !groups.contains(group));
                }
            }
            Ok(())
        })
        .await
    }
}
