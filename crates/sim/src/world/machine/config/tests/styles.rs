//! What Helix renders for Talos 1.13 and for 1.14 says the same, as this reader understands both.

use std::collections::BTreeMap;

use helix_plan::names::PlatformIdentity;
use helix_plan::observed::NodeTaint;
use helix_plan::render::machine_config::{
    KubernetesVersions, MachineConfigInputs, MachineRole, Storage, render_machine_config,
};
use helix_plan::secrets::{AcceptedAuthorities, CertificateAuthority, Secret, SecretBundle};
use semver::Version;

use super::super::{Authority, ConfigError, Grammar, MachineConfig, Role};

const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

fn bundle() -> SecretBundle {
    let authority = |name: &str| CertificateAuthority {
        certificate: format!("{name} certificate"),
        key: Secret::new(format!("{name} key")),
    };
    SecretBundle {
        accepted: AcceptedAuthorities::default(),
        cluster_id: Secret::new("an id"),
        cluster_secret: Secret::new("a secret"),
        bootstrap_token: Secret::new("a bootstrap token"),
        secretbox_encryption_secret: Secret::new("an encryption secret"),
        trustd_token: Secret::new("a trustd token"),
        os_ca: authority("os"),
        etcd_ca: authority("etcd"),
        kubernetes_ca: authority("kubernetes"),
        aggregator_ca: authority("aggregator"),
        service_account_key: Secret::new("a signing key"),
    }
}

fn inputs(role: MachineRole, storage: Option<Storage>, crowded: bool) -> MachineConfigInputs {
    let identity = PlatformIdentity { namespace: "n".into(), name: "sample".into(), uid: "u".into() };
    let taint = NodeTaint { key: "dedicated".into(), value: "data".into(), effect: "NoSchedule".into() };
    MachineConfigInputs {
        talos_version: Version::new(1, 13, 9),
        kubernetes: KubernetesVersions::all(&Version::new(1, 36, 3)),
        role,
        machine: identity.machine(if role == MachineRole::Worker { "storage" } else { "cp" }, 1),
        server_id: 4711,
        cluster_name: "sample".into(),
        endpoint: "https://10.0.0.5:6443".into(),
        cert_sans: vec!["203.0.113.10".into(), "10.0.0.5".into()],
        node_subnet: "10.0.0.0/16".parse().unwrap(),
        pod_cidr: "10.244.0.0/16".parse().unwrap(),
        service_cidr: "10.96.0.0/12".parse().unwrap(),
        schematic: "0".repeat(64),
        labels: BTreeMap::from([
            ("example.com/pool".into(), "storage".into()),
            ("node-role.kubernetes.io/x".into(), String::new()),
        ]),
        taints: if crowded { Vec::new() } else { vec![taint] },
        schedulable_control_planes: crowded,
        storage,
        trusted_issuer: None,
        patches: Vec::new(),
    }
}

fn pair(authority: &Authority) -> String {
    format!("{} {}", authority.crt, authority.key)
}

