//! The `cluster` section, as far as the simulator acts on it.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::ConfigError;
use super::model::{Authority, Program, Role, text_or_nothing};

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct ControlPlane {
    endpoint: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClusterNetwork {
    cni: Named,
    dns_domain: String,
    pod_subnets: Vec<String>,
    service_subnets: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct ServiceAccount {
    key: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ApiServer {
    #[serde(flatten)]
    program: Program,
    #[serde(rename = "certSANs")]
    cert_sans: Vec<String>,
    admission_control: Vec<Value>,
    audit_policy: Option<Value>,
    jwt: Vec<Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Etcd {
    #[serde(flatten)]
    program: Program,
    ca: Authority,
    #[serde(rename = "advertisedSubnets")]
    advertised_subnets: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Switch {
    enabled: bool,
}

/// `cluster.discovery`, as far as the service that tells members of one another goes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Discovery {
    enabled: bool,
    registries: Registries,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Registries {
    service: Off,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Off {
    disabled: bool,
}

/// `cluster`.
#[derive(Clone, Default, PartialEq, Deserialize)]
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
    /// Authorities of the Kubernetes API that are accepted besides.
    #[serde(rename = "acceptedCAs")]
    pub accepted_cas: Vec<Authority>,
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
    proxy: Off,
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

    /// The network plug-in that Talos installs: `flannel` where nothing is said, `none` for none.
    #[must_use]
    pub fn network_plugin(&self) -> &str {
        let name = self.network.cni.name.as_str();
        if name.is_empty() { "flannel" } else { name }
    }

    /// Whether Talos installs kube-proxy.
    #[must_use]
    pub fn kube_proxy(&self) -> bool {
        !self.proxy.disabled
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

    /// The authenticators by tokens that 1.14's `KubeAuthenticationConfig` lists.
    #[must_use]
    pub fn token_authenticators(&self) -> &[Value] {
        &self.api_server.jwt
    }

    /// Certificates of every authority of the Kubernetes API that is let in, as the configuration has them.
    #[must_use]
    pub fn known_authorities(&self) -> Vec<String> {
        std::iter::once(&self.ca).chain(&self.accepted_cas).map(|authority| authority.crt.clone()).collect()
    }

    /// `cluster.etcd`'s image and arguments.
    #[must_use]
    pub fn etcd(&self) -> &Program {
        &self.etcd.program
    }

    /// The subnets from which etcd members take the address that they tell one another; empty means any.
    #[must_use]
    pub fn etcd_advertised_subnets(&self) -> &[String] {
        &self.etcd.advertised_subnets
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
