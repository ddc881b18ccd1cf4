//! The full example's life: all six phases, what Argo CD shows beside what `helix render --gitops` writes, a change by hand
//! put right, no secret in the repository, and nothing left in the end. One test, because each stage needs the one before.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::{Cluster, NAMESPACE, Sandbox, badges, until};

/// The full example.
const NAME: &str = "prod";

/// Where its repository is, and where in it Helix writes.
const REPOSITORY: &str = "repositories/github.com/acme/platform.git";
const TREE: &str = "clusters/prod";

/// As long as a stage may take where other tests run beside it on a small machine.
const LONGEST: Duration = Duration::from_secs(240);

#[test]
fn the_full_example_lives_through_all_phases() {
    let example = format!("{}/../manifests/examples/full.yaml", env!("CARGO_MANIFEST_DIR"));
    let with_prometheus = badges::arguments();
    let mut arguments = vec!["--platform", &example, "--timeout=900"];
    arguments.extend(&with_prometheus);
    let sandbox = Sandbox::up(&arguments);
    has_all_phases(&sandbox);
    if !with_prometheus.is_empty() {
        badges::tell_that_all_is_well(&sandbox);
        badges::change_with_their_causes(&sandbox, NAME);
    }
    let tree = clone_of(&sandbox);
    is_the_tree_that_is_rendered(&sandbox, &tree);
    has_applications(&sandbox, &tree);
    shows_no_secret(&sandbox, &tree);
    puts_right_what_a_hand_has_changed(&sandbox);
    leaves_nothing(&sandbox);
}

fn has_all_phases(sandbox: &Sandbox) {
    let platform = sandbox.platform(NAME).unwrap();
    let phases = platform["status"]["phases"].as_array().unwrap();
    let ready: Vec<_> = phases.iter().filter(|phase| phase["state"] == "Ready").map(|it| &it["name"]).collect();
    assert_eq!(
        ready,
        ["HardenedCore", "ImmutableSubstrate", "SecurityWeave", "GitOpsControlPlane", "StateAndDataHa", "AiAgentic"]
    );
    for phase in phases {
        assert!(!phase["evidence"].as_array().unwrap().is_empty(), "Ready without evidence: {phase}");
    }
}

/// What is in the repository.
fn clone_of(sandbox: &Sandbox) -> PathBuf {
    let clone = sandbox.root().join("clone");
    let mut git = Command::new("git");
    git.args(["clone", "--quiet"]).arg(sandbox.root().join(REPOSITORY)).arg(&clone);
    let output = git.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    clone.join(TREE)
}

fn is_the_tree_that_is_rendered(sandbox: &Sandbox, tree: &Path) {
    let platform = sandbox.platform(NAME).unwrap();
    let document = json!({"apiVersion": platform["apiVersion"], "kind": platform["kind"],
        "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": platform["metadata"]["uid"]},
        "spec": platform["spec"]});
    let file = sandbox.root().join("platform.json");
    fs::write(&file, document.to_string()).unwrap();
    let control: Value = serde_json::from_str(&sandbox.read("control.json")).unwrap();
    let mirror = format!("*={}", control["charts"].as_str().unwrap());
    let rendered = sandbox.root().join("rendered");
    let helm = std::env::var("HELIX_HELM").unwrap();
    let (code, _, error) = sandbox.helix(&[
        "render",
        "-f",
        file.to_str().unwrap(),
        "--gitops",
        rendered.to_str().unwrap(),
        "--mirror",
        &mirror,
        "--helm",
        &helm,
    ]);
    assert_eq!(code, 0, "{error}");
    let (published, rendered) = (files(tree), files(&rendered));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&published), names(&rendered));
    for (path, content) in &rendered {
        assert!(published[path] == *content, "{} is not what is published", path.display());
    }
}

