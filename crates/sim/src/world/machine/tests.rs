//! Machines without sockets: the numbered behaviours of Talos, by virtual time.

use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use super::*;

mod day_two;

const NO_TRIAL: SignedDuration = SignedDuration::from_secs(60);

/// A handful of machines under a virtual clock.
struct Lab {
    guests: Guests,
    now: Timestamp,
}

fn config(role: &str, cluster: &str, hostname: &str, extra: &str) -> String {
    let authority =
        |name: &str, key: bool| format!("{{crt: {cluster}-{name}, key: {}}}", if key { "opaque" } else { "''" });
    let own = role == "controlplane";
    let cluster_only = if own {
        format!(
            "  aggregatorCA: {}\n  serviceAccount: {{key: opaque}}\n  etcd: {{ca: {}}}\n",
            authority("aggregator", true),
            authority("etcd", true)
        )
    } else {
        String::new()
    };
    format!(
        "version: v1alpha1\nmachine:\n  type: {role}\n  token: opaque\n  ca: {}\n  kubelet:\n    image: kubelet:v1.36.3\n{extra}cluster:\n  controlPlane: {{endpoint: 'https://10.0.1.1:6443'}}\n  token: opaque\n  ca: {}\n{cluster_only}---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: 'off'\nhostname: {hostname}\n",
        authority("os", own),
        authority("k8s", own),
    )
}

impl Lab {
    fn new() -> Self {
        let latencies = GuestLatencies::default();
        Self { guests: Guests::new(latencies, TimeScale::REAL, Membership::Modelled, 1), now: Timestamp::UNIX_EPOCH }
    }

    fn power_on(&mut self, number: u8, user_data: Option<String>) -> ServerId {
        let server = ServerId(number.into());
        let host = Host {
            server,
            name: format!("server-{number}"),
            address: Ipv4Addr::new(127, 9, 0, number),
            public_ipv4: Some(Ipv4Addr::new(127, 9, 0, number)),
            private_ipv4: Some(Ipv4Addr::new(10, 0, 1, number)),
            user_data,
            talos_version: "v1.13.9".to_owned(),
            schematic: None,
        };
        self.guests.power_on(host, self.now);
        server
    }

    fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.guests.advance(self.now);
    }

    fn guest(&self, server: ServerId) -> &Guest {
        self.guests.get(server).unwrap()
    }

    fn apply(&mut self, server: ServerId, text: &str, mode: ApplyMode) -> Result<Applied, RpcError> {
        self.guests.apply_configuration(server, text, mode, false, NO_TRIAL, self.now)
    }

    /// A machine in maintenance mode gets its configuration and comes up.
    fn machine(&mut self, number: u8, role: &str) -> ServerId {
        let server = self.power_on(number, None);
        self.pass(30);
        self.apply(server, &config(role, "a", &format!("machine-{number}"), ""), ApplyMode::Auto).unwrap();
        self.pass(30);
        server
    }

    /// Control planes with healthy etcd voters.
    fn control_planes(&mut self, count: u8) -> Vec<ServerId> {
        let first = self.machine(1, "controlplane");
        self.guests.bootstrap(first, self.now).unwrap();
        self.pass(60);
        let mut servers = vec![first];
        for number in 2..=count {
            let server = self.machine(number, "controlplane");
            self.pass(60);
            assert!(self.guest(server).etcd_healthy());
            servers.push(server);
        }
        servers
    }

    fn code<T: std::fmt::Debug>(result: Result<T, RpcError>) -> RpcCode {
        result.unwrap_err().code
    }
}

#[test]
fn behaviour_25_port_is_closed_until_boot_then_maintenance() {
    let mut lab = Lab::new();
    let server = lab.power_on(1, None);
    assert_eq!(lab.guest(server).apid(), Apid::Closed);
    lab.pass(5);
    assert_eq!(lab.guest(server).apid(), Apid::Closed);
    lab.pass(20);
    assert_eq!(lab.guest(server).apid(), Apid::Maintenance);
    assert_eq!(lab.guest(server).status(lab.now).0, Stage::Maintenance);
}

#[test]
fn behaviour_26_maintenance_refuses_to_reboot() {
    let mut lab = Lab::new();
    let server = lab.power_on(1, None);
    lab.pass(30);
    assert_eq!(Lab::code(lab.guests.reboot(server, lab.now)), RpcCode::PermissionDenied);
}

