//! One long life of the sandbox: up, used in every way that it offers, a machine lost and found, the platform deleted,
//! down. One test, because each of its stages needs what the one before has made.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use age::secrecy::ExposeSecret;
use serde_json::{Value, json};
use support::{Cluster, KINDS, NAMESPACE, Sandbox, until};

/// The example platform.
const NAME: &str = "sandbox";

/// As long as a stage may take where other tests run beside it on a small machine.
const LONGEST: Duration = Duration::from_secs(240);

#[test]
fn a_sandbox_lives_from_up_to_down() {
    let sandbox = Sandbox::up(&["--timeout=400"]);
    says_how_to_look_around(&sandbox);
    is_not_started_twice(&sandbox);
    has_its_nodes(&sandbox);
    has_three_voters(&sandbox);
    shows_no_secret(&sandbox);
    tells_what_a_change_would_do(&sandbox);
    survives_the_loss_of_its_secrets(&sandbox);
    survives_a_control_plane(&sandbox);
    is_deleted_with_a_receipt(&sandbox);
    leaves_nothing_running(&sandbox);
}

fn says_how_to_look_around(sandbox: &Sandbox) {
    for word in ["management.kubeconfig", "workload.kubeconfig", "talosconfig", "hetzner.env", "sandbox down --dir"] {
        assert!(sandbox.said.contains(word), "{word} in {}", sandbox.said);
    }
    for file in ["management.kubeconfig", "workload.kubeconfig", "talosconfig", "hetzner.env", "control.json"] {
        let mode = fs::metadata(sandbox.root().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert!(sandbox.hetzner_env()["HCLOUD_ENDPOINT"].ends_with("/v1"));
}

fn is_not_started_twice(sandbox: &Sandbox) {
    let second = sandbox.xtask(&[]);
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("sandbox down --dir"), "{said}");
}

fn has_its_nodes(sandbox: &Sandbox) {
    let servers = sandbox.servers();
    let nodes = sandbox.get(Cluster::Workload, &["nodes"])["items"].as_array().unwrap().clone();
    let names: BTreeSet<_> = nodes.iter().map(|node| node["metadata"]["name"].as_str().unwrap()).collect();
    let wanted = ["cp-0", "cp-1", "cp-2", "general-0", "general-1"].map(|machine| format!("{NAME}-{machine}"));
    assert_eq!(names, wanted.iter().map(String::as_str).collect());
    assert_eq!(names, servers.keys().map(String::as_str).collect());
    for node in &nodes {
        let name = node["metadata"]["name"].as_str().unwrap();
        assert_eq!(node["spec"]["providerID"], format!("hcloud://{}", servers[name]["id"]), "{name}");
        let labels = &node["metadata"]["labels"];
        let taints = taints(node);
        // No network plugin yet, and no cloud controller manager.
        assert_ne!(condition(node, "Ready"), "True", "{name}");
        assert!(
            taints.contains("node.cloudprovider.kubernetes.io/uninitialized=true:NoSchedule"),
            "{name}: {taints:?}"
        );
        let is_control_plane = name.contains("-cp-");
        assert_eq!(labels["node-role.kubernetes.io/control-plane"].is_string(), is_control_plane, "{name}: {labels}");
        let control_plane_taint = taints.contains("node-role.kubernetes.io/control-plane=:NoSchedule");
        assert_eq!(control_plane_taint, is_control_plane, "{name}: {taints:?}");
        let pool_label = if is_control_plane { Value::Null } else { json!("general") };
        assert_eq!(labels["workload"], pool_label, "{name}");
        let pool_taint = taints.contains("example.com/dedicated=general:PreferNoSchedule");
        assert_eq!(pool_taint, !is_control_plane, "{name}: {taints:?}");
    }
}

fn taints(node: &Value) -> BTreeSet<String> {
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    taints
        .map(|taint| format!("{}={}:{}", text(&taint["key"]), text(&taint["value"]), text(&taint["effect"])))
        .collect()
}

fn condition(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let found = conditions.into_iter().find(|condition| condition["type"] == kind);
    found.map_or(Value::Null, |condition| condition["status"].clone())
}

fn has_three_voters(sandbox: &Sandbox) {
    until("etcd has three voters", LONGEST, || {
        let members = sandbox.etcd_members()?;
        let voters: BTreeSet<_> =
            members.iter().filter(|member| !member.learner).map(|member| member.hostname.clone()).collect();
        let wanted = ["cp-0", "cp-1", "cp-2"].map(|machine| format!("{NAME}-{machine}"));
        if members.len() == 3 && voters == BTreeSet::from(wanted) { Ok(()) } else { Err(format!("{members:?}")) }
    });
}

/// The token and the bundle are looked for where people look: arguments, logs, objects and events.
fn shows_no_secret(sandbox: &Sandbox) {
    let namespace = format!("--namespace={NAMESPACE}");
    let bundle = sandbox.get(Cluster::Management, &["secret", "sandbox-secrets", &namespace]);
    let mut secrets = vec![sandbox.hetzner_env()["HCLOUD_TOKEN"].clone()];
    secrets.extend(bundle_secrets(&bundle));
    assert!(secrets.len() > 5, "the bundle has keys and tokens");

    let mut places = vec![(
        "what the API server shows".to_owned(),
        sandbox.get(Cluster::Management, &["hp,hm,events", &namespace]).to_string(),
    )];
    for log in fs::read_dir(sandbox.root().join("logs")).unwrap().flatten() {
        let text = fs::read(log.path()).unwrap();
        places.push((log.path().display().to_string(), String::from_utf8_lossy(&text).into_owned()));
    }
    let processes = sandbox.processes();
    assert!(processes.len() > 5, "the sandbox and what its machines run: {processes:?}");
    for pid in processes {
        // One that has ended in between shows nothing.
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        places.push((format!("arguments of {pid}"), String::from_utf8_lossy(&arguments).into_owned()));
    }
    for (place, text) in places {
        assert!(!secrets.iter().any(|secret| text.contains(secret.as_str())), "a secret in {place}");
    }
}

/// Every long scalar of the bundle whose field names a secret.
fn bundle_secrets(bundle: &Value) -> Vec<String> {
    use base64::Engine;
    let files = bundle["data"].as_object().unwrap().values();
    let mut found = Vec::new();
    for file in files {
        let bytes = base64::engine::general_purpose::STANDARD.decode(file.as_str().unwrap()).unwrap();
        for line in String::from_utf8(bytes).unwrap().lines() {
            let Some((field, value)) = line.trim().split_once(": ") else {
                continue;
            };
            let value = value.trim_matches(['"', '\'']);
            let named = ["key", "token", "secret"].iter().any(|word| field.to_lowercase().contains(word));
            if named && value.len() >= 20 {
                found.push(value.to_owned());
            }
        }
    }
    found
}

/// `helix plan` and `helix explain` of a platform that lives.
fn tells_what_a_change_would_do(sandbox: &Sandbox) {
    let explained = sandbox.helix(&["explain", NAME, "-n", NAMESPACE]);
    assert_eq!(explained.0, 0, "{}", explained.2);
    assert!(explained.1.contains("helix-system/sandbox: Ready"), "{}", explained.1);
    let (code, said, error) = sandbox.helix(&["plan", NAME, "-n", NAMESPACE]);
    assert_eq!(code, 0, "{said}{error}");
    assert!(said.contains("from what exists\n\nNo changes.\n"), "{said}");

    let platform = sandbox.platform(NAME).unwrap();
    let with_workers = |replicas: u32| {
        let mut platform = json!({"apiVersion": platform["apiVersion"], "kind": platform["kind"],
            "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": platform["spec"]});
        platform["spec"]["workerPools"][0]["replicas"] = json!(replicas);
        let file = sandbox.root().join(format!("{replicas}.json"));
        fs::write(&file, platform.to_string()).unwrap();
        sandbox.helix(&["plan", "--live", "-f", file.to_str().unwrap()])
    };
    let (code, said, error) = with_workers(3);
    assert_eq!(code, 2, "{said}{error}");
    assert!(said.contains("create     server sandbox-general-2"), "{said}");
    assert!(!said.contains("sandbox-general-1"), "what exists stays: {said}");
    assert_eq!(with_workers(2).0, 0);
    let (code, said, error) = sandbox.helix(&["plan", "absent", "-n", NAMESPACE]);
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(error.contains("there is no HelixPlatform helix-system/absent"), "{error}");
    assert_eq!(sandbox.helix(&["plan", NAME, "--unknown"]).0, 64);
    assert_eq!(sandbox.servers().len(), 5, "a plan changes nothing");
}

/// Bundle and bootstrap record come back from an export, and nothing else does.
fn survives_the_loss_of_its_secrets(sandbox: &Sandbox) {
    let file = |name: &str| sandbox.root().join(name).display().to_string();
    let (export, cut, key, other_key) = (file("export.age"), file("cut.age"), file("key"), file("other-key"));
    let [identity, stranger] = [&key, &other_key].map(|path| {
        let identity = age::x25519::Identity::generate();
        fs::write(path, identity.to_string().expose_secret()).unwrap();
        identity
    });
    assert_ne!(identity.to_public(), stranger.to_public());
    let recipient = identity.to_public().to_string();
    let (code, _, error) =
        sandbox.helix(&["secrets", "export", NAME, "-n", NAMESPACE, "--to", &recipient, "-o", &export]);
    assert_eq!(code, 0, "{error}");
    let sealed = fs::read_to_string(&export).unwrap();
    fs::write(&cut, &sealed[..sealed.len() / 2]).unwrap();

    let kept = ["sandbox-secrets", "sandbox-bootstrap"];
    let namespace = format!("--namespace={NAMESPACE}");
    let data = |name| sandbox.try_get(Cluster::Management, &["secret", name, &namespace]).map(|it| it["data"].clone());
    let before = kept.map(|name| data(name).unwrap());
    sandbox.run(Cluster::Management, &["delete", "secret", kept[0], kept[1], &namespace]).unwrap();
    until("the loss is told, with the way out", LONGEST, || {
        let (_, said, error) = sandbox.helix(&["explain", NAME, "-n", NAMESPACE]);
        if said.contains("helix secrets import") { Ok(()) } else { Err(said + &error) }
    });

    let import = |platform: &str, file: &str, key: &str| {
        sandbox.helix(&["secrets", "import", platform, "-n", NAMESPACE, "-f", file, "-i", key])
    };
    for (platform, file, key, wanted) in [
        (NAME, &export, &other_key, "export.age cannot be decrypted"),
        (NAME, &cut, &key, "cut.age cannot be decrypted"),
        (NAME, &key, &key, "key cannot be decrypted"),
        (NAME, &export, &export, "export.age holds no age identity"),
        ("absent", &export, &key, "there is no HelixPlatform helix-system/absent"),
    ] {
        let (code, said, error) = import(platform, file, key);
        assert_eq!((code, said.as_str()), (1, ""), "{error}");
        assert!(error.contains(wanted), "{wanted} in {error}");
        assert!(kept.iter().all(|name| data(name).is_err()), "nothing is brought back: {wanted}");
    }
    let (code, said, error) = import(NAME, &export, &key);
    assert_eq!(code, 0, "{error}");
    assert_eq!(said, "helix-system/sandbox: secret bundle restored, bootstrap record restored\n");
    assert_eq!(kept.map(|name| data(name).unwrap()), before);
    let (code, said, error) = import(NAME, &export, &key);
    assert_eq!(code, 0, "{error}");
    assert!(said.contains("secret bundle was there already, and is the same"), "{said}");
    sandbox.until_ready(NAME, LONGEST);
}

fn survives_a_control_plane(sandbox: &Sandbox) {
    let name = format!("{NAME}-cp-0");
    let id = sandbox.servers()[&name]["id"].clone();
    let (status, body) = sandbox.hetzner("POST", &format!("/servers/{id}/actions/poweroff"));
    assert_eq!(status, 201, "{body}");
    until("the server is off, or was and is powered on again", LONGEST, || {
        let (_, body) = sandbox.hetzner("GET", &format!("/actions?id={}", body["action"]["id"]));
        if body["actions"][0]["status"] == "success" { Ok(()) } else { Err(body) }
    });
    let mut in_a_row = 0;
    until("the API answers through the load balancer", LONGEST, || {
        let nodes = sandbox.try_get(Cluster::Workload, &["nodes"]);
        in_a_row = if nodes.is_ok() { in_a_row + 1 } else { 0 };
        if in_a_row >= 10 { Ok(()) } else { Err(format!("{in_a_row} times in a row, {:?}", nodes.err())) }
    });
    // The operator may have been faster, which is no failure.
    let (status, body) = sandbox.hetzner("POST", &format!("/servers/{id}/actions/poweron"));
    assert!([201, 422, 423].contains(&status), "{status}: {body}");
    until("the server runs", LONGEST, || match &sandbox.servers()[&name]["status"] {
        status if status == "running" => Ok(()),
        status => Err(status.clone()),
    });
    has_three_voters(sandbox);
    sandbox.until_ready(NAME, LONGEST);
}

fn is_deleted_with_a_receipt(sandbox: &Sandbox) {
    let made: Vec<String> = KINDS
        .iter()
        .flat_map(|kind| sandbox.resources(kind))
        // A server's own addresses go with it, under names that Hetzner gave them.
        .filter(|resource| resource["assignee_id"].is_null())
        .map(|resource| resource["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(made.len() > 8, "{made:?}");
    sandbox.delete(NAME);
    sandbox.until_gone(NAME, LONGEST, &[]);
    let namespace = format!("--namespace={NAMESPACE}");
    let left = sandbox.names(&["secrets", &namespace]);
    assert_eq!(left, ["hcloud"]);
    assert_eq!(sandbox.names(&["hm", &namespace]), Vec::<String>::new());
    let events = sandbox.get(Cluster::Management, &["events", &namespace]);
    let events = events["items"].as_array().unwrap();
    let receipts: Vec<_> = events.iter().filter(|event| event["reason"] == "Deleted").collect();
    assert_eq!(receipts.len(), 1, "{events:?}");
    let receipt = receipts[0]["message"].as_str().unwrap();
    for name in made {
        assert!(receipt.contains(&name), "{name} in {receipt}");
    }
}

fn leaves_nothing_running(sandbox: &Sandbox) {
    assert!(!sandbox.processes().is_empty());
    assert!(sandbox.down().contains("stopped"));
    assert_eq!(sandbox.processes(), Vec::<u32>::new());
    assert!(sandbox.down().contains("nothing was running"));
}
