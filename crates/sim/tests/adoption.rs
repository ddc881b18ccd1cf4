//! Adoption: what is there already becomes the platform's by name, or nothing happens; and it outlives the platform.

#![allow(clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use helix_crds::{AdoptedKind, Adoption, ApprovalMode, HelixPlatform, labels};
use helix_sim::inprocess::life::Life;
use helix_sim::inprocess::{Kill, Universe};
use helix_sim::world::firewalls::{CreateFirewall, FirewallTarget};
use helix_sim::world::networks::{CreateNetwork, NewSubnet, SubnetKind};
use helix_sim::world::{CreateServer, FirewallId, ImageId, Labels, NetworkId, ServerId};
use jiff::SignedDuration;

use support::{HOUR, sandbox, universe};

/// A label of the user's own.
const OWN: (&str, &str) = ("team", "blue");

fn own() -> Labels {
    Labels::from([(OWN.0.to_owned(), OWN.1.to_owned())])
}

/// The example, adopting these.
fn adopting(entries: &[(AdoptedKind, u64, Option<&str>)]) -> HelixPlatform {
    let mut platform = sandbox();
    platform.spec.approval = ApprovalMode::Automatic;
    let entry = |(kind, id, machine): &(AdoptedKind, u64, Option<&str>)| Adoption {
        kind: *kind,
        id: *id,
        machine: machine.map(str::to_owned),
    };
    platform.spec.adopt = entries.iter().map(entry).collect();
    platform
}

/// A network as the example wants it, made by hands, under a name of its own.
fn network(universe: &Universe, range: &str) -> NetworkId {
    universe.with_world(|world, project, now| {
        let subnet = NewSubnet {
            kind: SubnetKind::Cloud,
            range: Some("10.0.1.0/24".parse().expect("a range")),
            network_zone: "eu-central".to_owned(),
        };
        let order = CreateNetwork {
            name: "office".to_owned(),
            range: range.parse().expect("a range"),
            subnets: vec![subnet],
            routes: Vec::new(),
            labels: own(),
        };
        world.create_network(project, order, now).expect("a network")
    })
}

/// A server of hands: in a network, or none.
fn server(universe: &Universe, name: &str, network: Option<NetworkId>, image: Option<ImageId>) -> ServerId {
    universe.with_world(|world, project, now| {
        let talos = world.project(project).images.values().next().map(|image| image.id).expect("a snapshot");
        let order = CreateServer {
            name: name.to_owned(),
            server_type: "cx33".to_owned(),
            image: image.unwrap_or(talos).to_string(),
            location: Some("fsn1".to_owned()),
            networks: network.into_iter().collect(),
            labels: own(),
            ..CreateServer::default()
        };
        world.create_server(project, order, now).expect("a server").id
    })
}

fn live(life: &mut Life, minutes: i64) {
    let ended = life.until(SignedDuration::from_mins(minutes), |_, _| false);
    assert!(!matches!(ended, Err(helix_sim::inprocess::life::Ended::Broken { .. })), "{ended:?}");
}

fn labels_of(life: &Life, server: ServerId) -> (String, Labels) {
    life.universe().with_world(|world, project, _| {
        let meta = &world.project(project).servers[&server].meta;
        (meta.name.clone(), meta.labels.clone())
    })
}

fn network_labels(life: &Life, network: NetworkId) -> Option<Labels> {
    life.universe().with_world(|world, project, _| {
        world.project(project).networks.get(&network).map(|network| network.meta.labels.clone())
    })
}

/// What the platform waits for.
fn waiting(life: &Life) -> String {
    let status = life.platform().status.clone().expect("a status");
    status.waiting_for.clone().unwrap_or_else(|| format!("nothing: {:?}", status.conditions))
}

/// What of Helix' making there is: everything with its label.
fn made(life: &Life) -> usize {
    life.universe().with_world(|world, project, _| {
        let project = world.project(project);
        let metas = project.networks.values().map(|it| &it.meta);
        let metas = metas.chain(project.firewalls.values().map(|it| &it.meta));
        let metas = metas.chain(project.servers.values().map(|it| &it.meta));
        let metas = metas.chain(project.load_balancers.values().map(|it| &it.meta));
        metas.filter(|meta| meta.labels.contains_key(labels::PLATFORM_UID)).count()
    })
}