#[test]
fn behaviour_27_apply_closes_the_port_and_then_serves() {
    let mut lab = Lab::new();
    let server = lab.power_on(1, None);
    lab.pass(30);
    let epoch = lab.guest(server).epoch();
    lab.apply(server, &config("controlplane", "a", "cp", ""), ApplyMode::Auto).unwrap();
    assert_eq!(lab.guest(server).apid(), Apid::Closed);
    assert!(lab.guest(server).epoch() > epoch, "connections are cut");
    lab.pass(10);
    assert_eq!(lab.guest(server).apid(), Apid::Serving);
    assert_eq!(lab.guest(server).hostname(), "cp");
}

#[test]
fn a_document_without_v1alpha1_leaves_the_machine_in_maintenance() {
    let mut lab = Lab::new();
    let server = lab.power_on(1, None);
    lab.pass(30);
    let partial = "apiVersion: v1alpha1\nkind: HostnameConfig\nauto: 'off'\nhostname: early\n";
    lab.apply(server, partial, ApplyMode::Auto).unwrap();
    lab.pass(30);
    assert_eq!(lab.guest(server).apid(), Apid::Maintenance);
}

#[test]
fn behaviour_29_worker_stays_closed_until_a_control_plane_signs() {
    let mut lab = Lab::new();
    let worker = lab.machine(9, "worker");
    assert_eq!(lab.guest(worker).apid(), Apid::Closed);
    lab.machine(1, "controlplane");
    assert_eq!(lab.guest(worker).apid(), Apid::Serving);
}

#[test]
fn behaviour_31_bootstrap_too_early_twice_and_on_a_worker() {
    let mut lab = Lab::new();
    let server = lab.power_on(1, None);
    lab.pass(30);
    lab.apply(server, &config("controlplane", "a", "cp", ""), ApplyMode::Auto).unwrap();
    while lab.guest(server).apid() != Apid::Serving {
        lab.now = lab.guests.next_event().unwrap();
        lab.guests.advance(lab.now);
    }
    assert_eq!(Lab::code(lab.guests.bootstrap(server, lab.now)), RpcCode::FailedPrecondition);
    lab.pass(10);
    lab.guests.bootstrap(server, lab.now).unwrap();
    let etcd = |lab: &Lab| lab.guest(server).services(lab.now).into_iter().find(|it| it.id == "etcd").unwrap();
    assert_eq!(Lab::code(lab.guests.bootstrap(server, lab.now)), RpcCode::FailedPrecondition);
    assert_eq!((etcd(&lab).state, etcd(&lab).healthy), ("Preparing", None), "it takes its time");
    lab.pass(3);
    assert_eq!(Lab::code(lab.guests.bootstrap(server, lab.now)), RpcCode::AlreadyExists);
    assert_eq!((etcd(&lab).state, etcd(&lab).healthy), ("Running", None), "it does not answer yet");
    lab.pass(10);
    assert_eq!((etcd(&lab).state, etcd(&lab).healthy), ("Running", Some(true)));
    let worker = lab.machine(9, "worker");
    assert_eq!(Lab::code(lab.guests.bootstrap(worker, lab.now)), RpcCode::Unimplemented);
}

#[test]
fn behaviour_32_two_bootstraps_make_two_clusters() {
    let mut lab = Lab::new();
    let (one, two) = (lab.machine(1, "controlplane"), lab.machine(2, "controlplane"));
    lab.guests.bootstrap(one, lab.now).unwrap();
    lab.guests.bootstrap(two, lab.now).unwrap();
    lab.pass(60);
    assert_eq!(lab.guests.etcd_members(one).unwrap().len(), 1);
    assert_eq!(lab.guests.etcd_members(two).unwrap().len(), 1);
    let cluster = |server| lab.guest(server).disk.etcd.unwrap().cluster;
    assert_ne!(cluster(one), cluster(two));
}

#[test]
fn behaviour_33_members_join_as_learners_one_at_a_time() {
    let mut lab = Lab::new();
    let servers: Vec<_> = (1..=3).map(|number| lab.machine(number, "controlplane")).collect();
    lab.guests.bootstrap(servers[0], lab.now).unwrap();
    let (mut most, mut unhealthy_learner) = (0, false);
    for _ in 0..120 {
        lab.pass(1);
        if let Ok(members) = lab.guests.etcd_members(servers[0]) {
            most = most.max(members.iter().filter(|member| member.learner).count());
            for member in members.iter().filter(|member| member.learner) {
                unhealthy_learner |= !lab.guest(member.server).etcd_healthy();
                assert!(!lab.guest(member.server).etcd_healthy(), "a learner is not healthy");
            }
        }
    }
    assert_eq!(most, 1);
    assert!(unhealthy_learner);
    let members = lab.guests.etcd_members(servers[0]).unwrap();
    assert_eq!(members.iter().filter(|member| !member.learner).count(), 3);
    assert!(servers.iter().all(|server| lab.guest(*server).etcd_healthy()));
}

