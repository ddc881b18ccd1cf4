//! Configurations of Talos 1.14 against Talos' own samples and schema, and their patches.

use serde_json::{Value, json};

use super::super::tests::{
    differences, documents, inputs as inputs_1_13, issuer, plain_bundle, rendered, sample_bundle,
};
use super::super::*;
use crate::reference;

fn inputs(role: MachineRole) -> MachineConfigInputs {
    MachineConfigInputs {
        talos_version: Version::new(1, 14, 4),
        kubernetes: KubernetesVersions::all(&Version::new(1, 37, 0)),
        ..inputs_1_13(role)
    }
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|d| d["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

/// Where our configuration differs from the sample, and why.
const EXPECTED_DIFFERENCES: [&str; 8] = [
    // Deprecated, and refused by Talos' own schema.
    "persist: true | null",
    // What Talos assumes anyway.
    "debug: false | null",
    // Helix' own.
    r#"config.providerID: null | "hcloud://4711""#,
    r#"annotations: null | {"helix.dev/config":"#,
    // The sample gave the second address to the Talos API alone.
    r#"certExtraSANs: ["203.0.113.10"] | ["203.0.113.10","10.0.0.5"]"#,
    // Longhorn enters the namespaces of the host's iSCSI daemon.
    "workloadIsolation: true | false",
    // The same volume, told by its size in bytes.
    r#"provisioning.diskSelector.match: "!system_disk && disk.size > 9u * GB" | "!system_disk && disk.size > 9000000000u""#,
    r#"provisioning.minSize: "9GB" | "8583MiB""#,
];

#[test]
fn configs_equal_talos_samples() {
    let Some(bundle) = sample_bundle() else { return };
    let cases = [
        (MachineRole::ControlPlane, "v1.14.0-rc.1/generated/controlplane-hetzner-cilium.yaml"),
        (MachineRole::Worker, "v1.14.0-rc.1/generated/worker-hetzner-cilium.yaml"),
    ];
    for (role, path) in cases {
        let Some(text) = reference::talos(path) else { return };
        let (ours, theirs) = (rendered(&inputs(role), &bundle), documents(&text));
        let mut found = Vec::new();
        assert_eq!(ours.len(), theirs.len(), "{path}");
        for (theirs, ours) in theirs.iter().zip(&ours) {
            differences("", theirs, ours, &mut found);
        }
        let unexpected: Vec<_> =
            found.iter().filter(|d| !EXPECTED_DIFFERENCES.iter().any(|expected| d.starts_with(expected))).collect();
        assert!(unexpected.is_empty(), "{path}: {unexpected:#?}");
        assert!(found.len() >= 5, "{path}: too like the sample to be ours");
    }
}

#[test]
fn configs_pass_talos_schema() {
    let (Some(schema), Some(bundle)) = (reference::talos("v1.14.0-rc.1/config.schema.json"), sample_bundle()) else {
        return;
    };
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let taint = NodeTaint { key: "dedicated".into(), value: String::new(), effect: "NoSchedule".into() };
    for role in [MachineRole::ControlPlane, MachineRole::Worker] {
        for storage in [None, Some(Storage::SystemDisk(40 << 30)), Some(Storage::Volume(100 << 30))] {
            for schedulable_control_planes in [false, true] {
                let taints = vec![taint.clone()];
                let case = MachineConfigInputs { storage, taints, schedulable_control_planes, ..inputs(role) };
                for document in rendered(&case, &bundle) {
                    let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
                    assert!(errors.is_empty(), "{role:?} {storage:?}: {errors:#?}");
                }
            }
        }
    }
}

#[test]
fn a_worker_gets_no_signing_key() {
    let bundle = plain_bundle();
    let text = render_machine_config(&inputs(MachineRole::Worker), &bundle).unwrap();
    let secrets = [
        &bundle.kubernetes_ca.key,
        &bundle.aggregator_ca.key,
        &bundle.service_account_key,
        &bundle.secretbox_encryption_secret,
    ];
    for secret in secrets {
        assert!(!text.expose().contains(secret.expose()));
    }
    assert!(!text.expose().contains("etcd"));
}

#[test]
fn control_planes_alone_take_workloads_and_traffic() {
    let alone = MachineConfigInputs { schedulable_control_planes: true, ..inputs(MachineRole::ControlPlane) };
    let documents = rendered(&alone, &plain_bundle());
    let node = of_kind(&documents, "KubeNodeConfig");
    assert_eq!(node["labels"], json!({"node-role.kubernetes.io/control-plane": ""}));
    assert!(node.get("taints").is_none());
    let documents = rendered(&inputs(MachineRole::ControlPlane), &plain_bundle());
    let taints = &of_kind(&documents, "KubeNodeConfig")["taints"];
    assert_eq!(*taints, json!({"node-role.kubernetes.io/control-plane": "NoSchedule"}));
}

#[test]
fn the_sign_on_is_an_authenticator() {
    let config = MachineConfigInputs { trusted_issuer: Some(issuer()), ..inputs(MachineRole::ControlPlane) };
    let documents = rendered(&config, &plain_bundle());
    let authentication = of_kind(&documents, "KubeAuthenticationConfig");
    let claim = |claim: &str| json!({"claim": claim, "prefix": "oidc:"});
    let wanted = json!([{
        "issuer": {"url": "https://sso.example.com/application/o/kubernetes/", "audiences": ["kubernetes"]},
        "claimMappings": {"username": claim("preferred_username"), "groups": claim("groups")},
    }]);
    assert_eq!(authentication["configuration"]["jwt"], wanted);
    assert_eq!(authentication["configuration"]["anonymous"]["enabled"], true);
    assert!(of_kind(&documents, "KubeAPIServerConfig").get("extraArgs").is_none(), "the API server refuses both");
    let Some(schema) = reference::talos("v1.14.0-rc.1/config.schema.json") else { return };
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    assert!(validator.is_valid(authentication), "{authentication}");
}

#[test]
fn storage_on_the_system_disk_is_kept_out_of_ephemeral() {
    let config = MachineConfigInputs { storage: Some(Storage::SystemDisk(40 << 30)), ..inputs(MachineRole::Worker) };
    let documents = rendered(&config, &plain_bundle());
    let ephemeral = json!({"diskSelector": {"match": "system_disk"}, "maxSize": "-41GiB"});
    assert_eq!(of_kind(&documents, "VolumeConfig")["provisioning"], ephemeral);
    let storage = json!({"diskSelector": {"match": "system_disk"}, "minSize": "40GiB", "maxSize": "40GiB"});
    assert_eq!(of_kind(&documents, "UserVolumeConfig")["provisioning"], storage);
}

#[test]
fn the_annotation_carries_the_digest() {
    let (bundle, inputs) = (plain_bundle(), inputs(MachineRole::Worker));
    let digest = config_digest(&inputs, &bundle.digest());
    let documents = rendered(&inputs, &bundle);
    assert_eq!(of_kind(&documents, "KubeNodeConfig")["annotations"][helix_crds::labels::CONFIG], digest.as_str());
    let older = MachineConfigInputs { talos_version: Version::new(1, 13, 9), ..inputs };
    assert_ne!(config_digest(&older, &bundle.digest()), digest);
}

/// As its namesake for 1.13: count `renderer_version` up when the text changes for equal inputs.
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
        (digest::renderer_version(&Version::new(1, 14, 4)), text.as_str()),
        (2, "abd677284db95c14c72361dd248ae8b2")
    );
}

