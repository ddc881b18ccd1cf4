//! What Hetzner's controllers in a cluster make things for: Services of type LoadBalancer, and claims to volumes of its
//! driver. No I/O.

use std::collections::BTreeMap;

use helix_plan::observed::{ClaimFacts, ServiceFacts};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Service};
use kube::api::ObjectMeta;

/// The name by which Hetzner's driver goes in a cluster.
const DRIVER: &str = "csi.hetzner.cloud";

/// The Service, if a cloud controller manager makes a load balancer for it. Another class has another controller.
pub(super) fn service(service: Service) -> Option<ServiceFacts> {
    let spec = service.spec.unwrap_or_default();
    if spec.type_.as_deref() != Some("LoadBalancer") || spec.load_balancer_class.is_some() {
        return None;
    }
    let leaving = leaving(&service.metadata);
    let balancer = service.status.and_then(|status| status.load_balancer).and_then(|balancer| balancer.ingress);
    let addresses = balancer.into_iter().flatten().filter_map(|place| place.ip?.parse().ok()).collect();
    let (namespace, name, uid) = named(service.metadata);
    Some(ServiceFacts { namespace, name, uid, leaving, addresses })
}

/// The claims whose volumes go with them. A volume that is left of a claim stands for it until it is gone.
pub(super) fn claims(volumes: &[PersistentVolume], claims: &[PersistentVolumeClaim]) -> Vec<ClaimFacts> {
    let by_uid: BTreeMap<&str, &PersistentVolumeClaim> =
        claims.iter().filter_map(|claim| Some((claim.metadata.uid.as_deref()?, claim))).collect();
    let of = |volume: &PersistentVolume| {
        let spec = volume.spec.as_ref()?;
        let ours = spec.csi.as_ref().is_some_and(|csi| csi.driver == DRIVER);
        let goes = spec.persistent_volume_reclaim_policy.as_deref() == Some("Delete");
        let claim = spec.claim_ref.as_ref().filter(|_| ours && goes)?;
        let uid = claim.uid.clone()?;
        let leaving = match by_uid.get(uid.as_str()) {
            Some(there) => leaving(&there.metadata),
            // The claim is gone: its volume was asked to go then, or, where nobody has begun, when it was made.
            None => leaving(&volume.metadata).or_else(|| made(&volume.metadata)),
        };
        let (namespace, name) = (claim.namespace.clone()?, claim.name.clone()?);
        Some(ClaimFacts { namespace, name, uid, leaving })
    };
    volumes.iter().filter_map(of).collect()
}

/// Whether a pod uses the claim.
pub(super) fn uses(pod: &Pod, claim: &str) -> bool {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
    volumes.iter().filter_map(|it| it.persistent_volume_claim.as_ref()).any(|it| it.claim_name == claim)
}

fn leaving(metadata: &ObjectMeta) -> Option<Timestamp> {
    metadata.deletion_timestamp.as_ref().map(|time| time.0)
}

fn made(metadata: &ObjectMeta) -> Option<Timestamp> {
    metadata.creation_timestamp.as_ref().map(|time| time.0)
}

fn named(metadata: ObjectMeta) -> (String, String, String) {
    (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default(), metadata.uid.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn read<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_what_the_cloud_controller_manager_serves_is_told() {
        let told = |spec: Value| {
            let metadata = json!({"namespace": "shop", "name": "web", "uid": "s1"});
            service(read(json!({"metadata": metadata, "spec": spec}))).map(|it| it.uid)
        };
        assert_eq!(told(json!({"type": "LoadBalancer"})).as_deref(), Some("s1"));
        assert_eq!(told(json!({"type": "ClusterIP"})), None);
        assert_eq!(told(json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/other"})), None);
    }

    fn volume(driver: &str, policy: &str, claim: &str) -> PersistentVolume {
        read(json!({
            "metadata": {"name": format!("pvc-{claim}"), "creationTimestamp": "2026-11-21T09:00:00Z"},
            "spec": {
                "csi": {"driver": driver, "volumeHandle": "42"},
                "persistentVolumeReclaimPolicy": policy,
                "claimRef": {"namespace": "shop", "name": claim, "uid": claim},
            },
        }))
    }

    #[test]
    fn a_claim_is_told_while_its_volume_is_there_and_goes_with_it() {
        let claim = |name: &str| read(json!({"metadata": {"namespace": "shop", "name": name, "uid": name}}));
        let volumes = [
            volume(DRIVER, "Delete", "data"),
            volume(DRIVER, "Retain", "kept"),
            volume("driver.longhorn.io", "Delete", "other"),
            volume(DRIVER, "Delete", "gone"),
        ];
        let told = claims(&volumes, &[claim("data"), claim("kept"), claim("other")]);
        let told: Vec<(&str, bool)> = told.iter().map(|it| (it.name.as_str(), it.leaving.is_some())).collect();
        assert_eq!(told, [("data", false), ("gone", true)]);
    }

    #[test]
    fn a_pod_that_mounts_the_claim_uses_it() {
        let pod: Pod = read(json!({"metadata": {}, "spec": {"containers": [], "volumes": [
            {"name": "a", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "b", "emptyDir": {}},
        ]}}));
        assert!(uses(&pod, "data") && !uses(&pod, "b"));
    }
}