/// Everything that a configuration says of its machine, by name.
fn facts(text: &str, grammar: Grammar) -> BTreeMap<&'static str, String> {
    let config = MachineConfig::parse(text, grammar).unwrap_or_else(|error| panic!("{error}"));
    let (machine, cluster) = (config.machine().unwrap(), config.cluster().unwrap());
    let mut labels = machine.node_labels.clone();
    if machine.role == Role::ControlPlane {
        // Talos 1.13 adds it by itself, 1.14 only where it is written.
        labels.insert(CONTROL_PLANE.to_owned(), String::new());
    }
    let schedulable = machine.role == Role::ControlPlane && cluster.allow_scheduling_on_control_planes;
    // Control planes alone install it.
    let kube_proxy = machine.role == Role::ControlPlane && cluster.kube_proxy();
    // 1.14 has a document for its own volume in any case: what counts is where it ends.
    let volumes: Vec<_> = config.documents.iter().filter_map(|document| document.get("provisioning")).collect();
    BTreeMap::from([
        ("admission control", format!("{:?}", cluster.admission_control())),
        ("labels", format!("{labels:?}")),
        ("aggregator authority", pair(&cluster.aggregator_ca)),
        ("annotations", format!("{:?}", machine.node_annotations.keys().collect::<Vec<_>>())),
        ("API server", format!("{:?}", cluster.api_server())),
        ("API server's names", format!("{:?}", cluster.api_server_sans())),
        ("audit policy", format!("{:?}", cluster.audit_policy())),
        ("bootstrap token", cluster.token.clone()),
        ("cloud provider", cluster.external_cloud_provider().to_string()),
        ("cluster", cluster.cluster_name.clone()),
        ("controller manager", format!("{:?}", cluster.controller_manager)),
        ("discovery", format!("{:?}", cluster.discovery_id())),
        ("domain", cluster.dns_domain().to_owned()),
        ("encryption secret", cluster.secretbox_encryption_secret.clone()),
        ("endpoint", cluster.endpoint().to_owned()),
        ("etcd", format!("{:?} {:?}", cluster.etcd(), cluster.etcd_advertised_subnets())),
        ("etcd authority", pair(cluster.etcd_ca())),
        ("host DNS", format!("{:?}", machine.host_dns())),
        ("host name", format!("{:?}", config.hostname())),
        ("kube-proxy", kube_proxy.to_string()),
        ("kubelet", format!("{:?}", machine.kubelet())),
        ("KubePrism", format!("{:?}", machine.kube_prism_port())),
        ("Kubernetes authority", pair(&cluster.ca)),
        ("network plug-in", cluster.network_plugin().to_owned()),
        ("node address", format!("{:?}", machine.node_ip_subnets())),
        ("pods", format!("{:?} {:?}", cluster.pod_subnets(), cluster.service_subnets())),
        ("provider id", format!("{:?}", machine.provider_id())),
        ("role", format!("{:?}", machine.role)),
        ("schedulable", schedulable.to_string()),
        ("scheduler", format!("{:?}", cluster.scheduler)),
        ("service account key", cluster.service_account_key().to_owned()),
        ("Talos authority", pair(&machine.ca)),
        ("Talos' names", format!("{:?}", machine.cert_sans)),
        ("taints", format!("{:?}", machine.register_with_taints())),
        ("volumes", format!("{volumes:?}")),
    ])
}

#[test]
fn both_styles_say_the_same() {
    for role in [MachineRole::ControlPlane, MachineRole::Worker] {
        for storage in [None, Some(Storage::SystemDisk(40 << 30)), Some(Storage::Volume(100 << 30))] {
            for crowded in [false, true] {
                let old = inputs(role, storage, crowded);
                let new = MachineConfigInputs { talos_version: Version::new(1, 14, 4), ..old.clone() };
                let render = |inputs| render_machine_config(inputs, &bundle()).unwrap();
                let said = facts(render(&old).expose(), Grammar::V1_13);
                assert_eq!(said["provider id"], r#"Some("hcloud://4711")"#);
                assert!(said["annotations"].contains(helix_crds::labels::CONFIG));
                assert_eq!(said["network plug-in"], "none");
                assert_eq!(facts(render(&new).expose(), Grammar::V1_14), said, "{role:?} {storage:?} {crowded}");
            }
        }
    }
}

#[test]
fn an_older_talos_cannot_read_documents_and_a_newer_one_reads_the_old_style() {
    let old = inputs(MachineRole::ControlPlane, None, false);
    let new = MachineConfigInputs { talos_version: Version::new(1, 14, 4), ..old.clone() };
    let read =
        |inputs, grammar| MachineConfig::parse(render_machine_config(inputs, &bundle()).unwrap().expose(), grammar);
    assert!(matches!(read(&new, Grammar::V1_13), Err(ConfigError::UnknownDocument { .. })));
    assert!(read(&old, Grammar::V1_14).is_ok());
}
