//! Behaviours of servers, in virtual time.

use helix_sim::faults::Fault;
use helix_sim::world::servers::{PowerAction, PublicNet};
use helix_sim::world::volumes::CreateVolume;
use helix_sim::world::{ActionStatus, ErrorCode, MachineRef, ResourceRef, ServerStatus, WorldEvent};

use crate::fixture::{Fixture, code};

#[test]
fn behaviour_01_mutations_return_before_their_effect() {
    let mut it = Fixture::new();
    let made = it.create(it.order("a")).unwrap();
    assert_eq!(it.action(made.action).status, ActionStatus::Running);
    assert_eq!(it.status(made.id), ServerStatus::Initializing);
    for action in [&[made.action], &*made.next_actions].concat() {
        assert_eq!(it.finish(action), ActionStatus::Success);
    }
    assert_eq!(it.status(made.id), ServerStatus::Running);

    let network = it.network();
    let attach = it.world.attach_to_network(it.project, made.id, network, None, it.now).unwrap();
    assert!(it.world.server(it.project, made.id).unwrap().private_net.is_empty());
    it.finish(attach);
    assert_eq!(it.world.server(it.project, made.id).unwrap().private_net.len(), 1);
}

#[test]
fn behaviour_02_a_server_is_locked_until_it_runs() {
    let mut it = Fixture::new();
    let made = it.create(it.order("a")).unwrap();
    assert_eq!(code(it.world.power(it.project, made.id, PowerAction::PowerOff, it.now)), ErrorCode::Locked);
    it.finish(made.action);
    assert_eq!(it.status(made.id), ServerStatus::Starting);
    assert!(it.world.server(it.project, made.id).unwrap().locked());
    assert_eq!(code(it.world.delete_server(it.project, made.id, it.now)), ErrorCode::Locked);
    it.finish(made.next_actions[0]);
    assert_eq!(it.status(made.id), ServerStatus::Running);
    assert!(!it.world.server(it.project, made.id).unwrap().locked());
}

#[test]
fn behaviour_03_an_action_may_end_in_error() {
    let mut it = Fixture::new();
    it.world.inject_once(Fault::ActionFails {
        command: Some("create_server".into()),
        resource: Some("a".into()),
        code: "action_failed".into(),
        message: "the host is broken".into(),
    });
    let (other, made) = (it.create(it.order("b")).unwrap(), it.create(it.order("a")).unwrap());
    let failed = ActionStatus::Error { code: "action_failed".into(), message: "the host is broken".into() };
    assert_eq!(it.finish(made.action), failed);
    assert!(matches!(it.finish(made.next_actions[0]), ActionStatus::Error { .. }), "what follows fails, too");
    assert_eq!(it.finish(other.action), ActionStatus::Success, "the fault names another server");
    let server = it.world.server(it.project, made.id).unwrap();
    assert_eq!((server.status, server.locked()), (ServerStatus::Off, false));
}

#[test]
fn behaviour_04_a_name_is_given_once() {
    let mut it = Fixture::new();
    it.server("a");
    assert_eq!(code(it.create(it.order("a"))), ErrorCode::UniquenessError);
    assert_eq!(it.world.project(it.project).servers.len(), 1);
}

#[test]
fn behaviour_10_user_data_has_at_most_32_kib() {
    let mut it = Fixture::new();
    let with = |it: &Fixture, len| {
        let mut order = it.order("a");
        order.user_data = Some("x".repeat(len));
        order
    };
    assert_eq!(code(it.create(with(&it, 32_769))), ErrorCode::InvalidInput);
    assert!(it.create(with(&it, 32_768)).is_ok());
}

