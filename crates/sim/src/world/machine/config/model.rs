//! The part of the main document that the simulator acts on.
//!
//! Unknown fields are [`super::fields`]' business; what is not listed here has no effect in the simulation.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::ConfigError;

/// What a machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs etcd and the Kubernetes control plane.
    #[serde(alias = "init")]
    ControlPlane,
    /// Runs workloads only.
    Worker,
}

/// A certificate and perhaps its key, each base64 of PEM as in the configuration.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Authority {
    /// Base64 of the PEM certificate.
    #[serde(deserialize_with = "text_or_nothing")]
    pub crt: String,
    /// Base64 of the PEM key; empty where there is none.
    #[serde(deserialize_with = "text_or_nothing")]
    pub key: String,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(<redacted>)")
    }
}

/// A program with its image and further arguments.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Program {
    /// Its image, whose tag is its version.
    pub image: String,
    /// Further arguments, without the leading dashes; a list stands for a repeated argument.
    pub extra_args: BTreeMap<String, Value>,
}

impl Program {
    /// The version in the image's tag, as in `v1.36.3`.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        let (_, tag) = self.image.rsplit_once(':')?;
        Some(tag.split('@').next().unwrap_or(tag))
    }
}

/// A node's taint as a kubelet registers it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NodeTaint {
    /// Key.
    pub key: String,
    /// Value, may be empty.
    #[serde(default)]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// `machine.kubelet`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Kubelet {
    #[serde(flatten)]
    program: Program,
    extra_config: ExtraConfig,
    #[serde(rename = "nodeIP")]
    node_ip: NodeIp,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ExtraConfig {
    #[serde(rename = "providerID")]
    provider_id: Option<String>,
    register_with_taints: Vec<NodeTaint>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeIp {
    valid_subnets: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Install {
    image: String,
}

/// `machine`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// What it is for.
    #[serde(rename = "type")]
    pub role: Role,
    /// The token with which workers ask trustd for their certificate.
    #[serde(default, deserialize_with = "text_or_nothing")]
    token: String,
    /// The authority of Talos' API.
    #[serde(default)]
    pub ca: Authority,
    /// Further names in apid's certificate.
    #[serde(default, rename = "certSANs")]
    pub cert_sans: Vec<String>,
    /// Labels for the node object.
    #[serde(default)]
    pub node_labels: BTreeMap<String, String>,
    /// Annotations for the node object.
    #[serde(default)]
    pub node_annotations: BTreeMap<String, String>,
    /// Taints for the node object, as in `key: value:effect`.
    #[serde(default)]
    pub node_taints: BTreeMap<String, String>,
    #[serde(default)]
    kubelet: Kubelet,
    #[serde(default)]
    install: Install,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("role", &self.role).finish_non_exhaustive()
    }
}