#[test]
fn behaviour_34_without_quorum_etcd_calls_fail_and_others_work() {
    let mut lab = Lab::new();
    let servers = lab.control_planes(3);
    lab.guests.power_off(servers[1], lab.now);
    lab.guests.power_off(servers[2], lab.now);
    assert_eq!(Lab::code(lab.guests.etcd_members(servers[0])), RpcCode::Unavailable);
    assert_eq!(Lab::code(lab.guests.etcd_remove_member(servers[0], 1, lab.now)), RpcCode::Unavailable);
    assert_eq!(Lab::code(lab.guests.etcd_forfeit_leadership(servers[0])), RpcCode::Unavailable);
    assert!(!lab.guest(servers[0]).services(lab.now).is_empty());
    assert_eq!(lab.guest(servers[0]).status(lab.now), (Stage::Running, false), "it was booted once");
    let left = lab.guests.etcd_leave_cluster(servers[0], lab.now);
    let request = ResetRequest { graceful: true, reboot: true, partitions: vec!["EPHEMERAL".to_owned()] };
    lab.guests.reset(servers[0], &request, left, lab.now).unwrap();
    lab.pass(120);
    assert!(lab.guest(servers[0]).is_up());
    assert!(lab.guest(servers[0]).disk.etcd.is_some(), "the reset was given up");
}

#[test]
fn behaviour_35_a_deleted_member_counts_until_removed_or_replaced() {
    let mut lab = Lab::new();
    let servers = lab.control_planes(3);
    lab.guests.remove(servers[2], lab.now);
    let members = lab.guests.etcd_members(servers[0]).unwrap();
    assert_eq!(members.len(), 3, "the dead member is still listed");
    let again = lab.machine(3, "controlplane");
    lab.pass(60);
    let members = lab.guests.etcd_members(servers[0]).unwrap();
    assert_eq!(members.len(), 3, "a node of the same name took its place");
    assert!(lab.guest(again).etcd_healthy());
    lab.guests.remove(again, lab.now);
    let dead = members.iter().find(|member| member.hostname == "machine-3").unwrap().id;
    lab.guests.etcd_remove_member(servers[0], dead, lab.now).unwrap();
    assert_eq!(lab.guests.etcd_members(servers[0]).unwrap().len(), 2);
    assert_eq!(Lab::code(lab.guests.etcd_remove_member(servers[0], dead, lab.now)), RpcCode::NotFound);
}

#[test]
fn behaviour_36_legacy_upgrade_refuses_two_members() {
    let mut lab = Lab::new();
    let servers = lab.control_planes(2);
    let image = "factory.talos.dev/hcloud-installer/x:v1.14.0";
    assert!(lab.guests.upgrade(servers[0], image, 2, false, lab.now).is_err());
    lab.guests.upgrade(servers[0], image, 2, true, lab.now).unwrap();
    assert_eq!(lab.guest(servers[0]).status(lab.now).0, Stage::Upgrading);
    lab.pass(120);
    assert_eq!(lab.guest(servers[0]).version(), "v1.14.0");
}

#[test]
fn behaviour_37_lifecycle_upgrade_tells_by_exit_code_and_waits_for_a_reboot() {
    let mut lab = Lab::new();
    let server = lab.machine(1, "controlplane");
    let (far, near) = ("ghcr.io/siderolabs/installer:v1.99.0", "ghcr.io/siderolabs/installer:v1.14.0");
    assert_eq!(Lab::code(lab.guests.begin_install(server, near)), RpcCode::NotFound, "it was not pulled");
    for image in [far, near] {
        lab.guests.pull_image(server, image).unwrap();
    }
    let skewed = lab.guests.install_next(server, far).unwrap();
    assert_ne!(skewed.exit_code, 0);
    lab.guests.begin_install(server, near).unwrap();
    assert_eq!(Lab::code(lab.guests.begin_install(server, near)), RpcCode::FailedPrecondition, "it is busy");
    let good = lab.guests.install_next(server, near).unwrap();
    assert_eq!(good.exit_code, 0);
    assert_eq!(lab.guest(server).installed_version(), "v1.14.0");
    lab.pass(60);
    assert_eq!(lab.guest(server).version(), "v1.13.9");
    lab.guests.reboot(server, lab.now).unwrap();
    lab.pass(60);
    assert_eq!(lab.guest(server).version(), "v1.14.0");
}

