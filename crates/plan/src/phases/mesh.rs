//! The mesh: its routing peers in the cluster are connected, and it leads to the machines' subnet.
//!
//! NetBird's operator makes the network with its routing peers, the group of administrators, and the way to the Kubernetes
//! API. What leads to no Service it cannot make: the machines' own subnet, and the zone of names that it asks for, are told
//! to the management service here. Who may use them is for the account's own access policies to say.

use super::{Context, Outcome};
use crate::mesh::{admins, network_name, note, zone};
use crate::observed::{Fact, MeshFacts, MeshNetwork};
use crate::report::{Reach, Wait};
use crate::step::{MeshChange, Step};

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    if context.platform.mesh.is_none() {
        return Outcome::done("no mesh is asked for", context.observed.cloud.at());
    }
    let mesh = match &context.observed.mesh {
        Fact::Known { value, .. } => value,
        Fact::Missing(missing) => return Outcome::unknown(missing.clone()),
    };
    let platform = &context.platform.identity.name;
    let zone = zone(platform);
    if !mesh.zones.contains(&zone) {
        return Outcome::step(Step::ChangeMesh(MeshChange::CreateZone { domain: zone }));
    }
    let Some(network) = network(context, mesh) else {
        return Outcome::waiting(Wait::Reach(Reach::MeshRouter { network: network_name(platform) }));
    };
    let Some(group) = mesh.groups.get(&admins(platform)) else {
        return Outcome::waiting(Wait::Reach(Reach::MeshRouter { network: admins(platform) }));
    };
    let subnet = context.platform.network.subnet.to_string();
    if !network.resources.contains(&subnet) {
        return Outcome::step(Step::ChangeMesh(MeshChange::CreateRoute {
            network: network.id.clone(),
            name: format!("{platform}-nodes"),
            address: subnet,
            group: group.clone(),
            note: note(&context.platform.identity),
        }));
    }
    match connected(mesh, network) {
        0 => Outcome::waiting(Wait::Reach(Reach::MeshPeers { network: network.name.clone() })),
        number => {
            let what = format!("{number} routing peers are connected and lead to {subnet} and the Kubernetes API");
            Outcome::done(what, context.observed.mesh.at())
        }
    }
}

fn network<'m>(context: &Context<'_>, mesh: &'m MeshFacts) -> Option<&'m MeshNetwork> {
    let name = network_name(&context.platform.identity.name);
    mesh.networks.iter().find(|network| network.name == name)
}

/// How many of the network's routing peers are connected.
fn connected(mesh: &MeshFacts, network: &MeshNetwork) -> usize {
    let routes =
        |groups: &std::collections::BTreeSet<String>| groups.iter().any(|it| network.router_groups.contains(it));
    mesh.peers.iter().filter(|peer| peer.connected && routes(&peer.groups)).count()
}

/// Whether people can come in by the mesh.
pub(super) fn is_ready(context: &Context<'_>) -> bool {
    plan(context).is_done()
}
