//! The document style of Talos 1.13: one `v1alpha1` document for machine and cluster, and small ones for the rest.
//!
//! Fields are those that Talos' own generator sets for 1.13, plus what Hetzner and Cilium need; [`documents`] has the
//! shapes. Nothing is decided here that the inputs do not say.

mod documents;

use documents::{
    AdmissionPlugin, ApiServer, Cluster, ClusterNetwork, Component, ControlPlaneEndpoint, Discovery, Document,
    ExtraMount, Features, Install, Kernel, KeyOnly, Kubelet, Machine, Named, Proxy, V1Alpha1,
};

use super::api_server::AuditPolicy;
use super::patch::apply_patches;
use super::shapes::{
    AcceptedCa, CaPair, Enabled, Encoded, Etcd, HostnameConfig, KubeletConfiguration, NodeIp, kubelet_image,
    kubernetes_image, labels_at_birth, node_annotations,
};
use super::text::assemble;
use super::volumes::{VolumeConfig, volumes};
use super::{
    ConfigDigest, MachineConfigInputs, MachineRole, RenderError, STORAGE_MOUNT, config_digest, installer_image, sign_on,
};
use crate::secrets::{Secret, SecretBundle};

pub(super) fn render(inputs: &MachineConfigInputs, bundle: &SecretBundle) -> Result<Secret, RenderError> {
    let digest = config_digest(inputs, &bundle.digest());
    let mut documents = vec![
        Document::Main(Box::new(V1Alpha1 {
            version: "v1alpha1",
            machine: machine(inputs, bundle, &digest),
            cluster: cluster(inputs, bundle),
        })),
        Document::Hostname(HostnameConfig::fixed(inputs.machine.to_string())),
    ];
    let volumes = volumes(inputs.storage);
    let ephemeral = volumes.ephemeral.map(|provisioning| VolumeConfig::ephemeral(Some(provisioning)));
    documents.extend(ephemeral.map(Document::Volume));
    documents.extend(volumes.storage.map(Document::UserVolume));
    assemble(inputs, &documents, apply_patches)
}

fn machine<'a>(inputs: &'a MachineConfigInputs, bundle: &'a SecretBundle, digest: &ConfigDigest) -> Machine<'a> {
    let control_plane = inputs.role == MachineRole::ControlPlane;
    Machine {
        kind: if control_plane { "controlplane" } else { "worker" },
        token: bundle.trustd_token.expose(),
        ca: if control_plane { CaPair::full(&bundle.os_ca) } else { CaPair::certificate_only(&bundle.os_ca) },
        accepted_cas: AcceptedCa::all(&bundle.accepted.os),
        cert_sans: &inputs.cert_sans,
        kubelet: kubelet(inputs),
        install: Install {
            image: installer_image(&inputs.schematic, &inputs.talos_version),
            wipe: false,
            grub_use_uki_cmdline: true,
        },
        features: Features::for_cilium(),
        // Longhorn reaches its volumes by iSCSI.
        kernel: inputs.storage.map(|_| Kernel { modules: [Named { name: "iscsi_tcp" }] }),
        node_labels: labels_at_birth(inputs),
        node_annotations: node_annotations(inputs, digest),
    }
}

fn kubelet(inputs: &MachineConfigInputs) -> Kubelet<'_> {
    Kubelet {
        image: kubelet_image(inputs),
        extra_mounts: inputs.storage.map(|_| [ExtraMount::shared(STORAGE_MOUNT)]),
        extra_config: KubeletConfiguration::of(inputs),
        default_runtime_seccomp_profile_enabled: true,
        node_ip: NodeIp { valid_subnets: [inputs.node_subnet] },
        disable_manifests_directory: true,
    }
}

fn cluster<'a>(inputs: &'a MachineConfigInputs, bundle: &'a SecretBundle) -> Cluster<'a> {
    let mut cluster = Cluster {
        id: bundle.cluster_id.expose(),
        secret: bundle.cluster_secret.expose(),
        control_plane: ControlPlaneEndpoint { endpoint: &inputs.endpoint },
        cluster_name: &inputs.cluster_name,
        network: ClusterNetwork {
            cni: Named { name: "none" },
            dns_domain: "cluster.local",
            pod_subnets: [inputs.pod_cidr],
            service_subnets: [inputs.service_cidr],
        },
        token: bundle.bootstrap_token.expose(),
        ca: CaPair::certificate_only(&bundle.kubernetes_ca),
        accepted_cas: AcceptedCa::all(&bundle.accepted.kubernetes),
        proxy: Proxy { disabled: true, image: None },
        discovery: Discovery::by_service(),
        external_cloud_provider: Enabled { enabled: true },
        secretbox_encryption_secret: None,
        aggregator_ca: None,
        service_account: None,
        api_server: None,
        controller_manager: None,
        scheduler: None,
        etcd: None,
        allow_scheduling_on_control_planes: None,
    };
    if inputs.role == MachineRole::ControlPlane {
        add_control_plane(&mut cluster, inputs, bundle);
    }
    cluster
}

/// What only a control plane may know and run.
fn add_control_plane<'a>(cluster: &mut Cluster<'a>, inputs: &'a MachineConfigInputs, bundle: &'a SecretBundle) {
    let image = |component: &str| kubernetes_image(inputs, component);
    cluster.ca = CaPair::full(&bundle.kubernetes_ca);
    cluster.proxy.image = Some(image("kube-proxy"));
    cluster.secretbox_encryption_secret = Some(bundle.secretbox_encryption_secret.expose());
    cluster.aggregator_ca = Some(CaPair::full(&bundle.aggregator_ca));
    cluster.service_account = Some(KeyOnly { key: Encoded::of(bundle.service_account_key.expose()) });
    cluster.api_server = Some(ApiServer {
        image: image("kube-apiserver"),
        extra_args: sign_on::arguments(inputs.trusted_issuer.as_ref()),
        cert_sans: &inputs.cert_sans,
        admission_control: [AdmissionPlugin::pod_security()],
        audit_policy: AuditPolicy::metadata(),
    });
    cluster.controller_manager = Some(Component { image: image("kube-controller-manager") });
    cluster.scheduler = Some(Component { image: image("kube-scheduler") });
    cluster.etcd = Some(Etcd { ca: CaPair::full(&bundle.etcd_ca), advertised_subnets: [inputs.node_subnet] });
    cluster.allow_scheduling_on_control_planes = inputs.schedulable_control_planes.then_some(true);
}
