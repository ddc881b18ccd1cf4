//! What is refused, with what words; one change to a good specification each.

use helix_crds::{HelixPlatform, HelixPlatformSpec, ProviderSpec};

use super::*;
use crate::catalogue::dated_table;

fn sandbox() -> HelixPlatform {
    let text = include_str!("../../../../manifests/examples/sandbox.yaml");
    serde_saphyr::from_str(text).expect("the example parses")
}

fn now() -> Timestamp {
    "2026-11-21T00:00:00Z".parse().expect("a time")
}

fn validate(change: impl FnOnce(&mut HelixPlatformSpec)) -> Result<ValidatedPlatform, Rejections> {
    let mut platform = sandbox();
    change(&mut platform.spec);
    ValidatedPlatform::new(&platform, &dated_table(), now())
}

/// The field and the remedy of the only rejection.
fn refused(change: impl FnOnce(&mut HelixPlatformSpec)) -> (String, String) {
    let rejections = validate(change).expect_err("it is refused");
    let [rejection] = rejections.as_slice() else { panic!("one rejection expected, found:\n{rejections}") };
    assert!(!rejection.problem.is_empty());
    (rejection.field.clone(), rejection.remedy.clone())
}

fn network(spec: &mut HelixPlatformSpec) -> &mut helix_crds::HetznerNetwork {
    let ProviderSpec::Hetzner(hetzner) = &mut spec.provider;
    &mut hetzner.network
}

#[test]
fn the_example_is_accepted() {
    let platform = validate(|_| {}).expect("the example is good");
    assert_eq!(platform.machines(), 5);
    assert!(!platform.schedulable_control_planes());
}

#[test]
fn even_control_planes_are_refused() {
    for replicas in [0, 2, 4, 6, 7] {
        let (field, remedy) = refused(|spec| spec.control_plane.replicas = replicas);
        assert_eq!((field.as_str(), remedy.as_str()), ("spec.controlPlane.replicas", "write 1, 3 or 5"));
    }
}

#[test]
fn ranges_that_overlap_or_are_no_ranges_are_refused() {
    let field = |change: fn(&mut helix_crds::HetznerNetwork)| refused(|spec| change(network(spec))).0;
    let at = |name: &str| format!("spec.provider.hetzner.network.{name}");
    assert_eq!(field(|n| n.pod_cidr = "10.0.128.0/17".into()), at("podCidr"));
    assert_eq!(field(|n| n.service_cidr = "10.244.0.0/16".into()), at("serviceCidr"));
    assert_eq!(field(|n| n.subnet = "10.9.0.0/24".into()), at("subnet"));
    assert_eq!(field(|n| n.subnet = "10.0.1.5/24".into()), at("subnet"));
    assert_eq!(field(|n| n.cidr = "ten".into()), at("cidr"));
    assert_eq!(field(|n| n.subnet = "10.0.1.0/30".into()), at("subnet"));
    assert_eq!(field(|n| n.pod_cidr = "10.244.0.0/22".into()), at("podCidr"));
    assert_eq!(field(|n| n.zone = "mars".into()), at("zone"));
}

#[test]
fn a_public_range_is_no_private_network() {
    let rejections = validate(|spec| {
        network(spec).cidr = "8.8.0.0/16".into();
        network(spec).subnet = "8.8.1.0/24".into();
    });
    let told = rejections.expect_err("it is refused").to_string();
    assert!(told.contains("8.8.0.0/16 is not a private range; write a range within 10.0.0.0/8"), "{told}");
}

#[test]
fn types_and_locations_that_hetzner_does_not_have_are_refused() {
    let (field, remedy) = refused(|spec| spec.control_plane.placements[0].server_type = "cx99".into());
    assert_eq!(field, "spec.controlPlane.placements[0].serverType");
    assert!(remedy.contains("cx33"), "{remedy}");
    let (field, remedy) = refused(|spec| spec.worker_pools[0].placements[0].location = "atlantis1".into());
    assert_eq!(field, "spec.workerPools[0].placements[0].location");
    assert!(remedy.contains("fsn1"), "{remedy}");
}

#[test]
fn a_retired_type_is_passed_over_and_not_refused() {
    let mut catalogue = dated_table();
    let offer = catalogue.server_types.get_mut("cx33").and_then(|found| found.offers.get_mut("fsn1"));
    offer.expect("it is sold").unavailable_after = Some("2026-10-01T00:00:00Z".parse().expect("a time"));
    let platform = ValidatedPlatform::new(&sandbox(), &catalogue, now()).expect("the platform goes on");
    let closed = platform.pools().flat_map(|pool| &pool.placements).filter(|p| p.location == "fsn1");
    assert!(closed.map(|placement| placement.closed).all(|closed| closed == Some(Closed::Retired)));
}

#[test]
fn a_placement_above_the_ceiling_is_not_taken() {
    let platform = validate(|spec| spec.worker_pools[0].max_monthly_price = Some("1.00".into())).expect("it is valid");
    assert!(platform.workers[0].placements.iter().all(|placement| placement.closed == Some(Closed::TooDear)));
}