mod patches {
    //! The user's patches.

    use super::*;

    fn patched(role: MachineRole, patches: &[Value]) -> Result<Vec<Value>, RenderError> {
        let inputs = MachineConfigInputs { patches: patches.to_vec(), ..inputs(role) };
        render_machine_config(&inputs, &plain_bundle()).map(|text| documents(text.expose()))
    }

    fn problem(role: MachineRole, patch: &Value) -> (String, PatchProblem) {
        match patched(role, &[json!({}), patch.clone()]) {
            Err(RenderError::Patch(PatchError { index: 1, path, problem })) => (path, problem),
            other => panic!("{patch}: {other:?}"),
        }
    }

    fn document(kind: &str, body: Value) -> Value {
        let mut document = body;
        document["apiVersion"] = json!("v1alpha1");
        document["kind"] = json!(kind);
        document
    }

    #[test]
    fn documents_and_what_is_left_of_v1alpha1_are_patched() {
        let documents = patched(
            MachineRole::ControlPlane,
            &[
                json!({"machine": {"sysctls": {"vm.max_map_count": "262144"}, "certSANs": ["talos.example.com"]}}),
                document("KubeletConfig", json!({"config": {"maxPods": 200}, "extraArgs": {"v": "4"}})),
                document("KubeNodeConfig", json!({"labels": {"example.com/rack": "r1"}})),
                document("KubeAuditPolicyConfig", json!({"configuration": {"kind": "Policy", "rules": []}})),
                document(
                    "KubeAdmissionControlConfig",
                    json!({"name": "PodSecurity",
                    "configuration": {"defaults": {"enforce": "restricted"}}}),
                ),
                document("SysctlConfig", json!({"params": {"net.core.somaxconn": "65535"}})),
            ],
        )
        .unwrap();
        assert_eq!(documents[0]["machine"]["certSANs"], json!(["203.0.113.10", "10.0.0.5", "talos.example.com"]));
        let kubelet = of_kind(&documents, "KubeletConfig");
        assert_eq!(kubelet["config"], json!({"providerID": "hcloud://4711", "maxPods": 200}));
        assert_eq!(of_kind(&documents, "KubeNodeConfig")["labels"]["example.com/rack"], "r1");
        let audit = &of_kind(&documents, "KubeAuditPolicyConfig")["configuration"];
        assert_eq!(*audit, json!({"kind": "Policy", "rules": []}));
        let admission = &of_kind(&documents, "KubeAdmissionControlConfig")["configuration"]["defaults"];
        assert_eq!((&admission["enforce"], &admission["warn"]), (&json!("restricted"), &json!("restricted")));
        assert_eq!(of_kind(&documents, "SysctlConfig")["params"], json!({"net.core.somaxconn": "65535"}));
    }

