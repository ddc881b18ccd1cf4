//! Adoption: what `spec.adopt` names is looked at, held against what the specification asks for, and labelled as the
//! platform's. From then on the other concerns find it as if Helix had made it.
//!
//! Either everything that is named fits, or nothing is taken over: half an adoption would be hard to take back. What is
//! to be adopted is not made anew meanwhile. A server is taken over only while it runs Talos without a configuration:
//! there is nothing on it that could be lost, and it is nobody else's.

use super::placement_groups::{self, Membership};
use super::{Concern, Context, Outcome};
use crate::observed::{Adoptee, Fact, Missing, Named, Server, ServerStatus, TalosFacts};
use crate::report::{Block, Wait};
use crate::step::{ResourceKind, Step};
use crate::validated::{Adoption, Spread};

/// What the cloud controller manager writes on the load balancers that it makes for a cluster's services.
const MADE_IN_A_CLUSTER: &str = "hcloud-ccm/service-uid";

/// Why something is not adopted, and what to do about it.
struct Unfit {
    why: String,
    remedy: String,
}

impl Unfit {
    fn new(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { why: why.into(), remedy: remedy.into() }
    }
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let pending = pending(context);
    let mut steps = Vec::new();
    for adoption in &pending {
        let adoptee = match context.observed.adoptees.get(&adoption.named) {
            Some(Fact::Known { value: Some(adoptee), .. }) => adoptee,
            Some(Fact::Known { value: None, .. }) => return refuse(adoption.named, gone()),
            Some(Fact::Missing(missing)) => return Outcome::unknown(missing.clone()),
            None => return Outcome::unknown(Missing::NotThereYet),
        };
        if let Some(unfit) = unfit(context, adoption, adoptee) {
            return refuse(adoption.named, unfit);
        }
        steps.push(adopt(context, adoption, adoptee));
    }
    // Servers without the bundle would look as if it had been lost.
    let bundled = context.store.bundle.is_some();
    steps.retain(|step| bundled || !matches!(step, Step::AdoptResource { kind: ResourceKind::Server, .. }));
    match (pending.is_empty(), steps.is_empty()) {
        (false, true) => Outcome::waiting(Wait::Concern(Concern::SecretBundle)),
        (_, false) => Outcome::steps(steps),
        (true, true) => {
            let number = context.platform.adoptions.len();
            Outcome::done(format!("{number} resources are adopted"), context.observed.cloud.at())
        }
    }
}

/// What is to become the platform's, and neither is so nor was and has gone since.
pub(crate) fn pending<'a>(context: &Context<'a>) -> Vec<&'a Adoption> {
    let settled = |adoption: &Adoption| adoption.done || context.cloud.has(adoption.named);
    context.platform.adoptions.iter().filter(|adoption| !settled(adoption)).collect()
}

/// Whether a step would make what is to be adopted.
pub(crate) fn takes_the_place_of(pending: &[&Adoption], step: &Step) -> bool {
    let (made, slot) = match step {
        Step::CreateNetwork(_) => (ResourceKind::Network, None),
        Step::CreateFirewall(_) => (ResourceKind::Firewall, None),
        Step::CreateSshKey { .. } => (ResourceKind::SshKey, None),
        Step::CreatePlacementGroup { .. } => (ResourceKind::PlacementGroup, None),
        Step::CreateLoadBalancer(_) => (ResourceKind::LoadBalancer, None),
        Step::CreateServer(new) => (ResourceKind::Server, Some(&new.machine)),
        _ => return false,
    };
    pending.iter().any(|adoption| adoption.named.kind == made && adoption.machine.as_ref() == slot)
}

fn adopt(context: &Context<'_>, adoption: &Adoption, adoptee: &Adoptee) -> Step {
    let identity = &context.platform.identity;
    let machine = adoption.machine.as_ref();
    Step::AdoptResource {
        kind: adoption.named.kind,
        id: adoption.named.id,
        name: machine.map_or_else(|| adoptee.name().to_owned(), ToString::to_string),
        labels: identity.adopted_labels(adoptee.labels(), machine),
    }
}

