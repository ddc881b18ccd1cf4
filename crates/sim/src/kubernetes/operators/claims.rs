//! Volumes for claims, as provisioners make them: which claims wait for one of theirs, and what the volume looks like.

use serde_json::{Value, json};

use super::objects::text;

const MEBIBYTE: u64 = 1 << 20;
const GIBIBYTE: u64 = 1 << 30;

/// Says that a claim's pod has a node.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// A claim that waits for a volume of a class.
#[derive(Debug, PartialEq)]
pub(super) struct Waiting<'a> {
    pub(super) claim: &'a Value,
    pub(super) class: &'a Value,
    /// The node that its pod is to run on; empty where the class waits for none.
    pub(super) node: &'a str,
}

/// The claims that this provisioner is to make a volume for.
pub(super) fn waiting<'a>(claims: &'a [Value], classes: &'a [Value], provisioner: &str) -> Vec<Waiting<'a>> {
    let waits = |claim: &'a Value| {
        let is_its = |class: &&Value| class["metadata"]["name"] == claim["spec"]["storageClassName"];
        let class = classes.iter().find(is_its).filter(|class| class["provisioner"] == provisioner)?;
        let node = claim["metadata"]["annotations"][SELECTED_NODE].as_str().unwrap_or_default();
        let must_wait = class["volumeBindingMode"] == "WaitForFirstConsumer" && node.is_empty();
        let unbound = text(claim, "/spec/volumeName").is_empty() && claim["metadata"]["deletionTimestamp"].is_null();
        (unbound && !must_wait).then_some(Waiting { claim, class, node })
    };
    claims.iter().filter_map(waits).collect()
}

/// The name of a claim's volume.
pub(super) fn volume_name(claim: &Value) -> String {
    format!("pvc-{}", text(claim, "/metadata/uid"))
}

/// How many bytes a claim asks for.
pub(super) fn bytes(claim: &Value) -> u64 {
    let wanted = text(claim, "/spec/resources/requests/storage");
    let split = wanted.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(wanted.len());
    let (digits, unit) = wanted.split_at(split);
    let one = match unit {
        "" => 1,
        "M" => 1_000_000,
        "Mi" => MEBIBYTE,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ti" => GIBIBYTE << 10,
        _ => GIBIBYTE,
    };
    digits.parse::<u64>().unwrap_or(1).saturating_mul(one)
}

/// How many whole gibibytes that is.
pub(super) fn gibibytes(claim: &Value) -> u32 {
    bytes(claim).div_ceil(GIBIBYTE).try_into().unwrap_or(u32::MAX)
}

/// The volume for a claim.
pub(super) fn volume(wanted: &Waiting<'_>, driver: &str, handle: &str, gibibytes: u32) -> Value {
    let claim = wanted.claim;
    json!({
        "metadata": {
            "name": volume_name(claim),
            "annotations": {"pv.kubernetes.io/provisioned-by": driver},
            "labels": {},
        },
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": format!("{gibibytes}Gi")},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim["metadata"]["namespace"],
                "name": claim["metadata"]["name"],
                "uid": claim["metadata"]["uid"],
            },
            "csi": {"driver": driver, "volumeHandle": handle, "fsType": "ext4"},
            "persistentVolumeReclaimPolicy": wanted.class["reclaimPolicy"].as_str().unwrap_or("Delete"),
            "storageClassName": wanted.class["metadata"]["name"],
            "volumeMode": claim["spec"]["volumeMode"].as_str().unwrap_or("Filesystem"),
        },
    })
}

/// The node of the pod that uses a volume.
pub(super) fn user_of<'a>(volume: &Value, pods: &'a [Value]) -> Option<&'a str> {
    let claim = &volume["spec"]["claimRef"];
    let uses = |pod: &&Value| {
        let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array).into_iter().flatten();
        let mut names = volumes.map(|volume| &volume["persistentVolumeClaim"]["claimName"]);
        pod["metadata"]["namespace"] == claim["namespace"] && names.any(|name| *name == claim["name"])
    };
    pods.iter().filter(uses).find_map(|pod| pod.pointer("/spec/nodeName").and_then(Value::as_str))
}

/// Whether a volume's claim is gone and it is to go, too.
pub(super) fn is_released(volume: &Value) -> bool {
    volume["status"]["phase"] == "Released"
        && volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        && volume["metadata"]["deletionTimestamp"].is_null()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_waits_for_its_own_provisioner_and_for_a_node_where_the_class_says_so() {
        let class = |mode: &str| json!({"metadata": {"name": "c"}, "provisioner": "p", "volumeBindingMode": mode});
        let mut claim = json!({"metadata": {"uid": "u", "annotations": {}}, "spec": {"storageClassName": "c"}});
        let count =
            |claim: &Value, mode: &str, by: &str| waiting(std::slice::from_ref(claim), &[class(mode)], by).len();
        assert_eq!(count(&claim, "Immediate", "p"), 1);
        assert_eq!(count(&claim, "Immediate", "other"), 0);
        assert_eq!(count(&claim, "WaitForFirstConsumer", "p"), 0);
        claim["metadata"]["annotations"][SELECTED_NODE] = json!("node");
        assert_eq!(count(&claim, "WaitForFirstConsumer", "p"), 1);
        claim["spec"]["volumeName"] = json!("pvc-u");
        assert_eq!(count(&claim, "Immediate", "p"), 0);
    }

    #[test]
    fn sizes_are_rounded_up() {
        let size = |text: &str| gibibytes(&json!({"spec": {"resources": {"requests": {"storage": text}}}}));
        assert_eq!(["10Gi", "1Ti", "500Mi", "20G"].map(size), [10, 1024, 1, 19]);
    }
}