/// Every file below a directory, by its path within.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.strip_prefix(directory).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// `kubectl get applications -A`: those of the tree and the root, each with a word of how it stands.
fn has_applications(sandbox: &Sandbox, tree: &Path) {
    let mut written: BTreeSet<String> = BTreeSet::new();
    let mut automated: BTreeSet<String> = BTreeSet::new();
    for content in files(&tree.join("applications")).into_values() {
        let application: Value = serde_saphyr::from_str(std::str::from_utf8(&content).unwrap()).unwrap();
        let name = application["metadata"]["name"].as_str().unwrap().to_owned();
        if application.pointer("/spec/syncPolicy/automated").is_some() {
            automated.insert(name.clone());
        }
        written.insert(name);
    }
    assert!(written.len() > 10 && !automated.is_empty(), "{written:?}, of which {automated:?}");
    // A platform is Ready by its own look at the objects; Argo CD comes round to them at its own pace.
    until("every Application is there, and those that sync by themselves are synced and healthy", LONGEST, || {
        let list = sandbox.try_get(Cluster::Workload, &["applications", "--all-namespaces"])?;
        let stands = |application: &Value| {
            let status = |of: &str| application["status"][of]["status"].as_str().unwrap_or("Unknown").to_owned();
            (application["metadata"]["name"].as_str().unwrap().to_owned(), (status("sync"), status("health")))
        };
        let there: BTreeMap<_, _> = list["items"].as_array().unwrap().iter().map(stands).collect();
        let awaited = |name: &&String| match there.get(*name) {
            None => true,
            Some((sync, health)) => automated.contains(*name) && (sync != "Synced" || health != "Healthy"),
        };
        let awaited: Vec<_> = written.iter().filter(awaited).map(|name| (name, there.get(name))).collect();
        if awaited.is_empty() { Ok(()) } else { Err(format!("{awaited:?}")) }
    });
}

/// No value of any Secret that Helix has put into the cluster is in the repository, in the platform or in its events.
fn shows_no_secret(sandbox: &Sandbox, tree: &Path) {
    let list = sandbox.get(Cluster::Workload, &["secrets", "--all-namespaces", "--selector=helix.dev/component"]);
    let data = list["items"].as_array().unwrap().iter().filter_map(|secret| secret["data"].as_object());
    let values = data.flat_map(|data| data.values()).map(|value| STANDARD.decode(value.as_str().unwrap()).unwrap());
    // Shorter ones are names and numbers, and certificates are shown to whoever asks.
    let secret = |value: &String| value.len() >= 16 && !value.contains("CERTIFICATE") && !value.contains("://");
    let values: Vec<String> = values.filter_map(|it| String::from_utf8(it).ok()).filter(secret).collect();
    assert!(values.len() > 5, "{} values", values.len());
    let namespace = format!("--namespace={NAMESPACE}");
    let mut places: BTreeMap<String, String> = files(tree)
        .into_iter()
        .map(|(path, content)| (path.display().to_string(), String::from_utf8_lossy(&content).into_owned()))
        .collect();
    let shown = sandbox.get(Cluster::Management, &["hp,hm,events", &namespace]).to_string();
    places.insert("what the API server shows".to_owned(), shown);
    places.insert("the operator's log".to_owned(), sandbox.read("logs/helix-operator.log"));
    for (place, text) in places {
        assert!(!values.iter().any(|value| text.contains(value.as_str())), "a secret in {place}");
    }
}

fn puts_right_what_a_hand_has_changed(sandbox: &Sandbox) {
    let replicas = || {
        let deployment = sandbox.try_get(Cluster::Workload, &["deployment", "traefik", "--namespace=traefik"])?;
        deployment["spec"]["replicas"].as_i64().ok_or_else(|| deployment["spec"].to_string())
    };
    let wanted = replicas().unwrap();
    sandbox.run(Cluster::Workload, &["scale", "deployment", "traefik", "--namespace=traefik", "--replicas=0"]).unwrap();
    // Else it would be seen with the next sweep, ten minutes later.
    let namespace = format!("--namespace={NAMESPACE}");
    sandbox.run(Cluster::Management, &["annotate", "hp", NAME, &namespace, "example.com/look=now"]).unwrap();
    until("its replicas are what they were", LONGEST, || match replicas()? {
        found if found == wanted => Ok(()),
        found => Err(format!("{found} replicas instead of {wanted}")),
    });
    sandbox.until_ready(NAME, LONGEST);
}

fn leaves_nothing(sandbox: &Sandbox) {
    let namespace = format!("--namespace={NAMESPACE}");
    sandbox.delete(NAME);
    // Controllers of the cluster have five minutes for what they have made; then Helix deletes it.
    sandbox.until_gone(NAME, 2 * LONGEST, &[]);
    assert_eq!(sandbox.names(&["hm", &namespace]), Vec::<String>::new());
}