#[test]
fn limits_of_hetzner_are_met_early() {
    let (field, remedy) = refused(|spec| spec.worker_pools[0].replicas = Some(97));
    assert_eq!(field, "spec.workerPools");
    assert!(remedy.contains("second platform"), "{remedy}");
    assert!(validate(|spec| spec.worker_pools[0].replicas = Some(96)).is_ok());
}

#[test]
fn pools_and_labels_that_no_node_can_have_are_refused() {
    assert_eq!(refused(|spec| spec.worker_pools[0].name = "cp".into()).0, "spec.workerPools[0].name");
    assert_eq!(refused(|spec| spec.worker_pools[0].name = "my-pool".into()).0, "spec.workerPools[0].name");
    let twice = |spec: &mut HelixPlatformSpec| spec.worker_pools.push(spec.worker_pools[0].clone());
    assert_eq!(refused(twice).0, "spec.workerPools[1].name");
    let label = |spec: &mut HelixPlatformSpec| {
        spec.worker_pools[0].labels.insert("a".into(), "-b-".into());
    };
    assert_eq!(refused(label).0, "spec.workerPools[0].labels[a]");
}

#[test]
fn what_is_not_built_says_so() {
    let rejections = validate(|spec| spec.endpoint.kind = EndpointType::PrivateVip).expect_err("it is not built");
    assert_eq!(rejections.reason(), "NotImplemented");
    let rejections = validate(|spec| spec.encryption.disk = DiskEncryption::NodeId).expect_err("it is not built");
    assert_eq!(rejections.reason(), "NotImplemented");
    let chain = serde_json::from_str(r#"{"verify": [{"match": "*", "policy": "Warn"}]}"#).expect("rules");
    let rejections = validate(|spec| spec.supply_chain = Some(chain)).expect_err("it is not built");
    assert_eq!(rejections.reason(), "NotImplemented", "a rule without effect would be believed");
}

#[test]
fn what_would_be_passed_over_in_silence_is_refused() {
    let (field, _) = refused(|spec| spec.management = Management::SelfManaged);
    assert_eq!(field, "spec.management");
}

#[test]
fn a_snapshot_selector_is_read_or_refused() {
    let select = |text: &str| {
        validate(|spec| {
            let ProviderSpec::Hetzner(hetzner) = &mut spec.provider;
            hetzner.image.snapshot_selector = Some(text.to_owned());
        })
    };
    let labels = select("team=a, tested,b==c").expect("it is good").snapshot_labels;
    let label = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    assert_eq!(labels, [label("team", Some("a")), label("tested", None), label("b", Some("c"))]);
    for wrong in ["!tested", "team!=a", "team in (a,b)"] {
        assert!(select(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_patch_that_breaks_the_configuration_is_refused() {
    let patch = |text: &str| serde_json::from_str::<serde_json::Map<_, _>>(text).expect("an object");
    let owned = patch(r#"{"machine": {"token": "mine"}}"#);
    let (field, _) = refused(|spec| spec.control_plane.machine_config_patches = vec![owned]);
    assert_eq!(field, "spec.controlPlane.machineConfigPatches");
    let unknown = patch(r#"{"machine": {"imagination": 1}}"#);
    let (field, _) = refused(|spec| spec.worker_pools[0].machine_config_patches = vec![unknown]);
    assert_eq!(field, "spec.workerPools[0].machineConfigPatches");
}

#[test]
fn every_problem_is_told_at_once() {
    let rejections = validate(|spec| {
        spec.control_plane.replicas = 2;
        spec.versions.kubernetes = "v1.40.0".into();
        network(spec).subnet = "nowhere".into();
    });
    assert_eq!(rejections.expect_err("it is refused").as_slice().len(), 3);
}

fn backed_up(spec: &mut HelixPlatformSpec, change: impl FnOnce(&mut helix_crds::Backup)) {
    let mut backup = helix_crds::Backup {
        schedule: "*/30 * * * *".to_owned(),
        retention: "7d".to_owned(),
        s3: helix_crds::S3Target {
            endpoint: "https://fsn1.your-objectstorage.com".to_owned(),
            bucket: "acme-backups".to_owned(),
            region: None,
            prefix: None,
            credentials_secret_ref: helix_crds::SecretRef { name: "backup-s3".to_owned() },
        },
    };
    change(&mut backup);
    spec.backup = Some(helix_crds::Backups { etcd: Some(backup) });
}

#[test]
fn backups_that_could_not_be_made_are_refused() {
    assert!(validate(|spec| backed_up(spec, |_| {})).is_ok());
    type Change = fn(&mut helix_crds::Backup);
    let wrong: [(&str, Change); 6] = [
        ("schedule", |backup| backup.schedule = "0 0 30 2 *".to_owned()),
        ("retention", |backup| backup.retention = "forever".to_owned()),
        ("retention", |backup| backup.schedule = "* * * * *".to_owned()),
        ("s3.endpoint", |backup| backup.s3.endpoint = "https://id:key@objects.example.com".to_owned()),
        ("s3.bucket", |backup| backup.s3.bucket = "Acme_Backups".to_owned()),
        ("s3.prefix", |backup| backup.s3.prefix = Some("../others".to_owned())),
    ];
    for (field, change) in wrong {
        let (refused, _) = refused(|spec| backed_up(spec, change));
        assert_eq!(refused, format!("spec.backup.etcd.{field}"));
    }
}
