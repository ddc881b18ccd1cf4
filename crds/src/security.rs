//! Phase `SecurityWeave`: pod network, default-deny, mesh, ingress and single sign-on; and encryption at rest.
//!
//! What components need to reach each other is declared by the catalogue; here is only what the user adds.

use crate::reference::{SecretKeyRef, SecretRef};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Encryption of the machines' disks; decided at creation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self == oldSelf")
        .message("can't be changed: disks are encrypted at first boot; create another platform with the wanted encryption"),
    validation = Rule::new("(self.disk == 'ExternalKms') == has(self.endpoint)")
        .message("endpoint belongs to disk ExternalKms: write {disk: ExternalKms, endpoint: https://kms.example.com:4050}, or leave endpoint out")
)]
pub struct Encryption {
    /// Where the disks' keys come from: `None` (not encrypted), `NodeId` (guards a disk without its machine) or
    /// `ExternalKms`. Default: `None`. Example: `NodeId`.
    #[serde(default)]
    pub disk: DiskEncryption,
    /// URL of the key management service that seals the keys; required with `ExternalKms`, refused otherwise. Default:
    /// none. Example: `https://kms.example.com:4050`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("isURL(self)")
        .message("is not a URL: write the service's URL, for example https://kms.example.com:4050"))]
    pub endpoint: Option<String>,
}

/// Where disk keys come from: `None`, `NodeId` or `ExternalKms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DiskEncryption {
    /// Disks are not encrypted.
    #[default]
    None,
    /// From the machine's own identity.
    NodeId,
    /// Sealed by a key management service outside.
    ExternalKms,
}

/// The security layer of the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecurityWeave {
    /// The pod network. Default: as of its fields. Example: `{version: 1.20.0, hubble: false}`.
    #[serde(default)]
    pub cilium: Cilium,
    /// Flows allowed on top of what components declare themselves; everything else is denied. Default: `{}`. Example:
    /// `{allow: [{from: {namespace: shop}, to: {namespace: billing}, ports: [{port: 8080}]}]}`.
    #[serde(default)]
    pub default_deny: DefaultDeny,
    /// Mesh for administrators. Default: none is installed. Example: `{apiKeySecretRef: {name: netbird}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netbird: Option<Netbird>,
    /// Ingress for the platform's domains. Default: none is installed. Example: `{domains: [{host: app.example.com, service:
    /// {namespace: shop, name: web, port: 80}}]}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// Single sign-on. Default: none is installed. Example: `{host: sso.example.com}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentik: Option<Authentik>,
}

/// Settings of the pod network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cilium {
    /// Version of the chart, without a leading `v`. Default: `1.20.0`. Example: `1.20.0`.
    #[serde(default = "default_cilium_version")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]+[.][0-9]+[.][0-9]+$')")
        .message("is not a chart version: write it as X.Y.Z, for example 1.20.0"))]
    pub version: String,
    /// Encryption of traffic between nodes: `WireGuard` or `None`. Default: `WireGuard`. Example: `None`.
    #[serde(default)]
    pub encryption: PodEncryption,
    /// Whether flows can be watched with Hubble. Default: `true`. Example: `false`.
    #[serde(default = "enabled")]
    pub hubble: bool,
}

fn default_cilium_version() -> String {
    "1.20.0".to_owned()
}

fn enabled() -> bool {
    true
}

impl Default for Cilium {
    fn default() -> Self {
        Self { version: default_cilium_version(), encryption: PodEncryption::default(), hubble: enabled() }
    }
}

/// Encryption of traffic between nodes: `WireGuard` or `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PodEncryption {
    /// With WireGuard, keys made by each node.
    #[default]
    WireGuard,
    /// Not encrypted.
    None,
}

/// What the user allows in a cluster that denies by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DefaultDeny {
    /// Allowed flows. Default: `[]`. Example: `[{from: {namespace: shop}, to: {fqdn: api.stripe.com}, ports: [{port:
    /// 443}]}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub allow: Vec<AllowedFlow>,
}

/// One allowed direction between two peers; answers are always let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.from.fqdn)")
    .message("from can't be a DNS name: write fqdn in to, or a cidr in from"))]
pub struct AllowedFlow {
    /// Who calls. Required. Example: `{namespace: shop, podLabels: {app: web}}`.
    pub from: FlowPeer,
    /// Who is called. Required. Example: `{fqdn: api.stripe.com}`.
    pub to: FlowPeer,
    /// Ports of the called one. Default: `[]`, every port. Example: `[{port: 443}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 40))]
    pub ports: Vec<FlowPort>,
}