#[test]
fn behaviour_38_reboot_tells_its_actor_and_gives_a_new_boot_id() {
    let mut lab = Lab::new();
    let server = lab.machine(1, "controlplane");
    let before = lab.guest(server).boot_id().to_owned();
    let actor = lab.guests.reboot(server, lab.now).unwrap();
    assert!(lab.guest(server).events().since(0).any(|event| event.actor == actor));
    assert_eq!(lab.guest(server).status(lab.now), (Stage::Rebooting, false));
    lab.pass(90);
    assert_ne!(lab.guest(server).boot_id(), before);
    assert!(lab.guest(server).is_up());
}

#[test]
fn behaviour_39_graceful_reset_leaves_etcd_and_user_data_avoids_maintenance() {
    let mut lab = Lab::new();
    let servers = lab.control_planes(3);
    let leader = *servers.iter().find(|server| lab.guests.leads_etcd(**server)).unwrap();
    let left = lab.guests.etcd_leave_cluster(leader, lab.now);
    assert_eq!(left, Ok(()));
    let request =
        ResetRequest { graceful: true, reboot: true, partitions: vec!["STATE".to_owned(), "EPHEMERAL".to_owned()] };
    let other = *servers.iter().find(|server| **server != leader).unwrap();
    assert_eq!(lab.guests.etcd_members(other).unwrap().len(), 2);
    lab.guests.reset(leader, &request, left, lab.now).unwrap();
    lab.pass(60);
    assert_eq!(lab.guest(leader).apid(), Apid::Maintenance);

    let with_data = lab.power_on(20, Some(config("worker", "a", "from-user-data", "")));
    lab.pass(60);
    lab.guests.reset(with_data, &ResetRequest { graceful: false, ..request }, Ok(()), lab.now).unwrap();
    for _ in 0..120 {
        lab.pass(1);
        assert_ne!(lab.guest(with_data).apid(), Apid::Maintenance);
    }
    assert_eq!(lab.guest(with_data).hostname(), "from-user-data");
}

#[test]
fn behaviour_40_try_reverts_staged_waits_and_1_14_refuses_reboot() {
    let mut lab = Lab::new();
    let server = lab.machine(1, "controlplane");
    let labelled = |name: &str| config("controlplane", "a", "machine-1", &format!("  nodeLabels: {{pool: {name}}}\n"));
    let label = |lab: &Lab| lab.guest(server).config().unwrap().machine().unwrap().node_labels.get("pool").cloned();
    lab.apply(server, &labelled("tried"), ApplyMode::Try).unwrap();
    assert_eq!(label(&lab).as_deref(), Some("tried"));
    lab.pass(61);
    assert_eq!(label(&lab), None);
    lab.apply(server, &labelled("staged"), ApplyMode::Staged).unwrap();
    lab.pass(61);
    assert_eq!(label(&lab), None);
    lab.guests.pull_image(server, "x:v1.14.0").unwrap();
    lab.guests.install_next(server, "x:v1.14.0").unwrap();
    lab.guests.reboot(server, lab.now).unwrap();
    lab.pass(90);
    assert_eq!(label(&lab).as_deref(), Some("staged"));
    assert_eq!(Lab::code(lab.apply(server, &labelled("late"), ApplyMode::Reboot)), RpcCode::Unimplemented);
}

/// A worker's configuration in documents, as 1.14 has them.
fn documents(hostname: &str, pool: &str) -> String {
    let document = |kind: &str, body: &str| format!("---\napiVersion: v1alpha1\nkind: {kind}\n{body}\n");
    [
        "version: v1alpha1\nmachine:\n  type: worker\n  token: opaque\n  ca: {crt: a-os, key: ''}\ncluster:\n  token: opaque\n"
            .to_owned(),
        document("HostnameConfig", &format!("auto: 'off'\nhostname: {hostname}")),
        document("KubeClusterConfig", "clusterName: a\nendpoint: https://10.0.1.1:6443"),
        document("KubeNodeConfig", &format!("labels: {{pool: {pool}}}")),
        document("KubeletConfig", "image: kubelet:v1.36.3\nconfig: {}"),
        document("KubeAPIServerCAConfig", "acceptedCAs: [a-k8s]"),
    ]
    .concat()
}

