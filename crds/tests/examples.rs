//! The example platforms parse, mean what they say, and survive a round trip; a mistake is named with its field.

// Helpers of a test fail the way tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use helix_crds::{
    ApprovalMode, Dns, DnsProvider, Encryption, Endpoint, EndpointType, HelixPlatform, Management, PhaseName,
    ProviderSpec, Remediation, Spread, TaintEffect, Upgrade,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

const MINIMAL: &str = include_str!("../../manifests/examples/minimal.yaml");
const EVERY_FIELD: &str = include_str!("../../manifests/examples/every-field.yaml");
const SANDBOX: &str = include_str!("../../manifests/examples/sandbox.yaml");

fn parse(yaml: &str) -> HelixPlatform {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(yaml: &str) -> String {
    match serde_saphyr::from_str::<HelixPlatform>(yaml) {
        Ok(platform) => panic!("was accepted: {platform:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_smallest_platform_has_every_default() {
    let platform = parse(MINIMAL);
    assert_eq!(platform.metadata.name.as_deref(), Some("dev"));
    let spec = platform.spec;
    assert!(!spec.paused);
    assert_eq!(spec.until_phase, PhaseName::AiAgentic);
    assert_eq!(spec.management, Management::External);
    assert_eq!(spec.approval, ApprovalMode::ManualForDestructive);
    assert_eq!((spec.versions.talos.as_str(), spec.versions.kubernetes.as_str()), ("v1.13.9", "v1.36.3"));
    assert_eq!(spec.endpoint, Endpoint { kind: EndpointType::LoadBalancer, public: true, host: None });
    assert_eq!(spec.control_plane.replicas, 3);
    assert_eq!(spec.control_plane.spread, Spread::Location);
    assert!(spec.worker_pools.is_empty());
    assert_eq!(spec.encryption, Encryption::default());
    assert_eq!(spec.dns, Dns { provider: DnsProvider::Manual, zone: None });
    assert_eq!(
        spec.upgrade,
        Upgrade { max_unavailable: IntOrString::Int(1), drain_timeout_seconds: 300, window: None }
    );
    assert_eq!(
        spec.remediation,
        Remediation {
            enabled: true,
            unhealthy_after_seconds: 300,
            max_unhealthy: IntOrString::String("40%".to_owned())
        }
    );

    let ProviderSpec::Hetzner(hetzner) = spec.provider;
    assert_eq!((hetzner.token_secret_ref.name.as_str(), hetzner.token_secret_ref.key.as_str()), ("hcloud", "token"));
    assert_eq!(hetzner.endpoint, "https://api.hetzner.cloud/v1");
    assert_eq!(hetzner.network.cidr, "10.0.0.0/16");
    assert_eq!(hetzner.network.subnet, "10.0.1.0/24");
    assert_eq!(hetzner.network.zone, "eu-central");
    assert_eq!(hetzner.network.pod_cidr, "10.244.0.0/16");
    assert_eq!(hetzner.network.service_cidr, "10.96.0.0/12");
    assert_eq!(hetzner.image.schematic.len(), 64);
    assert_eq!(hetzner.image.snapshot_selector, None);
    assert_eq!(hetzner.cluster_token_secret_ref, None);
}

#[test]
fn an_absent_section_installs_nothing() {
    let spec = parse(MINIMAL).spec;
    assert_eq!(spec.security_weave, None);
    assert_eq!(spec.gitops, None);
    assert_eq!(spec.data, None);
    assert_eq!(spec.ai, None);
    assert_eq!(spec.acme, None);
    assert_eq!(spec.backup, None);
    assert_eq!(spec.supply_chain, None);
    assert!(spec.components.is_empty() && spec.policies.is_empty() && spec.adopt.is_empty());
    assert!(spec.on_delete.retain.is_empty());
}

#[test]
fn the_sandbox_is_three_control_planes_and_two_workers() {
    let spec = parse(SANDBOX).spec;
    assert_eq!(spec.until_phase, PhaseName::ImmutableSubstrate);
    assert_eq!(spec.control_plane.replicas, 3);
    assert_eq!(spec.control_plane.placements.len(), 3);
    let [pool] = spec.worker_pools.as_slice() else { panic!("one pool") };
    assert_eq!((pool.name.as_str(), pool.replicas), ("general", Some(2)));
    assert_eq!(pool.labels["workload"], "general");
    assert_eq!(pool.taints[0].effect, TaintEffect::PreferNoSchedule);
}

/// Nothing in the example with every field is lost or added, whichever way it goes.
#[test]
fn every_field_survives_a_round_trip() {
    let platform = parse(EVERY_FIELD);
    let yaml = serde_saphyr::to_string(&platform).unwrap();
    assert_eq!(parse(&yaml), platform);

    let json = serde_json::to_value(&platform).unwrap();
    assert_eq!(serde_json::from_value::<HelixPlatform>(json.clone()).unwrap(), platform);
    assert_eq!(
        json["spec"]["workerPools"][0]["machineConfigPatches"][0]["machine"]["sysctls"]["vm.max_map_count"],
        "262144"
    );
    assert_eq!(json["spec"]["components"]["traefik"]["values"]["deployment"]["replicas"], 2);
    assert_eq!(json["spec"]["upgrade"]["maxUnavailable"], "25%");
    assert_eq!(json["spec"]["endpoint"]["type"], "LoadBalancer");
    assert_eq!(json["spec"]["supplyChain"]["verify"][0]["keyless"]["identityRegExp"], "^https://github.com/acme/");
}

#[test]
fn an_unknown_field_is_named_with_what_there_is() {
    let message = refusal(&MINIMAL.replace("controlPlane:", "controlPlane:\n    replicaz: 3"));
    assert!(message.contains("unknown field `replicaz`") && message.contains("replicas"), "{message}");

    let message = refusal(&MINIMAL.replace("spec:\n", "spec:\n  ingress: {}\n"));
    assert!(message.contains("unknown field `ingress`") && message.contains("securityWeave"), "{message}");

    let message = refusal(&MINIMAL.replace("hetzner:", "gcp:"));
    assert!(message.contains("gcp") && message.contains("hetzner"), "{message}");
}

#[test]
fn a_wrong_type_is_shown_where_it_stands() {
    let message = refusal(&MINIMAL.replace("controlPlane:", "controlPlane:\n    replicas: three"));
    assert!(message.contains("replicas: three"), "{message}");

    let message = refusal(&MINIMAL.replace("[203.0.113.7/32]", "203.0.113.7/32"));
    assert!(message.contains("apiAllowlist: 203.0.113.7/32"), "{message}");

    let message = refusal(&MINIMAL.replace("spec:\n", "spec:\n  untilPhase: Networking\n"));
    assert!(message.contains("Networking") && message.contains("HardenedCore"), "{message}");
}

#[test]
fn a_missing_field_is_named() {
    let message = refusal(&MINIMAL.replace("      tokenSecretRef: {name: hcloud}\n", ""));
    assert!(message.contains("tokenSecretRef"), "{message}");
}

#[test]
fn a_field_written_twice_is_refused() {
    let message = refusal(&MINIMAL.replace("spec:\n", "spec:\n  paused: true\n  paused: false\n"));
    assert!(message.contains("paused"), "{message}");
}
