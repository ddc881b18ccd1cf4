//! How callers reach the Kubernetes API.
//!
//! Hetzner's firewalls guard servers, never load balancers: a public load balancer opens 6443 to the world.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The one address of the Kubernetes API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("(self.type == 'Dns') == has(self.host)")
    .message("host belongs to type Dns: write {type: Dns, host: api.example.com}, or leave host out"))]
pub struct Endpoint {
    /// What carries the address: `LoadBalancer`, `Dns` (a name of yours that points to the control planes) or
    /// `PrivateVip` (not implemented: it needs the token on the nodes). Can't be changed later. Default: `LoadBalancer`.
    /// Example: `LoadBalancer`.
    #[serde(rename = "type", default)]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("can't be changed: every machine and kubeconfig holds the endpoint; create another platform"))]
    pub kind: EndpointType,
    /// Whether the load balancer has a public interface, open to the world on 6443 (Kubernetes still authenticates). With
    /// `false` callers outside use the control planes' own 6443, which `apiAllowlist` guards. Default: `true`. Example:
    /// `false`.
    #[serde(default = "default_public")]
    pub public: bool,
    /// DNS name of the endpoint; required with type `Dns`, refused otherwise. Default: none. Example: `api.example.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)+$')")
        .message("is not a DNS name: write it in lower case without port, for example api.example.com"))]
    pub host: Option<String>,
}

fn default_public() -> bool {
    true
}

impl Default for Endpoint {
    fn default() -> Self {
        Self { kind: EndpointType::default(), public: default_public(), host: None }
    }
}

/// What carries the address of the Kubernetes API: `LoadBalancer`, `Dns` or `PrivateVip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum EndpointType {
    /// A load balancer of the provider.
    #[default]
    LoadBalancer,
    /// A DNS name that points to the control planes.
    Dns,
    /// A virtual address in the private network.
    PrivateVip,
}
