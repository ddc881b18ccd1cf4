//! The platform of a life as tests see it: what it is to be, what there is of it, and whether the two are one another's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Cluster, NAMESPACE, Sandbox, until};

/// The example platform.
pub(crate) const NAME: &str = "sandbox";

/// As long as a stage may take where other tests run beside it on a small machine.
pub(crate) const LONGEST: Duration = Duration::from_secs(400);

/// The example with everything approved beforehand, and with this in its specification.
pub(crate) fn approved_example(besides: &Value) -> Value {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/examples/sandbox.yaml");
    let mut platform: Value = serde_saphyr::from_str(&fs::read_to_string(example).unwrap()).unwrap();
    platform["spec"]["approval"] = json!("Automatic");
    for (field, value) in besides.as_object().unwrap() {
        platform["spec"][field] = value.clone();
    }
    platform
}

pub(crate) fn patch(sandbox: &Sandbox, spec: &Value) {
    let (namespace, patch) = (format!("--namespace={NAMESPACE}"), json!({"spec": spec}).to_string());
    sandbox.run(Cluster::Management, &["patch", "hp", NAME, &namespace, "--type=merge", "-p", &patch]).unwrap();
}

/// Helix looks at a settled platform once a minute, and at once when something else is asked for.
pub(crate) fn look_now(sandbox: &Sandbox) {
    let namespace = format!("--namespace={NAMESPACE}");
    sandbox.run(Cluster::Management, &["annotate", "hp", NAME, &namespace, "example.com/look=now"]).unwrap();
}

pub(crate) fn nodes(sandbox: &Sandbox) -> Result<BTreeMap<String, Value>, String> {
    let list = sandbox.try_get(Cluster::Workload, &["nodes"])?;
    let items = list["items"].as_array().unwrap().iter();
    Ok(items.map(|node| (node["metadata"]["name"].as_str().unwrap().to_owned(), node.clone())).collect())
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

pub(crate) fn ids(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    sandbox.servers().into_iter().map(|(name, server)| (name, server["id"].as_u64().unwrap())).collect()
}

pub(crate) fn uids(nodes: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let uid = |node: &Value| node["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    nodes.iter().map(|(name, node)| (name.clone(), uid(node))).collect()
}

pub(crate) fn boot_ids(nodes: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let boot_id = |node: &Value| node["status"]["nodeInfo"]["bootID"].as_str().unwrap_or_default().to_owned();
    nodes.iter().map(|(name, node)| (name.clone(), boot_id(node))).collect()
}

/// The servers, the nodes and the voters are one another's, and every node serves.
pub(crate) fn is_whole(sandbox: &Sandbox, machines: usize, voters: usize) {
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

pub(crate) fn nodes_become_ready(sandbox: &Sandbox) {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/sim/manifests");
    for file in ["cilium.yaml", "hcloud-cloud-controller-manager.yaml"] {
        let path = manifests.join(file).display().to_string();
        sandbox.run(Cluster::Workload, &["apply", "-f", &path]).unwrap();
    }
    is_whole(sandbox, 5, 3);
}
