//! What is accepted and what is refused, with Talos' own samples where they are at hand.

use std::path::PathBuf;

use super::{ConfigError, Grammar, MachineConfig, Role};

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

fn read(text: &str) -> Result<MachineConfig, ConfigError> {
    MachineConfig::parse(text, Grammar::V1_13)
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
        let config = read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(config.machine().unwrap().role, role, "{name}");
    }
}

#[test]
fn reads_what_the_simulator_acts_on() {
    let Some(text) = sample("controlplane-hetzner-cilium.yaml") else { return };
    let config = read(&text).unwrap();
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
    assert!(matches!(read(&with_key), Err(ConfigError::Invalid(_))));
}

#[test]
fn refuses_unknown_fields_and_documents() {
    let Some(text) = sample("worker-hetzner-cilium.yaml") else { return };
    let unknown_field = text.replacen("    token:", "    tokn: x\n    token:", 1);
    assert_eq!(read(&unknown_field).unwrap_err(), ConfigError::UnknownField("machine.tokn".to_owned()));
    let unknown_kind = format!("{text}\n---\napiVersion: v1alpha1\nkind: Mystery\n");
    assert!(matches!(read(&unknown_kind), Err(ConfigError::UnknownDocument { .. })));
}

#[test]
fn refuses_what_is_said_twice() {
    let Some(text) = sample("worker-hetzner-cilium.yaml") else { return };
    let twice = format!("{text}\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: other\n");
    assert!(matches!(read(&twice), Err(ConfigError::Duplicate(_))));
    let old_and_new = text.replacen("    install:", "    network:\n        hostname: other\n    install:", 1);
    assert!(matches!(read(&old_and_new), Err(ConfigError::Invalid(_))));
}

#[test]
fn refuses_a_missing_field_by_name() {
    let Some(text) = sample("worker-hetzner-cilium.yaml") else { return };
    let without = text.replacen("endpoint: https://10.0.0.5:6443", "endpoint: \"\"", 1);
    let error = read(&without).unwrap_err();
    assert!(error.to_string().contains("cluster.controlPlane.endpoint"), "{error}");
}

#[test]
fn knows_what_takes_a_reboot() {
    let Some(text) = sample("worker-hetzner-cilium.yaml") else { return };
    let config = read(&text).unwrap();
    let labels = read(&text.replacen("example.com/pool: storage", "example.com/pool: other", 1)).unwrap();
    assert_eq!(config.reboot_needed_for(&labels), None);
    let files = text.replacen("    nodeLabels:", "    env:\n        A: b\n    nodeLabels:", 1);
    let files = read(&files).unwrap();
    assert_eq!(config.reboot_needed_for(&files), Some(".machine.env".to_owned()));
}

#[test]
fn errors_and_debug_output_hold_no_secret() {
    let Some(text) = sample("worker-hetzner-cilium.yaml") else { return };
    let config = read(&text).unwrap();
    assert!(!format!("{config:?}").contains("h72czr"));
    let broken = text.replacen("    token: h72czr", "    token: [h72czr", 1);
    let error = read(&broken).unwrap_err().to_string();
    assert!(!error.contains("h72czr"), "{error}");
}

mod talos_1_14 {
    //! Documents for what 1.13 has in its main document.

    use super::*;

    fn read_1_14(text: &str) -> Result<MachineConfig, ConfigError> {
        MachineConfig::parse(text, Grammar::V1_14)
    }

    fn sample_1_14(name: &str) -> Option<String> {
        Some(std::fs::read_to_string(reference()?.join("../v1.14.0-rc.1").join(name)).unwrap())
    }

    #[test]
    fn accepts_what_talos_generated() {
        for (name, role) in [
            ("generated/controlplane-hetzner-cilium.yaml", Role::ControlPlane),
            ("generated/worker-hetzner-cilium.yaml", Role::Worker),
            ("generated/controlplane-generated.yaml", Role::ControlPlane),
            ("generated/worker-generated.yaml", Role::Worker),
            ("testdata/stability/v1.14/base-controlplane.yaml", Role::ControlPlane),
            ("testdata/stability/v1.14/base-worker.yaml", Role::Worker),
            ("testdata/stability/v1.14/overrides-controlplane.yaml", Role::ControlPlane),
            ("testdata/stability/v1.14/overrides-worker.yaml", Role::Worker),
        ] {
            let Some(text) = sample_1_14(name) else { return };
            let config = read_1_14(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(config.machine().unwrap().role, role, "{name}");
        }
    }

    #[test]
    fn reads_the_same_authorities_from_both_samples() {
        let name = "controlplane-hetzner-cilium.yaml";
        let (Some(old), Some(new)) = (sample(name), sample_1_14(&format!("generated/{name}"))) else { return };
        let (old, new) = (read(&old).unwrap(), read_1_14(&new).unwrap());
        let (old, new) = (old.cluster().unwrap(), new.cluster().unwrap());
        assert_eq!(old.ca, new.ca);
        assert_eq!(old.aggregator_ca, new.aggregator_ca);
        assert_eq!(old.service_account_key(), new.service_account_key());
        assert_eq!(old.secretbox_encryption_secret, new.secretbox_encryption_secret);
        assert_eq!(new.api_server().version(), Some("v1.37.0"));
        assert_eq!(new.network_plugin(), "none");
    }

    #[test]
    fn an_old_field_beside_its_document_is_refused() {
        let Some(text) = sample_1_14("generated/worker-hetzner-cilium.yaml") else { return };
        for (field, named) in [
            ("    kubelet:\n        image: kubelet:v1.37.0\n", ".machine.kubelet"),
            ("    nodeLabels:\n        a: b\n", ".machine.nodeLabels"),
        ] {
            let mixed = text.replacen("    features:", &format!("{field}    features:"), 1);
            let error = read_1_14(&mixed).unwrap_err();
            assert!(matches!(&error, ConfigError::Invalid(message) if message.contains(named)), "{error}");
        }
    }

    #[test]
    fn documents_of_control_planes_are_refused_on_workers() {
        let Some(text) = sample_1_14("generated/worker-hetzner-cilium.yaml") else { return };
        let more = format!("{text}---\napiVersion: v1alpha1\nkind: KubeCoreDNSConfig\nenabled: true\n");
        let error = read_1_14(&more).unwrap_err().to_string();
        assert!(error.contains("only allowed on control plane machines: [KubeCoreDNSConfig]"), "{error}");
    }
}

mod styles;