impl Machine {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.token.is_empty() {
            return Err(ConfigError::Missing("trustd token (machine.token)"));
        }
        if self.ca.crt.is_empty() {
            return Err(ConfigError::Missing("trusted CA certificate (machine.ca.crt)"));
        }
        match self.role {
            Role::ControlPlane if self.ca.key.is_empty() => {
                Err(ConfigError::Missing("issuing CA key (machine.ca.key)"))
            }
            Role::Worker if !self.ca.key.is_empty() => Err(ConfigError::Invalid(
                "issuing CA key is not allowed on non-controlplane nodes (.machine.ca)".to_owned(),
            )),
            Role::ControlPlane | Role::Worker => Ok(()),
        }
    }

    /// The kubelet's image and arguments.
    #[must_use]
    pub fn kubelet(&self) -> &Program {
        &self.kubelet.program
    }

    /// `kubelet.extraConfig.providerID`.
    #[must_use]
    pub fn provider_id(&self) -> Option<&str> {
        self.kubelet.extra_config.provider_id.as_deref()
    }

    /// `kubelet.extraConfig.registerWithTaints`.
    #[must_use]
    pub fn register_with_taints(&self) -> &[NodeTaint] {
        &self.kubelet.extra_config.register_with_taints
    }

    /// The subnets from which the node's address is taken; empty means any.
    #[must_use]
    pub fn node_ip_subnets(&self) -> &[String] {
        &self.kubelet.node_ip.valid_subnets
    }

    /// The installer image.
    #[must_use]
    pub fn install_image(&self) -> &str {
        &self.install.image
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ControlPlane {
    endpoint: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClusterNetwork {
    dns_domain: String,
    pod_subnets: Vec<String>,
    service_subnets: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ServiceAccount {
    key: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ApiServer {
    #[serde(flatten)]
    program: Program,
    #[serde(rename = "certSANs")]
    cert_sans: Vec<String>,
    admission_control: Vec<Value>,
    audit_policy: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Etcd {
    #[serde(flatten)]
    program: Program,
    ca: Authority,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Switch {
    enabled: bool,
}

/// `cluster.discovery`, as far as the service that tells members of one another goes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Discovery {
    enabled: bool,
    registries: Registries,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Registries {
    service: Off,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Off {
    disabled: bool,
}

/// `cluster`.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Cluster {
    /// Globally unique id.
    pub id: String,
    /// Name.
    pub cluster_name: String,
    /// The bootstrap token of kubelets, as in `abcdef.0123456789abcdef`.
    #[serde(deserialize_with = "text_or_nothing")]
    pub(crate) token: String,
    /// Base64 of the key that encrypts secrets in etcd.
    #[serde(deserialize_with = "text_or_nothing")]
    pub(crate) secretbox_encryption_secret: String,
    /// The authority of the Kubernetes API.
    pub ca: Authority,
    /// The authority of the aggregation layer.
    #[serde(rename = "aggregatorCA")]
    pub aggregator_ca: Authority,
    /// Whether workloads may run on control planes.
    #[serde(alias = "allowSchedulingOnMasters")]
    pub allow_scheduling_on_control_planes: bool,
    /// `cluster.controllerManager`
    pub controller_manager: Program,
    /// `cluster.scheduler`
    pub scheduler: Program,
    control_plane: ControlPlane,
    network: ClusterNetwork,
    service_account: ServiceAccount,
    api_server: ApiServer,
    etcd: Etcd,
    external_cloud_provider: Switch,
    discovery: Discovery,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("name", &self.cluster_name).finish_non_exhaustive()
    }
}

impl Cluster {
    pub(super) fn validate(&self, role: Role) -> Result<(), ConfigError> {
        let everywhere = [
            (&self.control_plane.endpoint, "cluster endpoint (cluster.controlPlane.endpoint)"),
            (&self.ca.crt, "Kubernetes CA certificate (cluster.ca.crt)"),
            (&self.token, "bootstrap token (cluster.token)"),
        ];
        let on_control_planes = [
            (&self.ca.key, "Kubernetes CA key (cluster.ca.key)"),
            (&self.aggregator_ca.crt, "aggregator CA certificate (cluster.aggregatorCA.crt)"),
            (&self.aggregator_ca.key, "aggregator CA key (cluster.aggregatorCA.key)"),
            (&self.service_account.key, "service account key (cluster.serviceAccount.key)"),
            (&self.etcd.ca.crt, "etcd CA certificate (cluster.etcd.ca.crt)"),
            (&self.etcd.ca.key, "etcd CA key (cluster.etcd.ca.key)"),
        ];
        let needed = everywhere.iter().chain(if role == Role::ControlPlane { &on_control_planes[..] } else { &[] });
        for (value, what) in needed {
            if value.is_empty() {
                return Err(ConfigError::Missing(what));
            }
        }
        match self.control_plane.endpoint.strip_prefix("https://") {
            Some(_) => Ok(()),
            None => Err(ConfigError::Invalid("invalid cluster endpoint: the scheme must be https".to_owned())),
        }
    }

    /// The URL under which the cluster's API is to be found.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.control_plane.endpoint
    }

    /// The domain of cluster DNS.
    #[must_use]
    pub fn dns_domain(&self) -> &str {
        let domain = self.network.dns_domain.as_str();
        if domain.is_empty() { "cluster.local" } else { domain }
    }

    /// Ranges of pods.
    #[must_use]
    pub fn pod_subnets(&self) -> &[String] {
        &self.network.pod_subnets
    }

    /// Ranges of services.
    #[must_use]
    pub fn service_subnets(&self) -> &[String] {
        &self.network.service_subnets
    }

    /// Base64 of the PEM key that signs service account tokens.
    pub(crate) fn service_account_key(&self) -> &str {
        &self.service_account.key
    }

    /// `cluster.apiServer`'s image and arguments.
    #[must_use]
    pub fn api_server(&self) -> &Program {
        &self.api_server.program
    }

    /// `cluster.apiServer.certSANs`
    #[must_use]
    pub fn api_server_sans(&self) -> &[String] {
        &self.api_server.cert_sans
    }

    /// `cluster.apiServer.admissionControl`: plug-ins with their configuration.
    #[must_use]
    pub fn admission_control(&self) -> &[Value] {
        &self.api_server.admission_control
    }

    /// `cluster.apiServer.auditPolicy`
    #[must_use]
    pub fn audit_policy(&self) -> Option<&Value> {
        self.api_server.audit_policy.as_ref()
    }

    /// `cluster.etcd`'s image and arguments.
    #[must_use]
    pub fn etcd(&self) -> &Program {
        &self.etcd.program
    }

    /// The authority of etcd.
    #[must_use]
    pub fn etcd_ca(&self) -> &Authority {
        &self.etcd.ca
    }

    /// The id under which the machines of a cluster find one another; `None` where discovery is off.
    #[must_use]
    pub fn discovery_id(&self) -> Option<&str> {
        (self.discovery.enabled && !self.discovery.registries.service.disabled).then_some(self.id.as_str())
    }

    /// `cluster.externalCloudProvider.enabled`
    #[must_use]
    pub fn external_cloud_provider(&self) -> bool {
        self.external_cloud_provider.enabled
    }
}

/// A text; Talos reads `null` as an empty one.
fn text_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}
