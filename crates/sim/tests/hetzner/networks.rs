//! Behaviours of networks and firewalls, in virtual time.

use helix_sim::world::firewalls::{CreateFirewall, Direction, FirewallTarget, Protocol, Rule};
use helix_sim::world::networks::{CreateNetwork, NetworkChange};
use helix_sim::world::servers::PublicNet;
use helix_sim::world::{ActionStatus, ErrorCode, FirewallId, MachineRef, Update};

use crate::fixture::{Fixture, code, labels};

fn admin_rule(port: &str, source: &str) -> Rule {
    Rule {
        description: None,
        direction: Direction::In,
        source_ips: vec![source.parse().unwrap()],
        destination_ips: Vec::new(),
        protocol: Protocol::Tcp,
        port: Some(port.to_owned()),
    }
}

fn firewall(it: &mut Fixture, apply_to: Vec<FirewallTarget>) -> FirewallId {
    let rules = vec![admin_rule("50000", "203.0.113.7/32")];
    let order = CreateFirewall { name: "fw".into(), rules, apply_to, ..CreateFirewall::default() };
    let (id, actions) = it.world.create_firewall(it.project, order, it.now).unwrap();
    for action in actions {
        assert_eq!(it.finish(action), ActionStatus::Success);
    }
    id
}

#[test]
fn behaviour_13_a_firewall_is_in_use_a_while_after_its_servers() {
    let mut it = Fixture::new();
    let firewall = firewall(&mut it, Vec::new());
    let mut order = it.order("a");
    order.firewalls = vec![firewall];
    let server = it.running(order);
    assert_eq!(code(it.world.delete_firewall(it.project, firewall, it.now)), ErrorCode::ResourceInUse);
    it.delete(server);
    assert_eq!(code(it.world.delete_firewall(it.project, firewall, it.now)), ErrorCode::ResourceInUse);
    it.wait(60);
    assert_eq!(it.world.delete_firewall(it.project, firewall, it.now), Ok(()));
}

#[test]
fn behaviour_14_firewalls_follow_labels_after_a_delay() {
    let mut it = Fixture::new();
    let firewall = firewall(&mut it, vec![FirewallTarget::LabelSelector("pool=cp".into())]);
    let server = it.server("a");
    it.wait(60);
    let guards = |it: &Fixture| it.world.project(it.project).firewalls[&firewall].guards(server);
    assert!(!guards(&it));
    let relabel = |it: &mut Fixture, pool: &str| {
        let update = Update { name: None, labels: Some(labels(&[("pool", pool)])) };
        it.world.update_server(it.project, server, update, it.now).unwrap();
    };
    relabel(&mut it, "cp");
    assert!(!guards(&it), "not yet");
    it.wait(20);
    assert!(guards(&it));
    assert_eq!(
        code(it.world.remove_firewall(it.project, firewall, &[FirewallTarget::Server(server)], it.now)),
        ErrorCode::FirewallManagedByLabelSelector
    );
    relabel(&mut it, "general");
    it.wait(20);
    assert!(!guards(&it));
}

#[test]
fn behaviour_15_a_network_changes_once_at_a_time_and_keeps_used_subnets() {
    let mut it = Fixture::new();
    let network = it.network();
    let mut order = it.order("a");
    order.networks = vec![network];
    it.running(order);
    let change = |it: &mut Fixture, change| it.world.change_network(it.project, network, change, it.now);
    let subnet = "10.0.1.0/24".parse().unwrap();
    assert_eq!(code(change(&mut it, NetworkChange::DeleteSubnet(subnet))), ErrorCode::ServiceError);
    let grow = NetworkChange::ChangeRange("10.0.0.0/8".parse().unwrap());
    let first = change(&mut it, grow.clone()).unwrap();
    assert_eq!(code(change(&mut it, grow.clone())), ErrorCode::Conflict);
    it.finish(first);
    let shrink = NetworkChange::ChangeRange("10.0.0.0/16".parse().unwrap());
    assert_eq!(code(change(&mut it, shrink)), ErrorCode::InvalidInput);
    let other = it.server("b");
    let attach = it.world.attach_to_network(it.project, other, network, None, it.now).unwrap();
    assert_eq!(code(change(&mut it, grow)), ErrorCode::Conflict);
    it.finish(attach);
}

