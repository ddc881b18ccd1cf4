//! `machine.MachineService`: each method finds its machines, asks them and puts the answers together.

use std::time::Duration;

use jiff::SignedDuration;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::answers::ask_each;
use super::caller::{Caller, status};
use super::credentials::{kubeconfig, talos_client, tar_without_trailer};
use super::events;
use super::machines::Machines;
use super::membership;
use super::pki::PkiError;
use super::route::{Target, target, targets};
use super::wire::common::Data;
use super::wire::machine::apply_configuration_request::Mode;
use super::wire::machine::machine_service_server::MachineService;
use super::wire::machine::*;
use crate::world::ServerId;
use crate::world::machine::config::{MachineConfig, Role};
use crate::world::machine::{Apid, ApplyMode, ResetRequest as Wipe, RpcError};

/// How long a configuration on trial counts where the caller does not say.
const TRIAL: SignedDuration = SignedDuration::from_mins(1);
/// The one file that callers read: it names the boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

type Stream<T> = ReceiverStream<Result<T, Status>>;

/// The service on one machine.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) machines: Machines,
    pub(super) server: ServerId,
}

fn internal(error: impl std::fmt::Display) -> Status {
    Status::internal(error.to_string())
}

impl Service {
    fn targets<T>(&self, request: &Request<T>, method: &str) -> Result<(Caller, Vec<Target>), Status> {
        targets(&self.machines, self.server, request, method)
    }

    async fn etcd_members_of(&self, server: ServerId) -> Result<Vec<EtcdMember>, Status> {
        membership::members(&self.machines, server).await
    }

    fn apply(
        &self,
        server: ServerId,
        caller: &Caller,
        request: &ApplyConfigurationRequest,
    ) -> Result<ApplyConfiguration, Status> {
        let maintenance = self.machines.look_at(server, |guest, _| guest.apid()) == Some(Apid::Maintenance);
        if !maintenance && !caller.is_admin() {
            return Err(Status::permission_denied("not authorized"));
        }
        let text =
            std::str::from_utf8(&request.data).map_err(|_| Status::invalid_argument("the configuration is no text"))?;
        let mode = match request.mode() {
            Mode::Reboot => ApplyMode::Reboot,
            Mode::Auto => ApplyMode::Auto,
            Mode::NoReboot => ApplyMode::NoReboot,
            Mode::Staged => ApplyMode::Staged,
            Mode::Try => ApplyMode::Try,
        };
        let trial = request.try_mode_timeout.as_ref().map_or(TRIAL, |it| SignedDuration::from_secs(it.seconds));
        let applied = self
            .machines
            .ask(|guests, now| guests.apply_configuration(server, text, mode, request.dry_run, trial, now))
            .map_err(status)?;
        let chosen = match applied.mode {
            ApplyMode::Reboot => Mode::Reboot,
            ApplyMode::Auto => Mode::Auto,
            ApplyMode::NoReboot => Mode::NoReboot,
            ApplyMode::Staged => Mode::Staged,
            ApplyMode::Try => Mode::Try,
        };
        Ok(ApplyConfiguration {
            metadata: None,
            warnings: Vec::new(),
            mode: chosen.into(),
            mode_details: applied.details,
        })
    }

    async fn reset_one(&self, server: ServerId, request: &ResetRequest) -> Result<String, Status> {
        let role = self.machines.look_at(server, |guest, _| guest.role()).flatten();
        let left = match role {
            Some(Role::ControlPlane) if request.graceful => membership::leave(&self.machines, server).await,
            Some(Role::ControlPlane | Role::Worker) | None => Ok(()),
        };
        let left = left.map_err(|error| RpcError::new(crate::world::machine::RpcCode::Unavailable, error.message()));
        let wipe = Wipe {
            graceful: request.graceful,
            reboot: request.reboot,
            partitions: request
                .system_partitions_to_wipe
                .iter()
                .filter(|it| it.wipe)
                .map(|it| it.label.clone())
                .collect(),
        };
        self.machines.ask(|guests, now| guests.reset(server, &wipe, left, now)).map_err(status)
    }

