//! Machine configurations: what one machine is to be, as the text that Talos reads.
//!
//! [`MachineConfigInputs`] is everything that a configuration follows from, but for the secret bundle. From it come the
//! text ([`render_machine_config`]) and, without rendering, its identity ([`config_digest`]): a plan compares digests,
//! only apply renders. Each Talos minor version has its own document style and so its own file ([`v1_13`],
//! [`v1_14`]); what they share is in [`shapes`], [`api_server`] and [`volumes`].
//!
//! What a kubelet may not say of itself (NodeRestriction) is not rendered: [`split_labels`] keeps it for the
//! Kubernetes API, and taints are given at birth by the kubelet's own `registerWithTaints`.

mod api_server;
mod change;
mod digest;
mod labels;
mod patch;
mod shapes;
mod sign_on;
mod specimen;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod v1_13;
mod v1_14;
mod volumes;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use semver::Version;
use serde::Serialize;

pub use change::{ChangeClass, change_class};
pub use digest::{AlikeDigests, ConfigDigest, config_digest};
pub use labels::{SplitLabels, split_labels};
pub use patch::{PatchError, PatchProblem};
pub(crate) use sign_on::PREFIX as SIGNED_ON;
pub use sign_on::TrustedIssuer;
pub use specimen::check_patches;

use crate::names::MachineName;
use crate::observed::NodeTaint;
use crate::secrets::{Secret, SecretBundle};

/// The name of the user volume that `storage` makes.
pub const STORAGE_VOLUME: &str = "longhorn";

/// Where Talos mounts [`STORAGE_VOLUME`], and where pods see it.
pub const STORAGE_MOUNT: &str = "/var/mnt/longhorn";

/// The image that installs this Talos, with the schematic's extensions.
#[must_use]
pub fn installer_image(schematic: &str, talos: &Version) -> String {
    format!("factory.talos.dev/hcloud-installer/{schematic}:v{talos}")
}

/// What a machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MachineRole {
    /// Runs etcd and the Kubernetes control plane.
    ControlPlane,
    /// Runs workloads.
    Worker,
}

/// Where a machine keeps replicated data. Decided at first boot: Talos provisions a volume only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Storage {
    /// So many bytes of the system disk are kept out of Talos' own volume and made a volume of their own.
    SystemDisk(u64),
    /// An attached volume of so many bytes is used whole.
    Volume(u64),
}

/// The parts of Kubernetes on a machine, as in `1.36.3`. Kubelets and controllers are never newer than API servers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesVersions {
    /// Of the API server; says nothing on a worker.
    pub api_server: Version,
    /// Of the controller manager and the scheduler; says nothing on a worker.
    pub controllers: Version,
    /// Of the kubelet.
    pub kubelet: Version,
}

impl KubernetesVersions {
    /// All parts of one version.
    #[must_use]
    pub fn all(version: &Version) -> Self {
        Self { api_server: version.clone(), controllers: version.clone(), kubelet: version.clone() }
    }
}

/// Everything that a machine's configuration follows from, but for the secret bundle.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineConfigInputs {
    /// Talos on the machine, as in `1.13.9`; picks the document style.
    pub talos_version: Version,
    /// Kubernetes on the machine, part by part: an upgrade moves them one after the other.
    pub kubernetes: KubernetesVersions,
    /// What the machine is for.
    pub role: MachineRole,
    /// Host name, server name and node name in one.
    pub machine: MachineName,
    /// Hetzner's id of the server: the provider id is `hcloud://<id>`.
    pub server_id: u64,
    /// The cluster's name.
    pub cluster_name: String,
    /// Where machines and people reach the Kubernetes API, as in `https://10.0.0.5:6443`.
    pub endpoint: String,
    /// Further names and addresses by which the Talos API and the Kubernetes API are called, in the order given.
    pub cert_sans: Vec<String>,
    /// The private subnet in which nodes and etcd members have their addresses.
    pub node_subnet: Ipv4Net,
    /// Addresses of pods.
    pub pod_cidr: Ipv4Net,
    /// Addresses of services.
    pub service_cidr: Ipv4Net,
    /// Image factory schematic of the installer, 64 hex digits.
    pub schematic: String,
    /// Node labels as the pool asks for them; those that a kubelet may not set are left out of the configuration.
    pub labels: BTreeMap<String, String>,
    /// Node taints as the pool asks for them; the kubelet registers with them.
    pub taints: Vec<NodeTaint>,
    /// Whether control planes run workloads, too: true where there is no worker pool.
    pub schedulable_control_planes: bool,
    /// Where replicated data is kept, if anywhere.
    pub storage: Option<Storage>,
    /// Whom the API server believes about people, besides its own authority; says nothing on a worker.
    pub trusted_issuer: Option<TrustedIssuer>,
    /// The user's strategic-merge patches, in order.
    pub patches: Vec<serde_json::Value>,
}

/// Why a machine configuration cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// There is no document style for this Talos.
    #[error(
        "no machine configuration can be rendered for Talos {version}: Helix knows {supported}; \
         set spec.versions.talos to one of them"
    )]
    UnsupportedTalos {
        /// What was asked for.
        version: Version,
        /// What is known, in words.
        supported: &'static str,
    },
    /// A user's patch cannot be applied.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// The serializer failed; its message could quote a secret and is left out.
    #[error("the machine configuration of {machine} could not be written as YAML")]
    Unwritable {
        /// Whose configuration.
        machine: MachineName,
    },
}

impl RenderError {
    /// A stable name of the error, for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnsupportedTalos { .. } => "TalosVersionUnsupported",
            Self::Patch(error) => error.reason(),
            Self::Unwritable { .. } => "ConfigUnwritable",
        }
    }
}

/// Renders the configuration of one machine: YAML, one or more documents, ready for Talos' `ApplyConfiguration`.
///
/// # Errors
/// [`RenderError`]: a Talos version without a document style, or a patch that Helix refuses.
pub fn render_machine_config(inputs: &MachineConfigInputs, bundle: &SecretBundle) -> Result<Secret, RenderError> {
    match (inputs.talos_version.major, inputs.talos_version.minor) {
        (1, 13) => v1_13::render(inputs, bundle),
        (1, 14) => v1_14::render(inputs, bundle),
        _ => Err(RenderError::UnsupportedTalos { version: inputs.talos_version.clone(), supported: "1.13 and 1.14" }),
    }
}

/// The addresses and names that a certificate must hold to be called at `endpoint` and `addresses`, each once.
#[must_use]
pub fn cert_sans(endpoint_host: &str, addresses: &[Ipv4Addr]) -> Vec<String> {
    let mut sans = vec![endpoint_host.to_owned()];
    for address in addresses {
        let text = address.to_string();
        if !sans.contains(&text) {
            sans.push(text);
        }
    }
    sans
}
