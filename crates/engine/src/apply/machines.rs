//! Steps on machines, in the cluster and in the store.

use std::net::Ipv4Addr;
use std::time::Duration;

use helix_plan::names::MachineName;
use helix_plan::observed::{BootstrapRecord, CredentialFacts, PodFacts};
use helix_plan::render::client_config;
use helix_plan::render::machine_config::{MachineConfigInputs, render_machine_config};
use helix_plan::secrets::{ClientCertificate, Rotation, RotationStage, Secret, SecretBundle};
use helix_plan::step::NodePatch;

use super::{Applier, Met};
use crate::observe::KUBERNETES_USER;
use crate::seams::{
    ClientConfigKind, InForce, StoreError, StoredClientConfig, TalosRoute, Workload, WorkloadError, WorkloadRoute,
};
use crate::secrets::{ClientIdentity, TalosRole};

/// How long the administrator's certificates are valid: a year, as Talos' own.
const ADMIN_VALIDITY: Duration = Duration::from_secs(365 * 24 * 3_600);

/// What a step needs and this turn does not have; the next turn sees whether it has it.
pub(super) fn not_at_hand(what: &str) -> Met {
    Met::failed("NotAtHand", format!("{what} is not at hand in this turn"))
}

impl Applier<'_> {
    pub(super) fn bundle(&self) -> Result<&SecretBundle, Met> {
        self.access.bundle.as_deref().ok_or_else(|| not_at_hand("the secret bundle"))
    }

    fn render(&self, inputs: &MachineConfigInputs) -> Result<Secret, Met> {
        render_machine_config(inputs, self.bundle()?).map_err(|error| Met::failed(error.reason(), error.to_string()))
    }

    pub(super) fn control_plane(&self, machine: &MachineName) -> Result<TalosRoute, Met> {
        let found = self.access.control_planes.iter().find(|control_plane| control_plane.machine == *machine);
        found
            .and_then(|control_plane| self.access.to_control_plane(control_plane.public))
            .ok_or_else(|| not_at_hand("the way to the control plane"))
    }

    /// The way to any configured machine: to a worker through the first control plane.
    pub(super) fn machine(&self, machine: &MachineName) -> Result<TalosRoute, Met> {
        if machine.is_control_plane() {
            return self.control_plane(machine);
        }
        let way = || {
            let node = *self.access.workers.get(machine)?;
            let through = self.access.to_control_plane(self.access.control_planes.first()?.public)?;
            Some(TalosRoute { node: Some(node), ..through })
        };
        way().ok_or_else(|| not_at_hand("the way to the machine"))
    }

    /// Leadership goes to somebody else before a control plane is away; only then is its absence felt by nobody.
    async fn forfeit(&self, machine: &MachineName) -> Result<(), Met> {
        if machine.is_control_plane() && self.access.control_planes.len() > 1 {
            self.seams.talos.forfeit_etcd_leadership(&self.control_plane(machine)?).await?;
        }
        Ok(())
    }

    /// Installs, then reboots into it: cut off in between, the next turn installs the same once more.
    pub(super) async fn upgrade_talos(&self, machine: &MachineName, image: &str) -> Result<(), Met> {
        let route = self.machine(machine)?;
        self.seams.talos.install(&route, image).await?;
        self.forfeit(machine).await?;
        Ok(self.seams.talos.reboot(&route).await?)
    }

    pub(super) async fn reconfigure_machine(&self, inputs: &MachineConfigInputs, reboot: bool) -> Result<(), Met> {
        let config = self.render(inputs)?;
        let route = self.machine(&inputs.machine)?;
        if !reboot {
            return Ok(self.seams.talos.reconfigure(&route, &config, InForce::Now).await?);
        }
        self.seams.talos.reconfigure(&route, &config, InForce::AtReboot).await?;
        self.forfeit(&inputs.machine).await?;
        Ok(self.seams.talos.reboot(&route).await?)
    }

    /// Asks every pod; the first that may not leave yet is told.
    pub(super) async fn evict(&self, pods: &[PodFacts]) -> Result<(), Met> {
        let mut met = Ok(());
        let routes = self.access.to_cluster();
        for pod in pods {
            let mut last = Err(not_at_hand("the way to the Kubernetes API"));
            for (route, _) in &routes {
                last = self.seams.workload.evict(route, pod).await.map_err(Met::from);
                if !matches!(&last, Err(met) if !met.expected) {
                    break;
                }
            }
            met = met.and(last);
        }
        met
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
        Ok(self.seams.talos.configure(address, &self.render(inputs)?).await?)
    }

    pub(super) async fn bootstrap_etcd(&self, machine: &MachineName) -> Result<(), Met> {
        Ok(self.seams.talos.bootstrap_etcd(&self.control_plane(machine)?).await?)
    }

    /// Asks the control planes in turn: the first that can, removes.
    pub(super) async fn remove_etcd_member(&self, member: u64, leads: Option<&MachineName>) -> Result<(), Met> {
        if let Some(machine) = leads {
            self.forfeit(machine).await?;
        }
        let mut met = not_at_hand("the way to a control plane");
        // Who is removed is not asked: it would cut off its own answer.
        for control_plane in self.access.control_planes.iter().filter(|it| Some(&it.machine) != leads) {
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

    /// Asks the cluster's API by the ways in, one after the other, until one of them leads to it.
    pub(super) async fn in_cluster<'a, F>(
        &'a self,
        ask: impl Fn(&'a dyn Workload, WorkloadRoute) -> F,
    ) -> Result<(), Met>
    where
        F: Future<Output = Result<(), WorkloadError>>,
    {
        let mut met = not_at_hand("the way to the Kubernetes API");
        for (route, _) in self.access.to_cluster() {
            match ask(self.seams.workload.as_ref(), route).await {
                Ok(()) => return Ok(()),
                Err(error) => met = error.into(),
            }
        }
        Err(met)
    }

    /// New authorities are in the store before any machine hears of them.
    pub(super) async fn begin_rotation(&self, request: &str) -> Result<(), Met> {
        let new = self.seams.secrets.make_authorities(self.now)?;
        let rotation = Rotation::begin(request, self.bundle()?, new, self.now);
        let before = self.access.rotation.as_ref().map(|rotation| &rotation.facts);
        Ok(self.seams.store.put_rotation(self.platform, &rotation, before).await?)
    }

    pub(super) async fn advance_rotation(&self, from: RotationStage, to: RotationStage) -> Result<(), Met> {
        let rotation = self.access.rotation.as_ref().filter(|rotation| rotation.facts.stage == from);
        let rotation = rotation.ok_or_else(|| not_at_hand("the rotation at that stage"))?;
        let next = rotation.at(to, self.now);
        Ok(self.seams.store.put_rotation(self.platform, &next, Some(&rotation.facts)).await?)
    }

    pub(super) async fn store_kubeconfig(&self, endpoints: &[String]) -> Result<(), Met> {
        let bundle = self.bundle()?;
        let user = format!("{KUBERNETES_USER}-admin");
        let certificate = self.issue(&ClientIdentity::KubernetesAdmin { user: user.clone() })?;
        let server = endpoints.first().ok_or_else(|| not_at_hand("an endpoint"))?;
        let authorities = bundle.trusted_kubernetes_authorities();
        let text = client_config::kubeconfig(&self.platform.name, &user, server, &authorities, &certificate)
            .map_err(|error| Met::failed(error.reason(), error.to_string()))?;
        self.put(ClientConfigKind::Kubeconfig, text, endpoints, &certificate).await
    }

    pub(super) async fn store_talosconfig(&self, endpoints: &[String]) -> Result<(), Met> {
        let bundle = self.bundle()?;
        let admin = self.issue(&ClientIdentity::Talos(TalosRole::Admin))?;
        let reader = self.issue(&ClientIdentity::Talos(TalosRole::Reader))?;
        let name = &self.platform.name;
        let credentials = [(name.as_str(), &admin), (&*format!("{name}-reader"), &reader)];
        let text = client_config::talosconfig(endpoints, &bundle.trusted_os_authorities(), &credentials)
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