#[test]
fn a_network_with_strangers_in_it_is_adopted_and_outlives_the_platform() {
    let universe = universe(1);
    let office = network(&universe, "10.0.0.0/16");
    let stranger = server(&universe, "printer", Some(office), None);
    let mut life = Life::new(universe, adopting(&[(AdoptedKind::Network, office.0, None)]));
    assert_eq!(life.until_ready(HOUR), Ok(()));
    life.universe().with_world(|world, project, _| {
        let project = world.project(project);
        assert_eq!(project.networks.len(), 1, "no other was made");
        let servers = project.servers.values().filter(|server| server.private_ip(office).is_some()).count();
        assert_eq!(servers, 6, "the platform's five and the stranger");
    });
    let adopted = network_labels(&life, office).expect("it is there");
    assert_eq!(adopted.get(OWN.0).map(String::as_str), Some(OWN.1));
    assert_eq!(adopted.get(labels::ADOPTED).map(String::as_str), Some("true"));
    let adopted = &life.platform().status.as_ref().expect("a status").adopted;
    assert_eq!(*adopted, life.platform().spec.adopt);

    assert_eq!(life.until_gone(HOUR), Ok(()));
    assert_eq!(network_labels(&life, office), Some(own()), "it is as it was");
    assert_eq!(labels_of(&life, stranger), ("printer".to_owned(), own()));
    life.universe().with_world(|world, project, _| {
        let project = world.project(project);
        assert_eq!((project.servers.len(), project.networks.len()), (1, 1));
        assert!(project.firewalls.is_empty() && project.load_balancers.is_empty());
        assert!(project.servers[&stranger].private_ip(office).is_some(), "the stranger is still in it");
    });
    let kept = &life.platform().status.as_ref().and_then(|status| status.teardown.as_ref()).expect("a receipt").kept;
    assert_eq!(kept, &["network office (adopted)"]);
}

#[test]
fn what_is_adopted_goes_with_the_platform_when_its_label_says_no_more_that_it_stays() {
    let universe = universe(2);
    let office = network(&universe, "10.0.0.0/16");
    let mut life = Life::new(universe, adopting(&[(AdoptedKind::Network, office.0, None)]));
    assert_eq!(life.until_ready(HOUR), Ok(()));
    life.universe().with_world(|world, project, now| {
        let mut kept = world.project(project).networks[&office].meta.labels.clone();
        kept.remove(labels::ADOPTED);
        let update = helix_sim::world::Update { name: None, labels: Some(kept) };
        world.update_network(project, office, update, now).expect("it is there");
    });
    assert_eq!(life.until_gone(HOUR), Ok(()));
    assert_eq!(network_labels(&life, office), None);
}

#[test]
fn a_waiting_server_becomes_a_machine_and_stays_with_what_it_uses() {
    let universe = universe(3);
    let spare = server(&universe, "spare", None, None);
    let mut life = Life::new(universe, adopting(&[(AdoptedKind::Server, spare.0, Some("sandbox-general-1"))]));
    assert_eq!(life.until_ready(HOUR), Ok(()));
    let (name, adopted) = labels_of(&life, spare);
    assert_eq!(name, "sandbox-general-1");
    assert_eq!(adopted.get(labels::MACHINE).map(String::as_str), Some("sandbox-general-1"));
    assert_eq!(adopted.get(OWN.0).map(String::as_str), Some(OWN.1));
    assert_eq!(support::servers(&life), 5, "it is one of the platform's five");

    assert_eq!(life.until_gone(HOUR), Ok(()));
    assert_eq!(labels_of(&life, spare).1, own());
    assert_eq!(made(&life), 0);
    life.universe().with_world(|world, project, _| {
        let project = world.project(project);
        assert_eq!((project.servers.len(), project.networks.len(), project.firewalls.len()), (1, 1, 1));
        assert!(project.firewalls.values().all(|firewall| firewall.guards(spare)), "it is guarded as before");
        assert!(project.ssh_keys.is_empty() && project.load_balancers.is_empty());
    });
}

