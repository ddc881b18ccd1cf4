//! What is the same for all resources, in virtual time: names, labels, protection, and the same run from the same seed.

use helix_sim::world::primary_ips::{CreatePrimaryIp, IpVersion};
use helix_sim::world::servers::PublicNet;
use helix_sim::world::volumes::CreateVolume;
use helix_sim::world::{ErrorCode, Selector, Update};

use crate::fixture::{Fixture, code, labels};

#[test]
fn behaviour_08_labels_and_selectors_follow_the_grammar() {
    let mut it = Fixture::new();
    for bad in ["a b", "-a", "hetzner.cloud/x", "a/b/c"] {
        let mut order = it.order("a");
        order.labels = labels(&[(bad, "")]);
        assert_eq!(code(it.create(order)), ErrorCode::InvalidInput, "{bad}");
    }
    assert_eq!(code(Selector::parse("env in prod")), ErrorCode::InvalidInput);
    let mut order = it.order("a");
    order.labels = labels(&[("helix.dev/platform-uid", "0b7e"), ("empty", "")]);
    let server = it.running(order);
    let selector = Selector::parse("helix.dev/platform-uid in (0b7e,ffff),!absent,empty=").unwrap();
    assert!(selector.matches(&it.world.server(it.project, server).unwrap().meta.labels));
}

#[test]
fn behaviour_09_labels_are_replaced_as_a_whole() {
    let mut it = Fixture::new();
    let group = it.world.create_placement_group(it.project, "g", labels(&[("a", "1"), ("b", "2")]), it.now).unwrap();
    let update = Update { name: None, labels: Some(labels(&[("b", "3")])) };
    it.world.update_placement_group(it.project, group, update, it.now).unwrap();
    let meta = &it.world.project(it.project).placement_groups[&group].meta;
    assert_eq!((meta.name.as_str(), &meta.labels), ("g", &labels(&[("b", "3")])));
}

#[test]
fn names_are_unique_per_kind_and_free_again() {
    let mut it = Fixture::new();
    let group = it.world.create_placement_group(it.project, "x", Default::default(), it.now).unwrap();
    let again = it.world.create_placement_group(it.project, "x", Default::default(), it.now);
    assert_eq!(code(again), ErrorCode::UniquenessError);
    it.server("x");
    it.world.delete_placement_group(it.project, group, it.now).unwrap();
    assert!(it.world.create_placement_group(it.project, "x", Default::default(), it.now).is_ok());
}

#[test]
fn volumes_grow_move_and_outlive() {
    let mut it = Fixture::new();
    let order =
        |size_gb| CreateVolume { name: "v".into(), size_gb, location: Some("fsn1".into()), ..CreateVolume::default() };
    assert_eq!(code(it.world.create_volume(it.project, order(9), it.now)), ErrorCode::InvalidInput);
    let (volume, created, _) = it.world.create_volume(it.project, order(10), it.now).unwrap();
    assert_eq!(code(it.world.delete_volume(it.project, volume, it.now)), ErrorCode::Locked);
    it.finish(created);
    let mut elsewhere = it.order("b");
    elsewhere.location = Some("nbg1".into());
    let (near, far) = (it.server("a"), it.running(elsewhere));
    assert_eq!(code(it.world.attach_volume(it.project, volume, far, it.now)), ErrorCode::InvalidInput);
    let attach = it.world.attach_volume(it.project, volume, near, it.now).unwrap();
    it.finish(attach);
    assert_eq!(code(it.world.delete_volume(it.project, volume, it.now)), ErrorCode::ResourceInUse);
    assert_eq!(code(it.world.resize_volume(it.project, volume, 10, it.now)), ErrorCode::InvalidInput);
    let resize = it.world.resize_volume(it.project, volume, 20, it.now).unwrap();
    it.finish(resize);
    it.delete(near);
    assert_eq!(it.world.project(it.project).volumes[&volume].size_gb, 20);
    assert_eq!(it.world.delete_volume(it.project, volume, it.now), Ok(()));
}

#[test]
fn a_kept_primary_ip_outlives_its_server() {
    let mut it = Fixture::new();
    let order = CreatePrimaryIp {
        name: "ip".into(),
        version: IpVersion::V4,
        location: "fsn1".into(),
        assign_to: None,
        auto_delete: false,
        labels: Default::default(),
    };
    let (ip, _) = it.world.create_primary_ip(it.project, order, it.now).unwrap();
    let address = it.world.project(it.project).primary_ips[&ip].address;
    let mut order = it.order("a");
    order.public_net = PublicNet { ipv4: Some(ip), ..PublicNet::default() };
    let server = it.running(order.clone());
    assert_eq!(it.world.server(it.project, server).unwrap().address, address);
    assert_eq!(code(it.world.delete_primary_ip(it.project, ip, it.now)), ErrorCode::MustBeUnassigned);
    order.name = "b".into();
    assert_eq!(code(it.create(order)), ErrorCode::PrimaryIpAssigned);
    assert_eq!(code(it.world.unassign_primary_ip(it.project, ip, it.now)), ErrorCode::ServerNotStopped);
    it.delete(server);
    assert_eq!(it.world.delete_primary_ip(it.project, ip, it.now), Ok(()));
    assert!(it.world.project(it.project).is_empty());
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let run = || {
        let mut it = Fixture::new();
        let network = it.network();
        for name in ["a", "b", "c"] {
            let mut order = it.order(name);
            order.networks = vec![network];
            it.running(order);
        }
        it.wait(30);
        format!("{:?} {:?}", it.now, it.world.project(it.project))
    };
    assert_eq!(run(), run());
}
