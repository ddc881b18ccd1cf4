//! What was made from inside the cluster, as a scenario names it, and what only looks like it.

use helix_crds::labels::SERVICE_UID;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{ClaimFacts, LoadBalancer, Observed, PrivateNet, ServiceFacts, Tags, Volume};

/// The first id of what a scenario adds: above all that a forecast makes up.
const FIRST_ID: u64 = 9_000;

/// The UID of a Service or of a claim.
pub(crate) fn uid(name: &str) -> String {
    format!("uid-of-{}", name.replace('/', "-"))
}

/// The load balancer that a cloud controller manager makes for a Service of this UID.
fn load_balancer(id: u64, name: &str, service: &str, network: u64) -> LoadBalancer {
    LoadBalancer {
        id,
        name: name.to_owned(),
        labels: Tags::from([(SERVICE_UID.to_owned(), service.to_owned())]),
        kind: "lb11".to_owned(),
        location: "fsn1".to_owned(),
        public: true,
        public_ipv4: None,
        private: vec![PrivateNet { network, ip: None }],
        services: Vec::new(),
        targets: Vec::new(),
        created: None,
    }
}

fn split(name: &str) -> (String, String) {
    let (namespace, name) = name.split_once('/').expect("namespace/name");
    (namespace.to_owned(), name.to_owned())
}

/// Puts Services with their load balancers, claims and volumes into a world.
pub(crate) fn befall(
    services: &[String],
    claims: &[String],
    volumes: &[String],
    platform: &PlatformIdentity,
    world: &mut Observed,
) {
    let cloud = world.cloud.value_mut().expect("Hetzner is known");
    let network = cloud.networks.first().map_or(0, |network| network.id);
    let server = cloud.servers.last().map(|server| server.id);
    for (id, service) in (FIRST_ID..).zip(services) {
        let made = load_balancer(id, &format!("a-{}", service.replace('/', "-")), &uid(service), network);
        cloud.unlabelled.load_balancers.push(made);
    }
    let volume = |(id, name): (u64, &String)| {
        let (labels, location) = (platform.labels(), "fsn1".to_owned());
        Volume { id, name: name.clone(), labels, location, size_gb: 10, server }
    };
    cloud.volumes.extend((FIRST_ID + 100..).zip(volumes).map(volume));
    let Some(cluster) = world.kubernetes.value_mut() else { return };
    cluster.services.extend(services.iter().map(|it| {
        let (namespace, name) = split(it);
        ServiceFacts { namespace, name, uid: uid(it), leaving: None, addresses: Vec::new() }
    }));
    cluster.claims.extend(claims.iter().map(|it| {
        let (namespace, name) = split(it);
        ClaimFacts { namespace, name, uid: uid(it), leaving: None }
    }));
}

/// Adds load balancers that have one half of the proof each, and one of another platform that has neither.
pub(crate) fn look_alikes(world: &mut Observed) {
    let cloud = world.cloud.value_mut().expect("Hetzner is known");
    let network = cloud.networks.first().map_or(0, |network| network.id);
    cloud.unlabelled.load_balancers.extend([
        load_balancer(9_500, "in-our-network", "uid-of-nobody", network),
        load_balancer(9_501, "of-our-service", &uid("shop/web"), 4_711),
        load_balancer(9_502, "of-another-platform", "uid-of-another", 4_711),
    ]);
}
