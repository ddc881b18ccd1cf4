//! The document style of Talos 1.14: what Kubernetes is to be stands in documents of its own, what is left of the
//! `v1alpha1` document is the machine's role, its authorities and etcd.
//!
//! Documents and their order are those that Talos' own generator writes for 1.14, plus what Hetzner and Cilium need;
//! [`documents`] and [`control_plane`] have the shapes. Talos refuses a field of the old style beside the document that
//! took its place, so nothing is said in both. There is no document for a network plug-in: without
//! `KubeFlannelCNIConfig` Talos installs none. There is no `machine.install`: an image from the factory counts as
//! installed.

mod control_plane;
mod documents;
mod fence;
#[cfg(test)]
mod tests;

use documents::{
    ApiServerCa, Cluster, ClusterIdentity, ControlPlaneTaint, DiscoveryService, Document, FilesystemTrim, Kind,
    KubeCluster, KubeNetwork, KubeNode, KubePrism, Kubelet, Machine, Resolver, SecurityProfile, V1Alpha1,
};

use super::patch::apply_patches_within;
use super::shapes::{
    AcceptedCa, CaPair, Enabled, Etcd, HostDns, HostnameConfig, KUBE_PRISM_PORT, KubeletConfiguration, NodeIp,
    kubelet_image, labels_at_birth, node_annotations,
};
use super::text::assemble;
use super::volumes::{VolumeConfig, volumes};
use super::{ConfigDigest, MachineConfigInputs, MachineRole, RenderError, config_digest};
use crate::secrets::{Secret, SecretBundle};

pub(super) fn render(inputs: &MachineConfigInputs, bundle: &SecretBundle) -> Result<Secret, RenderError> {
    let digest = config_digest(inputs, &bundle.digest());
    let volumes = volumes(inputs.storage);
    let mut documents = vec![
        Document::Main(Box::new(main(inputs, bundle))),
        // Members find each other by the discovery service.
        Document::of(Kind::DiscoveryServiceConfig(DiscoveryService::of_talos())),
        Document::of(Kind::DiscoveryIdentityConfig(ClusterIdentity {
            cluster_id: bundle.cluster_id.expose(),
            cluster_secret: bundle.cluster_secret.expose(),
        })),
        Document::of(Kind::ResolverConfig(Resolver { host_dns: HostDns::for_the_host_alone() })),
        Document::Volume(VolumeConfig::ephemeral(volumes.ephemeral).secure()),
        Document::of(Kind::FilesystemTrimConfig(FilesystemTrim { interval: "168h0m0s" })),
        Document::of(Kind::SecurityProfileConfig(SecurityProfile { workload_isolation: false })),
        Document::Hostname(HostnameConfig::fixed(inputs.machine.to_string())),
    ];
    documents.extend(kubernetes(inputs, bundle, &digest).into_iter().map(Document::of));
    if inputs.role == MachineRole::ControlPlane {
        documents.extend(control_plane::documents(inputs, bundle).into_iter().map(Document::of));
    }
    if let Some(storage) = volumes.storage {
        // Longhorn reaches its volumes by iSCSI.
        documents.push(Document::of(Kind::KernelModuleConfig { name: "iscsi_tcp" }));
        documents.push(Document::UserVolume(storage));
    }
    assemble(inputs, &documents, |role, documents, patches| {
        apply_patches_within(documents, patches, |patch| fence::check(role, patch))
    })
}

fn main<'a>(inputs: &'a MachineConfigInputs, bundle: &'a SecretBundle) -> V1Alpha1<'a> {
    let control_plane = inputs.role == MachineRole::ControlPlane;
    V1Alpha1 {
        version: "v1alpha1",
        machine: Machine {
            kind: if control_plane { "controlplane" } else { "worker" },
            token: bundle.trustd_token.expose(),
            ca: if control_plane { CaPair::full(&bundle.os_ca) } else { CaPair::certificate_only(&bundle.os_ca) },
            accepted_cas: AcceptedCa::all(&bundle.accepted.os),
            cert_sans: &inputs.cert_sans,
            features: documents::Features { disk_quota_support: true },
        },
        cluster: Cluster {
            token: bundle.bootstrap_token.expose(),
            etcd: control_plane
                .then(|| Etcd { ca: CaPair::full(&bundle.etcd_ca), advertised_subnets: [inputs.node_subnet] }),
            external_cloud_provider: Enabled { enabled: true },
        },
    }
}

/// What every machine knows of Kubernetes.
fn kubernetes<'a>(inputs: &'a MachineConfigInputs, bundle: &'a SecretBundle, digest: &ConfigDigest) -> [Kind<'a>; 6] {
    let control_plane = inputs.role == MachineRole::ControlPlane;
    let mut labels = labels_at_birth(inputs);
    if control_plane {
        // Where the old style is in force Talos adds the label and the taint by itself.
        labels.insert(documents::CONTROL_PLANE, "");
    }
    [
        Kind::KubeClusterConfig(KubeCluster { cluster_name: &inputs.cluster_name, endpoint: &inputs.endpoint }),
        Kind::KubeNodeConfig(KubeNode {
            node_ip: NodeIp { valid_subnets: [inputs.node_subnet] },
            labels,
            annotations: node_annotations(inputs, digest),
            taints: (control_plane && !inputs.schedulable_control_planes).then(ControlPlaneTaint::no_schedule),
        }),
        Kind::KubeletConfig(Kubelet {
            image: kubelet_image(inputs),
            config: KubeletConfiguration::of(inputs),
            default_runtime_seccomp_profile_enabled: true,
        }),
        Kind::KubeNetworkConfig(KubeNetwork {
            dns_domain: "cluster.local",
            pod_subnets: [inputs.pod_cidr],
            service_subnets: [inputs.service_cidr],
        }),
        Kind::KubeAPIServerCAConfig(if control_plane {
            ApiServerCa::issuing(&bundle.kubernetes_ca, &bundle.accepted.kubernetes)
        } else {
            ApiServerCa::accepted(&bundle.kubernetes_ca, &bundle.accepted.kubernetes)
        }),
        Kind::KubePrismConfig(KubePrism { port: KUBE_PRISM_PORT }),
    ]
}
