//! Trying patches before there is a machine or a bundle.
//!
//! A patch that cannot be applied must be refused with the specification that holds it, not when a server already
//! waits for its configuration. So it is tried on a specimen: a configuration of the same style and role with made-up
//! names and empty secrets, which is thrown away.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use helix_crds::labels::CONTROL_PLANE_POOL;
use ipnet::Ipv4Net;
use semver::Version;
use serde_json::Value;

use super::{KubernetesVersions, MachineConfigInputs, MachineRole, RenderError, Storage, render_machine_config};
use crate::names::PlatformIdentity;
use crate::secrets::{AcceptedAuthorities, CertificateAuthority, Secret, SecretBundle};

/// Refuses patches that could not be applied to machines of this Talos version, role and storage.
///
/// # Errors
/// What [`render_machine_config`] would say of such a machine.
pub fn check_patches(
    talos_version: &Version,
    role: MachineRole,
    storage: Option<Storage>,
    patches: &[Value],
) -> Result<(), RenderError> {
    if patches.is_empty() {
        return Ok(());
    }
    let pool = match role {
        MachineRole::ControlPlane => CONTROL_PLANE_POOL,
        MachineRole::Worker => "specimen",
    };
    let identity = PlatformIdentity { namespace: String::new(), name: "specimen".into(), uid: String::new() };
    let anywhere = Ipv4Net::from(Ipv4Addr::UNSPECIFIED);
    let inputs = MachineConfigInputs {
        talos_version: talos_version.clone(),
        kubernetes: KubernetesVersions::all(&Version::new(1, 0, 0)),
        role,
        machine: identity.machine(pool, 0),
        server_id: 0,
        cluster_name: identity.name.clone(),
        endpoint: String::new(),
        cert_sans: Vec::new(),
        node_subnet: anywhere,
        pod_cidr: anywhere,
        service_cidr: anywhere,
        schematic: String::new(),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        schedulable_control_planes: false,
        storage,
        trusted_issuer: None,
        patches: patches.to_vec(),
    };
    render_machine_config(&inputs, &hollow_bundle()).map(drop)
}

fn hollow_bundle() -> SecretBundle {
    let nothing = || Secret::new("");
    let authority = || CertificateAuthority { certificate: String::new(), key: nothing() };
    SecretBundle {
        accepted: AcceptedAuthorities::default(),
        cluster_id: nothing(),
        cluster_secret: nothing(),
        bootstrap_token: nothing(),
        secretbox_encryption_secret: nothing(),
        trustd_token: nothing(),
        os_ca: authority(),
        etcd_ca: authority(),
        kubernetes_ca: authority(),
        aggregator_ca: authority(),
        service_account_key: nothing(),
    }
}