    #[test]
    fn what_helix_owns_is_refused() {
        let annotations = json!({"annotations": {"helix.dev/config": "x"}});
        let cases = [
            (json!({"machine": {"type": "controlplane"}}), "machine.type"),
            (json!({"cluster": {"token": "x"}}), "cluster.token"),
            (json!({"cluster": {"network": {"podSubnets": []}}}), "cluster.network"),
            (json!({"machine": {"nodeTaints": {"a": "b"}}}), "machine.nodeTaints"),
            (document("HostnameConfig", json!({"hostname": "x"})), "HostnameConfig"),
            (document("KubeletConfig", json!({"image": "x"})), "KubeletConfig.image"),
            (document("KubeletConfig", json!({"config": {"providerID": "x"}})), "KubeletConfig.config.providerID"),
            (document("KubeletConfig", json!({"config": {"$patch": "delete"}})), "KubeletConfig.config.providerID"),
            (document("KubeletConfig", json!({"$patch": "delete"})), "KubeletConfig"),
            (document("KubeNodeConfig", json!({"nodeIP": {"validSubnets": []}})), "KubeNodeConfig.nodeIP"),
            (document("KubeNodeConfig", annotations), "KubeNodeConfig.annotations.helix.dev/config"),
            (document("KubeNodeConfig", json!({"labels": {"k8s.io/x": ""}})), "KubeNodeConfig.labels.k8s.io/x"),
            (document("KubePrismConfig", json!({"$patch": "delete"})), "KubePrismConfig"),
            (document("DiscoveryIdentityConfig", json!({"clusterID": "x"})), "DiscoveryIdentityConfig"),
        ];
        for (patch, at) in cases {
            let (path, problem) = problem(MachineRole::Worker, &patch);
            assert_eq!(path, at, "{patch}");
            assert!(matches!(problem, PatchProblem::Owned { .. }), "{patch}: {problem}");
        }
    }

    #[test]
    fn a_field_that_moved_names_the_document_to_patch() {
        let (path, problem) = problem(MachineRole::Worker, &json!({"machine": {"kubelet": {"extraArgs": {"v": "4"}}}}));
        assert_eq!(path, "machine.kubelet");
        assert!(problem.to_string().contains("`kind: KubeletConfig` or `KubeNodeConfig`"), "{problem}");
        let mounts = json!({"cluster": {"apiServer": {"extraArgs": {}}}});
        assert!(matches!(problem_of(&mounts), PatchProblem::Moved { .. }));
    }

    fn problem_of(patch: &Value) -> PatchProblem {
        problem(MachineRole::ControlPlane, patch).1
    }

    #[test]
    fn documents_of_control_planes_are_not_for_workers() {
        let scheduler = document("KubeSchedulerConfig", json!({"extraArgs": {"v": "4"}}));
        let found = problem(MachineRole::Worker, &scheduler);
        assert_eq!(found, ("KubeSchedulerConfig".to_owned(), PatchProblem::ControlPlaneOnly));
        assert!(patched(MachineRole::ControlPlane, &[scheduler]).is_ok());
    }

    #[test]
    fn patches_are_judged_by_the_talos_that_is_wanted() {
        let check = |talos: Version, patch: &Value| {
            check_patches(&talos, MachineRole::Worker, None, std::slice::from_ref(patch))
        };
        let new = document("SysctlConfig", json!({"params": {"a": "1"}}));
        assert!(check(Version::new(1, 13, 9), &new).is_err());
        assert_eq!(check(Version::new(1, 14, 4), &new), Ok(()));
        let old = json!({"machine": {"kubelet": {"extraArgs": {"v": "4"}}}});
        assert_eq!(check(Version::new(1, 13, 9), &old), Ok(()));
        assert_eq!(check(Version::new(1, 14, 4), &old).unwrap_err().reason(), "PatchInvalid");
    }
}
