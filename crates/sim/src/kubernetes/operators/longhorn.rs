//! Longhorn: the parts of its driver, its storage class, a resource for each node that its manager runs on, and a volume for
//! each claim. A volume is healthy while as many nodes as it has copies are ready; no data is kept anywhere.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::OperatorError;
use super::claims::{bytes, gibibytes, is_released, user_of, volume, volume_name, waiting};
use super::objects::{Kind, is_ready, pod_spec, text};
use super::scene::Scene;

const DEPLOYER: &str = "longhorn-driver-deployer";
const OPERATOR: &str = "longhorn-manager";
const DRIVER: &str = "driver.longhorn.io";
const NODE: Kind = Kind::new("longhorn.io", "v1beta2", "Node", "nodes");
const VOLUME: Kind = Kind::new("longhorn.io", "v1beta2", "Volume", "volumes");
/// Only nodes with it have a disk for Longhorn, where its settings say so.
const DISK_LABEL: &str = "node.longhorn.io/create-default-disk";

pub(super) async fn look(scene: &Scene<'_>) -> Result<(), OperatorError> {
    let Some(deployer) = scene.available(DEPLOYER) else { return Ok(()) };
    let namespace = text(deployer, "/metadata/namespace");
    driver(scene, namespace).await?;
    let pods = scene.list(&Kind::POD).await?;
    let with_disk = nodes(scene, namespace, &pods).await?;
    volumes(scene, namespace, &pods, &with_disk).await
}

/// What Longhorn itself deploys, rather than its chart.
async fn driver(scene: &Scene<'_>, namespace: &str) -> Result<(), OperatorError> {
    let workload = |name: &str, replicas: Option<u32>| {
        let labels = json!({"app": name});
        let mut spec = json!({
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(name, &[])},
        });
        if let Some(replicas) = replicas {
            spec["replicas"] = json!(replicas);
        }
        json!({"metadata": {"name": name, "namespace": namespace, "labels": {}}, "spec": spec})
    };
    let sidecars = ["csi-attacher", "csi-provisioner", "csi-resizer", "csi-snapshotter"];
    let sidecars = sidecars.iter().map(|name| workload(name, Some(3))).collect();
    scene.keep(OPERATOR, &Kind::DEPLOYMENT, sidecars).await?;
    scene.keep(OPERATOR, &Kind::DAEMON_SET, vec![workload("longhorn-csi-plugin", None)]).await?;
    let driver = json!({
        "metadata": {"name": DRIVER, "labels": {}},
        "spec": {"attachRequired": true, "podInfoOnMount": true, "volumeLifecycleModes": ["Persistent"]},
    });
    scene.keep(OPERATOR, &Kind::CSI_DRIVER, vec![driver]).await?;
    let settings = scene.get(&Kind::CONFIG_MAP, namespace, "longhorn-storageclass").await?.unwrap_or_default();
    let class: Option<Value> = serde_saphyr::from_str(text(&settings, "/data/storageclass.yaml")).ok();
    scene.keep(OPERATOR, &Kind::STORAGE_CLASS, class.into_iter().filter(Value::is_object).collect()).await?;
    Ok(())
}

/// A resource for each node on which the manager runs; the names of those that are ready and have a disk.
async fn nodes(scene: &Scene<'_>, namespace: &str, pods: &[Value]) -> Result<BTreeSet<String>, OperatorError> {
    let managers = pods.iter().filter(|pod| pod["metadata"]["labels"]["app"] == "longhorn-manager");
    let ready: BTreeSet<&str> = managers.filter(|pod| is_ready(pod)).map(|pod| text(pod, "/spec/nodeName")).collect();
    let settings = scene.get(&Kind::CONFIG_MAP, namespace, "longhorn-default-setting").await?.unwrap_or_default();
    let labelled_only =
        text(&settings, "/data/default-setting.yaml").contains("create-default-disk-labeled-nodes: \"true\"");
    let nodes = scene.list(&Kind::NODE).await?;
    let known = |name: &str| nodes.iter().any(|node| node["metadata"]["name"] == name);
    let has_disk = |name: &str| {
        let node = nodes.iter().find(|node| node["metadata"]["name"] == name);
        !labelled_only || node.is_some_and(|node| node["metadata"]["labels"][DISK_LABEL] == "true")
    };
    let there = scene.list(&NODE).await?;
    let named = there.iter().map(|node| text(node, "/metadata/name"));
    let all: BTreeSet<&str> = named.chain(ready.iter().copied()).filter(|name| known(name)).collect();
    let resource = |name: &&str| {
        let disks = if has_disk(name) {
            json!({"default-disk": {"allowScheduling": true, "path": "/var/lib/longhorn"}})
        } else {
            json!({})
        };
        json!({
            "metadata": {"name": name, "namespace": namespace, "labels": {}},
            "spec": {"name": name, "allowScheduling": true, "disks": disks},
        })
    };
    for node in scene.keep(OPERATOR, &NODE, all.iter().map(resource).collect()).await? {
        let is_ready = ready.contains(text(&node, "/metadata/name"));
        let why = if is_ready { ("", "") } else { ("ManagerPodDown", "its longhorn-manager does not run") };
        scene.tell(&NODE, &node, json!({"conditions": scene.condition(&node, "Ready", is_ready, why)})).await?;
    }
    Ok(ready.into_iter().filter(|name| has_disk(name)).map(str::to_owned).collect())
}

