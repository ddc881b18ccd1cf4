//! The generated definitions are structural, documented, bounded, and carry the very defaults that the parser has.

// Helpers of a test fail the way tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use helix_crds::{HelixPlatform, crds};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::cel::apply_defaults;
use serde_json::Value;

/// Integer and string formats that an API server knows of those that the types use.
const KNOWN_FORMATS: [&str; 3] = ["int32", "int64", "date-time"];

fn schema_of(crd: &CustomResourceDefinition) -> Value {
    let schema = crd.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    serde_json::to_value(schema.expect("a definition has a schema")).unwrap()
}

/// Every section, each with no more than it requires.
const SECTIONS: &str = r#"
apiVersion: helix.dev/v1alpha1
kind: HelixPlatform
metadata: {name: sections}
spec:
  provider: {hetzner: {tokenSecretRef: {name: hcloud}, apiAllowlist: [203.0.113.7/32]}}
  controlPlane: {placements: [{serverType: cax11, location: fsn1}]}
  workerPools: [{name: general, replicas: 1, placements: [{serverType: cax11, location: fsn1}]}]
  acme: {email: ops@example.com}
  securityWeave:
    defaultDeny: {allow: [{from: {namespace: shop}, to: {namespace: billing}, ports: [{port: 80}]}]}
    netbird: {apiKeySecretRef: {name: netbird}}
    ingress: {domains: [{host: app.example.com, service: {namespace: shop, name: web, port: 80}}]}
    authentik: {host: sso.example.com}
  gitops: {repository: {url: "https://github.com/acme/platform.git"}}
  data: {longhorn: {}, postgres: [{name: main}], redis: [{name: cache}]}
  ai: {ollama: {}, steelBrowser: {}}
  components: {traefik: {}}
  backup:
    etcd:
      schedule: "0 0 * * *"
      s3: {endpoint: "https://s3.example.com", bucket: acme, credentialsSecretRef: {name: s3}}
  supplyChain: {verify: [{match: "*"}]}
  policies: [{name: guardrails, regoConfigMapRef: {name: guardrails}}]
"#;

/// Calls `visit` with the path and schema of every property below `schema`.
fn each_property(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        visit(&path, property);
        each_property(property, &path, visit);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            each_property(&schema[key], &format!("{path}{mark}"), visit);
        }
    }
}

#[test]
fn every_property_is_described() {
    for crd in crds() {
        let schema = schema_of(&crd);
        assert!(schema["description"].as_str().is_some_and(|text| text.len() > 20));
        each_property(&schema, "", &mut |path, property| {
            let description = property["description"].as_str().unwrap_or_default();
            assert!(description.len() > 10, "{path} has no description");
            assert!(!description.contains('\n'), "{path}: the description keeps the source's line breaks");
        });
    }
}

/// The reference page is made of the descriptions: each says what is in force when nothing is written, and an example.
#[test]
fn every_spec_field_has_a_default_and_an_example() {
    for crd in crds() {
        each_property(&schema_of(&crd)["properties"]["spec"], "", &mut |path, property| {
            let description = property["description"].as_str().unwrap_or_default();
            assert!(description.contains("Example: "), "{path} has no example");
            let says_default = description.contains("Default: ");
            assert!(
                says_default || description.contains("Required") || description.contains("Exactly one"),
                "{path} says neither a default nor that it is required"
            );
        });
    }
}

/// An API server refuses rules whose worst case is too dear, and that follows from the bounds.
#[test]
fn lists_and_strings_of_specs_are_bounded() {
    for crd in crds() {
        each_property(&schema_of(&crd)["properties"]["spec"], "", &mut |path, property| {
            let open = property["x-kubernetes-preserve-unknown-fields"] == true;
            match property["type"].as_str() {
                Some("string") if property["enum"].is_null() => assert!(property["maxLength"].is_number(), "{path}"),
                Some("array") => assert!(property["maxItems"].is_number(), "{path}"),
                Some("object") if property["properties"].is_null() && !open => {
                    assert!(property["maxProperties"].is_number(), "{path}");
                }
                _ => {}
            }
        });
    }
}

#[test]
fn schemas_are_structural() {
    for crd in crds() {
        each_property(&schema_of(&crd), "", &mut |path, property| {
            let typed = property["type"].is_string() || property["x-kubernetes-int-or-string"] == true;
            assert!(typed, "{path} has no type");
            assert!(property["nullable"].is_null(), "{path} is nullable");
            for forbidden in ["$ref", "definitions", "dependencies", "deprecated", "patternProperties", "uniqueItems"] {
                assert!(property[forbidden].is_null(), "{path} has {forbidden}");
            }
            if let Some(format) = property["format"].as_str() {
                assert!(KNOWN_FORMATS.contains(&format), "{path} has the format {format}");
            }
        });
    }
}

/// What an API server fills in and what the parser fills in are the same.
#[test]
fn schema_and_parser_have_the_same_defaults() {
    let schema = schema_of(&crds()[0]);
    for text in [include_str!("../../manifests/examples/minimal.yaml"), SECTIONS] {
        let written: Value = serde_saphyr::from_str(text).unwrap();
        let by_server = apply_defaults(&schema, &written);
        let by_parser = serde_json::to_value(serde_saphyr::from_str::<HelixPlatform>(text).unwrap()).unwrap();
        assert_eq!(by_server["spec"], by_parser["spec"]);
    }
}

#[test]
fn names_and_columns_are_as_documented() {
    let expected = [
        ("HelixPlatform", "helixplatforms.helix.dev", "hp", "Phase Machines Talos Kubernetes Cost Age Waiting"),
        ("HelixMachine", "helixmachines.helix.dev", "hm", "Pool Type Location Address Talos Ready Age"),
    ];
    for (crd, (kind, name, short, columns)) in crds().iter().zip(expected) {
        assert_eq!(crd.metadata.name.as_deref(), Some(name));
        assert_eq!(crd.spec.names.kind, kind);
        assert_eq!(crd.spec.scope, "Namespaced");
        assert_eq!(crd.spec.names.short_names, Some(vec![short.to_owned()]));
        assert_eq!(crd.spec.names.categories, Some(vec!["helix".to_owned()]));
        let [version] = crd.spec.versions.as_slice() else { panic!("{kind} has one version") };
        assert!(version.served && version.storage && version.name == "v1alpha1");
        assert!(version.subresources.as_ref().is_some_and(|subresources| subresources.status.is_some()));
        let printed =
            version.additional_printer_columns.iter().flatten().filter(|column| column.priority.unwrap_or(0) == 0);
        assert_eq!(printed.map(|column| column.name.as_str()).collect::<Vec<_>>().join(" "), columns);
    }
}

/// A column whose path points nowhere prints nothing, and nobody notices.
#[test]
fn columns_point_to_fields() {
    for crd in crds() {
        let schema = schema_of(&crd);
        for column in crd.spec.versions[0].additional_printer_columns.iter().flatten() {
            if column.json_path.starts_with(".metadata.") {
                continue;
            }
            let mut paths = Vec::new();
            each_property(&schema, "", &mut |path, _| paths.push(path.to_owned()));
            assert!(paths.contains(&column.json_path), "{} points to {}", column.name, column.json_path);
        }
    }
}
