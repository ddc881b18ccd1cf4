//! What the documents of Talos 1.14 say, carried to where 1.13 says it in the main document: there [`super::model`]
//! and [`super::cluster`] read it, so that everything behind them knows one style only.
//!
//! What has no effect in the simulation is left where it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::ConfigError;

/// A field of a document and the place in the main document that says the same.
type Same = (&'static str, &'static str, &'static str);

/// What is said in the same words in both styles.
const SAME: &[Same] = &[
    ("DiscoveryIdentityConfig", "clusterID", "cluster.id"),
    ("DiscoveryIdentityConfig", "clusterSecret", "cluster.secret"),
    ("KubeAPIServerConfig", "image", "cluster.apiServer.image"),
    ("KubeAPIServerConfig", "extraArgs", "cluster.apiServer.extraArgs"),
    ("KubeAPIServerConfig", "certExtraSANs", "cluster.apiServer.certSANs"),
    ("KubeAuditPolicyConfig", "configuration", "cluster.apiServer.auditPolicy"),
    ("KubeClusterConfig", "clusterName", "cluster.clusterName"),
    ("KubeClusterConfig", "endpoint", "cluster.controlPlane.endpoint"),
    ("KubeControllerManagerConfig", "image", "cluster.controllerManager.image"),
    ("KubeControllerManagerConfig", "extraArgs", "cluster.controllerManager.extraArgs"),
    ("KubeNetworkConfig", "dnsDomain", "cluster.network.dnsDomain"),
    ("KubeNetworkConfig", "podSubnets", "cluster.network.podSubnets"),
    ("KubeNetworkConfig", "serviceSubnets", "cluster.network.serviceSubnets"),
    ("KubeNodeConfig", "annotations", "machine.nodeAnnotations"),
    ("KubeNodeConfig", "labels", "machine.nodeLabels"),
    ("KubeNodeConfig", "nodeIP", "machine.kubelet.nodeIP"),
    ("KubeNodeConfig", "taints", "machine.nodeTaints"),
    ("KubePrismConfig", "port", "machine.features.kubePrism.port"),
    ("KubeProxyConfig", "image", "cluster.proxy.image"),
    ("KubeSchedulerConfig", "image", "cluster.scheduler.image"),
    ("KubeSchedulerConfig", "extraArgs", "cluster.scheduler.extraArgs"),
    ("KubeletConfig", "config", "machine.kubelet.extraConfig"),
    ("KubeletConfig", "extraArgs", "machine.kubelet.extraArgs"),
    ("KubeletConfig", "image", "machine.kubelet.image"),
    ("ResolverConfig", "hostDNS", "machine.features.hostDNS"),
];

/// The label and taint that 1.13 gives control planes by itself, and 1.14 only where the node's document has them.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// The main document with what the others say in its own words.
pub(super) fn told_in_one(main: &Value, documents: &[Value]) -> Result<Value, ConfigError> {
    let mut told = main.clone();
    for document in documents {
        let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
        for (_, field, path) in SAME.iter().filter(|(of, ..)| *of == kind) {
            if let Some(value) = document.get(*field) {
                put(&mut told, path, value.clone())?;
            }
        }
        tell_otherwise(&mut told, kind, document)?;
    }
    let has = |kind: &str| documents.iter().any(|document| document.get("kind").is_some_and(|it| it == kind));
    if has("KubeNetworkConfig") {
        let network_plugin = if has("KubeFlannelCNIConfig") { "flannel" } else { "none" };
        put(&mut told, "cluster.network.cni.name", json!(network_plugin))?;
    }
    Ok(told)
}

/// What is said in other words, or in other places.
fn tell_otherwise(told: &mut Value, kind: &str, document: &Value) -> Result<(), ConfigError> {
    match kind {
        "DiscoveryServiceConfig" => put(told, "cluster.discovery.enabled", json!(true)),
        "KubeAPIServerCAConfig" => put_authority(told, "cluster.ca", document),
        "KubeAggregatorCAConfig" => put_authority(told, "cluster.aggregatorCA", document),
        "KubePrismConfig" => put(told, "machine.features.kubePrism.enabled", json!(true)),
        "KubeProxyConfig" => {
            let enabled = document.get("enabled").and_then(Value::as_bool).unwrap_or(true);
            put(told, "cluster.proxy.disabled", json!(!enabled))
        }
        "KubeServiceAccountConfig" => match document.pointer("/issuer/privateKey").and_then(Value::as_str) {
            Some(pem) => put(told, "cluster.serviceAccount.key", json!(STANDARD.encode(pem))),
            None => Err(ConfigError::Missing("service issuer private key")),
        },
        "KubeEtcdEncryptionConfig" => match secretbox_secret(document) {
            Some(secret) => put(told, "cluster.secretboxEncryptionSecret", secret.clone()),
            None => Err(ConfigError::Missing("etcd encryption config")),
        },
        "KubeAdmissionControlConfig" => {
            let plugin = json!({"name": document.get("name"), "configuration": document.get("configuration")});
            push(told, "cluster.apiServer.admissionControl", plugin)
        }
        "KubeAuthenticationConfig" => match document.pointer("/configuration/jwt") {
            // Arguments in 1.13; here the authenticators themselves, under a name that 1.13 does not have.
            Some(authenticators) => put(told, "cluster.apiServer.jwt", authenticators.clone()),
            None => Ok(()),
        },
        "KubeNodeConfig" => {
            let tainted = document.get("taints").is_some_and(|taints| taints.get(CONTROL_PLANE).is_some());
            put(told, "cluster.allowSchedulingOnControlPlanes", json!(!tainted))
        }
        _ => Ok(()),
    }
}

/// The key of the provider that secrets are written with.
fn secretbox_secret(document: &Value) -> Option<&Value> {
    let resources = document.pointer("/config/resources")?.as_array()?;
    let of_secrets = |rule: &&Value| {
        rule.get("resources").and_then(Value::as_array).is_some_and(|names| names.iter().any(|name| name == "secrets"))
    };
    resources.iter().find(of_secrets)?.pointer("/providers/0/secretbox/keys/0/secret")
}

/// An authority: 1.14 has its PEM as it is, 1.13 in base64; a worker accepts one, a control plane issues by it.
fn put_authority(told: &mut Value, path: &str, document: &Value) -> Result<(), ConfigError> {
    let encoded = |pem: &Value| pem.as_str().map(|pem| STANDARD.encode(pem));
    let mut accepted: Vec<String> =
        document.get("acceptedCAs").and_then(Value::as_array).into_iter().flatten().filter_map(encoded).collect();
    let certificate = match document.pointer("/issuingCA/cert").and_then(encoded) {
        Some(certificate) => certificate,
        // A worker accepts and does not issue: the first takes the issuer's place.
        None if accepted.is_empty() => String::new(),
        None => accepted.remove(0),
    };
    let key = document.pointer("/issuingCA/key").and_then(encoded).unwrap_or_default();
    put(told, path, json!({"crt": certificate, "key": key}))?;
    if path == "cluster.ca" && !accepted.is_empty() {
        let accepted: Vec<Value> = accepted.into_iter().map(|crt| json!({"crt": crt})).collect();
        put(told, "cluster.acceptedCAs", json!(accepted))?;
    }
    Ok(())
}

fn put(told: &mut Value, path: &str, value: Value) -> Result<(), ConfigError> {
    *place(told, path)? = value;
    Ok(())
}

fn push(told: &mut Value, path: &str, value: Value) -> Result<(), ConfigError> {
    let list = place(told, path)?;
    match list {
        Value::Array(items) => items.push(value),
        _ => *list = json!([value]),
    }
    Ok(())
}

/// The place at a path of maps, made where it is missing.
fn place<'a>(told: &'a mut Value, path: &str) -> Result<&'a mut Value, ConfigError> {
    let mut place = told;
    for key in path.split('.') {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let map = place.as_object_mut().ok_or_else(|| ConfigError::Malformed(format!("{path} is in no mapping")))?;
        place = map.entry(key).or_insert(Value::Null);
    }
    Ok(place)
}