#[test]
fn behaviour_16_attaching_twice_is_refused() {
    let mut it = Fixture::new();
    let network = it.network();
    let server = it.server("a");
    let attach = it.world.attach_to_network(it.project, server, network, None, it.now).unwrap();
    it.finish(attach);
    let again = it.world.attach_to_network(it.project, server, network, None, it.now);
    assert_eq!(code(again), ErrorCode::ServerAlreadyAttached);
}

#[test]
fn private_addresses_come_from_the_subnet_without_its_first() {
    let mut it = Fixture::new();
    let network = it.network();
    let mut order = it.order("a");
    order.networks = vec![network];
    let (first, second) = (it.running(order.clone()), {
        order.name = "b".into();
        it.running(order)
    });
    let ip = |server| it.world.server(it.project, server).unwrap().private_ip(network).unwrap().to_string();
    assert_eq!((ip(first), ip(second)), ("10.0.1.2".to_owned(), "10.0.1.3".to_owned()));
    let taken = "10.0.1.2".parse().unwrap();
    let third = it.server("c");
    let attach = it.world.attach_to_network(it.project, third, network, Some(taken), it.now);
    assert_eq!(code(attach), ErrorCode::IpNotAvailable);
}

#[test]
fn networks_are_private_and_subnets_dont_overlap() {
    let mut it = Fixture::new();
    let order = |range: &str| CreateNetwork {
        name: "other".into(),
        range: range.parse().unwrap(),
        subnets: Vec::new(),
        routes: Vec::new(),
        labels: Default::default(),
    };
    for wrong in ["8.8.0.0/16", "10.0.0.1/16"] {
        assert_eq!(code(it.world.create_network(it.project, order(wrong), it.now)), ErrorCode::InvalidInput);
    }
    assert!(it.world.create_network(it.project, order("192.168.0.0/24"), it.now).is_ok());
}

#[test]
fn firewalls_guard_the_public_interface_only() {
    let mut it = Fixture::new();
    let (network, firewall) = (it.network(), firewall(&mut it, Vec::new()));
    let mut order = it.order("a");
    (order.networks, order.firewalls) = (vec![network], vec![firewall]);
    let guarded = it.running(order.clone());
    (order.name, order.firewalls) = ("b".into(), Vec::new());
    let neighbour = it.running(order.clone());
    order.name = "c".into();
    order.public_net = PublicNet { enable_ipv4: false, enable_ipv6: false, ..PublicNet::default() };
    let private = it.running(order);
    let stranger = it.server("d");

    let address = |server| it.world.server(it.project, server).unwrap().address;
    let allows = |source, server, port| it.world.allows(source, MachineRef { project: it.project, server }, port);
    let (admin, world) = ("203.0.113.7".parse().unwrap(), "198.51.100.1".parse().unwrap());
    assert!(allows(admin, guarded, 50000));
    assert!(!allows(admin, guarded, 6443), "no rule for that port");
    assert!(!allows(world, guarded, 50000));
    assert!(allows(world, neighbour, 50000), "without a firewall everything is open");
    assert!(allows(address(neighbour), guarded, 2380), "the private network isn't guarded");
    assert!(!allows(address(stranger), guarded, 2380), "a server outside of the network is a stranger");
    assert!(!allows(admin, private, 50000), "without a public interface nobody outside gets in");
    assert!(allows(address(guarded), private, 50000));
}

#[test]
fn bad_rules_are_refused() {
    let mut it = Fixture::new();
    let mut no_source = admin_rule("80", "10.0.0.0/8");
    no_source.source_ips.clear();
    let mut no_port = admin_rule("80", "10.0.0.0/8");
    no_port.port = None;
    let many = vec![admin_rule("80", "10.0.0.0/8"); 51];
    for rules in
        [vec![no_source], vec![no_port], vec![admin_rule("0", "10.0.0.0/8")], vec![admin_rule("9-8", "::/0")], many]
    {
        let order = CreateFirewall { name: "bad".into(), rules, ..CreateFirewall::default() };
        assert_eq!(code(it.world.create_firewall(it.project, order, it.now)), ErrorCode::InvalidInput);
    }
}
