//! Rendered configurations against Talos' own samples and schema, and the identity of configurations.

use serde_json::{Value, json};

use super::*;
use crate::names::PlatformIdentity;
use crate::reference;

const SCHEMATIC: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";

pub(super) fn sample_bundle() -> Option<SecretBundle> {
    reference::talos("v1.13.9/generated/secrets.yaml").map(|text| SecretBundle::from_yaml(&text).unwrap())
}

/// A bundle that needs no reference material.
pub(crate) fn plain_bundle() -> SecretBundle {
    let authority = |name: &str| crate::secrets::CertificateAuthority {
        certificate: format!("{name} certificate"),
        key: Secret::new(format!("{name} key")),
    };
    SecretBundle {
        accepted: crate::secrets::AcceptedAuthorities::default(),
        cluster_id: Secret::new("id"),
        cluster_secret: Secret::new("secret"),
        bootstrap_token: Secret::new("bootstrap"),
        secretbox_encryption_secret: Secret::new("secretbox"),
        trustd_token: Secret::new("trustd"),
        os_ca: authority("os"),
        etcd_ca: authority("etcd"),
        kubernetes_ca: authority("kubernetes"),
        aggregator_ca: authority("aggregator"),
        service_account_key: Secret::new("service account"),
    }
}

/// What the samples were made from, as far as a sample can say it.
pub(super) fn inputs(role: MachineRole) -> MachineConfigInputs {
    let identity = PlatformIdentity { namespace: "n".into(), name: "sample".into(), uid: "u".into() };
    let worker = role == MachineRole::Worker;
    MachineConfigInputs {
        talos_version: Version::new(1, 13, 9),
        kubernetes: KubernetesVersions::all(&Version::new(1, 36, 3)),
        role,
        machine: identity.machine(if worker { "storage" } else { "cp" }, 1),
        server_id: 4711,
        cluster_name: "sample".into(),
        endpoint: "https://10.0.0.5:6443".into(),
        cert_sans: vec!["203.0.113.10".into(), "10.0.0.5".into()],
        node_subnet: "10.0.0.0/16".parse().unwrap(),
        pod_cidr: "10.244.0.0/16".parse().unwrap(),
        service_cidr: "10.96.0.0/12".parse().unwrap(),
        schematic: SCHEMATIC.into(),
        labels: if worker { BTreeMap::from([("example.com/pool".into(), "storage".into())]) } else { BTreeMap::new() },
        taints: Vec::new(),
        schedulable_control_planes: false,
        storage: worker.then_some(Storage::Volume(10_000_000_000)),
        trusted_issuer: None,
        patches: Vec::new(),
    }
}

pub(super) fn documents(text: &str) -> Vec<Value> {
    text.split("\n---\n")
        .map(|document| {
            let options = serde_saphyr::options! { strict_booleans: true };
            serde_saphyr::from_str_with_options(document, options).unwrap()
        })
        .collect()
}

pub(super) fn rendered(inputs: &MachineConfigInputs, bundle: &SecretBundle) -> Vec<Value> {
    documents(render_machine_config(inputs, bundle).unwrap().expose())
}

fn patched(role: MachineRole, patches: &[Value]) -> Result<Vec<Value>, RenderError> {
    let inputs = MachineConfigInputs { patches: patches.to_vec(), ..inputs(role) };
    render_machine_config(&inputs, &plain_bundle()).map(|text| documents(text.expose()))
}

/// Whom an API server may believe.
pub(super) fn issuer() -> TrustedIssuer {
    TrustedIssuer { url: "https://sso.example.com/application/o/kubernetes/".into(), client_id: "kubernetes".into() }
}

/// Every difference between two documents, as `path: theirs | ours`.
pub(super) fn differences(path: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differences(&at, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{path}: {a} | {b}")),
    }
}