fn refuse(named: Named, unfit: Unfit) -> Outcome {
    Outcome::blocked(Block::AdoptionRefused { resource: named.to_string(), why: unfit.why, remedy: unfit.remedy })
}

fn gone() -> Unfit {
    Unfit::new("the token's project has none of that id", "Correct the id, or take it out of spec.adopt")
}

/// Why the resource cannot become the platform's; `None` if it can.
fn unfit(context: &Context<'_>, adoption: &Adoption, adoptee: &Adoptee) -> Option<Unfit> {
    if let Some(unfit) = owned_by_another(context, adoptee) {
        return Some(unfit);
    }
    match adoptee {
        Adoptee::Network(network) => {
            let wanted = &context.platform.network;
            only_one(&context.cloud.networks, |it| &it.name).or_else(|| {
                let overlaps = |subnet: &ipnet::Ipv4Net| {
                    subnet != &wanted.subnet && (subnet.contains(&wanted.subnet) || wanted.subnet.contains(subnet))
                };
                if network.cidr != wanted.cidr {
                    let why = format!("its range is {}, and the platform's {}", network.cidr, wanted.cidr);
                    return Some(Unfit::new(why, "Write its range as spec.provider.hetzner.network.cidr"));
                }
                let subnet = network.subnets.iter().find(|subnet| overlaps(subnet))?;
                let why = format!("its subnet {subnet} overlaps with the platform's, {}", wanted.subnet);
                Some(Unfit::new(why, "Write another range as spec.provider.hetzner.network.subnet"))
            })
        }
        Adoptee::Firewall { guards, by_label, .. } => only_one(&context.cloud.firewalls, |it| &it.name).or_else(|| {
            let foreign = guards.iter().find(|server| !is_ours(context, **server));
            let whom = match (foreign, by_label) {
                (Some(server), _) => format!("server {server}"),
                (None, true) => "whatever has a label".to_owned(),
                (None, false) => return None,
            };
            let why = format!("it guards {whom} too, and Helix would change its rules");
            Some(Unfit::new(why, "Take it off everything that is not the platform's"))
        }),
        Adoptee::SshKey(_) => only_one(&context.cloud.ssh_keys, |it| &it.name),
        Adoptee::PlacementGroup(group) => {
            let wanted = placement_groups::wanted(context);
            if !wanted.contains_key(&group.name) {
                let names: Vec<String> = wanted.into_keys().collect();
                let why = format!("its name is `{}`, by which no pool finds it", group.name);
                return Some(Unfit::new(why, format!("Rename it to one of: {}", names.join(", "))));
            }
            let foreign = group.servers.iter().find(|server| !is_ours(context, **server))?;
            Some(Unfit::new(
                format!("server {foreign} is in it"),
                "Take everything out of it that is not the platform's",
            ))
        }
        Adoptee::LoadBalancer { balancer, other_targets } => only_one(&context.cloud.load_balancers, |it| &it.name)
            .or_else(|| unfit_balancer(context, balancer, *other_targets)),
        Adoptee::Server { server, talos } => unfit_server(context, adoption, server, talos),
        Adoptee::Volume(_) => {
            let why = "it is a volume, and a cluster knows only those that its own driver made";
            Some(Unfit::new(why, "Take it out of spec.adopt; Helix does not touch the volume"))
        }
    }
}

fn owned_by_another(context: &Context<'_>, adoptee: &Adoptee) -> Option<Unfit> {
    let labels = adoptee.labels();
    let uid = labels.get(helix_crds::labels::PLATFORM_UID).filter(|uid| **uid != context.platform.identity.uid);
    if uid.is_some() {
        let owner = labels.get(helix_crds::labels::PLATFORM).map_or("of unknown name", String::as_str);
        let why = format!("it belongs to another platform ({owner})");
        return Some(Unfit::new(
            why,
            "Name something else; if that platform is gone, take its helix.dev labels off it",
        ));
    }
    labels.contains_key(MADE_IN_A_CLUSTER).then(|| {
        let why = "it was made from inside a cluster, for one of its services";
        Unfit::new(why, "Name something else; that cluster goes on looking after it")
    })
}

