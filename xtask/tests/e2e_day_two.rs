//! A platform that lives, changed in place end to end: real etcd members and API servers, the production clients, the
//! stand-ins of the pod network and of the cloud controller manager. One test, because bringing it up is the longest part.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Cluster, NAMESPACE, Sandbox, until};

/// The example platform.
const NAME: &str = "sandbox";

/// As long as a stage may take where other tests run beside it on a small machine.
const LONGEST: Duration = Duration::from_secs(400);

/// The Talos that the machines are upgraded to.
const NEXT_TALOS: &str = "v1.14.4";

#[test]
fn a_platform_is_changed_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("platform.json");
    fs::write(&file, approved_example().to_string()).unwrap();
    let sandbox = stage("up", || Sandbox::up(&["--timeout=400", &format!("--platform={}", file.display())]));
    stage("nodes become Ready", || nodes_become_ready(&sandbox));
    stage("scale 3+2 to 5+3", || scales(&sandbox, 5, 3));
    stage("scale 5+3 to 3+2", || scales(&sandbox, 3, 2));
    stage("a worker is held, then replaced", || replaces_a_worker_once_it_is_not_held(&sandbox));
    stage("a powered-off worker starts again", || starts_a_worker_again(&sandbox));
    stage("the authorities are rotated", || rotates_the_authorities(&sandbox));
    stage("all control planes are lost, and restored", || loses_and_restores_all_control_planes(&sandbox));
    stage("Talos is upgraded", || upgrades_talos(&sandbox));
    stage("a Service's load balancer leaks", || leaks_a_load_balancer(&sandbox));
    stage("teardown", || is_deleted(&sandbox));
}

/// Says how long a part took.
fn stage<T>(name: &str, act: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = act();
    println!("{name}: {:.1} s", begun.elapsed().as_secs_f64());
    done
}

fn approved_example() -> Value {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/examples/sandbox.yaml");
    let mut platform: Value = serde_saphyr::from_str(&fs::read_to_string(example).unwrap()).unwrap();
    platform["spec"]["approval"] = json!("Automatic");
    // The sandbox puts its own bucket in place of this one.
    let s3 = json!({"endpoint": "https://objects.example.com", "bucket": "backups", "credentialsSecretRef": {"name": "backup-s3"}});
    platform["spec"]["backup"] = json!({"etcd": {"schedule": "* * * * *", "retention": "1h", "s3": s3}});
    platform
}

fn patch(sandbox: &Sandbox, spec: &Value) {
    let (namespace, patch) = (format!("--namespace={NAMESPACE}"), json!({"spec": spec}).to_string());
    sandbox.run(Cluster::Management, &["patch", "hp", NAME, &namespace, "--type=merge", "-p", &patch]).unwrap();
}

