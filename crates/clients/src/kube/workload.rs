//! The workload clusters' APIs: nodes are listed, changed and deleted. Credentials come from memory, never from files.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helix_crds::labels::{CONFIG, FIELD_MANAGER};
use helix_engine::seams::{Workload, WorkloadError, WorkloadRoute};
use helix_plan::names::MachineName;
use helix_plan::observed::{NodeFacts, NodeTaint};
use helix_plan::step::NodePatch;
use k8s_openapi::api::core::v1::{Node, Taint};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::failure::{Failure, absent_is_none, bounded};

/// Nodes in one page.
const PAGE: u32 = 500;
/// 50,000 nodes: ten times what Kubernetes supports.
const MOST_PAGES: usize = 100;
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that were not used for this long are given up.
const IDLE: Duration = Duration::from_secs(600);

/// Talks to the API servers of workload clusters, keeping their connections between calls.
#[derive(Default)]
pub struct WorkloadClients {
    /// By digest of endpoint and credentials: others' credentials never ride on a connection.
    open: Mutex<HashMap<[u8; 32], Open>>,
}

struct Open {
    client: Client,
    used: Instant,
}

impl fmt::Debug for WorkloadClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkloadClients")
    }
}

impl WorkloadClients {
    /// None open yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn api(&self, route: &WorkloadRoute) -> Result<Api<Node>, WorkloadError> {
        let credentials = &route.credentials;
        let mut hash = Sha256::new();
        for part in [&route.endpoint, &credentials.ca_pem, &credentials.certificate_pem] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(credentials.key_pem.expose());
        let key: [u8; 32] = hash.finalize().into();

        let now = Instant::now();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, entry| now.duration_since(entry.used) < IDLE);
        if let Some(entry) = open.get_mut(&key) {
            entry.used = now;
            return Ok(Api::all(entry.client.clone()));
        }
        let client = connect(route)?;
        open.insert(key, Open { client: client.clone(), used: now });
        Ok(Api::all(client))
    }
}

fn connect(route: &WorkloadRoute) -> Result<Client, WorkloadError> {
    let unusable = |why: String| WorkloadError::Unreachable { endpoint: route.endpoint.clone(), why };
    // kube takes the process-wide provider. Whoever was first has set it; any one will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let uri = route.endpoint.parse().map_err(|_| unusable("it is not a URL".to_owned()))?;
    let credentials = &route.credentials;
    let authority = CertificateDer::from_pem_slice(credentials.ca_pem.as_bytes())
        .map_err(|_| unusable("the stored authority is not a certificate in PEM".to_owned()))?;
    let mut config = Config::new(uri);
    config.root_cert = Some(vec![authority.as_ref().to_vec()]);
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // A second attempt is the engine's decision.
    config.default_retry = false;
    config.auth_info.client_certificate_data = Some(STANDARD.encode(&credentials.certificate_pem));
    config.auth_info.client_key_data = Some(STANDARD.encode(credentials.key_pem.expose()).into());
    Client::try_from(config).map_err(|error| unusable(Failure::of(&error).why()))
}

#[async_trait]
impl Workload for WorkloadClients {
    async fn nodes(&self, route: &WorkloadRoute) -> Result<Vec<NodeFacts>, WorkloadError> {
        let api = self.api(route)?;
        let mut nodes = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        for _ in 0..MOST_PAGES {
            let page = bounded(api.list(&params)).await.map_err(|failure| workload_error(failure, route))?;
            nodes.extend(page.items.into_iter().map(facts));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = ListParams::default().limit(PAGE).continue_token(&token),
                None => return Ok(nodes),
            }
        }
        let why = format!("its list of nodes does not end after {MOST_PAGES} pages");
        Err(WorkloadError::Unreachable { endpoint: route.endpoint.clone(), why })
    }

    async fn patch_node(
        &self,
        route: &WorkloadRoute,
        node: &MachineName,
        patch: &NodePatch,
    ) -> Result<(), WorkloadError> {
        let api = self.api(route)?;
        let name = node.to_string();
        let current = match &patch.taints {
            None => None,
            Some(_) => Some(bounded(api.get(&name)).await.map_err(|failure| workload_error(failure, route))?),
        };
        let body = body(patch, current.as_ref());
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = bounded(api.patch(&name, &params, &Patch::Merge(&body))).await;
        patched.map(|_| ()).map_err(|failure| workload_error(failure, route))
    }

    async fn delete_node(&self, route: &WorkloadRoute, node: &MachineName) -> Result<(), WorkloadError> {
        let api = self.api(route)?;
        let deleted = absent_is_none(bounded(api.delete(&node.to_string(), &DeleteParams::default())).await);
        deleted.map(|_| ()).map_err(|failure| workload_error(failure, route))
    }
}

