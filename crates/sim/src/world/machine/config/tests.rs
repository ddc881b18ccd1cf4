//! What is accepted and what is refused, with Talos' own samples where they are at hand.

use std::path::PathBuf;

use super::{ConfigError, MachineConfig, Role};

/// Talos' reference data beside the repository; `None`, with a word, where it is absent outside CI.
fn reference() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/talos/v1.13.9");
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "the reference data is missing in CI");
    eprintln!("this test needs Talos' reference data at ../shared and did not run");
    None
}

fn sample(name: &str) -> Option<String> {
    Some(std::fs::read_to_string(reference()?.join("generated").join(name)).unwrap())
}

#[test]
fn accepts_what_talos_generated() {
    let Some(reference) = reference() else { return };
    for (name, role) in [
        ("generated/controlplane-hetzner-cilium.yaml", Role::ControlPlane),
        ("generated/worker-hetzner-cilium.yaml", Role::Worker),
        ("generated/controlplane-generated.yaml", Role::ControlPlane),
        ("generated/worker-generated.yaml", Role::Worker),
        ("testdata/stability/v1.13/base-controlplane.yaml", Role::ControlPlane),
        ("testdata/stability/v1.13/base-worker.yaml", Role::Worker),
        ("testdata/stability/v1.13/overrides-controlplane.yaml", Role::ControlPlane),
        ("testdata/stability/v1.13/overrides-worker.yaml", Role::Worker),
    ] {
        let text = std::fs::read_to_string(reference.join(name)).unwrap();
        let config = MachineConfig::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(config.machine().unwrap().role, role, "{name}");
    }
}

#[test]
fn reads_what_the_simulator_acts_on() {
    let Some(text) = sample("controlplane-hetzner-cilium.yaml") else { return };
    let config = MachineConfig::parse(&text).unwrap();
    let (machine, cluster) = (config.machine().unwrap(), config.cluster().unwrap());
    assert_eq!(config.hostname(), Some("sample-cp-1"));
    assert_eq!(cluster.endpoint(), "https://10.0.0.5:6443");
    assert_eq!(machine.kubelet().version(), Some("v1.36.3"));
    assert_eq!(machine.node_ip_subnets(), ["10.0.0.0/16"]);
    assert!(cluster.external_cloud_provider());
    assert!(!cluster.etcd_ca().key.is_empty());
    assert_eq!(cluster.admission_control().len(), 1);
}

#[test]
fn behaviour_30_worker_config_with_a_ca_key_is_refused() {
    let (Some(worker), Some(control_plane)) =
        (sample("worker-hetzner-cilium.yaml"), sample("controlplane-hetzner-cilium.yaml"))
    else {
        return;
    };
    let key_line = control_plane.lines().find(|line| line.trim_start().starts_with("key: LS0")).unwrap();
    let with_key = worker.replacen("        key: \"\"", key_line, 1);
    assert!(matches!(MachineConfig::parse(&with_key), Err(ConfigError::Invalid(_))));
}

#[test]
fn refuses_unknown_fields_and_documents() {
    let Some(text) = sample("worker-hetzner-cilium.yaml") else { return };
    let unknown_field = text.replacen("    token:", "    tokn: x\n    token:", 1);
    assert_eq!(MachineConfig::parse(&unknown_field).unwrap_err(), ConfigError::UnknownField("machine.tokn".to_owned()));
    let unknown_kind = format!("{text}\n---\napiVersion: v1alpha1\nkind: Mystery\n");
    assert!(matches!(MachineConfig::parse(&unknown_kind), Err(ConfigError::UnknownDocument { .. })));
}

#[test]
fn refuses_what_is_said_twice() {
    let Some(text) = sample("worker-hetzner-cilium.yaml") else { return };
    let twice = format!("{text}\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: other\n");
    assert!(matches!(MachineConfig::parse(&twice), Err(ConfigError::Duplicate(_))));
    let old_and_new = text.replacen("    install:", "    network:\n        hostname: other\n    install:", 1);
    assert!(matches!(MachineConfig::parse(&old_and_new), Err(ConfigError::Invalid(_))));
}

#[test]
fn refuses_a_missing_field_by_name() {
    let Some(text) = sample("worker-hetzner-cilium.yaml") else { return };
    let without = text.replacen("endpoint: https://10.0.0.5:6443", "endpoint: \"\"", 1);
    let error = MachineConfig::parse(&without).unwrap_err();
    assert!(error.to_string().contains("cluster.controlPlane.endpoint"), "{error}");
}

#[test]
fn knows_what_takes_a_reboot() {
    let Some(text) = sample("worker-hetzner-cilium.yaml") else { return };
    let config = MachineConfig::parse(&text).unwrap();
    let labels =
        MachineConfig::parse(&text.replacen("example.com/pool: storage", "example.com/pool: other", 1)).unwrap();
    assert_eq!(config.reboot_needed_for(&labels), None);
    let files = text.replacen("    nodeLabels:", "    env:\n        A: b\n    nodeLabels:", 1);
    let files = MachineConfig::parse(&files).unwrap();
    assert_eq!(config.reboot_needed_for(&files), Some(".machine.env".to_owned()));
}

#[test]
fn errors_and_debug_output_hold_no_secret() {
    let Some(text) = sample("worker-hetzner-cilium.yaml") else { return };
    let config = MachineConfig::parse(&text).unwrap();
    assert!(!format!("{config:?}").contains("h72czr"));
    let broken = text.replacen("    token: h72czr", "    token: [h72czr", 1);
    let error = MachineConfig::parse(&broken).unwrap_err().to_string();
    assert!(!error.contains("h72czr"), "{error}");
}