    /// Something that only a control plane can make of its configuration.
    fn of_control_plane<R>(
        &self,
        server: ServerId,
        make: impl FnOnce(&MachineConfig) -> Result<R, PkiError>,
    ) -> Result<R, Status> {
        let made = self.machines.look_at(server, |guest, _| match (guest.role(), guest.config()) {
            (Some(Role::ControlPlane), Some(config)) => Some(make(config)),
            (Some(Role::ControlPlane | Role::Worker) | None, _) => None,
        });
        match made.flatten() {
            Some(made) => made.map_err(internal),
            None => Err(Status::unimplemented("this is only available on control plane nodes")),
        }
    }
}

#[tonic::async_trait]
impl MachineService for Service {
    async fn apply_configuration(
        &self,
        request: Request<ApplyConfigurationRequest>,
    ) -> Result<Response<ApplyConfigurationResponse>, Status> {
        let (caller, targets) = self.targets(&request, "ApplyConfiguration")?;
        let request = request.into_inner();
        let messages = ask_each(targets, async |server| self.apply(server, &caller, &request)).await?;
        Ok(Response::new(ApplyConfigurationResponse { messages }))
    }

    async fn bootstrap(&self, request: Request<BootstrapRequest>) -> Result<Response<BootstrapResponse>, Status> {
        let (_, targets) = self.targets(&request, "Bootstrap")?;
        let BootstrapRequest { recover_etcd, recover_skip_hash_check } = request.into_inner();
        let messages = ask_each(targets, async |server| {
            let founded = self.machines.ask(|guests, now| match recover_etcd {
                true => guests.bootstrap_recovered(server, recover_skip_hash_check, now),
                false => guests.bootstrap(server, now),
            });
            founded.map_err(status)?;
            Ok(Bootstrap::default())
        });
        Ok(Response::new(BootstrapResponse { messages: messages.await? }))
    }

    async fn etcd_forfeit_leadership(
        &self,
        request: Request<EtcdForfeitLeadershipRequest>,
    ) -> Result<Response<EtcdForfeitLeadershipResponse>, Status> {
        let (_, targets) = self.targets(&request, "EtcdForfeitLeadership")?;
        let messages = ask_each(targets, async |server| {
            let member = membership::forfeit(&self.machines, server).await?;
            Ok(EtcdForfeitLeadership { metadata: None, member })
        });
        Ok(Response::new(EtcdForfeitLeadershipResponse { messages: messages.await? }))
    }

    async fn etcd_leave_cluster(
        &self,
        request: Request<EtcdLeaveClusterRequest>,
    ) -> Result<Response<EtcdLeaveClusterResponse>, Status> {
        let (_, targets) = self.targets(&request, "EtcdLeaveCluster")?;
        let messages = ask_each(targets, async |server| {
            membership::leave(&self.machines, server).await?;
            Ok(EtcdLeaveCluster::default())
        });
        Ok(Response::new(EtcdLeaveClusterResponse { messages: messages.await? }))
    }

    async fn etcd_member_list(
        &self,
        request: Request<EtcdMemberListRequest>,
    ) -> Result<Response<EtcdMemberListResponse>, Status> {
        let (_, targets) = self.targets(&request, "EtcdMemberList")?;
        let messages = ask_each(targets, async |server| {
            let members = self.etcd_members_of(server).await?;
            let legacy_members = members.iter().map(|member| member.hostname.clone()).collect();
            Ok(EtcdMembers { metadata: None, legacy_members, members })
        });
        Ok(Response::new(EtcdMemberListResponse { messages: messages.await? }))
    }

    async fn etcd_recover(&self, request: Request<Streaming<Data>>) -> Result<Response<EtcdRecoverResponse>, Status> {
        let (_, server) = target(&self.machines, self.server, &request, "EtcdRecover")?;
        let mut uploaded = request.into_inner();
        let mut snapshot = Vec::new();
        while let Some(data) = uploaded.message().await? {
            snapshot.extend(data.bytes);
        }
        self.machines.ask(|guests, _| guests.etcd_recover(server, snapshot)).map_err(status)?;
        Ok(Response::new(EtcdRecoverResponse { messages: vec![EtcdRecover::default()] }))
    }

    async fn etcd_remove_member_by_id(
        &self,
        request: Request<EtcdRemoveMemberByIdRequest>,
    ) -> Result<Response<EtcdRemoveMemberByIdResponse>, Status> {
        let (_, targets) = self.targets(&request, "EtcdRemoveMemberByID")?;
        let member = request.get_ref().member_id;
        let messages = ask_each(targets, async |server| {
            membership::remove(&self.machines, server, member).await?;
            Ok(EtcdRemoveMemberById::default())
        });
        Ok(Response::new(EtcdRemoveMemberByIdResponse { messages: messages.await? }))
    }

