//! How disruptive it is to give a running machine another configuration.
//!
//! What a machine runs is known by its digest alone, so the digest has parts: one for each set of rules by which a Talos
//! reboots, and one for what is decided at birth. Comparing two digests tells the class, without either configuration.
//! Another Talos version is no other configuration but an upgrade, which has an order of its own.

use std::collections::BTreeMap;

use semver::Version;
use serde::Serialize;
use serde_json::Value;

use super::digest::Parts;
use super::{ConfigDigest, MachineConfigInputs, MachineRole};

/// What a machine must go through to run another configuration; a later class includes the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ChangeClass {
    /// Nothing: it is the same configuration.
    None,
    /// It is applied to the running machine; services may restart.
    NoReboot,
    /// It takes effect with a reboot: the apply's own up to Talos 1.13, an explicit one from 1.14 on.
    Reboot,
    /// No configuration gets there: the server must be made anew.
    Replace,
}

/// What Talos up to 1.13 takes on without a reboot, besides all of `cluster` and every document with a `kind`
/// (<https://docs.siderolabs.com/talos/v1.13/configure-your-talos-cluster/system-configuration/editing-machine-configuration>).
const WITHOUT_REBOOT: [&str; 17] = [
    "machine.ca",
    "machine.certSANs",
    "machine.features.hostDNS",
    "machine.features.kubePrism",
    "machine.install",
    "machine.kernel",
    "machine.kubelet",
    "machine.logging",
    "machine.network",
    "machine.nodeAnnotations",
    "machine.nodeLabels",
    "machine.nodeTaints",
    "machine.pods",
    "machine.registries",
    "machine.sysctls",
    "machine.sysfs",
    "version",
];

/// What Talos takes on with an explicit reboot only, from 1.14 on: an apply never reboots there.
const WITH_REBOOT: [&str; 10] = [
    "EnvironmentConfig",
    "ExistingVolumeConfig",
    "ExternalVolumeConfig",
    "RawVolumeConfig",
    "SwapVolumeConfig",
    "UserVolumeConfig",
    "VolumeConfig",
    "cluster.etcd",
    "machine.disks",
    "machine.env",
];

/// What it takes to bring a machine that runs the configuration named `running` on this Talos to the wanted one.
///
/// Nothing but a digest that this Helix has written is compared part by part: of any other name, only that it is another
/// one is known, and Talos itself refuses what needs a reboot.
#[must_use]
pub fn change_class(running: &str, wanted: &ConfigDigest, talos: &Version) -> ChangeClass {
    if running == wanted.as_str() {
        return ChangeClass::None;
    }
    let (Some(running), Some(wanted)) = (Parts::of(running), Parts::of(wanted.as_str())) else {
        return ChangeClass::NoReboot;
    };
    let rebooting = |parts: &Parts<'_>| match Rules::of(talos) {
        Rules::Listed => parts.reboots_listed == wanted.reboots_listed,
        Rules::Never => parts.reboots_never == wanted.reboots_never,
    };
    if running.birth != wanted.birth {
        ChangeClass::Replace
    } else if rebooting(&running) {
        ChangeClass::NoReboot
    } else {
        ChangeClass::Reboot
    }
}

/// What of a configuration comes into force by a reboot alone, by these rules: the sections that patches name, each with
/// what they say of it, and the range of etcd's addresses where that counts.
pub(super) fn rebooting_sections(inputs: &MachineConfigInputs, rules: Rules) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = sections(&inputs.patches)
        .into_iter()
        .filter(|(section, _)| rules.class_of(section) == ChangeClass::Reboot)
        .map(|(section, values)| (section, values.into_iter().cloned().collect()))
        .collect();
    if inputs.role == MachineRole::ControlPlane && rules.class_of(ETCD) == ChangeClass::Reboot {
        found.entry(ETCD.to_owned()).or_default().push(Value::String(inputs.node_subnet.to_string()));
    }
    found
}

/// Where etcd is configured.
const ETCD: &str = "cluster.etcd";

/// How a minor version of Talos takes a change on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// Reboots by itself, but for [`WITHOUT_REBOOT`]. Up to 1.13.
    Listed,
    /// Never reboots by itself; [`WITH_REBOOT`] waits for one. From 1.14 on.
    Never,
}

impl Rules {
    fn of(talos: &Version) -> Self {
        if (talos.major, talos.minor) <= (1, 13) { Self::Listed } else { Self::Never }
    }

