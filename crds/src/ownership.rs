//! What a platform takes over when it begins, and what it leaves behind when it ends.
//!
//! Nothing is adopted unnamed, and nothing is kept unasked.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An existing resource of the provider that becomes the platform's. It is taken over when it is what the specification
/// asks for and nobody else's, gets the platform's labels beside its own, and is let go when the platform is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(self.kind == 'Server') == has(self.machine)")
    .message("machine belongs to kind Server: write {kind: Server, id: 123, machine: dev-cp-0}, or leave machine out"))]
pub struct Adoption {
    /// Kind of the resource: `Server`, `Network`, `Firewall`, `LoadBalancer`, `PlacementGroup`, `SshKey` or `Volume`.
    /// Required. Example: `Server`.
    pub kind: AdoptedKind,
    /// Id of the resource at the provider. Required. Example: `123`.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub id: u64,
    /// Machine that a server becomes; required with kind `Server`, refused otherwise. Default: none. Example: `dev-cp-0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub machine: Option<String>,
}

/// An entry of `spec.adopt` that has been carried out: what was taken over, and as which machine. Only the operator writes
/// it, of entries that were admitted: it has no rules of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdoptedResource {
    /// Kind of the resource. Example: `Server`.
    pub kind: AdoptedKind,
    /// Id of the resource at the provider. Example: `123`.
    pub id: u64,
    /// Machine that a server became. Example: `dev-cp-0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

impl From<&Adoption> for AdoptedResource {
    fn from(entry: &Adoption) -> Self {
        Self { kind: entry.kind, id: entry.id, machine: entry.machine.clone() }
    }
}

impl PartialEq<Adoption> for AdoptedResource {
    fn eq(&self, entry: &Adoption) -> bool {
        (self.kind, self.id, &self.machine) == (entry.kind, entry.id, &entry.machine)
    }
}

/// Kind of a resource that can be adopted: `Server`, `Network`, `Firewall`, `LoadBalancer`, `PlacementGroup`, `SshKey` or
/// `Volume`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AdoptedKind {
    /// A server, which becomes the machine named.
    Server,
    /// The private network.
    Network,
    /// A firewall.
    Firewall,
    /// The API load balancer.
    LoadBalancer,
    /// A placement group.
    PlacementGroup,
    /// The SSH key.
    SshKey,
    /// A volume.
    Volume,
}

/// What happens to the provider's resources when the platform is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnDelete {
    /// What is kept (and named in the receipt): `Volumes`, `LoadBalancerIp`. Default: `[]`, nothing. Example: `[Volumes]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub retain: Vec<Retained>,
}

/// What can be kept when a platform is deleted: `Volumes` or `LoadBalancerIp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Retained {
    /// Volumes with their data, detached.
    Volumes,
    /// The load balancer that holds the API's public address, without services and targets.
    LoadBalancerIp,
}