/// Where our configuration differs from the sample, and why.
const EXPECTED_DIFFERENCES: [&str; 7] = [
    // Deprecated, and refused by Talos' own schema.
    "persist: true | null",
    // What Talos assumes anyway.
    "debug: false | null",
    // Helix' own.
    r#"machine.kubelet.extraConfig: null | {"providerID":"hcloud://4711"}"#,
    r#"machine.nodeAnnotations: null | {"helix.dev/config":"#,
    // The sample gave the second address to the Talos API alone.
    r#"cluster.apiServer.certSANs: ["203.0.113.10"] | ["203.0.113.10","10.0.0.5"]"#,
    // The same volume, told by its size in bytes.
    r#"provisioning.diskSelector.match: "!system_disk && disk.size > 9u * GB" | "!system_disk && disk.size > 9000000000u""#,
    r#"provisioning.minSize: "9GB" | "8583MiB""#,
];

#[test]
fn configs_equal_talos_samples() {
    let Some(bundle) = sample_bundle() else { return };
    let cases = [
        (MachineRole::ControlPlane, "v1.13.9/generated/controlplane-hetzner-cilium.yaml"),
        (MachineRole::Worker, "v1.13.9/generated/worker-hetzner-cilium.yaml"),
    ];
    for (role, path) in cases {
        let Some(text) = reference::talos(path) else { return };
        let ours = rendered(&inputs(role), &bundle);
        let mut found = Vec::new();
        for theirs in documents(&text) {
            let kind = theirs.get("kind").cloned();
            // The sample's control plane limits EPHEMERAL without giving the rest to anything; Helix does not.
            if kind == Some(json!("VolumeConfig")) {
                continue;
            }
            let ours = ours.iter().find(|ours| ours.get("kind") == kind.as_ref()).unwrap();
            differences("", &theirs, ours, &mut found);
        }
        let unexpected: Vec<_> =
            found.iter().filter(|d| !EXPECTED_DIFFERENCES.iter().any(|expected| d.starts_with(expected))).collect();
        assert!(unexpected.is_empty(), "{path}: {unexpected:#?}");
        assert!(found.len() >= 4, "{path}: too like the sample to be ours");
    }
}

