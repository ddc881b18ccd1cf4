//! Talos' API: the seam [`Talos`] over gRPC.
//!
//! Two ways in. A machine in maintenance mode is dialled directly and without credentials ([`tls`] says why its
//! certificate may be accepted); a configured one by mutual TLS, through a control plane that forwards by the metadata
//! `node`, so that connections per platform grow with control planes, not with machines.
//!
//! One attempt per call, each bounded in time; nothing is retried here, and what takes minutes ([`installation`]) goes on
//! between calls. Failures are told apart by gRPC code and by the
//! connection's own typed error ([`failure`]), never by a text.

mod channels;
mod extensions;
mod failure;
mod installation;
mod link;
mod recovery;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use helix_engine::seams::{InForce, Talos, TalosError, TalosRoute};
use helix_plan::observed::{EtcdMember, MachineStage, ServiceState, TalosFacts};
use helix_plan::secrets::Secret;
use prost::Message as _;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use channels::{Channels, Line};
use failure::Failure;
use installation::{Installations, Installed};
use wire::cosi::GetRequest;
use wire::cosi::state_client::StateClient;
use wire::enums::RuntimeMachineStage;
use wire::machine::machine_service_client::MachineServiceClient;
use wire::machine::{
    ApplyConfigurationRequest, BootstrapRequest, EtcdForfeitLeadershipRequest, EtcdMemberListRequest,
    EtcdRemoveMemberByIdRequest, RebootRequest, apply_configuration_request,
};
use wire::runtime::MachineStatusSpec;

/// Where apid listens.
const APID_PORT: u16 = 50_000;

/// Bound of a call that only looks.
const LOOK: Duration = Duration::from_secs(10);
/// Bound of a call that etcd has to answer: Talos itself gives it up to 15 s.
const ETCD: Duration = Duration::from_secs(15);
/// Bound of a call that changes something.
const CHANGE: Duration = Duration::from_secs(30);

/// The largest message that apid sends or takes.
const MESSAGE_LIMIT: usize = 32 << 20;

/// A client of many machines of many platforms; cheap to clone.
#[derive(Clone, Debug)]
pub struct TalosClient {
    port: u16,
    channels: Arc<Channels>,
    installations: Arc<Installations>,
}

impl Default for TalosClient {
    fn default() -> Self {
        Self::on_port(APID_PORT)
    }
}

impl TalosClient {
    /// A client of machines whose apid listens on another port than Talos' own 50000.
    #[must_use]
    pub fn on_port(port: u16) -> Self {
        Self { port, channels: Arc::default(), installations: Arc::default() }
    }

    /// A configured machine, by mutual TLS.
    fn configured(&self, route: &TalosRoute) -> Result<Machine, TalosError> {
        let line = self.channels.mutual(route.endpoint, self.port, &route.credentials)?;
        Ok(Machine { line, node: route.node })
    }

    /// A machine in maintenance mode, without credentials. Never kept: its certificate is new at each boot.
    fn unconfigured(&self, address: Ipv4Addr) -> Result<Machine, TalosError> {
        let line = Line::maintenance(address, self.port)?;
        Ok(Machine { line, node: None })
    }
}

#[async_trait]
impl Talos for TalosClient {
    async fn maintenance(&self, address: Ipv4Addr) -> Result<TalosFacts, TalosError> {
        // Who answers without asking for a certificate is in maintenance: a configured apid refuses the handshake.
        let version = self.unconfigured(address)?.version().await?;
        Ok(TalosFacts::Maintenance { version })
    }

    async fn configure(&self, address: Ipv4Addr, config: &Secret) -> Result<(), TalosError> {
        self.unconfigured(address)?.apply(config, apply_configuration_request::Mode::Auto).await
    }

    async fn status(&self, route: &TalosRoute) -> Result<TalosFacts, TalosError> {
        let machine = self.configured(route)?;
        let (version, status, services) =
            futures::try_join!(machine.version(), machine.machine_status(), machine.services())?;
        let stage = stage(status.stage);
        let status = status.status.unwrap_or_default();
        let unmet = status.unmet_conditions.into_iter().map(|condition| condition.name).collect();
        Ok(TalosFacts::Configured { version, stage, ready: status.ready, unmet, services })
    }

