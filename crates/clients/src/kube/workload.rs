//! The workload clusters' APIs: nodes are listed, changed and deleted, pods are asked to leave,
//! and what Hetzner's controllers have made things for is deleted before its cluster. Credentials come from memory, never from files.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helix_crds::labels::FIELD_MANAGER;
use helix_engine::seams::{Workload, WorkloadError, WorkloadRoute};
use helix_plan::data_gate::DataFacts;
use helix_plan::names::MachineName;
use helix_plan::observed::{ClaimFacts, NodeFacts, PodFacts, ServiceFacts};
use helix_plan::step::NodePatch;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod, Service};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, EvictParams, GroupVersionKind, ListParams, Patch, PatchParams,
    Preconditions,
};
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::failure::{Failure, absent_is_none, bounded};
use super::objects::Memory;
use super::{data, inside, nodes, pods};

/// Objects in one page.
pub(super) const PAGE: u32 = 500;
/// 50,000 objects: ten times the nodes that Kubernetes supports.
pub(super) const MOST_PAGES: usize = 100;
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that were not used for this long are given up, and what is remembered of their clusters: well above the time
/// between two looks at a settled platform.
const IDLE: Duration = Duration::from_secs(3600);

/// Talks to the API servers of workload clusters, keeping their connections between calls.
#[derive(Default)]
pub struct WorkloadClients {
    /// By digest of endpoint and credentials: others' credentials never ride on a connection.
    open: Mutex<HashMap<[u8; 32], Open>>,
}

struct Open {
    client: Client,
    memory: Arc<Memory>,
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

    fn nodes_api(&self, route: &WorkloadRoute) -> Result<Api<Node>, WorkloadError> {
        Ok(Api::all(self.client(route)?))
    }

    /// All objects of a kind, none where the cluster does not have the kind.
    async fn resources(
        &self,
        route: &WorkloadRoute,
        group: &str,
        version: &str,
        (kind, plural): (&str, &str),
    ) -> Result<Vec<DynamicObject>, WorkloadError> {
        let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        let api: Api<DynamicObject> = Api::all_with(self.client(route)?, &kind);
        match listed(&api, &ListParams::default(), route).await {
            Err(WorkloadError::Other { code: 404, .. }) => Ok(Vec::new()),
            other => other,
        }
    }

    pub(super) fn client(&self, route: &WorkloadRoute) -> Result<Client, WorkloadError> {
        self.open(route).map(|(client, _)| client)
    }

    /// The connection to a cluster, and what is remembered of it.
    pub(super) fn open(&self, route: &WorkloadRoute) -> Result<(Client, Arc<Memory>), WorkloadError> {
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
            return Ok((entry.client.clone(), Arc::clone(&entry.memory)));
        }
        let (client, memory) = (connect(route)?, Arc::<Memory>::default());
        open.insert(key, Open { client: client.clone(), memory: Arc::clone(&memory), used: now });
        Ok((client, memory))
    }
}