/// The merge patch. `current` is there where taints are to be replaced: those that stay keep the time at which they were
/// added (evictions count from it), and a node that changes meanwhile is refused instead of overwritten.
fn body(patch: &NodePatch, current: Option<&Node>) -> Value {
    let set = patch.labels.iter().map(|(key, value)| (key.clone(), json!(value)));
    let removed = patch.remove_labels.iter().map(|key| (key.clone(), Value::Null));
    let labels: serde_json::Map<String, Value> = set.chain(removed).collect();
    let mut body = json!({"metadata": {"labels": labels}});
    if let Some(wanted) = &patch.taints {
        let existing = current.and_then(|node| node.spec.as_ref()?.taints.as_deref()).unwrap_or_default();
        let taints: Vec<Taint> = wanted.iter().map(|taint| with_its_time(taint, existing)).collect();
        body["spec"] = json!({"taints": taints});
    }
    if let Some(version) = current.and_then(|node| node.metadata.resource_version.as_ref()) {
        body["metadata"]["resourceVersion"] = json!(version);
    }
    body
}

fn with_its_time(wanted: &NodeTaint, existing: &[Taint]) -> Taint {
    let same = existing.iter().find(|taint| node_taint(taint) == *wanted);
    same.cloned().unwrap_or_else(|| Taint {
        key: wanted.key.clone(),
        value: (!wanted.value.is_empty()).then(|| wanted.value.clone()),
        effect: wanted.effect.clone(),
        time_added: None,
    })
}

fn node_taint(taint: &Taint) -> NodeTaint {
    let value = taint.value.clone().unwrap_or_default();
    NodeTaint { key: taint.key.clone(), value, effect: taint.effect.clone() }
}

fn facts(node: Node) -> NodeFacts {
    let spec = node.spec.unwrap_or_default();
    let status = node.status.unwrap_or_default();
    let is_ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    let mut internal = status.addresses.iter().flatten().filter(|address| address.type_ == "InternalIP");
    NodeFacts {
        internal_ip: internal.find_map(|address| address.address.parse().ok()),
        name: node.metadata.name.unwrap_or_default(),
        provider_id: spec.provider_id.filter(|id| !id.is_empty()),
        ready: is_ready,
        labels: node.metadata.labels.unwrap_or_default(),
        config_digest: node.metadata.annotations.and_then(|mut annotations| annotations.remove(CONFIG)),
        taints: spec.taints.iter().flatten().map(node_taint).collect(),
        kubelet_version: status.node_info.map(|info| info.kubelet_version).unwrap_or_default(),
    }
}

fn workload_error(failure: Failure, route: &WorkloadRoute) -> WorkloadError {
    let endpoint = route.endpoint.clone();
    match failure {
        Failure::Refused { code: 401, why } | Failure::Identity { why } => {
            WorkloadError::Unauthorized { endpoint, why }
        }
        Failure::Refused { code, why } => WorkloadError::Other { endpoint, code, why },
        Failure::Unreachable { why } => WorkloadError::Unreachable { endpoint, why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        serde_json::from_str(text).unwrap()
    }

    const NODE: &str = r#"{"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "dev-cp-0", "resourceVersion": "7", "labels": {"a": "b"},
                     "annotations": {"helix.dev/config": "d1"}},
        "spec": {"providerID": "hcloud://42", "taints": [
            {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-11-21T09:00:00Z"},
            {"key": "old", "value": "x", "effect": "NoSchedule"}]},
        "status": {"conditions": [{"type": "Ready", "status": "False"}],
                   "addresses": [{"type": "Hostname", "address": "dev-cp-0"}, {"type": "InternalIP", "address": "fd00::1"},
                                 {"type": "InternalIP", "address": "10.0.1.2"}]}}"#;

    #[test]
    fn a_node_is_told_as_it_is() {
        let found = facts(node(NODE));
        assert_eq!(found.provider_id.as_deref(), Some("hcloud://42"));
        assert_eq!(found.internal_ip, Some([10, 0, 1, 2].into()));
        assert_eq!(found.config_digest.as_deref(), Some("d1"));
        assert_eq!((found.ready, found.taints.len()), (false, 2));
        let bare = facts(node(r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "new"}}"#));
        assert_eq!((bare.provider_id, bare.ready), (None, false));
    }

    #[test]
    fn labels_change_without_a_look_at_the_node() {
        let patch = NodePatch {
            labels: [("a".to_owned(), "1".to_owned())].into(),
            remove_labels: vec!["b".to_owned()],
            taints: None,
        };
        assert_eq!(body(&patch, None), json!({"metadata": {"labels": {"a": "1", "b": null}}}));
    }

    #[test]
    fn a_taint_that_stays_keeps_its_time() {
        let unreachable = NodeTaint {
            key: "node.kubernetes.io/unreachable".into(),
            value: String::new(),
            effect: "NoExecute".into(),
        };
        let new = NodeTaint { key: "gpu".into(), value: "yes".into(), effect: "NoSchedule".into() };
        let patch = NodePatch { taints: Some(vec![unreachable, new]), ..NodePatch::default() };
        let expected = json!({
            "metadata": {"labels": {}, "resourceVersion": "7"},
            "spec": {"taints": [
                {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-11-21T09:00:00Z"},
                {"key": "gpu", "value": "yes", "effect": "NoSchedule"},
            ]},
        });
        assert_eq!(body(&patch, Some(&node(NODE))), expected);
    }
}