/// One end of a flow: pods of a namespace, addresses, or a DNS name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("(has(self.__namespace__) ? 1 : 0) + (has(self.cidr) ? 1 : 0) + (has(self.fqdn) ? 1 : 0) == 1")
        .message("needs exactly one of namespace, cidr and fqdn: write for example {namespace: shop}"),
    validation = Rule::new("!has(self.podLabels) || has(self.__namespace__)")
        .message("podLabels select within a namespace: write namespace, too")
)]
pub struct FlowPeer {
    /// Namespace of the pods. Default: none. Example: `shop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Labels that the pods must have. Default: `{}`, all pods of the namespace. Example: `{app: web}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "pod_labels")]
    pub pod_labels: BTreeMap<String, String>,
    /// Address range outside the cluster. Default: none. Example: `198.51.100.0/24`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 43))]
    #[x_kube(validation = Rule::new("isCIDR(self)")
        .message("is not a CIDR: write an address range, for example 198.51.100.0/24"))]
    pub cidr: Option<String>,
    /// DNS name outside the cluster, which may begin with `*.`. Default: none. Example: `*.wikipedia.org`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub fqdn: Option<String>,
}

/// A port of an allowed flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FlowPort {
    /// Number of the port. Required. Example: `443`.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Protocol: `TCP`, `UDP` or `SCTP`. Default: `TCP`. Example: `UDP`.
    #[serde(default)]
    pub protocol: FlowProtocol,
}

/// Protocol of a port: `TCP`, `UDP` or `SCTP`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum FlowProtocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// The mesh through which administrators reach the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Netbird {
    /// URL of NetBird's management service. Default: `https://api.netbird.io`. Example: `https://netbird.example.com`.
    #[serde(default = "default_netbird_url")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("isURL(self)")
        .message("is not a URL: write the management service's URL, for example https://api.netbird.io"))]
    pub management_url: String,
    /// Secret key with a token for the management service. Required. Example: `{name: netbird, key: token}`.
    pub api_key_secret_ref: SecretKeyRef,
    /// Whether admin ports close to all but `operatorEgress`, and the load balancer loses its public interface, once the
    /// mesh is proved to be another way in. Default: `true`. Example: `false`.
    #[serde(default = "enabled")]
    pub close_public_admin_ports: bool,
}

fn default_netbird_url() -> String {
    "https://api.netbird.io".to_owned()
}

/// The platform's domains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ingress {
    /// Domains and the services behind them. Default: `[]`. Example: `[{host: app.example.com, service: {namespace: shop,
    /// name: web, port: 80}}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub domains: Vec<IngressDomain>,
}

/// A domain and the service behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngressDomain {
    /// DNS name; each is listed once. Required. Example: `app.example.com`.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Service that answers. Required. Example: `{namespace: shop, name: web, port: 80}`.
    pub service: ServiceBackend,
    /// Who is let through: `None` (everybody) or `ForwardAuth` (who is signed on at Authentik). Default: `ForwardAuth`.
    /// Example: `None`.
    #[serde(default)]
    pub auth: IngressAuth,
    /// Name of the certificate's ClusterIssuer; `letsencrypt` is made from `spec.acme`. Default: `letsencrypt`. Example:
    /// `internal-ca`.
    #[serde(default = "default_issuer")]
    #[schemars(length(min = 1, max = 63))]
    pub issuer: String,
}

fn default_issuer() -> String {
    "letsencrypt".to_owned()
}

/// A service of the workload cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceBackend {
    /// Namespace of the service. Required. Example: `shop`.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Name of the service. Required. Example: `web`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Port of the service. Required. Example: `80`.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

/// Who is let through to a domain: `None` or `ForwardAuth`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum IngressAuth {
    /// Only who is signed on.
    #[default]
    ForwardAuth,
    /// Everybody.
    None,
}

/// Single sign-on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authentik {
    /// DNS name of the sign-on pages. Required. Example: `sso.example.com`.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Secret with the first administrator's `password` and API `token`. Default: Helix makes one. Example: `{name:
    /// authentik-bootstrap}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_secret_ref: Option<SecretRef>,
    /// Which parts of the platform trust the sign-on. Default: all. Example: `{kubernetes: false}`.
    #[serde(default)]
    pub oidc: OidcClients,
}

/// Parts of the platform that trust the sign-on by OpenID Connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcClients {
    /// The Kubernetes API. Default: `true`. Example: `false`.
    #[serde(default = "enabled")]
    pub kubernetes: bool,
    /// Argo CD. Default: `true`. Example: `false`.
    #[serde(default = "enabled")]
    pub argocd: bool,
    /// Grafana. Default: `true`. Example: `false`.
    #[serde(default = "enabled")]
    pub grafana: bool,
}

impl Default for OidcClients {
    fn default() -> Self {
        Self { kubernetes: enabled(), argocd: enabled(), grafana: enabled() }
    }
}

fn pod_labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 20, "additionalProperties": {"type": "string", "maxLength": 63}})
}