#[test]
fn what_cannot_be_adopted_is_told_and_nothing_is_made_or_changed() {
    let foreign = |labels: &[(&str, &str)]| -> Labels {
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    type Case = (&'static str, fn(&Universe) -> Vec<(AdoptedKind, u64, Option<&'static str>)>);
    let cases: [Case; 5] = [
        ("none of that id", |_| vec![(AdoptedKind::Network, 4711, None)]),
        ("its range is 10.0.0.0/8", |universe| vec![(AdoptedKind::Network, network(universe, "10.0.0.0/8").0, None)]),
        ("it guards server", |universe| {
            let printer = server(universe, "printer", None, None);
            let firewall: FirewallId = universe.with_world(|world, project, now| {
                let order = CreateFirewall {
                    name: "office".to_owned(),
                    apply_to: vec![FirewallTarget::Server(printer)],
                    ..CreateFirewall::default()
                };
                world.create_firewall(project, order, now).expect("a firewall").0
            });
            vec![(AdoptedKind::Firewall, firewall.0, None)]
        }),
        ("does not ask for", |universe| {
            let wrong = universe.with_world(|world, project, now| {
                let talos = world.project(project).images.values().next().expect("a snapshot").id;
                let order = CreateServer {
                    name: "wrong".to_owned(),
                    server_type: "cx23".to_owned(),
                    image: talos.to_string(),
                    location: Some("hel1".to_owned()),
                    ..CreateServer::default()
                };
                world.create_server(project, order, now).expect("a server").id
            });
            vec![(AdoptedKind::Server, wrong.0, Some("sandbox-cp-0"))]
        }),
        // One that fits is not taken over beside one that does not.
        ("none of that id", |universe| {
            vec![(AdoptedKind::Network, network(universe, "10.0.0.0/16").0, None), (AdoptedKind::SshKey, 4711, None)]
        }),
    ];
    for (number, (said, make)) in cases.into_iter().enumerate() {
        let universe = universe(10 + number as u64);
        let entries = make(&universe);
        let settled = universe.with_world(|_, _, now| now + SignedDuration::from_mins(2));
        universe.advance_to(settled);
        let mut life = Life::new(universe, adopting(&entries));
        live(&mut life, 20);
        let told = waiting(&life);
        assert!(told.contains(said) && told.contains("nothing of it is changed"), "{told}");
        assert_eq!(made(&life), 0, "{said}");
    }
    // A network of another platform, by its label.
    let universe = universe(20);
    let office = network(&universe, "10.0.0.0/16");
    let theirs = foreign(&[(labels::PLATFORM_UID, "somebody-else"), (labels::PLATFORM, "shop")]);
    universe.with_world(|world, project, now| {
        let update = helix_sim::world::Update { name: None, labels: Some(theirs.clone()) };
        world.update_network(project, office, update, now).expect("it is there");
    });
    let mut life = Life::new(universe, adopting(&[(AdoptedKind::Network, office.0, None)]));
    live(&mut life, 20);
    let told = waiting(&life);
    assert!(told.contains("belongs to another platform (shop)"), "{told}");
    assert_eq!(network_labels(&life, office), Some(theirs));
    life.universe().with_world(|world, project, _| {
        assert!(world.project(project).servers.is_empty() && world.project(project).firewalls.is_empty());
    });
}

#[test]
fn a_machine_of_another_cluster_is_left_alone() {
    let universe = universe(30);
    let mut other = Life::new(universe, sandbox());
    assert_eq!(other.until_ready(HOUR), Ok(()));
    let theirs = other.universe().with_world(|world, project, now| {
        let server = world.project(project).servers.values().find(|server| server.meta.name.contains("general"));
        let id = server.expect("a worker").id;
        // Somebody took its labels off it: what runs on it still says whose it is.
        let update = helix_sim::world::Update { name: None, labels: Some(own()) };
        world.update_server(project, id, update, now).expect("it is there");
        id
    });
    let mut platform = adopting(&[(AdoptedKind::Server, theirs.0, Some("second-general-0"))]);
    platform.metadata.name = Some("second".to_owned());
    platform.metadata.uid = Some("0b1f6a52-6a0e-4c0e-9d7e-000000000002".to_owned());
    for pool in &mut platform.spec.worker_pools {
        pool.placements.iter_mut().for_each(|placement| placement.server_type = "cx33".to_owned());
    }
    let mut life = Life::new(other.universe().clone(), platform);
    live(&mut life, 5);
    let told = waiting(&life);
    assert!(told.contains("it is a machine of a cluster") || told.contains("does not answer as Talos"), "{told}");
    assert_eq!(labels_of(&life, theirs).1, own());
}

#[test]
fn an_adopted_resource_that_goes_later_is_made_anew() {
    let universe = universe(40);
    let spare = server(&universe, "spare", None, None);
    let mut life = Life::new(universe, adopting(&[(AdoptedKind::Server, spare.0, Some("sandbox-general-0"))]));
    assert_eq!(life.until_ready(HOUR), Ok(()));
    life.universe().with_world(|world, project, now| {
        world.delete_server(project, spare, now).expect("it is there");
    });
    live(&mut life, 30);
    assert_eq!(life.until_ready(HOUR), Ok(()));
    assert_eq!(support::servers(&life), 5);
}

#[test]
fn a_stop_anywhere_ends_in_the_same_adoption() {
    let lived = |kill: Option<(u64, Kill)>| {
        let universe = universe(50);
        let office = network(&universe, "10.0.0.0/16");
        let spare = server(&universe, "spare", Some(office), None);
        if let Some((call, kill)) = kill {
            universe.kill_at(call, kill);
        }
        let entries =
            [(AdoptedKind::Network, office.0, None), (AdoptedKind::Server, spare.0, Some("sandbox-general-0"))];
        let mut life = Life::new(universe, adopting(&entries));
        assert_eq!(life.until_ready(HOUR), Ok(()), "{kill:?}");
        let adopted = life.platform().status.as_ref().expect("a status").adopted.len();
        assert_eq!((support::servers(&life), adopted), (5, 2), "{kill:?}");
        life.universe().counts().calls
    };
    let calls = lived(None).min(60);
    for call in 1..=calls {
        lived(Some((call, if call % 2 == 0 { Kill::Before } else { Kill::After })));
    }
}