    type EtcdSnapshotStream = Stream<Data>;

    async fn etcd_snapshot(
        &self,
        request: Request<EtcdSnapshotRequest>,
    ) -> Result<Response<Self::EtcdSnapshotStream>, Status> {
        let (_, server) = target(&self.machines, self.server, &request, "EtcdSnapshot")?;
        let blobs = membership::snapshot(&self.machines, server).await?;
        let data = blobs.into_iter().map(|bytes| Data { metadata: None, bytes });
        Ok(Response::new(events::once(data.collect())))
    }

    async fn etcd_status(&self, request: Request<()>) -> Result<Response<EtcdStatusResponse>, Status> {
        let (_, targets) = self.targets(&request, "EtcdStatus")?;
        let messages = ask_each(targets, async |server| {
            let member_status = Some(membership::member_status(&self.machines, server).await?);
            Ok(EtcdStatus { metadata: None, member_status })
        });
        Ok(Response::new(EtcdStatusResponse { messages: messages.await? }))
    }

    type EventsStream = Stream<Event>;

    async fn events(&self, request: Request<EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        let (_, server) = target(&self.machines, self.server, &request, "Events")?;
        Ok(Response::new(events::stream(self.machines.clone(), server, request.into_inner())))
    }

    async fn generate_client_configuration(
        &self,
        request: Request<GenerateClientConfigurationRequest>,
    ) -> Result<Response<GenerateClientConfigurationResponse>, Status> {
        let (_, targets) = self.targets(&request, "GenerateClientConfiguration")?;
        let GenerateClientConfigurationRequest { roles, crt_ttl } = request.into_inner();
        let lifetime = crt_ttl.and_then(|ttl| u64::try_from(ttl.seconds).ok()).filter(|seconds| *seconds > 0);
        let lifetime = lifetime.ok_or_else(|| Status::invalid_argument("crt_ttl should be positive"))?;
        let [role] = roles.as_slice() else {
            return Err(Status::invalid_argument("the simulator issues certificates of exactly one role"));
        };
        let messages = ask_each(targets, async |server| {
            let client = self.of_control_plane(server, |config| {
                let (Some(machine), Some(cluster)) = (config.machine(), config.cluster()) else {
                    return Err(PkiError::NotPem("machine.ca"));
                };
                talos_client(machine, cluster, role, Duration::from_secs(lifetime))
            })?;
            Ok(GenerateClientConfiguration {
                metadata: None,
                ca: client.authority_pem.into_bytes(),
                crt: client.issued.certificate_pem.into_bytes(),
                key: client.issued.key_pem.into_bytes(),
                talosconfig: client.talosconfig.into_bytes(),
            })
        });
        Ok(Response::new(GenerateClientConfigurationResponse { messages: messages.await? }))
    }

    type KubeconfigStream = Stream<Data>;

    async fn kubeconfig(&self, request: Request<()>) -> Result<Response<Self::KubeconfigStream>, Status> {
        let (_, server) = target(&self.machines, self.server, &request, "Kubeconfig")?;
        let text = self.of_control_plane(server, |config| match config.cluster() {
            Some(cluster) => kubeconfig(cluster),
            None => Err(PkiError::NotPem("cluster.ca")),
        })?;
        let bytes = tar_without_trailer(&text).map_err(internal)?;
        Ok(Response::new(events::once(vec![Data { metadata: None, bytes }])))
    }

