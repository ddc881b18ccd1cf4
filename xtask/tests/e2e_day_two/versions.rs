//! What machines run is exchanged in place: certificate authorities, Talos, Kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::platform::{LONGEST, NAME, boot_ids, ids, is_whole, nodes, patch};
use crate::support::{Cluster, NAMESPACE, Sandbox, until};

/// The Talos that the machines are upgraded to.
const NEXT_TALOS: &str = "v1.14.4";

/// The certificate of the authority that a file trusts, and the file itself.
fn trusted(sandbox: &Sandbox) -> (String, String) {
    let file = sandbox.read("workload.kubeconfig");
    let config: Value = serde_saphyr::from_str(&file).unwrap();
    (config["clusters"][0]["cluster"]["certificate-authority-data"].as_str().unwrap().to_owned(), file)
}

pub(crate) fn rotates_the_authorities(sandbox: &Sandbox) {
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

pub(crate) fn upgrades_talos(sandbox: &Sandbox) {
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

/// What the API server of each control plane says of its version; none while it does not answer.
fn api_servers(sandbox: &Sandbox) -> BTreeMap<String, Option<String>> {
    let version = |server: &Value| {
        let address = server["public_net"]["ipv4"]["ip"].as_str().unwrap();
        let server = format!("--server=https://{address}:6443");
        let told = sandbox.run(Cluster::Workload, &["get", "--raw=/version", &server]).ok()?;
        let told: Value = serde_json::from_str(&told).ok()?;
        Some(told["gitVersion"].as_str()?.to_owned())
    };
    let servers = sandbox.servers().into_iter().filter(|(name, _)| name.contains("-cp-"));
    servers.map(|(name, server)| (name, version(&server))).collect()
}

/// The variables that name the tools of the two versions of Kubernetes, the earlier first.
pub(crate) const TOOLS: [&str; 2] = ["HELIX_PREVIOUS_TOOLS_DIR", "HELIX_TOOLS_DIR"];

/// How many processes of these programs run in the earlier and in the later version.
fn running(sandbox: &Sandbox, programs: &[&str]) -> [usize; 2] {
    TOOLS.map(|variable| programs.iter().map(|program| sandbox.running(program, variable)).sum())
}

/// API servers first, then controller managers and schedulers, then kubelets, and nothing reboots.
pub(crate) fn upgrades_kubernetes(sandbox: &Sandbox, [earlier, later]: &[String; 2]) {
    let (servers, boots) = (ids(sandbox), boot_ids(&nodes(sandbox).unwrap()));
    let controllers = ["kube-controller-manager", "kube-scheduler"];
    assert!(api_servers(sandbox).values().all(|told| told.as_ref() == Some(earlier)));
    // One that has lost its lease meanwhile is started again.
    until("all controllers run", LONGEST, || match running(sandbox, &controllers) {
        [6, 0] => Ok(()),
        found => Err(format!("{found:?}")),
    });
    patch(sandbox, &json!({"versions": {"kubernetes": later}}));
    let (mut all_serve_later, mut order) = (false, Vec::new());
    until("every part is of the later version", LONGEST, || {
        // Later parts are looked at first: whatever happens meanwhile is no breach of their order.
        let nodes = nodes(sandbox)?;
        let kubelet = |node: &&Value| node["status"]["nodeInfo"]["kubeletVersion"] == later.as_str();
        let kubelets = nodes.values().filter(kubelet).count();
        let [former, new] = running(sandbox, &controllers);
        let told = if all_serve_later { BTreeMap::new() } else { api_servers(sandbox) };
        all_serve_later |= told.values().all(|told| told.as_ref() == Some(later));
        let [behind, ahead] = running(sandbox, &["kube-apiserver"]);
        assert!(behind == 0 || new == 0, "controllers are newer than {behind} API servers");
        assert!(former == 0 || kubelets == 0, "kubelets are newer than {former} controllers");
        // One more is the management cluster's.
        assert!(behind + ahead > 2, "two API servers are away");
        let moved = [("API servers", told.values().any(|it| it.as_ref() == Some(later))), ("controllers", new > 0)];
        for (part, _) in moved.into_iter().chain([("kubelets", kubelets > 0)]).filter(|(_, has_moved)| *has_moved) {
            if !order.contains(&part) {
                order.push(part);
            }
        }
        let done = all_serve_later && [former, new] == [0, 6] && kubelets == nodes.len();
        if done {
            Ok(())
        } else {
            Err(format!("{order:?}: API servers {told:?}, {new} controllers, {kubelets} kubelets"))
        }
    });
    assert_eq!(order, ["API servers", "controllers", "kubelets"]);
    is_whole(sandbox, 5, 3);
    assert!(api_servers(sandbox).values().all(|told| told.as_ref() == Some(later)));
    assert_eq!(ids(sandbox), servers, "nothing is made anew");
    assert_eq!(boot_ids(&nodes(sandbox).unwrap()), boots, "nothing is rebooted");
}
