//! The `machine` section, as far as the simulator acts on it, and what both sections are made of.
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
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Kubelet {
    #[serde(flatten)]
    program: Program,
    extra_config: ExtraConfig,
    #[serde(rename = "nodeIP")]
    node_ip: NodeIp,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ExtraConfig {
    #[serde(rename = "providerID")]
    provider_id: Option<String>,
    register_with_taints: Vec<NodeTaint>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeIp {
    valid_subnets: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Features {
    kube_prism: KubePrism,
    #[serde(rename = "hostDNS")]
    host_dns: HostDns,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct KubePrism {
    enabled: bool,
    port: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct HostDns {
    enabled: bool,
    #[serde(rename = "forwardKubeDNSToHost")]
    forward_kube_dns_to_host: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
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
    /// Authorities that are accepted besides.
    #[serde(default, rename = "acceptedCAs")]
    pub accepted_cas: Vec<Authority>,
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
    #[serde(default)]
    features: Features,
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

    /// Certificates of every authority whose clients and servers it lets in, as the configuration has them.
    #[must_use]
    pub fn known_authorities(&self) -> Vec<String> {
        std::iter::once(&self.ca).chain(&self.accepted_cas).map(|authority| authority.crt.clone()).collect()
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

    /// The port on which the machine itself balances the Kubernetes API, if it does.
    #[must_use]
    pub fn kube_prism_port(&self) -> Option<u16> {
        let KubePrism { enabled, port } = self.features.kube_prism;
        enabled.then_some(if port == 0 { 7445 } else { port })
    }

    /// Whether the machine resolves names itself, and whether cluster DNS asks it to.
    #[must_use]
    pub fn host_dns(&self) -> (bool, bool) {
        (self.features.host_dns.enabled, self.features.host_dns.forward_kube_dns_to_host)
    }

    /// The installer image.
    #[must_use]
    pub fn install_image(&self) -> &str {
        &self.install.image
    }
}

/// A text; Talos reads `null` as an empty one.
pub(super) fn text_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}
