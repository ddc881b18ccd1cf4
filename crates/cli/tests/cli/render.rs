//! `helix render`: what is written, and who may read it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Run, example, helix, path};

fn render(out: &Path, more: &[&str]) -> Run {
    let sandbox = example("sandbox");
    let run = helix(&[&["render", "-f", path(&sandbox), "--out", path(out)], more].concat());
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    run
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// The first document of a machine's configuration.
fn config(out: &Path, machine: &str) -> Value {
    let text = fs::read_to_string(out.join(format!("machines/{machine}.yaml"))).expect("a configuration");
    let first = text.split("\n---\n").next().unwrap_or_default().to_owned();
    serde_saphyr::from_str(&first).expect("YAML")
}

const MACHINES: [&str; 5] = ["sandbox-cp-0", "sandbox-cp-1", "sandbox-cp-2", "sandbox-general-0", "sandbox-general-1"];

/// Where a control plane's configuration has secrets.
const SECRETS: [&str; 9] = [
    "/machine/token",
    "/machine/ca/key",
    "/cluster/id",
    "/cluster/secret",
    "/cluster/token",
    "/cluster/secretboxEncryptionSecret",
    "/cluster/ca/key",
    "/cluster/aggregatorCA/key",
    "/cluster/serviceAccount/key",
];

#[test]
fn every_machine_and_every_resource_has_its_file() {
    let out = TempDir::new().unwrap();
    let run = render(out.path(), &[]);
    assert!(run.out.contains("bundle was made for this and is thrown away"), "{}", run.out);
    assert_eq!(names(&out.path().join("machines")), MACHINES.map(|machine| format!("{machine}.yaml")));
    let resources = names(&out.path().join("resources"));
    for name in ["network-sandbox", "firewall-sandbox", "load-balancer-sandbox-api", "server-sandbox-general-1"] {
        assert!(resources.contains(&format!("{name}.yaml")), "{resources:?}");
    }
    for machine in MACHINES {
        assert_eq!(config(out.path(), machine)["cluster"]["controlPlane"]["endpoint"], "https://192.0.2.1:6443");
    }
}

#[test]
fn network_policies_are_written_where_their_phase_is_asked_for() {
    let out = TempDir::new().unwrap();
    let minimal = example("minimal");
    let run = helix(&["render", "-f", path(&minimal), "--out", path(out.path())]);
    assert_eq!(run.code, 0, "{}", run.err);
    let policies = names(&out.path().join("policies"));
    assert!(policies.contains(&"cluster-helix-default-deny.yaml".to_owned()), "{policies:?}");
    assert!(run.out.contains(&format!("{} network policies", policies.len())), "{}", run.out);
    let sandbox = TempDir::new().unwrap();
    assert!(render(sandbox.path(), &[]).out.contains("0 network policies"));
}

/// A resource at Hetzner, and the order of its fields.
fn resource(out: &Path, name: &str) -> (Value, Vec<String>) {
    let text = fs::read_to_string(out.join(format!("resources/{name}.yaml"))).expect("a resource");
    let fields = text.lines().filter_map(|line| line.split_once(':')).map(|(field, _)| field.to_owned());
    let fields = fields.filter(|field| !field.starts_with([' ', '-'])).collect();
    (serde_saphyr::from_str(&text).expect("YAML"), fields)
}

#[test]
fn resources_name_each_other_in_one_shape_and_order() {
    let (out, again) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    render(out.path(), &[]);
    render(again.path(), &[]);
    let resources = names(&out.path().join("resources"));
    assert_eq!(resources, names(&again.path().join("resources")));
    for file in &resources {
        let read = |out: &TempDir| fs::read_to_string(out.path().join("resources").join(file)).unwrap();
        assert_eq!(read(&out), read(&again), "{file} is another one each time");
        let (value, fields) = resource(out.path(), file.trim_end_matches(".yaml"));
        assert_eq!(fields[..3], ["kind", "name", "labels"], "{file}");
        assert_eq!(value["labels"]["helix.dev/platform"], "sandbox", "{file}");
        assert!(!read(&out).lines().any(|line| line.split(':').next().unwrap().contains('_')), "{file}");
    }

    let (server, fields) = resource(out.path(), "server-sandbox-cp-0");
    assert_eq!(
        fields[3..],
        ["serverType", "location", "image", "network", "firewall", "sshKey", "placementGroup"],
        "{server}"
    );
    let names = ["kind", "name", "network", "firewall", "sshKey"].map(|field| server[field].as_str().unwrap());
    assert_eq!(names, ["Server", "sandbox-cp-0", "sandbox", "sandbox", "sandbox"]);
    assert!(resources.contains(&format!("placement-group-{}.yaml", server["placementGroup"].as_str().unwrap())));
    assert_eq!(server["image"]["labels"]["helix.dev/talos-version"], "v1.13.9");

    let (balancer, _) = resource(out.path(), "load-balancer-sandbox-api");
    assert_eq!(balancer["targets"], serde_json::json!(["sandbox-cp-0", "sandbox-cp-1", "sandbox-cp-2"]));
    assert_eq!((&balancer["network"], &balancer["service"]["listenPort"]), (&"sandbox".into(), &6443.into()));
    assert_eq!(balancer["service"]["healthCheck"]["path"], "/version");
    let (firewall, _) = resource(out.path(), "firewall-sandbox");
    assert!(firewall["inbound"].as_array().unwrap().iter().all(|rule| rule["sources"].is_array()), "{firewall}");
}

#[test]
fn secrets_are_redacted() {
    let out = TempDir::new().unwrap();
    render(out.path(), &[]);
    let config = config(out.path(), "sandbox-cp-0");
    for pointer in SECRETS {
        assert_eq!(config.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")), "<redacted>", "{pointer}");
    }
    for machine in MACHINES {
        let text = fs::read_to_string(out.path().join(format!("machines/{machine}.yaml"))).unwrap();
        // `LS0tLS1CRUdJTiBFQyBQUklWQVRF` and the like: a private key in base64.
        assert!(!text.contains("PRIVATE KEY") && !text.contains("UFJJVkFURS"), "{machine} holds a key");
    }
}

#[test]
fn shown_secrets_are_for_their_owner_alone() {
    let out = TempDir::new().unwrap();
    // Files that anybody may read lie there already.
    render(out.path(), &[]);
    let run = render(out.path(), &["--show-secrets"]);
    assert!(run.out.contains("good for nothing"), "{}", run.out);
    let config = config(out.path(), "sandbox-cp-0");
    for pointer in SECRETS {
        assert_ne!(config.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")), "<redacted>", "{pointer}");
    }
    for machine in MACHINES {
        let file = out.path().join(format!("machines/{machine}.yaml"));
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{machine}");
    }
    assert_eq!(names(&out.path().join("machines")).len(), MACHINES.len(), "nothing unfinished is left");
}

#[test]
fn a_place_that_cannot_be_written_to_is_named() {
    let out = TempDir::new().unwrap();
    let file = out.path().join("file");
    fs::write(&file, "").unwrap();
    let sandbox = example("sandbox");
    let run = helix(&["render", "-f", path(&sandbox), "--out", path(&file)]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("cannot be written"), "{}", run.err);
}