#[test]
fn configs_pass_talos_schema() {
    let (Some(schema), Some(bundle)) = (reference::talos("v1.13.9/config.schema.json"), sample_bundle()) else {
        return;
    };
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let taint = NodeTaint { key: "dedicated".into(), value: String::new(), effect: "NoSchedule".into() };
    let mut cases = Vec::new();
    for role in [MachineRole::ControlPlane, MachineRole::Worker] {
        for storage in [None, Some(Storage::SystemDisk(40 << 30)), Some(Storage::Volume(100 << 30))] {
            let taints = vec![taint.clone()];
            cases.push(MachineConfigInputs { storage, taints, schedulable_control_planes: true, ..inputs(role) });
        }
    }
    for case in cases {
        for document in rendered(&case, &bundle) {
            let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{:?} {:?}: {errors:#?}", case.role, case.storage);
        }
    }
}

#[test]
fn a_worker_gets_no_signing_key() {
    let bundle = plain_bundle();
    let text = render_machine_config(&inputs(MachineRole::Worker), &bundle).unwrap();
    use base64::Engine as _;
    for key in [&bundle.os_ca.key, &bundle.kubernetes_ca.key, &bundle.etcd_ca.key, &bundle.aggregator_ca.key] {
        let encoded = base64::engine::general_purpose::STANDARD.encode(key.expose());
        assert!(!text.expose().contains(&encoded));
    }
    assert!(!text.expose().contains(bundle.secretbox_encryption_secret.expose()));
    assert!(!format!("{text:?}{text}").contains("trustd"));
}

#[test]
fn taints_and_labels_reach_a_node_only_as_they_may() {
    let taint =
        |key: &str, value: &str| NodeTaint { key: key.into(), value: value.into(), effect: "NoSchedule".into() };
    let config = MachineConfigInputs {
        labels: BTreeMap::from([
            ("workload".into(), "general".into()),
            ("node-role.kubernetes.io/worker".into(), String::new()),
        ]),
        taints: vec![taint("dedicated", "data"), taint("alone", "")],
        ..inputs(MachineRole::Worker)
    };
    let main = &rendered(&config, &plain_bundle())[0];
    assert_eq!(main["machine"]["nodeLabels"], json!({"workload": "general"}));
    assert!(main["machine"].get("nodeTaints").is_none());
    let wanted = json!([
        {"key": "dedicated", "value": "data", "effect": "NoSchedule"},
        {"key": "alone", "effect": "NoSchedule"},
    ]);
    assert_eq!(main["machine"]["kubelet"]["extraConfig"]["registerWithTaints"], wanted);
}

#[test]
fn control_planes_alone_take_workloads_and_traffic() {
    let alone = MachineConfigInputs { schedulable_control_planes: true, ..inputs(MachineRole::ControlPlane) };
    let main = &rendered(&alone, &plain_bundle())[0];
    assert_eq!(main["cluster"]["allowSchedulingOnControlPlanes"], true);
    assert!(main["machine"].get("nodeLabels").is_none());
    let main = &rendered(&inputs(MachineRole::ControlPlane), &plain_bundle())[0];
    assert!(main["cluster"].get("allowSchedulingOnControlPlanes").is_none());
}

#[test]
fn storage_on_the_system_disk_is_kept_out_of_ephemeral() {
    let config = MachineConfigInputs { storage: Some(Storage::SystemDisk(40 << 30)), ..inputs(MachineRole::Worker) };
    let documents = rendered(&config, &plain_bundle());
    let volumes: Vec<_> = documents.iter().filter_map(|d| d.get("provisioning")).collect();
    let wanted = [
        json!({"diskSelector": {"match": "system_disk"}, "maxSize": "-41GiB"}),
        json!({"diskSelector": {"match": "system_disk"}, "minSize": "40GiB", "maxSize": "40GiB"}),
    ];
    assert_eq!(volumes, wanted.iter().collect::<Vec<_>>());
}

#[test]
fn another_talos_is_refused_with_what_is_known() {
    let next = MachineConfigInputs { talos_version: Version::new(1, 15, 0), ..inputs(MachineRole::Worker) };
    let error = render_machine_config(&next, &plain_bundle()).unwrap_err();
    assert_eq!(error.reason(), "TalosVersionUnsupported");
    assert!(error.to_string().contains("1.13 and 1.14"), "{error}");
}

#[test]
fn a_digest_follows_every_input_and_the_annotation_carries_it() {
    let bundle = plain_bundle();
    let base = inputs(MachineRole::Worker);
    let digest = config_digest(&base, &bundle.digest());
    let main = &rendered(&base, &bundle)[0];
    assert_eq!(main["machine"]["nodeAnnotations"][helix_crds::labels::CONFIG], digest.as_str());
    assert_eq!(digest, config_digest(&base.clone(), &bundle.digest()));
    assert_ne!(digest, config_digest(&base, "another bundle"));

    let changes: [fn(&mut MachineConfigInputs); 18] = [
        |i| i.talos_version = Version::new(1, 13, 8),
        |i| i.kubernetes.kubelet = Version::new(1, 36, 2),
        |i| i.role = MachineRole::ControlPlane,
        |i| i.machine = crate::names::MachineName::parse("sample-storage-2").unwrap(),
        |i| i.server_id = 1,
        |i| i.cluster_name.push('x'),
        |i| i.endpoint.push('x'),
        |i| i.cert_sans.push("x".into()),
        |i| i.node_subnet = "10.0.1.0/24".parse().unwrap(),
        |i| i.pod_cidr = "10.245.0.0/16".parse().unwrap(),
        |i| i.service_cidr = "10.97.0.0/16".parse().unwrap(),
        |i| i.schematic.push('x'),
        |i| i.labels.clear(),
        |i| i.taints.push(NodeTaint { key: "k".into(), value: "v".into(), effect: "e".into() }),
        |i| (i.role, i.schedulable_control_planes) = (MachineRole::ControlPlane, true),
        |i| i.storage = Some(Storage::SystemDisk(10_000_000_000)),
        |i| (i.role, i.trusted_issuer) = (MachineRole::ControlPlane, Some(issuer())),
        |i| i.patches.push(json!({"machine": {"sysctls": {"a": "1"}}})),
    ];
    let mut digests = std::collections::BTreeSet::from([digest.clone()]);
    for change in changes {
        let mut changed = base.clone();
        change(&mut changed);
        digests.insert(config_digest(&changed, &bundle.digest()));
    }
    assert_eq!(digests.len(), 19);
}

#[test]
fn what_is_not_rendered_makes_no_other_digest() {
    let base = inputs(MachineRole::Worker);
    let mut changed = base.clone();
    changed.labels.insert("node-role.kubernetes.io/worker".into(), String::new());
    changed.schedulable_control_planes = true;
    changed.trusted_issuer = Some(issuer());
    assert_eq!(config_digest(&changed, "bundle"), config_digest(&base, "bundle"));
    assert_eq!(rendered(&changed, &plain_bundle()), rendered(&base, &plain_bundle()));
}

/// When this fails because the text has changed for equal inputs, count `renderer_version` up: running machines then
/// count as outdated and get the new text.
#[test]
fn the_renderer_version_stands_for_the_text() {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    for role in [MachineRole::ControlPlane, MachineRole::Worker] {
        for storage in [None, Some(Storage::SystemDisk(40 << 30)), Some(Storage::Volume(100 << 30))] {
            let config = MachineConfigInputs { storage, ..inputs(role) };
            hash.update(render_machine_config(&config, &plain_bundle()).unwrap().expose());
        }
    }
    let text = crate::secrets::short_hex(&hash.finalize());
    assert_eq!(
        (digest::renderer_version(&Version::new(1, 13, 9)), text.as_str()),
        (2, "bf98b57cb965388f9e1827b7f55f8a1c")
    );
}

#[test]
fn the_sign_on_is_believed_by_api_servers_and_its_names_get_a_prefix() {
    let config = MachineConfigInputs { trusted_issuer: Some(issuer()), ..inputs(MachineRole::ControlPlane) };
    let main = &rendered(&config, &plain_bundle())[0];
    let wanted = json!({
        "oidc-issuer-url": "https://sso.example.com/application/o/kubernetes/",
        "oidc-client-id": "kubernetes",
        "oidc-username-claim": "preferred_username",
        "oidc-username-prefix": "oidc:",
        "oidc-groups-claim": "groups",
        "oidc-groups-prefix": "oidc:",
    });
    assert_eq!(main["cluster"]["apiServer"]["extraArgs"], wanted);
    let Some(schema) = reference::talos("v1.13.9/config.schema.json") else { return };
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    assert!(validator.is_valid(main), "{main}");
}

mod patches {
    //! The user's patches.

    use super::*;

    fn problem(role: MachineRole, patch: Value) -> (String, PatchProblem) {
        match patched(role, &[json!({}), patch]) {
            Err(RenderError::Patch(PatchError { index: 1, path, problem })) => (path, problem),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn maps_merge_and_lists_append() {
        let documents = patched(
            MachineRole::ControlPlane,
            &[
                json!({"machine": {"sysctls": {"vm.max_map_count": "262144"}, "certSANs": ["talos.example.com"]}}),
                json!({"machine": {"sysctls": {"net.core.somaxconn": "65535"}}, "debug": true}),
            ],
        )
        .unwrap();
        let main = &documents[0];
        assert_eq!(main["machine"]["sysctls"], json!({"vm.max_map_count": "262144", "net.core.somaxconn": "65535"}));
        assert_eq!(main["machine"]["certSANs"], json!(["203.0.113.10", "10.0.0.5", "talos.example.com"]));
        assert_eq!(main["debug"], true);
        assert_eq!(main["machine"]["type"], "controlplane");
    }

    #[test]
    fn what_talos_replaces_or_merges_by_key_is_so_here() {
        let documents = patched(
            MachineRole::ControlPlane,
            &[json!({"cluster": {"apiServer": {
                "auditPolicy": {"kind": "Policy", "rules": []},
                "admissionControl": [
                    {"name": "PodSecurity", "configuration": {"defaults": {"enforce": "restricted"}}},
                    {"name": "Other"},
                ],
            }}})],
        )
        .unwrap();
        let api_server = &documents[0]["cluster"]["apiServer"];
        assert_eq!(api_server["auditPolicy"], json!({"kind": "Policy", "rules": []}));
        let plugins = api_server["admissionControl"].as_array().unwrap();
        assert_eq!(plugins.len(), 2);
        assert_eq!(plugins[0]["configuration"]["defaults"]["enforce"], "restricted");
        assert_eq!(plugins[0]["configuration"]["defaults"]["warn"], "restricted");
    }

    #[test]
    fn an_empty_value_changes_nothing_but_false_does() {
        let documents = patched(
            MachineRole::Worker,
            &[json!({"machine": {"kubelet": {"disableManifestsDirectory": false, "extraMounts": null}},
                "cluster": {"discovery": {"enabled": false}}})],
        )
        .unwrap();
        assert_eq!(documents[0]["machine"]["kubelet"]["disableManifestsDirectory"], false);
        assert_eq!(documents[0]["machine"]["kubelet"]["extraMounts"].as_array().unwrap().len(), 1);
        assert_eq!(documents[0]["cluster"]["discovery"]["enabled"], false);
    }

    #[test]
    fn documents_are_made_found_and_deleted() {
        let rule = |ports: Value| {
            json!({"apiVersion": "v1alpha1", "kind": "NetworkRuleConfig", "name": "kubelet",
                "portSelector": {"ports": ports, "protocol": "tcp"}})
        };
        let volume = json!({"apiVersion": "v1alpha1", "kind": "UserVolumeConfig", "name": "longhorn",
            "$patch": "delete"});
        let documents = patched(MachineRole::Worker, &[rule(json!([10250])), rule(json!([10255])), volume]).unwrap();
        let kinds: Vec<_> = documents.iter().map(|d| d["kind"].as_str().unwrap_or_default()).collect();
        assert_eq!(kinds, ["", "HostnameConfig", "NetworkRuleConfig"]);
        assert_eq!(documents[2]["portSelector"]["ports"], json!([10255]));
    }

    #[test]
    fn deletions_find_maps_fields_and_items() {
        let delete = json!({"$patch": "delete"});
        let documents = patched(
            MachineRole::ControlPlane,
            &[json!({
                "machine": {"nodeLabels": {"node.kubernetes.io/exclude-from-external-load-balancers": delete}},
                "cluster": {"apiServer": {"admissionControl": [{"name": "PodSecurity", "$patch": "delete"}]}},
            })],
        )
        .unwrap();
        assert_eq!(documents[0]["machine"]["nodeLabels"], json!({}));
        assert_eq!(documents[0]["cluster"]["apiServer"]["admissionControl"], json!([]));
    }

    #[test]
    fn what_helix_owns_is_refused_with_what_to_write_instead() {
        let cases = [
            (json!({"machine": {"type": "controlplane"}}), "machine.type"),
            (json!({"machine": {"ca": {"key": "x"}}}), "machine.ca"),
            (json!({"machine": {"token": {"$patch": "delete"}}}), "machine.token"),
            (json!({"machine": {"$patch": "delete"}}), "machine"),
            (json!({"machine": {"kubelet": {"$patch": "delete"}}}), "machine.kubelet"),
            (json!({"machine": "x"}), "machine"),
            (json!({"machine": {"kubelet": {"extraConfig": {"registerWithTaints": []}}}}), {
                "machine.kubelet.extraConfig.registerWithTaints"
            }),
            (json!({"machine": {"nodeTaints": {"a": "b:NoSchedule"}}}), "machine.nodeTaints"),
            (json!({"machine": {"nodeLabels": {"node-role.kubernetes.io/x": ""}}}), {
                "machine.nodeLabels.node-role.kubernetes.io/x"
            }),
            (json!({"machine": {"nodeAnnotations": {"helix.dev/config": "x"}}}), {
                "machine.nodeAnnotations.helix.dev/config"
            }),
            (json!({"cluster": {"id": "x"}}), "cluster.id"),
            (json!({"cluster": {"etcd": {"ca": {}}}}), "cluster.etcd.ca"),
            (json!({"cluster": {"network": {"cni": {"name": "flannel"}}}}), "cluster.network"),
            (json!({"apiVersion": "v1alpha1", "kind": "HostnameConfig", "hostname": "x"}), "HostnameConfig"),
        ];
        for (patch, at) in cases {
            let (path, problem) = problem(MachineRole::Worker, patch.clone());
            assert_eq!(path, at, "{patch}");
            assert!(matches!(problem, PatchProblem::Owned { .. }), "{patch}: {problem}");
        }
    }

    #[test]
    fn what_is_no_patch_is_refused_with_its_index_and_place() {
        let cases = [
            (json!("machine"), "", PatchProblem::NotAMap),
            (json!({"machin": {}}), "machin", PatchProblem::UnknownField { nearest: Some("machine") }),
            (json!({"machine": {"kubelet": {"extraArg": {}}}}), "machine.kubelet.extraArg", {
                PatchProblem::UnknownField { nearest: Some("extraArgs") }
            }),
            (
                json!({"kind": "NoSuch", "apiVersion": "v1alpha1"}),
                "",
                PatchProblem::UnknownDocument { kind: "NoSuch".into() },
            ),
            (json!({"kind": "OOMConfig"}), "", PatchProblem::UnknownDocument { kind: "OOMConfig".into() }),
            (
                json!({"machine": {"certSANs": "x"}}),
                "machine.certSANs",
                PatchProblem::Mismatch { expected: "a list", actual: "a text" },
            ),
            (json!({"machine": {"udev": {"$patch": "delete"}}}), "machine.udev", PatchProblem::NothingToDelete),
            (json!({"machine": {"udev": {"$patch": "drop"}}}), "machine.udev", PatchProblem::UnknownDirective),
        ];
        for (patch, at, wanted) in cases {
            assert_eq!(problem(MachineRole::ControlPlane, patch.clone()), (at.to_owned(), wanted), "{patch}");
        }
        let error = patched(MachineRole::Worker, &[json!({"machine": {"type": "x"}})]).unwrap_err().to_string();
        assert!(error.starts_with("machineConfigPatches[0] at `machine.type`: Helix owns this field;"), "{error}");
        let patches = [json!({}), json!({"machine": {"kubelet": {"extraArg": {}}}})];
        let error = patched(MachineRole::Worker, &patches).unwrap_err().to_string();
        assert_eq!(
            error,
            "machineConfigPatches[1] at `machine.kubelet.extraArg`: this Talos has no such field; is `extraArgs` meant?"
        );
    }

    #[test]
    fn patches_are_judged_before_there_is_a_machine() {
        let talos = Version::new(1, 13, 9);
        let check = |patch: Value| check_patches(&talos, MachineRole::Worker, None, &[patch]);
        assert_eq!(check(json!({"machine": {"sysctls": {"a": "1"}}})), Ok(()));
        assert_eq!(check(json!({"machine": {"type": "x"}})).unwrap_err().reason(), "PatchTouchesOwnedField");
        assert_eq!(check(json!({"machine": {"install": []}})).unwrap_err().reason(), "PatchTouchesOwnedField");
        assert_eq!(check(json!({"machine": {"certSANs": {}}})).unwrap_err().reason(), "PatchInvalid");
    }

    #[test]
    fn patched_configs_read_as_talos_samples_do() {
        let (Some(schema), Some(bundle)) = (reference::talos("v1.13.9/config.schema.json"), sample_bundle()) else {
            return;
        };
        let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
        let config = MachineConfigInputs {
            patches: vec![json!({"machine": {"kernel": {"modules": [{"name": "nvme_tcp"}]}}})],
            ..inputs(MachineRole::Worker)
        };
        let documents = rendered(&config, &bundle);
        assert_eq!(documents[0]["machine"]["kernel"]["modules"], json!([{"name": "iscsi_tcp"}, {"name": "nvme_tcp"}]));
        for document in documents {
            assert!(validator.is_valid(&document), "{document}");
        }
    }
}
