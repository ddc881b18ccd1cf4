//! Every admission rule refuses a bad resource with the remedy in its message, and lets a good one pass.
//!
//! The rules are evaluated here without an API server; that one accepts them is shown by the end-to-end tests.

// Helpers of a test fail the way tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;

use cases::{CREATIONS, Case, UPDATES};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use serde_json::Value;
use std::collections::BTreeSet;

fn schema_of(crd: &CustomResourceDefinition) -> Value {
    let schema = crd.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    serde_json::to_value(schema.expect("a definition has a schema")).unwrap()
}

fn platform_schema() -> Value {
    schema_of(&helix_crds::crds()[0])
}

fn machine_schema() -> Value {
    schema_of(&helix_crds::crds()[1])
}

fn full_platform() -> Value {
    serde_saphyr::from_str(include_str!("../../../manifests/examples/every-field.yaml")).unwrap()
}

/// The example with every field and the cases' changes: JSON pointers, of which the last part may be new; `null` removes.
fn changed(case: &Case) -> Value {
    let mut platform = full_platform();
    for (pointer, json) in case.changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let value: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{pointer}: {json}: {error}"));
        let parent = platform.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer} has no parent"));
        if let Some(items) = parent.as_array_mut() {
            items[key.parse::<usize>().unwrap()] = value;
            continue;
        }
        let fields = parent.as_object_mut().unwrap_or_else(|| panic!("{pointer}: parent has no fields"));
        if value.is_null() {
            assert!(fields.remove(key).is_some(), "{pointer} is absent");
        } else {
            fields.insert(key.to_owned(), value);
        }
    }
    platform
}

fn refusals(rules: &CompiledSchema, new: &Value, old: Option<&Value>) -> Vec<(String, String)> {
    match Validator::new().validate_compiled(rules, new, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_vec().into_iter().map(|error| (error.field_path, error.message)).collect(),
    }
}

#[track_caller]
fn assert_refused(rules: &CompiledSchema, case: &Case, old: Option<&Value>) {
    let refusals = refusals(rules, &changed(case), old);
    assert!(
        refusals.iter().any(|(path, message)| path == case.field && message.contains(case.says)),
        "{:?} should be refused at `{}` with `{}`, but: {refusals:#?}",
        case.changes,
        case.field,
        case.says
    );
}

#[test]
fn the_examples_pass() {
    let rules = compile_schema(&platform_schema());
    for text in [
        include_str!("../../../manifests/examples/every-field.yaml"),
        include_str!("../../../manifests/examples/full.yaml"),
        include_str!("../../../manifests/examples/minimal.yaml"),
        include_str!("../../../manifests/examples/sandbox.yaml"),
    ] {
        let platform: helix_crds::HelixPlatform = serde_saphyr::from_str(text).unwrap();
        let platform = serde_json::to_value(platform).unwrap();
        assert_eq!(refusals(&rules, &platform, Some(&platform)), []);
    }
}

#[test]
fn a_bad_platform_is_refused_with_the_remedy() {
    let rules = compile_schema(&platform_schema());
    for case in CREATIONS {
        assert_refused(&rules, case, None);
    }
}

#[test]
fn a_forbidden_change_is_refused_with_the_remedy() {
    let (rules, old) = (compile_schema(&platform_schema()), full_platform());
    for case in UPDATES {
        assert_refused(&rules, case, Some(&old));
    }
}

#[test]
fn what_may_change_can_be_changed() {
    let (rules, old) = (compile_schema(&platform_schema()), full_platform());
    let changes: &[&[(&str, &str)]] = &[
        &[("/spec/controlPlane/replicas", "5")],
        &[("/spec/provider/hetzner/apiAllowlist", r#"["2001:db8::/32", "0.0.0.0/0"]"#)],
        &[("/spec/endpoint/public", "false")],
        &[("/spec/versions/talos", r#""v1.14.4""#)],
        &[("/spec/workerPools", "[]")],
        &[("/spec/workerPools/0/storage", r#"{"volume": "1Ti"}"#)],
        &[("/spec/workerPools/0/replicas", "null"), ("/spec/workerPools/0/autoscale", r#"{"min": 3, "max": 3}"#)],
        &[("/spec/upgrade/maxUnavailable", "2"), ("/spec/remediation/maxUnhealthy", "0")],
        &[("/spec/upgrade/window", r#""Daily 23:00-01:30 UTC""#)],
        &[("/spec/acme", "null"), ("/spec/securityWeave/ingress/domains/0/issuer", r#""internal-ca""#)],
        &[("/spec/acme", "null"), ("/spec/securityWeave", "null")],
    ];
    for changes in changes {
        let new = changed(&Case { changes, field: "", says: "" });
        assert_eq!(refusals(&rules, &new, Some(&old)), [], "{changes:?}");
    }
}

#[test]
fn a_machine_keeps_its_identity() {
    let rules = compile_schema(&machine_schema());
    let machine = |slot: u32| serde_json::json!({"spec": {"platform": "dev", "pool": "cp", "slot": slot}});
    assert_eq!(refusals(&rules, &machine(0), Some(&machine(0))), []);
    let refusals = refusals(&rules, &machine(1), Some(&machine(0)));
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].1.contains("change the pool in the HelixPlatform instead"));
}

/// A rule that no case breaks could as well be missing.
#[test]
fn every_rule_has_a_case() {
    let mut rules = BTreeSet::new();
    collect_rules(&platform_schema(), "", &mut rules);
    assert!(rules.len() > 50, "found only {} rules", rules.len());
    for case in CREATIONS.iter().chain(UPDATES) {
        let field = without_indices(case.field);
        rules.retain(|(path, message)| !(*path == field && message.contains(case.says)));
    }
    assert!(rules.is_empty(), "rules without a case: {rules:#?}");
}

fn collect_rules(schema: &Value, path: &str, rules: &mut BTreeSet<(String, String)>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let message = rule["message"].as_str().unwrap_or_else(|| panic!("a rule of `{path}` has no message: {rule}"));
        let at = format!("{path}{}", rule["fieldPath"].as_str().unwrap_or_default());
        rules.insert((at, message.to_owned()));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect_rules(property, &path, rules);
    }
    if schema["items"].is_object() {
        collect_rules(&schema["items"], &format!("{path}[]"), rules);
    }
}

/// `spec.workerPools[0].name` as `spec.workerPools[].name`.
fn without_indices(field: &str) -> String {
    let digits = |character: char| character.is_ascii_digit();
    field.split('[').map(|part| part.trim_start_matches(digits)).collect::<Vec<_>>().join("[")
}