/// There is one of the kind in a platform; another is not taken beside it.
fn only_one<T>(existing: &[T], name: fn(&T) -> &String) -> Option<Unfit> {
    let name = name(existing.first()?);
    Some(Unfit::new(format!("the platform has one already, `{name}`"), "Take it out of spec.adopt"))
}

fn is_ours(context: &Context<'_>, server: u64) -> bool {
    let named = Named { kind: ResourceKind::Server, id: server };
    context.cloud.has(named) || context.platform.adoptions.iter().any(|adoption| adoption.named == named)
}

fn unfit_balancer(
    context: &Context<'_>,
    balancer: &crate::observed::LoadBalancer,
    other_targets: bool,
) -> Option<Unfit> {
    let port = super::firewall::KUBERNETES_PORT;
    let foreign = balancer.targets.iter().find(|target| !is_ours(context, target.server));
    if let Some(service) = balancer.services.iter().find(|service| service.listen_port != port) {
        let why = format!("it serves port {}, and the platform's serves {port} alone", service.listen_port);
        return Some(Unfit::new(why, "Take that service off it"));
    }
    let elsewhere = balancer.private.iter().find(|place| {
        let named = Named { kind: ResourceKind::Network, id: place.network };
        !context.cloud.has(named) && context.platform.adoptions.iter().all(|adoption| adoption.named != named)
    });
    if let Some(place) = elsewhere {
        let why = format!("it is attached to network {}, which is not the platform's", place.network);
        return Some(Unfit::new(why, "Detach it there, or adopt that network, too"));
    }
    (other_targets || foreign.is_some()).then(|| {
        let why = "it forwards to something that is not the platform's";
        Unfit::new(why, "Take these targets off it")
    })
}

fn unfit_server(
    context: &Context<'_>,
    adoption: &Adoption,
    server: &Server,
    talos: &Fact<TalosFacts>,
) -> Option<Unfit> {
    let machine = adoption.machine.as_ref()?;
    let pool = context.platform.pool(machine.pool())?;
    if let Some(existing) = context.server_of(machine) {
        let why = format!("{machine} is server {} already", existing.id);
        return Some(Unfit::new(why, "Give it another machine, or take it out of spec.adopt"));
    }
    let fits = |placement: &crate::validated::Placement| {
        placement.server_type == server.server_type && placement.location == server.location
    };
    if !pool.placements.iter().any(fits) {
        let why =
            format!("it is {} in {}, which pool `{}` does not ask for", server.server_type, server.location, pool.name);
        return Some(Unfit::new(why, "Add that to the pool's placements"));
    }
    if server.status != ServerStatus::Running || server.public_ipv4.is_none() {
        let why = "it is not running with a public IPv4 address";
        return Some(Unfit::new(why, "Power it on; Helix looks again by itself"));
    }
    let wanted = format!("v{}", context.platform.versions.talos);
    match talos {
        Fact::Known { value: TalosFacts::Maintenance { version }, .. } if *version == wanted => {
            let group = match placement_groups::membership(context, pool, machine) {
                Membership::In(group) => Some(group),
                Membership::Without | Membership::NotYet => None,
            };
            let elsewhere = server.placement_group.is_some() && server.placement_group != group;
            (pool.spread != Spread::None && elsewhere).then(|| {
                let why = "it is in a placement group that is not its pool's";
                Unfit::new(why, "Power it off, take it out of that group, and power it on again")
            })
        }
        Fact::Known { value: TalosFacts::Maintenance { version }, .. } => {
            let why = format!("it runs Talos {version}, and the platform {wanted}");
            Some(Unfit::new(why, "Rebuild it from a snapshot of the wanted version"))
        }
        Fact::Known { .. } => Some(Unfit::new(
            "it runs Talos with a configuration: it is a machine of a cluster",
            "Take it out of that cluster and rebuild it from a snapshot of Talos; what is on it is lost then",
        )),
        Fact::Missing(_) => Some(Unfit::new(
            "it does not answer as Talos that waits for its configuration",
            "Rebuild it from a snapshot of Talos, and let spec.provider.hetzner.apiAllowlist through to its port 50000",
        )),
    }
}