#[test]
fn an_old_configuration_survives_the_upgrade_to_1_14_and_gives_way_to_documents() {
    let mut lab = Lab::new();
    lab.control_planes(1);
    let server = lab.machine(9, "worker");
    let label = |lab: &Lab| lab.guest(server).config().unwrap().machine().unwrap().node_labels.get("pool").cloned();
    let early = lab.apply(server, &documents("machine-9", "early"), ApplyMode::Auto);
    assert_eq!(Lab::code(early), RpcCode::InvalidArgument);

    lab.guests.pull_image(server, "x:v1.14.4").unwrap();
    lab.guests.install_next(server, "x:v1.14.4").unwrap();
    lab.guests.reboot(server, lab.now).unwrap();
    lab.pass(90);
    assert!(lab.guest(server).is_up());
    assert_eq!((lab.guest(server).version(), lab.guest(server).hostname()), ("v1.14.4", "machine-9"));

    let boot = lab.guest(server).boot_id().to_owned();
    let applied = lab.apply(server, &documents("machine-9", "late"), ApplyMode::Auto).unwrap();
    assert_eq!((applied.mode, label(&lab).as_deref()), (ApplyMode::NoReboot, Some("late")));
    assert_eq!(lab.guest(server).boot_id(), boot);
    let reboot = lab.apply(server, &documents("machine-9", "x"), ApplyMode::Reboot);
    assert_eq!(Lab::code(reboot), RpcCode::Unimplemented);
}

#[test]
fn auto_reboots_only_where_it_must() {
    let mut lab = Lab::new();
    let server = lab.machine(1, "controlplane");
    let env = config("controlplane", "a", "machine-1", "  env: {A: b}\n");
    assert!(lab.apply(server, &env, ApplyMode::NoReboot).is_err());
    assert_eq!(lab.apply(server, &env, ApplyMode::Auto).unwrap().mode, ApplyMode::Reboot);
    assert_eq!(Lab::code(lab.apply(server, &env, ApplyMode::Auto)), RpcCode::FailedPrecondition);
}

#[test]
fn nodes_register_with_what_the_configuration_asks_for_and_no_more() {
    let mut lab = Lab::new();
    let servers = lab.control_planes(1);
    let worker = lab.power_on(9, None);
    lab.pass(30);
    let extra = "    extraConfig: {providerID: 'hcloud://9', registerWithTaints: [{key: a, value: b, effect: NoSchedule}]}\n  nodeLabels: {pool: general, node-role.kubernetes.io/worker: ''}\n";
    lab.apply(worker, &config("worker", "a", "w", extra), ApplyMode::Auto).unwrap();
    lab.pass(120);
    let nodes = lab.guests.nodes_at(servers[0]).unwrap();
    assert_eq!(nodes.len(), 2);
    let node = &nodes["w"];
    assert_eq!(node.provider_id.as_deref(), Some("hcloud://9"));
    assert_eq!(node.labels.get("pool").map(String::as_str), Some("general"));
    assert!(!node.labels.contains_key("node-role.kubernetes.io/worker"), "NodeRestriction forbids it");
    assert_eq!(node.taints.len(), 1);
    assert!(nodes["machine-1"].taints.iter().any(|taint| taint.key == "node-role.kubernetes.io/control-plane"));
}

#[test]
fn a_deleted_node_stays_away_until_the_next_boot() {
    let mut lab = Lab::new();
    let server = lab.control_planes(1)[0];
    lab.pass(60);
    assert!(lab.guests.nodes_at_mut(server).unwrap().remove("machine-1").is_some());
    lab.pass(300);
    assert!(lab.guests.nodes_at(server).unwrap().is_empty());
    lab.guests.reboot(server, lab.now).unwrap();
    lab.pass(120);
    assert_eq!(lab.guests.nodes_at(server).unwrap().len(), 1);
}

#[test]
fn a_new_disk_forgets_everything() {
    let mut lab = Lab::new();
    let server = lab.control_planes(1)[0];
    let before = lab.guest(server).ephemeral_generation();
    lab.guests.power_off(server, lab.now);
    lab.guests.replace_disk(server);
    lab.power_on(1, None);
    lab.pass(30);
    assert_eq!(lab.guest(server).apid(), Apid::Maintenance);
    assert!(lab.guest(server).ephemeral_generation() > before);
}

#[test]
fn the_power_button_stops_a_machine_in_maintenance() {
    let mut lab = Lab::new();
    let server = lab.power_on(1, None);
    lab.pass(30);
    assert!(lab.guests.press_power_button(server, lab.now));
    assert_eq!(lab.guest(server).apid(), Apid::Maintenance);
    lab.pass(30);
    assert_eq!(lab.guests.take_halted(), [server]);
}
