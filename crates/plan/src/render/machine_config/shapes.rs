//! What the document styles of more than one Talos have in common: shapes that they put in different places.
//!
//! They borrow from inputs and bundle; what holds an encoded key overwrites it when dropped. What only one style has is
//! with that style.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helix_crds::labels;
use ipnet::Ipv4Net;
use serde::{Serialize, Serializer};

use super::labels::kubelet_may_set;
use super::{ConfigDigest, MachineConfigInputs, MachineRole};
use crate::observed::{ControlPlaneVersions, NodeTaint};
use crate::secrets::{CertificateAuthority, Secret};

/// Keeps the cloud controller manager from sending outside traffic to a machine.
const NO_EXTERNAL_LOAD_BALANCER: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The labels that a configuration may give a node at birth.
pub(super) fn labels_at_birth(inputs: &MachineConfigInputs) -> BTreeMap<&str, &str> {
    let mut labels: BTreeMap<&str, &str> = inputs
        .labels
        .iter()
        .filter(|(key, _)| kubelet_may_set(key))
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    // As Talos' generator does, but not where control planes are all there is: then nothing could take traffic.
    if inputs.role == MachineRole::ControlPlane && !inputs.schedulable_control_planes {
        labels.insert(NO_EXTERNAL_LOAD_BALANCER, "");
    }
    labels
}

/// The image of a Kubernetes control-plane component.
pub(super) fn kubernetes_image(inputs: &MachineConfigInputs, component: &str) -> String {
    let version = match component {
        "kube-controller-manager" | "kube-scheduler" => &inputs.kubernetes.controllers,
        _ => &inputs.kubernetes.api_server,
    };
    format!("registry.k8s.io/{component}:v{version}")
}

/// The kubelet's image.
pub(super) fn kubelet_image(inputs: &MachineConfigInputs) -> String {
    format!("ghcr.io/siderolabs/kubelet:v{}", inputs.kubernetes.kubelet)
}

/// What the node tells of its configuration: which one it is, and on a control plane which parts of Kubernetes it names.
pub(super) fn node_annotations(inputs: &MachineConfigInputs, digest: &ConfigDigest) -> BTreeMap<&'static str, String> {
    let mut annotations = BTreeMap::from([(labels::CONFIG, digest.to_string())]);
    if inputs.role == MachineRole::ControlPlane {
        let versions = ControlPlaneVersions {
            api_server: inputs.kubernetes.api_server.clone(),
            controllers: inputs.kubernetes.controllers.clone(),
        };
        annotations.insert(labels::CONTROL_PLANE, versions.to_string());
    }
    annotations
}

/// base64 of PEM, as Talos wants certificates and keys in its `v1alpha1` document.
pub(super) struct Encoded(Secret);

impl Encoded {
    pub(super) fn of(pem: &str) -> Self {
        Self(Secret::new(STANDARD.encode(pem)))
    }
}

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

#[derive(Serialize)]
pub(super) struct CaPair {
    crt: Encoded,
    key: Encoded,
}

impl CaPair {
    pub(super) fn full(authority: &CertificateAuthority) -> Self {
        Self { crt: Encoded::of(&authority.certificate), key: Encoded::of(authority.key.expose()) }
    }

    /// A worker may trust the authority, not sign for it; Talos writes the missing key as an empty text.
    pub(super) fn certificate_only(authority: &CertificateAuthority) -> Self {
        Self { crt: Encoded::of(&authority.certificate), key: Encoded::of("") }
    }
}

/// An authority that is accepted beside the one that issues.
#[derive(Serialize)]
pub(super) struct AcceptedCa {
    crt: Encoded,
}

impl AcceptedCa {
    pub(super) fn all(certificates: &[String]) -> Vec<Self> {
        certificates.iter().map(|certificate| Self { crt: Encoded::of(certificate) }).collect()
    }
}

/// The kubelet's own configuration, which Talos passes through.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KubeletConfiguration<'a> {
    #[serde(rename = "providerID")]
    provider_id: String,
    #[serde(skip_serializing_if = "<[NodeTaint]>::is_empty", serialize_with = "taints")]
    register_with_taints: &'a [NodeTaint],
}

impl<'a> KubeletConfiguration<'a> {
    pub(super) fn of(inputs: &'a MachineConfigInputs) -> Self {
        Self {
            // Talos does not set it, and the cloud controller manager comes too late for what goes by it.
            provider_id: format!("hcloud://{}", inputs.server_id),
            // At birth, because NodeRestriction lets a kubelet set taints only when it registers.
            register_with_taints: &inputs.taints,
        }
    }
}

fn taints<S: Serializer>(taints: &[NodeTaint], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Taint<'a> {
        key: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        value: &'a str,
        effect: &'a str,
    }
    serializer.collect_seq(taints.iter().map(|t| Taint { key: &t.key, value: &t.value, effect: &t.effect }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeIp {
    pub(super) valid_subnets: [Ipv4Net; 1],
}

#[derive(Serialize)]
pub(super) struct HostDns {
    enabled: bool,
    #[serde(rename = "forwardKubeDNSToHost")]
    forward_kube_dns_to_host: bool,
}

impl HostDns {
    /// Cilium's BPF masquerading does not let pods reach the host's resolver.
    pub(super) fn for_the_host_alone() -> Self {
        Self { enabled: true, forward_kube_dns_to_host: false }
    }
}

/// Where KubePrism listens: Cilium reaches the API by it before it can route services.
pub(super) const KUBE_PRISM_PORT: u16 = 7445;

#[derive(Serialize)]
pub(super) struct Enabled {
    pub(super) enabled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Etcd {
    pub(super) ca: CaPair,
    pub(super) advertised_subnets: [Ipv4Net; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HostnameConfig {
    api_version: &'static str,
    kind: &'static str,
    auto: &'static str,
    hostname: String,
}

impl HostnameConfig {
    pub(super) fn fixed(hostname: String) -> Self {
        Self { api_version: "v1alpha1", kind: "HostnameConfig", auto: "off", hostname }
    }
}