    async fn extensions(&self, route: &TalosRoute) -> Result<BTreeSet<String>, TalosError> {
        self.configured(route)?.extensions().await
    }

    async fn bootstrap_etcd(&self, route: &TalosRoute) -> Result<(), TalosError> {
        self.configured(route)?.bootstrap(BootstrapRequest { recover_etcd: false }).await
    }

    async fn etcd_members(&self, route: &TalosRoute) -> Result<Vec<EtcdMember>, TalosError> {
        let machine = self.configured(route)?;
        let outcome = machine
            .send(ETCD, EtcdMemberListRequest {}, |line, request| async {
                machine_service(line).etcd_member_list(request).await
            })
            .await;
        let members = machine.judge(outcome)?.messages.into_iter().flat_map(|message| message.members);
        Ok(members.map(|m| EtcdMember { id: m.id, hostname: m.hostname, learner: m.is_learner }).collect())
    }

    async fn forfeit_etcd_leadership(&self, route: &TalosRoute) -> Result<(), TalosError> {
        let machine = self.configured(route)?;
        let outcome = machine
            .send(ETCD, EtcdForfeitLeadershipRequest {}, |line, request| async {
                machine_service(line).etcd_forfeit_leadership(request).await
            })
            .await;
        machine.judge(outcome).map(drop)
    }

    async fn install(&self, route: &TalosRoute, image: &str) -> Result<(), TalosError> {
        let machine = self.configured(route)?;
        self.installations.install(machine, Installed::on(route), image).await
    }

    async fn reboot(&self, route: &TalosRoute) -> Result<(), TalosError> {
        let machine = self.configured(route)?;
        let outcome = machine
            .send(CHANGE, RebootRequest {}, |line, request| async { machine_service(line).reboot(request).await })
            .await;
        machine.judge(outcome).map(drop)
    }

    async fn reconfigure(&self, route: &TalosRoute, config: &Secret, force: InForce) -> Result<(), TalosError> {
        let mode = match force {
            InForce::Now => apply_configuration_request::Mode::NoReboot,
            InForce::AtReboot => apply_configuration_request::Mode::Staged,
        };
        self.configured(route)?.apply(config, mode).await
    }

    async fn remove_etcd_member(&self, route: &TalosRoute, member: u64) -> Result<(), TalosError> {
        let machine = self.configured(route)?;
        let request = EtcdRemoveMemberByIdRequest { member_id: member };
        let outcome = machine
            .send(ETCD, request, |line, request| async {
                machine_service(line).etcd_remove_member_by_id(request).await
            })
            .await;
        match outcome {
            Err(Failure::Status(status)) if status.code() == Code::NotFound => Ok(()),
            outcome => machine.judge(outcome).map(drop),
        }
    }
}

fn machine_service(line: Channel) -> MachineServiceClient<Channel> {
    MachineServiceClient::new(line).max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT)
}

/// One machine, and the line that leads to it.
struct Machine {
    line: Line,
    /// The machine that is meant, where the line ends at another that forwards.
    node: Option<Ipv4Addr>,
}

