//! What is to be taken over, as far as the specification alone can be judged: what the resources themselves are like is
//! [`crate::phases::adoption`]'s.

use std::collections::BTreeSet;

use helix_crds::{AdoptedKind, Adoption as Entry, EndpointType, HelixPlatform};

use super::{Pool, Rejections};
use crate::names::{MachineName, PlatformIdentity};
use crate::observed::Named;
use crate::step::ResourceKind;

/// An existing resource that is to become the platform's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// Which resource.
    pub named: Named,
    /// The machine that a server becomes.
    pub machine: Option<MachineName>,
    /// Whether that has happened already: what has gone since is not missed.
    pub done: bool,
}

/// The kind as the plan knows it; `None` for what Helix does not manage yet.
#[must_use]
pub fn kind_of(kind: AdoptedKind) -> Option<ResourceKind> {
    match kind {
        AdoptedKind::Server => Some(ResourceKind::Server),
        AdoptedKind::Network => Some(ResourceKind::Network),
        AdoptedKind::Firewall => Some(ResourceKind::Firewall),
        AdoptedKind::LoadBalancer => Some(ResourceKind::LoadBalancer),
        AdoptedKind::PlacementGroup => Some(ResourceKind::PlacementGroup),
        AdoptedKind::SshKey => Some(ResourceKind::SshKey),
        AdoptedKind::Volume => None,
    }
}

pub(super) fn adoptions(
    platform: &HelixPlatform,
    identity: &PlatformIdentity,
    pools: &[&Pool],
    rejections: &mut Rejections,
) -> Vec<Adoption> {
    let done = platform.status.as_ref().map(|status| status.adopted.as_slice()).unwrap_or_default();
    let mut all: Vec<Adoption> = Vec::new();
    let (mut resources, mut machines, mut singles) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (index, entry) in platform.spec.adopt.iter().enumerate() {
        let field = format!("spec.adopt[{index}]");
        let Some(kind) = kind_of(entry.kind) else {
            rejections.not_implemented(field, "adoption of volumes", "leave it out; Helix does not touch the volume");
            continue;
        };
        let named = Named { kind, id: entry.id };
        let machine = machine(entry, &field, identity, pools, rejections);
        if kind == ResourceKind::LoadBalancer && platform.spec.endpoint.kind != EndpointType::LoadBalancer {
            let problem = "names a load balancer, and spec.endpoint asks for none";
            rejections.add(&field, problem, "leave it out, or write spec.endpoint.type: LoadBalancer");
        }
        if !resources.insert(named) {
            rejections.add(&field, format!("{named} is named twice"), "leave one of the two out");
        }
        if machine.as_ref().is_some_and(|machine| !machines.insert(machine.clone())) {
            rejections.add(&field, "two servers are to become one machine", "give one of them another machine");
        }
        let single = !matches!(kind, ResourceKind::Server | ResourceKind::PlacementGroup);
        if single && !singles.insert(kind) {
            let problem = format!("a platform has one {}, and two are named", kind.words());
            rejections.add(&field, problem, "name the one that it is to have");
        }
        all.push(Adoption { named, machine, done: done.iter().any(|it| it == entry) });
    }
    all
}

/// The machine that the entry names.
fn machine(
    entry: &Entry,
    field: &str,
    identity: &PlatformIdentity,
    pools: &[&Pool],
    rejections: &mut Rejections,
) -> Option<MachineName> {
    let example = format!("write the name of one of the platform's machines, as in {}-cp-0", identity.name);
    let text = match (entry.kind, &entry.machine) {
        (AdoptedKind::Server, Some(text)) => text,
        (AdoptedKind::Server, None) => {
            rejections.add(format!("{field}.machine"), "is missing for kind Server", example);
            return None;
        }
        (_, None) => return None,
        (_, Some(_)) => {
            rejections.add(format!("{field}.machine"), "belongs to kind Server", "leave it out");
            return None;
        }
    };
    let machine = identity.machine_of(text);
    let pool = machine.as_ref().and_then(|machine| pools.iter().find(|pool| pool.name == machine.pool()));
    match (machine, pool) {
        (Some(machine), Some(pool)) if machine.slot() < pool.replicas => Some(machine),
        (Some(_), Some(pool)) => {
            let (pool, replicas) = (&pool.name, pool.replicas);
            let problem = format!("`{text}` is beyond the {replicas} machines of pool `{pool}`");
            rejections.add(format!("{field}.machine"), problem, "write a lower number, or ask for more replicas");
            None
        }
        _ => {
            rejections.add(format!("{field}.machine"), format!("`{text}` is no machine of this platform"), example);
            None
        }
    }
}