    type ReadStream = Stream<Data>;

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let (_, server) = target(&self.machines, self.server, &request, "Read")?;
        if request.get_ref().path != BOOT_ID {
            return Err(Status::not_found(format!("stat {}: no such file or directory", request.get_ref().path)));
        }
        let boot_id = self.machines.look_at(server, |guest, _| format!("{}\n", guest.boot_id())).unwrap_or_default();
        Ok(Response::new(events::once(vec![Data { metadata: None, bytes: boot_id.into_bytes() }])))
    }

    async fn reboot(&self, request: Request<RebootRequest>) -> Result<Response<RebootResponse>, Status> {
        let (_, targets) = self.targets(&request, "Reboot")?;
        let messages = ask_each(targets, async |server| {
            let actor_id = self.machines.ask(|guests, now| guests.reboot(server, now)).map_err(status)?;
            Ok(Reboot { metadata: None, actor_id })
        });
        Ok(Response::new(RebootResponse { messages: messages.await? }))
    }

    async fn reset(&self, request: Request<ResetRequest>) -> Result<Response<ResetResponse>, Status> {
        let (_, targets) = self.targets(&request, "Reset")?;
        let request = request.into_inner();
        let messages = ask_each(targets, async |server| {
            let actor_id = self.reset_one(server, &request).await?;
            Ok(Reset { metadata: None, actor_id })
        });
        Ok(Response::new(ResetResponse { messages: messages.await? }))
    }

    async fn service_list(&self, request: Request<()>) -> Result<Response<ServiceListResponse>, Status> {
        let (_, targets) = self.targets(&request, "ServiceList")?;
        let messages = ask_each(targets, async |server| {
            let services = self.machines.look_at(server, |guest, now| guest.services(now)).unwrap_or_default();
            let services = services.into_iter().map(|service| ServiceInfo {
                id: service.id.to_owned(),
                state: service.state.to_owned(),
                health: Some(ServiceHealth {
                    unknown: service.healthy.is_none(),
                    healthy: service.healthy.unwrap_or_default(),
                    ..ServiceHealth::default()
                }),
            });
            Ok(ServiceList { metadata: None, services: services.collect() })
        });
        Ok(Response::new(ServiceListResponse { messages: messages.await? }))
    }

    async fn service_restart(
        &self,
        request: Request<ServiceRestartRequest>,
    ) -> Result<Response<ServiceRestartResponse>, Status> {
        let (_, targets) = self.targets(&request, "ServiceRestart")?;
        let id = request.into_inner().id;
        let messages = ask_each(targets, async |server| {
            self.machines.ask(|guests, now| guests.restart_service(server, &id, now)).map_err(status)?;
            Ok(ServiceRestart { metadata: None, resp: format!("Service \"{id}\" restarted") })
        });
        Ok(Response::new(ServiceRestartResponse { messages: messages.await? }))
    }

    async fn shutdown(&self, request: Request<ShutdownRequest>) -> Result<Response<ShutdownResponse>, Status> {
        let (_, targets) = self.targets(&request, "Shutdown")?;
        let messages = ask_each(targets, async |server| {
            let actor_id = self.machines.ask(|guests, now| guests.shutdown(server, now)).map_err(status)?;
            Ok(Shutdown { metadata: None, actor_id })
        });
        Ok(Response::new(ShutdownResponse { messages: messages.await? }))
    }

    async fn upgrade(&self, request: Request<UpgradeRequest>) -> Result<Response<UpgradeResponse>, Status> {
        let (_, targets) = self.targets(&request, "Upgrade")?;
        let request = request.into_inner();
        let messages = ask_each(targets, async |server| {
            let role = self.machines.look_at(server, |guest, _| guest.role()).flatten();
            let members = match role {
                Some(Role::ControlPlane) => self.etcd_members_of(server).await?.len(),
                Some(Role::Worker) | None => 0,
            };
            let upgraded =
                self.machines.ask(|guests, now| guests.upgrade(server, &request.image, members, request.force, now));
            let actor_id = upgraded.map_err(status)?;
            Ok(Upgrade { metadata: None, ack: "Upgrade request received".to_owned(), actor_id })
        });
        Ok(Response::new(UpgradeResponse { messages: messages.await? }))
    }

    async fn version(&self, request: Request<()>) -> Result<Response<VersionResponse>, Status> {
        let (_, targets) = self.targets(&request, "Version")?;
        let messages = ask_each(targets, async |server| {
            let tag = self.machines.look_at(server, |guest, _| guest.version().to_owned()).unwrap_or_default();
            let version = VersionInfo {
                tag,
                sha: "simulated".to_owned(),
                go_version: "go1.26".to_owned(),
                os: "linux".to_owned(),
                arch: "amd64".to_owned(),
                ..VersionInfo::default()
            };
            let platform = PlatformInfo { name: "hcloud".to_owned(), mode: "cloud".to_owned() };
            Ok(Version {
                metadata: None,
                version: Some(version),
                platform: Some(platform),
                features: Some(FeaturesInfo { rbac: true }),
            })
        });
        Ok(Response::new(VersionResponse { messages: messages.await? }))
    }
}
