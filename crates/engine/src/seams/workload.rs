//! The API server of the cluster that a platform is.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use helix_plan::data_gate::DataFacts;
use helix_plan::names::MachineName;
use helix_plan::observed::{ClaimFacts, NodeFacts, PodFacts, ServiceFacts};
use helix_plan::secrets::Secret;
use helix_plan::step::NodePatch;

/// A client certificate of the cluster's authority, and that authority.
#[derive(Clone)]
pub struct KubernetesCredentials {
    /// The authority's certificate, PEM.
    pub ca_pem: String,
    /// The client's certificate, PEM.
    pub certificate_pem: String,
    /// The client's key, PEM.
    pub key_pem: Secret,
}

impl fmt::Debug for KubernetesCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KubernetesCredentials(<redacted>)")
    }
}

/// How to reach the cluster's API.
#[derive(Clone, Debug)]
pub struct WorkloadRoute {
    /// As in `https://203.0.113.10:6443`.
    pub endpoint: String,
    /// Who we are.
    pub credentials: Arc<KubernetesCredentials>,
}

/// The workload cluster's API, as far as Helix uses it.
#[async_trait]
pub trait Workload: Send + Sync {
    /// All nodes, in pages.
    async fn nodes(&self, route: &WorkloadRoute) -> Result<Vec<NodeFacts>, WorkloadError>;
    /// The pods on a node that a drain has to see off.
    async fn pods_on(&self, route: &WorkloadRoute, node: &MachineName) -> Result<Vec<PodFacts>, WorkloadError>;
    /// Longhorn's volumes and CloudNativePG's clusters with the places of their healthy copies; nothing of what the cluster
    /// does not have.
    async fn data(&self, route: &WorkloadRoute) -> Result<DataFacts, WorkloadError>;
    /// All Services of type LoadBalancer.
    async fn services(&self, route: &WorkloadRoute) -> Result<Vec<ServiceFacts>, WorkloadError>;
    /// All claims to volumes of Hetzner's driver that go with their claims. One that is being deleted is told until its
    /// volume is gone, too.
    async fn claims(&self, route: &WorkloadRoute) -> Result<Vec<ClaimFacts>, WorkloadError>;
    /// Deletes a Service, if it is still the one of that UID; one that is gone is success.
    async fn delete_service(&self, route: &WorkloadRoute, service: &ServiceFacts) -> Result<(), WorkloadError>;
    /// Deletes a claim, if it is still the one of that UID, and the pods that use it: no other pod gets it then. What is
    /// gone is success.
    async fn delete_claim(&self, route: &WorkloadRoute, claim: &ClaimFacts) -> Result<(), WorkloadError>;
    /// Asks a pod to leave; one that is gone is success.
    ///
    /// # Errors
    /// [`WorkloadError::EvictionRefused`], when its disruption budget does not let it go now.
    async fn evict(&self, route: &WorkloadRoute, pod: &PodFacts) -> Result<(), WorkloadError>;
    /// Changes a node.
    async fn patch_node(
        &self,
        route: &WorkloadRoute,
        node: &MachineName,
        patch: &NodePatch,
    ) -> Result<(), WorkloadError>;
    /// Deletes a node object; one that is gone is success.
    async fn delete_node(&self, route: &WorkloadRoute, node: &MachineName) -> Result<(), WorkloadError>;
}

/// Why the workload cluster's API did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// It does not answer.
    #[error("the Kubernetes API at {endpoint} cannot be reached: {why}")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// What happened.
        why: String,
    },
    /// It does not know us.
    #[error("the Kubernetes API at {endpoint} refused our certificate: {why}. Is this the bundle it was made with?")]
    Unauthorized {
        /// Where.
        endpoint: String,
        /// Its words.
        why: String,
    },
    /// A disruption budget does not let a pod go now.
    #[error("pod {pod} may not leave yet: {why}")]
    EvictionRefused {
        /// `namespace/name`.
        pod: String,
        /// The API server's words, which name the budget.
        why: String,
    },
    /// Others have set fields of an object differently.
    #[error("{object} has fields that others have set: {}", named_fields(.fields))]
    Conflict {
        /// The object, as `Kind namespace/name`.
        object: String,
        /// Each field with its manager.
        fields: Vec<(String, String)>,
    },
    /// The cluster does not know the kind of an object.
    #[error("the cluster does not know {api_version} {kind} yet")]
    UnknownKind {
        /// As in `example.com/v1`.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// It answered something else.
    #[error("the Kubernetes API at {endpoint} answered {code}: {why}")]
    Other {
        /// Where.
        endpoint: String,
        /// HTTP status.
        code: u16,
        /// Its words.
        why: String,
    },
}

fn named_fields(fields: &[(String, String)]) -> String {
    fields.iter().map(|(field, manager)| format!("{field} by {manager}")).collect::<Vec<_>>().join(", ")
}

impl WorkloadError {
    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "ApiUnreachable",
            Self::Unauthorized { .. } => "ApiUnauthorized",
            Self::EvictionRefused { .. } => "EvictionRefused",
            Self::Conflict { .. } => "FieldConflict",
            Self::UnknownKind { .. } => "UnknownKind",
            Self::Other { .. } => "ApiError",
        }
    }
}
