//! What Talos applies to a new cluster before anything else: the bootstrap token of kubelets, and who may have
//! certificates signed. CoreDNS and kube-proxy are left to those who test them.

use http::Method;
use serde_json::{Value, json};

use super::api::{Api, ApiError, Body};
use crate::world::machine::config::Cluster;

const BOOTSTRAPPERS: &str = "system:bootstrappers:nodes";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Applies all of them; doing so again changes nothing.
///
/// # Errors
/// Where the API server refuses one.
pub(super) async fn apply(api: &Api, cluster: &Cluster) -> Result<(), ApiError> {
    for (path, manifest) in manifests(cluster) {
        let path = format!("{path}?fieldManager=talos&force=true");
        api.call(Method::PATCH, &path, Body::Apply(&manifest)).await?;
    }
    Ok(())
}

fn manifests(cluster: &Cluster) -> Vec<(String, Value)> {
    let (id, secret) = cluster.token.split_once('.').unwrap_or((&cluster.token, ""));
    let name = format!("bootstrap-token-{id}");
    let token = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": id,
            "token-secret": secret,
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": BOOTSTRAPPERS,
        },
    });
    let signing = "system:certificates.k8s.io:certificatesigningrequests";
    // The token comes last: whoever holds it is to find everything else in place.
    vec![
        binding("system-bootstrap-node-bootstrapper", &[BOOTSTRAPPERS, "system:nodes"], "system:node-bootstrapper"),
        binding("system-bootstrap-approve-node-client-csr", &[BOOTSTRAPPERS], &format!("{signing}:nodeclient")),
        binding("system-bootstrap-node-renewal", &["system:nodes"], &format!("{signing}:selfnodeclient")),
        (format!("/api/v1/namespaces/kube-system/secrets/{name}"), token),
    ]
}

fn binding(name: &str, groups: &[&str], role: &str) -> (String, Value) {
    let subjects: Vec<Value> =
        groups.iter().map(|group| json!({"kind": "Group", "name": group, "apiGroup": RBAC})).collect();
    let object = json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "subjects": subjects,
        "roleRef": {"kind": "ClusterRole", "name": role, "apiGroup": RBAC},
    });
    (format!("/apis/{RBAC}/v1/clusterrolebindings/{name}"), object)
}
