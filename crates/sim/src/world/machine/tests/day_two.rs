//! What changes in a cluster that runs: versions, labels, readiness, and a cluster that is founded anew from a snapshot.

use super::*;

fn versions(kubelet: &str, api_server: &str, labels: &str) -> String {
    let text = config("controlplane", "a", "machine-1", &format!("  nodeLabels: {{{labels}}}\n"));
    let text = text.replace("kubelet:v1.36.3", &format!("kubelet:{kubelet}"));
    let images: String = ["apiServer", "controllerManager", "scheduler"]
        .map(|program| format!("  {program}: {{image: '{program}:{api_server}'}}\n"))
        .concat();
    text.replace("cluster:\n", &format!("cluster:\n{images}"))
}

impl Lab {
    fn node(&self, at: ServerId, name: &str) -> Node {
        self.guests.nodes_at(at).unwrap()[name].clone()
    }
}

#[test]
fn a_dead_etcd_leaves_the_machine_running_but_not_ready() {
    let mut lab = Lab::new();
    lab.guests.set_membership(Membership::Processes);
    let server = lab.machine(1, "controlplane");
    lab.guests.bootstrap(server, lab.now).unwrap();
    lab.pass(5);
    let serving = ProcessReport { etcd_answers: true, etcd_healthy: true, api_server: true };
    lab.guests.report(server, serving, lab.now);
    lab.guests.report_node_ready(server, true, lab.now);
    lab.pass(30);
    assert_eq!(lab.guest(server).status(lab.now), (Stage::Running, true));
    lab.guests.report(server, ProcessReport::default(), lab.now);
    assert_eq!(lab.guest(server).status(lab.now), (Stage::Running, false));
    let services = lab.guest(server).services(lab.now);
    let etcd = services.iter().find(|service| service.id == "etcd").unwrap();
    assert_eq!((etcd.state, etcd.healthy), ("Running", Some(false)));
}

#[test]
fn a_power_cut_before_etcd_has_data_leaves_nothing_behind() {
    let mut lab = Lab::new();
    let server = lab.machine(1, "controlplane");
    lab.guests.bootstrap(server, lab.now).unwrap();
    lab.guests.power_off(server, lab.now);
    lab.power_on(1, None);
    lab.pass(60);
    lab.guests.bootstrap(server, lab.now).unwrap();
    lab.pass(60);
    assert!(lab.guest(server).etcd_healthy());
}

#[test]
fn new_versions_restart_what_they_concern_and_show_on_the_node() {
    let mut lab = Lab::new();
    let server = lab.control_planes(1)[0];
    lab.pass(60);
    lab.apply(server, &versions("v1.36.3", "v1.37.1", ""), ApplyMode::NoReboot).unwrap();
    assert!(!lab.guest(server).api_server_healthy(), "it starts anew");
    lab.pass(30);
    assert_eq!(lab.guest(server).control_plane_versions(), Some(["v1.37.1"; 3]));
    assert!(lab.guest(server).api_server_healthy());
    assert_eq!(lab.node(server, "machine-1").kubelet_version, "v1.36.3");
    lab.apply(server, &versions("v1.37.1", "v1.37.1", ""), ApplyMode::NoReboot).unwrap();
    assert!(lab.guest(server).api_server_healthy(), "it is not concerned");
    assert!(!lab.guest(server).kubelet_runs(lab.now));
    assert_eq!(lab.guest(server).status(lab.now), (Stage::Running, false));
    lab.pass(30);
    assert_eq!(lab.node(server, "machine-1").kubelet_version, "v1.37.1");
}

#[test]
fn labels_follow_the_configuration_and_those_of_others_stay() {
    let mut lab = Lab::new();
    let server = lab.control_planes(1)[0];
    lab.pass(60);
    lab.apply(server, &versions("v1.36.3", "v1.36.3", "a: '1', b: '2'"), ApplyMode::NoReboot).unwrap();
    lab.pass(30);
    let nodes = lab.guests.nodes_at_mut(server).unwrap();
    nodes.get_mut("machine-1").unwrap().labels.insert("mine".to_owned(), "yes".to_owned());
    lab.apply(server, &versions("v1.36.3", "v1.36.3", "b: '3'"), ApplyMode::NoReboot).unwrap();
    let labels = lab.node(server, "machine-1").labels;
    let label = |key: &str| labels.get(key).map(String::as_str);
    assert_eq!((label("a"), label("b"), label("mine")), (None, Some("3"), Some("yes")));
    assert!(labels.contains_key("node-role.kubernetes.io/control-plane"));
}