#[test]
fn behaviour_11_a_refused_order_leaves_nothing() {
    let mut it = Fixture::new();
    let network = it.network();
    let faults = [
        (Fault::Unorderable { server_type: Some("cx23".into()), location: None }, ErrorCode::ResourceUnavailable),
        (
            Fault::NoCapacity { server_type: None, location: Some("fsn1".into()), placement_error: false },
            ErrorCode::ResourceUnavailable,
        ),
        (Fault::NoCapacity { server_type: None, location: None, placement_error: true }, ErrorCode::PlacementError),
        (
            Fault::Retired { server_type: "cx23".into(), location: None, unavailable_after: it.now },
            ErrorCode::InvalidInput,
        ),
    ];
    for (fault, expected) in faults {
        let id = it.world.inject_once(fault);
        let mut order = it.order("a");
        order.networks = vec![network];
        assert_eq!(code(it.create(order)), expected);
        it.world.faults().withdraw(id);
    }
    let project = it.world.project(it.project);
    assert!(project.servers.is_empty() && project.primary_ips.is_empty() && project.actions.is_empty());
    assert!(project.networks[&network].addresses.is_empty());
    assert!(project.ledger.items().is_empty());
    it.server("a");
}

#[test]
fn behaviour_12_a_deleted_server_still_counts_in_its_group() {
    let mut it = Fixture::new();
    let group = it.world.create_placement_group(it.project, "g", Default::default(), it.now).unwrap();
    let in_group = |it: &Fixture, name: &str| {
        let mut order = it.order(name);
        order.placement_group = Some(group);
        order
    };
    let servers: Vec<_> = (0..10).map(|n| it.running(in_group(&it, &format!("s{n}")))).collect();
    assert_eq!(code(it.create(in_group(&it, "s10"))), ErrorCode::PlacementGroupMemberLimitReached);
    it.delete(servers[0]);
    assert_eq!(code(it.create(in_group(&it, "s10"))), ErrorCode::PlacementGroupMemberLimitReached);
    it.wait(60);
    assert!(it.create(in_group(&it, "s10")).is_ok());
}

#[test]
fn behaviour_19_shutdown_is_a_request() {
    let mut it = Fixture::new();
    let server = it.server("a");
    it.wait(60); // The guest must have booted to hear the signal.
    let action = it.world.power(it.project, server, PowerAction::Shutdown, it.now).unwrap();
    assert_eq!(it.finish(action), ActionStatus::Success);
    assert_eq!(it.status(server), ServerStatus::Running);
    it.wait(60);
    assert_eq!(it.status(server), ServerStatus::Off);

    let on = it.world.power(it.project, server, PowerAction::PowerOn, it.now).unwrap();
    it.finish(on);
    let lost = it.world.power(it.project, server, PowerAction::Shutdown, it.now).unwrap();
    it.finish(lost);
    it.wait(300);
    assert_eq!(it.status(server), ServerStatus::Running, "a booting guest hears nothing");
}

#[test]
fn behaviour_20_deletion_keeps_volumes_and_frees_the_rest() {
    let mut it = Fixture::new();
    let (network, group) =
        (it.network(), it.world.create_placement_group(it.project, "g", Default::default(), it.now).unwrap());
    let order =
        CreateVolume { name: "v".into(), size_gb: 10, location: Some("fsn1".into()), ..CreateVolume::default() };
    let (volume, created, _) = it.world.create_volume(it.project, order, it.now).unwrap();
    it.finish(created);
    let mut order = it.order("a");
    (order.networks, order.volumes, order.placement_group) = (vec![network], vec![volume], Some(group));
    let server = it.running(order);
    assert_eq!(it.world.project(it.project).volumes[&volume].server, Some(server));
    it.delete(server);
    let project = it.world.project(it.project);
    assert_eq!(project.volumes[&volume].server, None);
    assert!(project.networks[&network].addresses.is_empty());
    assert!(project.placement_groups[&group].servers.is_empty());
    assert!(project.primary_ips.is_empty(), "addresses made by the order go with the server");
}