async fn volumes(
    scene: &Scene<'_>,
    namespace: &str,
    pods: &[Value],
    with_disk: &BTreeSet<String>,
) -> Result<(), OperatorError> {
    let claims = scene.list(&Kind::CLAIM).await?;
    let classes = scene.list(&Kind::STORAGE_CLASS).await?;
    for wanted in waiting(&claims, &classes, DRIVER) {
        let name = volume_name(wanted.claim);
        let copies: u32 = text(wanted.class, "/parameters/numberOfReplicas").parse().unwrap_or(3);
        let resource = json!({
            "metadata": {"name": name, "namespace": namespace, "labels": {}},
            "spec": {
                "size": bytes(wanted.claim).to_string(),
                "numberOfReplicas": copies,
                "accessMode": "rwo",
                "frontend": "blockdev",
            },
        });
        scene.apply(OPERATOR, &VOLUME, resource).await?;
        scene.apply(OPERATOR, &Kind::VOLUME, volume(&wanted, DRIVER, &name, gibibytes(wanted.claim))).await?;
    }
    let persistent = scene.list(&Kind::VOLUME).await?;
    for resource in scene.list(&VOLUME).await? {
        let name = text(&resource, "/metadata/name");
        let found = persistent.iter().find(|volume| volume["metadata"]["name"] == name);
        match found {
            Some(volume) if is_released(volume) => {
                scene.delete(&VOLUME, &resource).await?;
                scene.delete(&Kind::VOLUME, volume).await?;
            }
            Some(volume) => {
                let faulted = scene.setting.machines.with_world(|world, _| world.faults().is_volume_faulted(name));
                let node = user_of(volume, pods);
                scene.tell(&VOLUME, &resource, status(&resource, node, faulted, with_disk.len())).await?;
            }
            None => {}
        }
    }
    Ok(())
}

/// How a volume is that is used on a node, or on none, while so many nodes could hold a copy.
fn status(resource: &Value, node: Option<&str>, faulted: bool, with_disk: usize) -> Value {
    let copies = usize::try_from(resource["spec"]["numberOfReplicas"].as_u64().unwrap_or(1)).unwrap_or(usize::MAX);
    let (state, robustness) = match node {
        _ if faulted || with_disk == 0 => ("detached", "faulted"),
        None => ("detached", "unknown"),
        Some(_) if with_disk < copies => ("attached", "degraded"),
        Some(_) => ("attached", "healthy"),
    };
    json!({"state": state, "robustness": robustness, "currentNodeID": node.unwrap_or_default()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_as_healthy_as_there_are_nodes_for_its_copies() {
        let resource = json!({"spec": {"numberOfReplicas": 3}});
        let robustness = |node, faulted, with_disk| status(&resource, node, faulted, with_disk)["robustness"].clone();
        assert_eq!(robustness(Some("n"), false, 3), "healthy");
        assert_eq!(robustness(Some("n"), false, 2), "degraded");
        assert_eq!(robustness(Some("n"), true, 3), "faulted");
        assert_eq!(robustness(Some("n"), false, 0), "faulted");
        assert_eq!(robustness(None, false, 3), "unknown");
    }
}