impl Machine {
    /// Sends one request and waits for its answer, but no longer than `bound`.
    async fn send<Q, A, F>(
        &self,
        bound: Duration,
        message: Q,
        call: impl FnOnce(Channel, Request<Q>) -> F,
    ) -> Result<A, Failure>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut request = Request::new(message);
        request.set_timeout(bound);
        if let Some(node) = self.node.and_then(|node| MetadataValue::try_from(node.to_string()).ok()) {
            request.metadata_mut().insert("node", node);
        }
        match tokio::time::timeout(bound, call(self.line.channel(), request)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(Failure::Status(status)),
            Err(_) => Err(Failure::TimedOut(bound)),
        }
    }

    fn judge<A>(&self, outcome: Result<A, Failure>) -> Result<A, TalosError> {
        outcome.map_err(|failure| failure.into_error(self.line.address(), self.node, self.line.breakage().as_ref()))
    }

    /// Gives it a configuration. The mode is always said: the default of the wire format is a reboot.
    async fn apply(&self, config: &Secret, mode: apply_configuration_request::Mode) -> Result<(), TalosError> {
        let request = ApplyConfigurationRequest { data: config.expose().as_bytes().to_vec(), mode: mode.into() };
        let outcome = self
            .send(CHANGE, request, |line, request| async { machine_service(line).apply_configuration(request).await })
            .await;
        self.judge(outcome).map(drop)
    }

    /// Founds etcd; one that has data already is success.
    async fn bootstrap(&self, request: BootstrapRequest) -> Result<(), TalosError> {
        let outcome =
            self.send(CHANGE, request, |line, request| async { machine_service(line).bootstrap(request).await }).await;
        match outcome {
            Err(Failure::Status(status)) if status.code() == Code::AlreadyExists => Ok(()),
            outcome => self.judge(outcome).map(drop),
        }
    }

    async fn version(&self) -> Result<String, TalosError> {
        let outcome = self.send(LOOK, (), |line, request| async { machine_service(line).version(request).await }).await;
        let answer = self.judge(outcome)?;
        let version = answer.messages.into_iter().find_map(|message| message.version);
        version.map(|version| version.tag).ok_or_else(|| self.incomplete("no version"))
    }

    async fn services(&self) -> Result<Vec<ServiceState>, TalosError> {
        let outcome =
            self.send(LOOK, (), |line, request| async { machine_service(line).service_list(request).await }).await;
        let services = self.judge(outcome)?.messages.into_iter().flat_map(|message| message.services);
        Ok(services
            .map(|service| ServiceState {
                id: service.id,
                state: service.state,
                healthy: service.health.filter(|health| !health.unknown).map(|health| health.healthy),
            })
            .collect())
    }

    async fn machine_status(&self) -> Result<MachineStatusSpec, TalosError> {
        let request = GetRequest {
            namespace: "runtime".to_owned(),
            r#type: "MachineStatuses.runtime.talos.dev".to_owned(),
            id: "machine".to_owned(),
        };
        let outcome =
            self.send(LOOK, request, |line, request| async { StateClient::new(line).get(request).await }).await;
        let spec = match outcome {
            // The resource appears a moment after apid; the message's defaults say just that: unknown, not ready.
            Err(Failure::Status(status)) if status.code() == Code::NotFound => return Ok(MachineStatusSpec::default()),
            outcome => self.judge(outcome)?.resource.and_then(|resource| resource.spec),
        };
        let bytes = spec.ok_or_else(|| self.incomplete("no machine status"))?.proto_spec;
        MachineStatusSpec::decode(bytes.as_slice()).map_err(|_| self.incomplete("no readable machine status"))
    }

    /// The machine's own address, as far as its caller knows it.
    fn meant(&self) -> Ipv4Addr {
        self.node.unwrap_or(self.line.address())
    }

    /// An answer that is well-formed and yet says nothing.
    fn incomplete(&self, what: &str) -> TalosError {
        TalosError::Other { address: self.meant(), code: "OK".to_owned(), why: format!("the answer holds {what}") }
    }
}

/// The stage by its number on the wire; one that is new to us is kept.
fn stage(number: i32) -> MachineStage {
    match RuntimeMachineStage::try_from(number) {
        Ok(RuntimeMachineStage::MachineStageBooting) => MachineStage::Booting,
        Ok(RuntimeMachineStage::MachineStageRunning) => MachineStage::Running,
        Ok(RuntimeMachineStage::MachineStageRebooting) => MachineStage::Rebooting,
        Ok(other) => MachineStage::Other(other.as_str_name().to_owned()),
        Err(_) => MachineStage::Other(format!("stage {number}")),
    }
}
