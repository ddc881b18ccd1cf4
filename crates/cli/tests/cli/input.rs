//! Bad input: each names the field or the place, the reason, and what to write instead.

use crate::{example, helix, helix_with_input, minimal, path};

/// Plans what is on standard input, which must fail and say all of these.
#[track_caller]
fn refused(text: &str, says: &[&str]) {
    let run = helix_with_input(&["plan", "-f", "-"], text);
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
    for expected in says {
        assert!(run.err.contains(expected), "`{expected}` is not in\n{}", run.err);
    }
}

#[test]
fn yaml_errors_show_the_place() {
    let unknown = minimal(&[("controlPlane:", "controlPlane:\n    replicaz: 3")]);
    refused(&unknown, &["unknown field `replicaz`", "replicas", "replicaz: 3"]);
    let wrong_type = minimal(&[("controlPlane:", "controlPlane:\n    replicas: three")]);
    refused(&wrong_type, &["replicas: three"]);
    refused(&minimal(&[("spec:\n", "spec:\n  paused: true\n  paused: false\n")]), &["paused"]);
    refused(&minimal(&[("      tokenSecretRef: {name: hcloud}\n", "")]), &["tokenSecretRef"]);
    refused("spec: [", &["standard input is not a HelixPlatform"]);
}

#[test]
fn what_is_no_platform_is_named() {
    refused("", &["holds nothing", "kind HelixPlatform"]);
    refused("apiVersion: v1\nkind: Secret\nmetadata: {name: hcloud}\n", &["holds Secret of v1"]);
    refused(&minimal(&[("helix.dev/v1alpha1", "helix.dev/v1")]), &["holds HelixPlatform of helix.dev/v1;"]);
    let twice = [minimal(&[]), minimal(&[])].join("---\n");
    refused(&twice, &["more than one HelixPlatform"]);
    let run = helix(&["plan", "-f", "/nonexistent/platform.yaml"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("/nonexistent/platform.yaml cannot be read"), "{}", run.err);
}

#[test]
fn other_documents_are_passed_over_and_lines_still_count() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: hcloud}\n---\n";
    let run = helix_with_input(&["plan", "-f", "-"], &format!("{secret}{}", minimal(&[])));
    assert_eq!(run.code, 2, "{}", run.err);
    let platform =
        "apiVersion: helix.dev/v1alpha1\nkind: HelixPlatform\nmetadata: {name: dev}\nspec: {paused: maybe}\n";
    refused(&format!("{secret}{platform}"), &["line 8"]);
}

#[test]
fn every_field_is_told_at_once_with_its_remedy() {
    let full = example("every-field");
    let run = helix(&["plan", "-f", path(&full)]);
    assert_eq!(run.code, 1);
    for expected in [
        "spec.encryption.disk: disk encryption is not implemented yet; write None",
        "spec.policies:",
        "spec.workerPools[1].autoscale:",
        "spec.workerPools[1].storage.volume:",
    ] {
        assert!(run.err.contains(expected), "`{expected}` is not in\n{}", run.err);
    }
}

#[test]
fn what_cannot_be_had_or_built_is_refused() {
    let replicas = |number: &str| minimal(&[("controlPlane:", &format!("controlPlane:\n    replicas: {number}"))]);
    refused(&replicas("2"), &["spec.controlPlane.replicas", "write 1, 3 or 5"]);
    refused(&minimal(&[("cax11", "cx99")]), &["no server type `cx99`", "cax11"]);
    refused(&minimal(&[("fsn1", "mars1")]), &["no location `mars1`", "fsn1"]);
    let network = |line: &str| minimal(&[("hetzner:\n", &format!("hetzner:\n      network: {line}\n"))]);
    refused(&network("{podCidr: 10.0.128.0/17}"), &["podCidr", "overlaps"]);
    refused(&network("{subnet: 10.0.1.0/30}"), &["subnet", "usable addresses"]);
    let versions = minimal(&[("spec:\n", "spec:\n  versions: {kubernetes: v1.37.0}\n")]);
    refused(&versions, &["spec.versions.kubernetes", "does not run on Talos v1.13.9", "v1.36.x"]);
    refused(&minimal(&[("203.0.113.7/32", "everybody")]), &["apiAllowlist", "everybody"]);
    let vip = minimal(&[("spec:\n", "spec:\n  endpoint: {type: PrivateVip}\n")]);
    refused(&vip, &["spec.endpoint.type", "not implemented yet"]);
}

#[test]
fn a_patch_that_breaks_the_configuration_is_refused() {
    let patch = "    machineConfigPatches:\n      - machine: {type: worker}\n    placements:";
    refused(&minimal(&[("    placements:", patch)]), &["spec.controlPlane.machineConfigPatches"]);
}

/// What only the rules of the API server know is refused here as it would be there.
#[test]
fn admission_rules_hold_for_files_too() {
    let domain = "  securityWeave:\n    ingress:\n      domains:\n        - host: app.example.com\n          service: \
                  {namespace: shop, name: web, port: 80}\n          issuer: letsencrypt\n";
    refused(&minimal(&[("spec:\n", &format!("spec:\n{domain}"))]), &["issuer is letsencrypt", "acme"]);
    let name = "a-name-that-is-longer-than-forty-characters";
    refused(&minimal(&[("name: dev", &format!("name: {name}"))]), &["metadata.name", "40"]);
}