#[test]
fn behaviour_21_what_is_protected_stays() {
    let mut it = Fixture::new();
    let server = it.server("a");
    let resource = ResourceRef::Server(server);
    let protect = it.world.change_protection(it.project, resource, true, Some(true), it.now).unwrap();
    it.finish(protect);
    assert_eq!(code(it.world.delete_server(it.project, server, it.now)), ErrorCode::Protected);
    let allow = it.world.change_protection(it.project, resource, false, Some(false), it.now).unwrap();
    it.finish(allow);
    it.delete(server);
}

#[test]
fn behaviour_24_cost_accrues_per_started_hour_also_when_off() {
    let mut it = Fixture::new();
    let mut order = it.order("a");
    order.stay_off = true;
    order.public_net = PublicNet { enable_ipv6: false, ..PublicNet::default() };
    let made = it.create(order).unwrap();
    it.finish(made.action);
    assert_eq!(it.status(made.id), ServerStatus::Off);
    let accrued = |it: &Fixture| it.world.project(it.project).ledger.accrued(it.now).to_string();
    // cx23 costs 0.0088 an hour, its IPv4 address 0.0008.
    assert_eq!(accrued(&it), "0.0096");
    it.wait(3 * 3600);
    assert_eq!(accrued(&it), "0.0384");
    it.delete(made.id);
    let at_the_end = accrued(&it);
    it.wait(24 * 3600);
    assert_eq!(accrued(&it), at_the_end);
}

#[test]
fn power_moves_the_machine() {
    let mut it = Fixture::new();
    let server = it.server("a");
    let machine = MachineRef { project: it.project, server };
    assert!(it.world.take_events().contains(&WorldEvent::PoweredOn { machine }));
    let reset = it.world.power(it.project, server, PowerAction::Reset, it.now).unwrap();
    it.finish(reset);
    let events = it.world.take_events();
    let power: Vec<_> = events
        .iter()
        .filter(|event| matches!(event, WorldEvent::PoweredOn { .. } | WorldEvent::PoweredOff { .. }))
        .collect();
    assert_eq!(power, [&WorldEvent::PoweredOff { machine }, &WorldEvent::PoweredOn { machine }]);
    it.wait(60);
    let reboot = it.world.power(it.project, server, PowerAction::Reboot, it.now).unwrap();
    it.finish(reboot);
    it.wait(120);
    assert_eq!(it.status(server), ServerStatus::Running);
    assert_eq!(it.world.server(it.project, server).unwrap().hardware.boots, 3);
    let address = it.world.server(it.project, server).unwrap().address;
    assert_eq!(it.world.machine_at(address), Some(machine));
    it.delete(server);
    assert!(it.world.take_events().contains(&WorldEvent::Deleted { machine, address }));
}

#[test]
fn a_server_that_never_boots_runs_all_the_same() {
    let mut it = Fixture::new();
    it.world.inject_once(Fault::NeverBoots { server: Some("a".into()) });
    let (dead, alive) = (it.server("a"), it.server("b"));
    it.wait(600);
    assert_eq!(it.status(dead), ServerStatus::Running);
    assert!(it.world.guests().get(dead).is_none());
    assert!(it.world.guests().get(alive).is_some());
}

#[test]
fn a_type_is_changed_on_a_stopped_server_of_the_same_kind() {
    let mut it = Fixture::new();
    let server = it.server("a");
    let change = |it: &mut Fixture, to: &str| it.world.change_server_type(it.project, server, to, false, it.now);
    assert_eq!(code(change(&mut it, "cx33")), ErrorCode::ServerNotStopped);
    let off = it.world.power(it.project, server, PowerAction::PowerOff, it.now).unwrap();
    it.finish(off);
    assert_eq!(code(change(&mut it, "cax21")), ErrorCode::InvalidServerType);
    let action = change(&mut it, "cx33").unwrap();
    it.finish(action);
    assert_eq!(it.world.server(it.project, server).unwrap().server_type.name, "cx33");
}