    fn class_of(self, section: &str) -> ChangeClass {
        let is_in = |list: &[&str]| list.contains(&section);
        let is_document = section.starts_with(|first: char| first.is_ascii_uppercase());
        let reboots = match self {
            Self::Listed => !(is_document || is_in(&WITHOUT_REBOOT) || section.split('.').next() == Some("cluster")),
            Self::Never => is_in(&WITH_REBOOT),
        };
        if reboots { ChangeClass::Reboot } else { ChangeClass::NoReboot }
    }
}

/// The parts of a configuration that its patches name, each with what they say of it, in order: `machine.kubelet`,
/// `machine.features.hostDNS`, or the kind of a document.
fn sections(patches: &[Value]) -> BTreeMap<String, Vec<&Value>> {
    let mut found: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for patch in patches {
        match patch.get("kind").and_then(Value::as_str) {
            Some(kind) => found.entry(kind.to_owned()).or_default().push(patch),
            None => descend(patch, "", &mut found),
        }
    }
    found
}

fn descend<'a>(value: &'a Value, path: &str, found: &mut BTreeMap<String, Vec<&'a Value>>) {
    let goes_on = matches!(path, "" | "machine" | "machine.features" | "cluster");
    match value.as_object().filter(|_| goes_on) {
        Some(map) => map.iter().for_each(|(key, value)| {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            descend(value, &below, found);
        }),
        None => found.entry(path.to_owned()).or_default().push(value),
    }
}

#[cfg(test)]
mod tests {
    use semver::Version;
    use serde_json::json;

    use super::super::tests::{inputs, issuer};
    use super::super::{Storage, config_digest};
    use super::*;

    const TALOS_1_14: Version = Version::new(1, 14, 4);

    /// The class of a change of the inputs on Talos 1.13.
    fn class(role: MachineRole, change: impl FnOnce(&mut MachineConfigInputs)) -> ChangeClass {
        let old = inputs(role);
        let mut new = old.clone();
        change(&mut new);
        between(&old, &new)
    }

    /// The class of the change from the one to the other, on the Talos of the first.
    fn between(old: &MachineConfigInputs, new: &MachineConfigInputs) -> ChangeClass {
        change_class(config_digest(old, "").as_str(), &config_digest(new, ""), &old.talos_version)
    }

    /// The class of a new patch, on Talos 1.13 and on 1.14; taking it away is of the same class.
    fn class_of_patch(patch: &Value) -> [ChangeClass; 2] {
        [Version::new(1, 13, 9), TALOS_1_14].map(|talos_version| {
            let bare = MachineConfigInputs { talos_version, ..inputs(MachineRole::ControlPlane) };
            let patched = MachineConfigInputs { patches: vec![patch.clone()], ..bare.clone() };
            let class = between(&bare, &patched);
            assert_eq!(between(&patched, &bare), class, "{patch} is taken away");
            assert_eq!(between(&patched, &patched), ChangeClass::None, "{patch} stays");
            class
        })
    }

    #[test]
    fn what_is_set_by_the_specification_needs_no_reboot() {
        use MachineRole::{ControlPlane, Worker};
        type Change = fn(&mut MachineConfigInputs);
        let cases: [(&str, MachineRole, Change); 8] = [
            ("kubernetes", Worker, |new| new.kubernetes.kubelet = Version::new(1, 36, 4)),
            ("label", Worker, |new| drop(new.labels.insert("example.com/tier".into(), "gold".into()))),
            ("taint", Worker, |new| {
                new.taints.push(crate::observed::NodeTaint {
                    key: "gpu".into(),
                    value: String::new(),
                    effect: "NoSchedule".into(),
                });
            }),
            ("sans", ControlPlane, |new| new.cert_sans.push("api.example.com".into())),
            ("endpoint", ControlPlane, |new| new.endpoint = "https://api.example.com:6443".into()),
            ("schematic", Worker, |new| new.schematic = "0".repeat(64)),
            ("sign-on", ControlPlane, |new| new.trusted_issuer = Some(issuer())),
            ("scheduling", ControlPlane, |new| new.schedulable_control_planes = true),
        ];
        for (what, role, change) in cases {
            assert_eq!(class(role, change), ChangeClass::NoReboot, "{what}");
        }
    }

