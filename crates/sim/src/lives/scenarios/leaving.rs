//! What was made from inside the cluster when its platform goes: with controllers that do their work, with controllers that
//! are dead, beside look-alikes, and where it is asked to stay.

use helix_crds::labels::{PLATFORM, PLATFORM_UID};
use serde_json::json;

use super::super::spec::{NAME, UID, plain};
use super::super::story::{Failed, Story};
use super::{Made, Played, unlike};
use crate::world::Rng;
use crate::world::controllers::SERVICE_UID;
use crate::world::load_balancers::CreateLoadBalancer;
use crate::world::machine::{AddOns, App, Claim, ExposedService};
use crate::world::networks::{CreateNetwork, NewSubnet, SubnetKind};
use crate::world::volumes::CreateVolume;

pub(super) fn keeping(_: &mut Rng) -> Made {
    plain(&json!({"onDelete": {"retain": ["Volumes", "LoadBalancerIp"]}}))
}

/// What users make in the cluster, and the pod network and controllers that it takes.
fn inhabit(story: &mut Story) -> Played {
    story.settle()?;
    story.install(App { replicas: 1, min_available: 0 })?;
    let labels = [(PLATFORM_UID.to_owned(), UID.to_owned()), (PLATFORM.to_owned(), NAME.to_owned())];
    story.note("two Services of type LoadBalancer, and a claim");
    story.at_cluster(|guests, server, _| {
        let Some(inside) = guests.inside_at_mut(server) else { return };
        for (name, uid) in [("web", "5e211ce0-0001"), ("api", "5e211ce0-0002")] {
            inside.services.insert(name.to_owned(), ExposedService { uid: uid.to_owned(), leaving: None });
        }
        let claim = Claim { uid: "c1a10000-0001".to_owned(), labels: labels.into(), leaving: None };
        inside.claims.insert("data".to_owned(), claim);
    });
    story.universe().with_world(|world, _, _| world.wake_controllers());
    story.live(15)?;
    let made = of_cluster(story);
    if made != 3 {
        return Err(unlike(format!("controllers have made {made} of two load balancers and a volume")));
    }
    Ok(())
}

/// Load balancers and volumes that the cluster's controllers have made, and that are there.
fn of_cluster(story: &Story) -> usize {
    story.universe().with_world(|world, project, _| {
        let it = world.project(project);
        let balancers = it.load_balancers.keys().filter(|id| world.is_made_inside(**id)).count();
        balancers + it.volumes.values().filter(|volume| volume.meta.name.starts_with("pvc-c1a1")).count()
    })
}

/// What others have, each with one half of what would be a proof: a Service that nobody recorded on the platform's own
/// network, this Service on another's network, and a volume at one of its servers without its label.
fn look_alikes(story: &mut Story, elsewhere: &str) -> Played {
    story.note("look-alikes");
    let server = story.server("life-general-0");
    story.universe().with_world(|world, project, now| {
        let range = Some(ipnet::Ipv4Net::new_assert([10, 8, 1, 0].into(), 24));
        let subnet = NewSubnet { kind: SubnetKind::Cloud, range, network_zone: "eu-central".to_owned() };
        let network = CreateNetwork {
            name: "elsewhere".to_owned(),
            range: ipnet::Ipv4Net::new_assert([10, 8, 0, 0].into(), 16),
            subnets: vec![subnet],
            routes: Vec::new(),
            labels: [].into(),
        };
        let theirs = world.create_network(project, network, now).ok();
        let networks = &world.project(project).networks;
        let ours = networks.values().find(|it| it.meta.name == NAME).map(|it| it.id);
        let balancer = |name: &str, uid: &str, network| CreateLoadBalancer {
            name: name.to_owned(),
            kind: "lb11".to_owned(),
            location: Some("fsn1".to_owned()),
            network,
            labels: [(SERVICE_UID.to_owned(), uid.to_owned())].into(),
            ..CreateLoadBalancer::default()
        };
        world.create_load_balancer(project, balancer("by-hand", "5e211ce0-0009", ours), now).ok();
        world.create_load_balancer(project, balancer("elsewhere", elsewhere, theirs), now).ok();
        let volume = CreateVolume { name: "by-hand".to_owned(), size_gb: 10, server, ..CreateVolume::default() };
        world.create_volume(project, volume, now).ok();
    });
    story.live(1)
}

/// Whether the look-alikes are all still there.
fn look_alikes_stay(story: &Story) -> Played {
    let left = story.universe().with_world(|world, project, _| {
        let it = world.project(project);
        let balancers =
            it.load_balancers.values().filter(|it| ["by-hand", "elsewhere"].contains(&it.meta.name.as_str()));
        balancers.count() + it.volumes.values().filter(|it| it.meta.name == "by-hand").count()
    });
    if left == 3 { Ok(()) } else { Err(unlike(format!("{left} of three look-alikes are left"))) }
}

/// Whether the receipt names what stayed.
fn is_kept(story: &Story, name: &str) -> Result<(), Failed> {
    let kept = story.universe().receipt().map(|receipt| receipt.kept).unwrap_or_default();
    let told = kept.iter().any(|it| it.starts_with(&format!("{name} (")));
    if told { Ok(()) } else { Err(unlike(format!("the receipt does not name {name} among {kept:?}"))) }
}

/// The engine is stopped now and then, before and after calls.
fn stumble(story: &mut Story) {
    if story.rng.happens(700) {
        story.kill_soon();
    }
}

/// Controllers that run remove what they have made.
pub(super) fn orderly(story: &mut Story) -> Played {
    inhabit(story)?;
    look_alikes(story, "5e211ce0-0007")?;
    stumble(story);
    story.end()?;
    look_alikes_stay(story)?;
    is_kept(story, "load balancer by-hand")
}

/// The controllers are dead, and so, now and then, are the control planes.
pub(super) fn leaked(story: &mut Story) -> Played {
    inhabit(story)?;
    // A controller that ran would take this one for its own.
    look_alikes(story, "5e211ce0-0001")?;
    story.note("the cloud controller manager is dead");
    story.at_cluster(|guests, server, now| {
        guests.set_add_ons(server, AddOns { pod_network: true, cloud_controller: false }, now);
    });
    if story.rng.happens(500) {
        for name in ["life-cp-0", "life-cp-1", "life-cp-2"] {
            story.hang(name);
        }
    }
    stumble(story);
    story.end()?;
    look_alikes_stay(story)?;
    is_kept(story, "load balancer elsewhere")
}

/// What is asked to stay stays, under its name, without Helix' labels, with its address.
pub(super) fn retained(story: &mut Story) -> Played {
    inhabit(story)?;
    stumble(story);
    story.end()?;
    is_kept(story, "load balancer life-api")?;
    is_kept(story, "volume pvc-c1a10000-0001")?;
    let bare = story.universe().with_world(|world, project, _| {
        let it = world.project(project);
        let balancer = it.load_balancers.values().find(|it| it.meta.name == "life-api");
        let volume = it.volumes.values().find(|it| it.meta.name == "pvc-c1a10000-0001");
        let bare = |labels: &crate::world::Labels| labels.keys().all(|key| !key.starts_with("helix.dev/"));
        balancer.is_some_and(|it| bare(&it.meta.labels) && it.services.is_empty() && it.targets.is_empty())
            && volume.is_some_and(|it| bare(&it.meta.labels) && it.server.is_none())
    });
    if bare { Ok(()) } else { Err(unlike("what was to stay is gone, or still looks like the platform's")) }
}