fn nodes(sandbox: &Sandbox) -> Result<BTreeMap<String, Value>, String> {
    let list = sandbox.try_get(Cluster::Workload, &["nodes"])?;
    let items = list["items"].as_array().unwrap().iter();
    Ok(items.map(|node| (node["metadata"]["name"].as_str().unwrap().to_owned(), node.clone())).collect())
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn ids(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    sandbox.servers().into_iter().map(|(name, server)| (name, server["id"].as_u64().unwrap())).collect()
}

/// The servers, the nodes and the voters are one another's, and every node serves.
fn is_whole(sandbox: &Sandbox, machines: usize, voters: usize) {
    sandbox.until_ready(NAME, LONGEST);
    // The endpoints change with the control planes.
    sandbox.fetch_credentials(NAME);
    until("servers, nodes and voters agree", LONGEST, || {
        let names: BTreeSet<String> = sandbox.servers().into_keys().collect();
        let nodes = nodes(sandbox)?;
        let free = |node: &Value| is_ready(node) && node["spec"]["unschedulable"].is_null();
        let told: BTreeSet<String> =
            nodes.iter().filter(|(_, node)| free(node)).map(|(name, _)| name.clone()).collect();
        let members = sandbox.etcd_members()?;
        let voting: BTreeSet<String> = members.iter().filter(|it| !it.learner).map(|it| it.hostname.clone()).collect();
        let control_planes: BTreeSet<String> = names.iter().filter(|name| name.contains("-cp-")).cloned().collect();
        let counts = (names.len(), voting.len(), members.len());
        if names == told && nodes.len() == machines && voting == control_planes && counts == (machines, voters, voters)
        {
            return Ok(());
        }
        Err(format!("servers {names:?}, nodes that serve {told:?} of {}, voters {voting:?}", nodes.len()))
    });
}

fn nodes_become_ready(sandbox: &Sandbox) {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/sim/manifests");
    for file in ["cilium.yaml", "hcloud-cloud-controller-manager.yaml"] {
        let path = manifests.join(file).display().to_string();
        sandbox.run(Cluster::Workload, &["apply", "-f", &path]).unwrap();
    }
    is_whole(sandbox, 5, 3);
}

fn scales(sandbox: &Sandbox, control_planes: u32, workers: u32) {
    let mut pool = sandbox.platform(NAME).unwrap()["spec"]["workerPools"][0].clone();
    pool["replicas"] = json!(workers);
    patch(sandbox, &json!({"controlPlane": {"replicas": control_planes}, "workerPools": [pool]}));
    is_whole(sandbox, (control_planes + workers) as usize, control_planes as usize);
}

fn machine(sandbox: &Sandbox, name: &str) -> Result<Value, String> {
    sandbox.try_get(Cluster::Management, &["hm", name, &format!("--namespace={NAMESPACE}")])
}

fn replaces_a_worker_once_it_is_not_held(sandbox: &Sandbox) {
    let before = ids(sandbox);
    let name = before.keys().find(|name| name.contains("-general-")).unwrap().clone();
    let namespace = format!("--namespace={NAMESPACE}");
    let on_machine = |verb: &[&str]| {
        let arguments = [&[verb[0], "hm", name.as_str(), namespace.as_str()], &verb[1..]].concat();
        sandbox.run(Cluster::Management, &arguments).unwrap();
    };
    on_machine(&["annotate", "helix.dev/hold=true"]);
    on_machine(&["delete", "--wait=false"]);
    until("it says that it is held", LONGEST, || {
        let status = machine(sandbox, &name)?["status"].clone();
        let told = status["state"].as_str().is_some_and(|state| state.contains("held, and to be replaced"));
        if status["held"] == true && told { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(ids(sandbox), before);
    on_machine(&["annotate", "helix.dev/hold-"]);
    until("the server is replaced", LONGEST, || match ids(sandbox) {
        after if after.values().any(|id| *id == before[&name]) => Err(format!("{after:?}")),
        _ => Ok(()),
    });
    is_whole(sandbox, 5, 3);
    let after = ids(sandbox);
    let kept = before.values().filter(|id| after.values().any(|other| other == *id)).count();
    assert_eq!(kept, 4, "nothing else is made anew: {before:?}, {after:?}");
    until("there is a HelixMachine for every server", LONGEST, || {
        let list = sandbox.get(Cluster::Management, &["hm", &namespace]);
        let items = list["items"].as_array().unwrap().iter();
        let told: BTreeMap<String, u64> = items
            .filter(|machine| machine["metadata"]["deletionTimestamp"].is_null())
            .filter_map(|it| Some((it["metadata"]["name"].as_str()?.to_owned(), it["status"]["serverId"].as_u64()?)))
            .collect();
        if told == after { Ok(()) } else { Err(format!("{told:?}")) }
    });
}

fn starts_a_worker_again(sandbox: &Sandbox) {
    let before = ids(sandbox);
    let (name, id) = before.iter().find(|(name, _)| name.contains("-general-")).unwrap();
    let (status, body) = sandbox.hetzner("POST", &format!("/servers/{id}/actions/poweroff"));
    assert_eq!(status, 201, "{body}");
    until("it was off", LONGEST, || {
        let (_, body) = sandbox.hetzner("GET", &format!("/actions?id={}", body["action"]["id"]));
        if body["actions"][0]["status"] == "success" { Ok(()) } else { Err(body) }
    });
    until("it runs", LONGEST, || match &sandbox.servers()[name]["status"] {
        status if status == "running" => Ok(()),
        status => Err(status.clone()),
    });
    is_whole(sandbox, 5, 3);
    assert_eq!(ids(sandbox), before, "it is the same server");
}

/// The certificate of the authority that a file trusts, and the file itself.
fn trusted(sandbox: &Sandbox) -> (String, String) {
    let file = sandbox.read("workload.kubeconfig");
    let config: Value = serde_saphyr::from_str(&file).unwrap();
    (config["clusters"][0]["cluster"]["certificate-authority-data"].as_str().unwrap().to_owned(), file)
}

fn rotates_the_authorities(sandbox: &Sandbox) {
    let (servers, boots) = (ids(sandbox), boot_ids(&nodes(sandbox).unwrap()));
    let (before, old_file) = trusted(sandbox);
    let namespace = format!("--namespace={NAMESPACE}");
    sandbox.run(Cluster::Management, &["annotate", "hp", NAME, &namespace, "helix.dev/rotate-ca=e2e"]).unwrap();
    until("the rotation is done", LONGEST, || {
        let status = sandbox.platform(NAME).unwrap()["status"].clone();
        let rotation = &status["secrets"]["rotation"];
        if rotation["stage"] == "Done" { Ok(()) } else { Err(json!([rotation, status["waitingFor"]])) }
    });
    is_whole(sandbox, 5, 3);
    let (after, new_file) = trusted(sandbox);
    assert_ne!(before, after);
    assert_eq!(ids(sandbox), servers, "nothing is made anew");
    assert_eq!(boot_ids(&nodes(sandbox).unwrap()), boots, "nothing is rebooted");
    // Who still has the old file is let in no longer, nor takes the API servers for genuine.
    let path = sandbox.root().join("workload.kubeconfig");
    fs::write(&path, old_file).unwrap();
    assert!(nodes(sandbox).is_err(), "the old file is worthless");
    fs::write(&path, new_file).unwrap();
}

/// Nothing of the cluster is left but its workers and what is in the bucket.
fn loses_and_restores_all_control_planes(sandbox: &Sandbox) {
    let before = ids(sandbox);
    let kept = ["configmap", "kept", "--namespace=default"];
    sandbox.run(Cluster::Workload, &[&["create"], &kept[..], &["--from-literal=word=saved"]].concat()).unwrap();
    let written = sandbox.get(Cluster::Workload, &kept)["metadata"]["creationTimestamp"].as_str().unwrap().to_owned();
    until("a snapshot is taken after that", LONGEST, || {
        let newest = &sandbox.platform(NAME).unwrap()["status"]["backup"]["newest"];
        // Times are all in UTC and sort as text.
        if newest["takenAt"].as_str().is_some_and(|taken| taken > written.as_str()) {
            Ok(())
        } else {
            Err(newest.clone())
        }
    });
    let control_planes = || ids(sandbox).into_iter().filter(|(name, _)| name.contains("-cp-"));
    for (name, id) in control_planes() {
        let (status, body) = sandbox.hetzner("DELETE", &format!("/servers/{id}"));
        assert_eq!(status, 200, "{name}: {body}");
    }
    until("it is said how etcd is restored", LONGEST, || {
        let waiting = sandbox.platform(NAME).unwrap()["status"]["waitingFor"].clone();
        let told = waiting.as_str().is_some_and(|told| told.contains("helix.dev/restore-from=latest"));
        if told && control_planes().next().is_none() { Ok(()) } else { Err(waiting) }
    });
    let namespace = format!("--namespace={NAMESPACE}");
    sandbox.run(Cluster::Management, &["annotate", "hp", NAME, &namespace, "helix.dev/restore-from=latest"]).unwrap();
    is_whole(sandbox, 5, 3);
    assert_eq!(sandbox.get(Cluster::Workload, &kept)["data"], json!({"word": "saved"}));
    let after = ids(sandbox);
    let stayed: Vec<&String> = before.iter().filter(|(name, id)| after.get(*name) == Some(id)).map(|it| it.0).collect();
    assert!(stayed.len() == 2 && stayed.iter().all(|name| name.contains("-general-")), "{before:?}, {after:?}");
}

fn boot_ids(nodes: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let boot_id = |node: &Value| node["status"]["nodeInfo"]["bootID"].as_str().unwrap_or_default().to_owned();
    nodes.iter().map(|(name, node)| (name.clone(), boot_id(node))).collect()
}

fn upgrades_talos(sandbox: &Sandbox) {
    let servers = ids(sandbox);
    let before = boot_ids(&nodes(sandbox).unwrap());
    assert_eq!(before.values().collect::<BTreeSet<_>>().len(), 5, "{before:?}");
    patch(sandbox, &json!({"versions": {"talos": NEXT_TALOS}}));
    let (mut changed, mut order) = (BTreeMap::new(), Vec::new());
    until("every machine has booted the next Talos", LONGEST, || {
        let nodes = nodes(sandbox)?;
        let disturbed: Vec<&String> = nodes
            .iter()
            .filter(|(_, node)| node["metadata"]["annotations"]["helix.dev/disruption"].is_string())
            .map(|(name, _)| name)
            .collect();
        let of_pool = |pool: &str| disturbed.iter().filter(|name| name.contains(pool)).count();
        assert!(of_pool("-cp-") <= 1 && of_pool("-general-") <= 1, "{disturbed:?} at once");
        let now = boot_ids(&nodes).into_iter().filter(|(name, id)| before.get(name) != Some(id));
        for (name, id) in now {
            match changed.get(&name) {
                None => order.push(name.clone()),
                Some(known) => assert_eq!(known, &id, "{name} booted twice"),
            }
            changed.insert(name, id);
        }
        let version = |node: &Value| node["status"]["nodeInfo"]["osImage"].to_string();
        let done = nodes.len() == 5 && nodes.values().all(|node| version(node).contains(NEXT_TALOS));
        if done { Ok(()) } else { Err(format!("{order:?}")) }
    });
    is_whole(sandbox, 5, 3);
    assert_eq!(ids(sandbox), servers, "nothing is made anew");
    let is_control_plane: Vec<bool> = order.iter().map(|name| name.contains("-cp-")).collect();
    assert_eq!(is_control_plane, [true, true, true, false, false], "{order:?}");
}

/// The name of a Service of type LoadBalancer that lives as long as its controller, and of one that outlives it.
const SERVICES: [&str; 2] = ["web", "leaked"];

/// A load balancer that nobody in the cluster has made, and that looks as if somebody had.
const FOREIGN: &str = "somebody-elses";

/// Two Services get load balancers; one is removed by its controller, then the controller dies before the platform does.
fn leaks_a_load_balancer(sandbox: &Sandbox) {
    for name in SERVICES {
        sandbox.run(Cluster::Workload, &["create", "service", "loadbalancer", name, "--tcp=80:80"]).unwrap();
    }
    let uid = |name: &str| {
        let service = sandbox.get(Cluster::Workload, &["service", name]);
        service["metadata"]["uid"].as_str().unwrap().to_owned()
    };
    let uids = SERVICES.map(uid);
    let attached = |uid: &str| {
        let all = sandbox.resources("load_balancers");
        let found = all.into_iter().find(|it| it["labels"]["hcloud-ccm/service-uid"] == uid);
        found.filter(|it| !it["private_net"].as_array().unwrap().is_empty())
    };
    until("both have load balancers in the platform's network", LONGEST, || {
        let there = uids.iter().filter(|uid| attached(uid).is_some()).count();
        if there == 2 { Ok(()) } else { Err(format!("{there} of 2")) }
    });
    until("both are recorded", LONGEST, || {
        let status = sandbox.platform(NAME).unwrap()["status"]["services"].clone();
        let recorded = status.as_array().into_iter().flatten().filter(|it| uids.iter().any(|uid| it["uid"] == *uid));
        if recorded.count() == 2 { Ok(()) } else { Err(status) }
    });
    sandbox.run(Cluster::Workload, &["delete", "service", SERVICES[0], "--timeout=60s"]).unwrap();
    assert_eq!(attached(&uids[0]), None, "its controller has removed it");
    let controller = ["delete", "deployment", "hcloud-cloud-controller-manager", "--namespace=kube-system"];
    sandbox.run(Cluster::Workload, &controller).unwrap();
    let look_alike = json!({
        "name": FOREIGN, "load_balancer_type": "lb11", "location": "fsn1",
        "labels": {"hcloud-ccm/service-uid": uids[1]},
    });
    let (status, body) = sandbox.hetzner_with("POST", "/load_balancers", &look_alike);
    assert_eq!(status, 201, "{body}");
}

/// What the receipt says was deleted, and what was kept.
fn receipt(sandbox: &Sandbox) -> (String, String) {
    let namespace = format!("--namespace={NAMESPACE}");
    let stored = sandbox.get(Cluster::Management, &["configmap", &format!("{NAME}-receipt"), &namespace]);
    let text = |key: &str| stored["data"][key].as_str().unwrap().to_owned();
    (text("deleted"), text("kept"))
}

fn is_deleted(sandbox: &Sandbox) {
    let own: Vec<Value> = sandbox.resources("load_balancers").into_iter().filter(|it| it["name"] != FOREIGN).collect();
    assert_eq!(own.len(), 2, "the API's and the one that leaks: {own:?}");
    let namespace = format!("--namespace={NAMESPACE}");
    sandbox.run(Cluster::Management, &["delete", "hp", NAME, &namespace, "--wait=false"]).unwrap();
    until("the platform is gone", LONGEST, || match sandbox.platform(NAME) {
        None => Ok(()),
        Some(platform) => Err(platform["status"]["waitingFor"].clone()),
    });
    for kind in ["servers", "networks", "firewalls", "volumes", "ssh_keys", "placement_groups"] {
        assert_eq!(sandbox.resources(kind), Vec::<Value>::new(), "{kind}");
    }
    let left: Vec<Value> = sandbox.resources("load_balancers").iter().map(|it| it["name"].clone()).collect();
    assert_eq!(left, [FOREIGN], "nothing is left but what is somebody else's");
    let (deleted, kept) = receipt(sandbox);
    for balancer in &own {
        let line = format!("load balancer {}\n", balancer["name"].as_str().unwrap());
        assert!(deleted.contains(&line), "the receipt names {line:?}: {deleted}");
    }
    assert!(kept.contains(FOREIGN) && !deleted.contains(FOREIGN), "{kept}");
    until("no HelixMachine is left", LONGEST, || match sandbox.names(&["hm", &namespace]) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
}