fn connect(route: &WorkloadRoute) -> Result<Client, WorkloadError> {
    let unusable = |why: String| WorkloadError::Unreachable { endpoint: route.endpoint.clone(), why };
    // kube takes the process-wide provider. Whoever was first has set it; any one will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let uri = route.endpoint.parse().map_err(|_| unusable("it is not a URL".to_owned()))?;
    let credentials = &route.credentials;
    // While authorities are rotated there are two.
    let authorities = CertificateDer::pem_slice_iter(credentials.ca_pem.as_bytes())
        .map(|authority| authority.map(|certificate| certificate.as_ref().to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|authorities| !authorities.is_empty())
        .ok_or_else(|| unusable("the stored authority is not a certificate in PEM".to_owned()))?;
    let mut config = Config::new(uri);
    config.root_cert = Some(authorities);
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
        let nodes = listed(&self.nodes_api(route)?, &ListParams::default(), route).await?;
        Ok(nodes.into_iter().map(nodes::facts).collect())
    }

    async fn pods_on(&self, route: &WorkloadRoute, node: &MachineName) -> Result<Vec<PodFacts>, WorkloadError> {
        let here = ListParams::default().fields(&format!("spec.nodeName={node}"));
        let pods = listed::<Pod>(&Api::all(self.client(route)?), &here, route).await?;
        Ok(pods.into_iter().filter(pods::holds_up_a_drain).map(pods::facts).collect())
    }

    async fn data(&self, route: &WorkloadRoute) -> Result<DataFacts, WorkloadError> {
        let volumes = self.resources(route, "longhorn.io", "v1beta2", ("Volume", "volumes")).await?;
        let replicas = match volumes.is_empty() {
            true => Vec::new(),
            false => self.resources(route, "longhorn.io", "v1beta2", ("Replica", "replicas")).await?,
        };
        let clusters = self.resources(route, "postgresql.cnpg.io", "v1", ("Cluster", "clusters")).await?;
        let pods = match clusters.is_empty() {
            true => Vec::new(),
            false => {
                let instances = ListParams::default().labels(data::CLUSTER);
                listed::<Pod>(&Api::all(self.client(route)?), &instances, route).await?
            }
        };
        Ok(data::facts(&volumes, &replicas, &clusters, &pods))
    }

    async fn services(&self, route: &WorkloadRoute) -> Result<Vec<ServiceFacts>, WorkloadError> {
        let all = listed::<Service>(&Api::all(self.client(route)?), &ListParams::default(), route).await?;
        Ok(all.into_iter().filter_map(inside::service).collect())
    }

    async fn claims(&self, route: &WorkloadRoute) -> Result<Vec<ClaimFacts>, WorkloadError> {
        let everything = ListParams::default();
        let volumes = listed::<PersistentVolume>(&Api::all(self.client(route)?), &everything, route).await?;
        let claims = listed::<PersistentVolumeClaim>(&Api::all(self.client(route)?), &everything, route).await?;
        Ok(inside::claims(&volumes, &claims))
    }

    async fn delete_service(&self, route: &WorkloadRoute, service: &ServiceFacts) -> Result<(), WorkloadError> {
        let api: Api<Service> = Api::namespaced(self.client(route)?, &service.namespace);
        delete(&api, &service.name, Some(&service.uid), route).await
    }

    async fn delete_claim(&self, route: &WorkloadRoute, claim: &ClaimFacts) -> Result<(), WorkloadError> {
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client(route)?, &claim.namespace);
        delete(&api, &claim.name, Some(&claim.uid), route).await?;
        let pods: Api<Pod> = Api::namespaced(self.client(route)?, &claim.namespace);
        for pod in listed(&pods, &ListParams::default(), route).await? {
            if inside::uses(&pod, &claim.name) {
                delete(&pods, &pod.metadata.name.unwrap_or_default(), pod.metadata.uid.as_deref(), route).await?;
            }
        }
        Ok(())
    }

    async fn evict(&self, route: &WorkloadRoute, pod: &PodFacts) -> Result<(), WorkloadError> {
        let api: Api<Pod> = Api::namespaced(self.client(route)?, &pod.namespace);
        match absent_is_none(bounded(api.evict(&pod.name, &EvictParams::default())).await) {
            Ok(_) => Ok(()),
            Err(Failure::Refused { code: 429, why }) => {
                Err(WorkloadError::EvictionRefused { pod: format!("{}/{}", pod.namespace, pod.name), why })
            }
            Err(failure) => Err(workload_error(failure, route)),
        }
    }

    async fn patch_node(
        &self,
        route: &WorkloadRoute,
        node: &MachineName,
        patch: &NodePatch,
    ) -> Result<(), WorkloadError> {
        let api = self.nodes_api(route)?;
        let name = node.to_string();
        let current = match &patch.taints {
            None => None,
            Some(_) => Some(bounded(api.get(&name)).await.map_err(|failure| workload_error(failure, route))?),
        };
        let body = nodes::body(patch, current.as_ref());
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = bounded(api.patch(&name, &params, &Patch::Merge(&body))).await;
        patched.map(|_| ()).map_err(|failure| workload_error(failure, route))
    }

    async fn delete_node(&self, route: &WorkloadRoute, node: &MachineName) -> Result<(), WorkloadError> {
        let api = self.nodes_api(route)?;
        let deleted = absent_is_none(bounded(api.delete(&node.to_string(), &DeleteParams::default())).await);
        deleted.map(|_| ()).map_err(|failure| workload_error(failure, route))
    }
}

/// Deletes an object, if it is still the one of that UID. One that is gone, or was made anew, is success: the next look
/// tells of the new one.
async fn delete<K>(api: &Api<K>, name: &str, uid: Option<&str>, route: &WorkloadRoute) -> Result<(), WorkloadError>
where
    K: Clone + fmt::Debug + DeserializeOwned,
{
    let preconditions = Preconditions { uid: uid.map(str::to_owned), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match absent_is_none(bounded(api.delete(name, &params)).await) {
        Ok(_) | Err(Failure::Refused { code: 409, .. }) => Ok(()),
        Err(failure) => Err(workload_error(failure, route)),
    }
}

/// All pages of a list.
async fn listed<K>(api: &Api<K>, which: &ListParams, route: &WorkloadRoute) -> Result<Vec<K>, WorkloadError>
where
    K: Clone + fmt::Debug + DeserializeOwned,
{
    pages(api, which).await.map_err(|failure| workload_error(failure, route))
}

/// All pages of a list, through any client.
pub(super) async fn pages<K>(api: &Api<K>, which: &ListParams) -> Result<Vec<K>, Failure>
where
    K: Clone + fmt::Debug + DeserializeOwned,
{
    let mut found = Vec::new();
    let mut params = which.clone().limit(PAGE);
    for _ in 0..MOST_PAGES {
        let page = bounded(api.list(&params)).await?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = which.clone().limit(PAGE).continue_token(&token),
            None => return Ok(found),
        }
    }
    Err(Failure::Unreachable { why: format!("its list does not end after {MOST_PAGES} pages") })
}

pub(super) fn workload_error(failure: Failure, route: &WorkloadRoute) -> WorkloadError {
    let endpoint = route.endpoint.clone();
    match failure {
        Failure::Refused { code: 401, why } | Failure::Identity { why } => {
            WorkloadError::Unauthorized { endpoint, why }
        }
        Failure::Refused { code, why } => WorkloadError::Other { endpoint, code, why },
        Failure::Unreachable { why } => WorkloadError::Unreachable { endpoint, why },
    }
}
