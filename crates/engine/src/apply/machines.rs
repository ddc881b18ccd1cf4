//! Steps on machines, in the cluster and in the store.

use std::net::Ipv4Addr;
use std::time::Duration;

use helix_plan::names::MachineName;
use helix_plan::observed::{BootstrapRecord, CredentialFacts};
use helix_plan::render::client_config;
use helix_plan::render::machine_config::{MachineConfigInputs, render_machine_config};
use helix_plan::secrets::{ClientCertificate, Secret, SecretBundle};
use helix_plan::step::NodePatch;

use super::{Applier, Met};
use crate::observe::KUBERNETES_USER;
use crate::seams::{ClientConfigKind, StoreError, StoredClientConfig, TalosRoute};
use crate::secrets::{ClientIdentity, TalosRole};

/// How long the administrator's certificates are valid: a year, as Talos' own.
const ADMIN_VALIDITY: Duration = Duration::from_secs(365 * 24 * 3_600);

/// What a step needs and this turn does not have; the next turn sees whether it has it.
fn not_at_hand(what: &str) -> Met {
    Met::failed("NotAtHand", format!("{what} is not at hand in this turn"))
}

impl Applier<'_> {
    fn bundle(&self) -> Result<&SecretBundle, Met> {
        self.access.bundle.as_deref().ok_or_else(|| not_at_hand("the secret bundle"))
    }

    fn control_plane(&self, machine: &MachineName) -> Result<TalosRoute, Met> {
        let found = self.access.control_planes.iter().find(|control_plane| control_plane.machine == *machine);
        found
            .and_then(|control_plane| self.access.to_control_plane(control_plane.public))
            .ok_or_else(|| not_at_hand("the way to the control plane"))
    }

    /// Made, stored, and read back by the next turn before anything uses it. Whoever stored one first has won.
    pub(super) async fn create_secret_bundle(&self) -> Result<(), Met> {
        let bundle = self.seams.secrets.make_bundle(self.now).await?;
        match self.seams.store.create_bundle(self.platform, &bundle).await {
            Ok(()) | Err(StoreError::Exists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn record_bootstrap(&self, machine: &MachineName, server_id: u64) -> Result<(), Met> {
        let record = BootstrapRecord { machine: machine.clone(), server_id, at: self.now };
        match self.seams.store.record_bootstrap(self.platform, &record).await {
            Ok(()) | Err(StoreError::Exists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn configure_machine(&self, address: Ipv4Addr, inputs: &MachineConfigInputs) -> Result<(), Met> {
        let config = render_machine_config(inputs, self.bundle()?)
            .map_err(|error| Met::failed(error.reason(), error.to_string()))?;
        Ok(self.seams.talos.configure(address, &config).await?)
    }

    pub(super) async fn bootstrap_etcd(&self, machine: &MachineName) -> Result<(), Met> {
        Ok(self.seams.talos.bootstrap_etcd(&self.control_plane(machine)?).await?)
    }

    /// Asks the control planes in turn: the first that can, removes.
    pub(super) async fn remove_etcd_member(&self, member: u64) -> Result<(), Met> {
        let mut met = not_at_hand("the way to a control plane");
        for control_plane in &self.access.control_planes {
            match self.seams.talos.remove_etcd_member(&self.control_plane(&control_plane.machine)?, member).await {
                Ok(()) => return Ok(()),
                Err(error) => met = error.into(),
            }
        }
        Err(met)
    }

    pub(super) async fn patch_node(&self, machine: &MachineName, patch: &NodePatch) -> Result<(), Met> {
        let mut met = not_at_hand("the way to the Kubernetes API");
        for (route, _) in self.access.to_cluster() {
            match self.seams.workload.patch_node(&route, machine, patch).await {
                Ok(()) => return Ok(()),
                Err(error) => met = error.into(),
            }
        }
        Err(met)
    }

    pub(super) async fn delete_node(&self, machine: &MachineName) -> Result<(), Met> {
        let mut met = not_at_hand("the way to the Kubernetes API");
        for (route, _) in self.access.to_cluster() {
            match self.seams.workload.delete_node(&route, machine).await {
                Ok(()) => return Ok(()),
                Err(error) => met = error.into(),
            }
        }
        Err(met)
    }

    pub(super) async fn store_kubeconfig(&self, endpoints: &[String]) -> Result<(), Met> {
        let bundle = self.bundle()?;
        let user = format!("{KUBERNETES_USER}-admin");
        let certificate = self.issue(&ClientIdentity::KubernetesAdmin { user: user.clone() })?;
        let server = endpoints.first().ok_or_else(|| not_at_hand("an endpoint"))?;
        let authority = &bundle.kubernetes_ca.certificate;
        let text = client_config::kubeconfig(&self.platform.name, &user, server, authority, &certificate)
            .map_err(|error| Met::failed(error.reason(), error.to_string()))?;
        self.put(ClientConfigKind::Kubeconfig, text, endpoints, &certificate).await
    }

    pub(super) async fn store_talosconfig(&self, endpoints: &[String]) -> Result<(), Met> {
        let bundle = self.bundle()?;
        let admin = self.issue(&ClientIdentity::Talos(TalosRole::Admin))?;
        let reader = self.issue(&ClientIdentity::Talos(TalosRole::Reader))?;
        let name = &self.platform.name;
        let credentials = [(name.as_str(), &admin), (&*format!("{name}-reader"), &reader)];
        let text = client_config::talosconfig(endpoints, &bundle.os_ca.certificate, &credentials)
            .map_err(|error| Met::failed(error.reason(), error.to_string()))?;
        self.put(ClientConfigKind::Talosconfig, text, endpoints, &admin).await
    }

    fn issue(&self, identity: &ClientIdentity) -> Result<ClientCertificate, Met> {
        let bundle = self.bundle()?;
        Ok(self.seams.secrets.issue_client_certificate(bundle, identity, ADMIN_VALIDITY, self.now)?)
    }

    async fn put(
        &self,
        kind: ClientConfigKind,
        text: Secret,
        endpoints: &[String],
        certificate: &ClientCertificate,
    ) -> Result<(), Met> {
        let facts = CredentialFacts {
            endpoints: endpoints.to_vec(),
            expires_at: certificate.expires_at,
            bundle_digest: self.bundle()?.digest(),
        };
        Ok(self.seams.store.put_client_config(self.platform, &StoredClientConfig { kind, text, facts }).await?)
    }
}