    #[test]
    fn what_makes_no_other_configuration_is_no_change() {
        assert_eq!(class(MachineRole::Worker, |_| ()), ChangeClass::None);
        // It goes through the Kubernetes API.
        let by_api = class(MachineRole::Worker, |new| {
            new.labels.insert("node-role.kubernetes.io/worker".into(), String::new());
        });
        assert_eq!(by_api, ChangeClass::None);
        assert_eq!(class(MachineRole::Worker, |new| new.schedulable_control_planes = true), ChangeClass::None);
    }

    #[test]
    fn a_name_that_helix_has_not_written_tells_nothing() {
        let wanted = config_digest(&inputs(MachineRole::Worker), "");
        for running in ["", "true", "a.b", "a.b.c.d.e"] {
            assert_eq!(change_class(running, &wanted, &TALOS_1_14), ChangeClass::NoReboot, "{running}");
        }
    }

    #[test]
    fn another_disk_is_another_server() {
        assert_eq!(class(MachineRole::Worker, |new| new.storage = None), ChangeClass::Replace);
        let larger = |new: &mut MachineConfigInputs| new.storage = Some(Storage::Volume(20_000_000_000));
        assert_eq!(class(MachineRole::Worker, larger), ChangeClass::Replace);
    }

    #[test]
    fn etcd_in_another_subnet_reboots_where_applying_never_does() {
        let move_on = |talos_version: Version, role| {
            let old = MachineConfigInputs { talos_version, ..inputs(role) };
            let new = MachineConfigInputs { node_subnet: "10.1.0.0/16".parse().unwrap(), ..old.clone() };
            between(&old, &new)
        };
        assert_eq!(move_on(Version::new(1, 13, 9), MachineRole::ControlPlane), ChangeClass::NoReboot);
        assert_eq!(move_on(TALOS_1_14, MachineRole::ControlPlane), ChangeClass::Reboot);
        assert_eq!(move_on(TALOS_1_14, MachineRole::Worker), ChangeClass::NoReboot);
    }

    #[test]
    fn a_patch_is_of_the_class_of_the_worst_that_it_names() {
        use ChangeClass::{NoReboot, Reboot};
        let volume = json!({"apiVersion": "v1alpha1", "kind": "UserVolumeConfig", "name": "data"});
        let cases = [
            (json!({"machine": {"sysctls": {"a": "1"}}}), [NoReboot, NoReboot]),
            (json!({"machine": {"kubelet": {"extraArgs": {"v": "4"}}}}), [NoReboot, NoReboot]),
            (json!({"machine": {"features": {"hostDNS": {"enabled": true}}}}), [NoReboot, NoReboot]),
            (json!({"machine": {"features": {"diskQuotaSupport": true}}}), [Reboot, NoReboot]),
            (json!({"machine": {"files": [{"path": "/var/x"}]}}), [Reboot, NoReboot]),
            (json!({"machine": {"env": {"a": "b"}}}), [Reboot, Reboot]),
            (json!({"machine": {"sysctls": {"a": "1"}, "udev": {"rules": []}}}), [Reboot, NoReboot]),
            (json!({"debug": true}), [Reboot, NoReboot]),
            (json!({"cluster": {"apiServer": {"extraArgs": {"v": "4"}}}}), [NoReboot, NoReboot]),
            (json!({"cluster": {"etcd": {"extraArgs": {"v": "4"}}}}), [NoReboot, Reboot]),
            (json!({"apiVersion": "v1alpha1", "kind": "OOMConfig"}), [NoReboot, NoReboot]),
            (volume, [NoReboot, Reboot]),
        ];
        for (patch, classes) in cases {
            assert_eq!(class_of_patch(&patch), classes, "{patch}");
        }
    }

    #[test]
    fn only_what_differs_between_patches_counts() {
        let udev = json!({"machine": {"udev": {"rules": ["x"]}}});
        let sysctls = |value: &str| json!({"machine": {"sysctls": {"a": value}}});
        let with = |patches: Vec<Value>| MachineConfigInputs { patches, ..inputs(MachineRole::Worker) };
        let old = with(vec![udev.clone(), sysctls("1")]);
        assert_eq!(between(&old, &with(vec![udev.clone(), sysctls("2")])), ChangeClass::NoReboot);
        // The annotation with the digest is another one, at least.
        let split = with(vec![sysctls("1"), udev.clone()]);
        assert_ne!(config_digest(&old, ""), config_digest(&split, ""));
        assert_eq!(between(&old, &split), ChangeClass::NoReboot);
        assert_eq!(between(&old, &with(vec![sysctls("1")])), ChangeClass::Reboot);
    }
}