#[test]
fn a_dry_run_and_a_refused_mode_change_nothing() {
    let mut lab = Lab::new();
    let server = lab.machine(1, "controlplane");
    let before = lab.guest(server).config().unwrap().text().clone();
    let env = config("controlplane", "a", "machine-1", "  env: {A: b}\n");
    let dry = lab.guests.apply_configuration(server, &env, ApplyMode::Auto, true, NO_TRIAL, lab.now).unwrap();
    assert_eq!(dry.mode, ApplyMode::Reboot, "it says what it would do");
    assert!(lab.apply(server, &env, ApplyMode::NoReboot).is_err());
    assert_eq!(*lab.guest(server).config().unwrap().text(), before);
    assert!(lab.guest(server).is_up());
    lab.apply(server, &env, ApplyMode::Staged).unwrap();
    assert_eq!(**lab.guest(server).persistent_config().unwrap().text(), *env);
    assert_eq!(*lab.guest(server).config().unwrap().text(), before);
}

#[test]
fn nodes_are_ready_with_a_pod_network_and_not_long_after_their_machine_stops() {
    let mut lab = Lab::new();
    let server = lab.control_planes(1)[0];
    let worker = lab.machine(9, "worker");
    lab.pass(60);
    assert!(lab.node(server, "machine-9").condition != NodeCondition::Ready);
    let add_ons = AddOns { pod_network: true, cloud_controller: true };
    assert!(lab.guests.set_add_ons(server, add_ons, lab.now));
    assert!(lab.node(server, "machine-9").condition == NodeCondition::Ready);
    assert_eq!(lab.guest(worker).status(lab.now), (Stage::Running, true));
    assert_eq!(lab.node(server, "machine-9").provider_id.as_deref(), Some("hcloud://9"));
    lab.guests.power_off(worker, lab.now);
    lab.pass(20);
    assert!(lab.node(server, "machine-9").condition == NodeCondition::Ready, "nobody has noticed yet");
    lab.pass(40);
    assert!(lab.node(server, "machine-9").condition != NodeCondition::Ready);
    lab.power_on(9, None);
    lab.pass(90);
    assert!(lab.node(server, "machine-9").condition == NodeCondition::Ready);
}

#[test]
fn a_cluster_is_recovered_from_a_snapshot_with_what_it_held_then() {
    let mut lab = Lab::new();
    let servers = lab.control_planes(3);
    lab.pass(60);
    let before = lab.guest(servers[0]).disk.etcd.unwrap().cluster;
    let labels =
        |lab: &mut Lab| lab.guests.nodes_at_mut(servers[0]).unwrap().get_mut("machine-3").unwrap().labels.clone();
    lab.guests.nodes_at_mut(servers[0]).unwrap().get_mut("machine-3").unwrap().labels.insert("kept".into(), "y".into());
    let snapshot = lab.guests.etcd_snapshot(servers[1]).unwrap();
    assert_eq!(Snapshot::decode(&snapshot, true).unwrap().cluster, before);
    lab.guests.nodes_at_mut(servers[0]).unwrap().remove("machine-3");
    let wipe = ResetRequest { graceful: false, reboot: true, partitions: vec!["EPHEMERAL".to_owned()] };
    for server in &servers {
        lab.guests.reset(*server, &wipe, Ok(()), lab.now).unwrap();
    }
    lab.pass(90);
    let first = servers[0];
    assert_eq!(Lab::code(lab.guests.bootstrap_recovered(first, false, lab.now)), RpcCode::FailedPrecondition);
    let mut damaged = snapshot.clone();
    damaged[20] ^= 1;
    lab.guests.etcd_recover(first, damaged).unwrap();
    lab.guests.bootstrap_recovered(first, false, lab.now).unwrap();
    lab.pass(10);
    assert_eq!(lab.guest(first).etcd_intent(lab.now), EtcdIntent::Join, "it waits again");
    lab.guests.etcd_recover(first, snapshot).unwrap();
    lab.guests.bootstrap_recovered(first, false, lab.now).unwrap();
    lab.pass(120);
    assert_eq!(Lab::code(lab.guests.etcd_recover(first, Vec::new())), RpcCode::FailedPrecondition);
    let after = lab.guest(first).disk.etcd.unwrap().cluster;
    assert_ne!(after, before, "it is a new cluster");
    assert_eq!(labels(&mut lab).get("kept").map(String::as_str), Some("y"), "it is as it was then");
    assert_eq!(lab.guests.etcd_members(first).unwrap().len(), 3, "the others join it");
}
