//! Talos' API, played on the world's guests: who may ask what, and through whom, as apid decides it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use async_trait::async_trait;
use helix_engine::seams::{InForce, Talos, TalosError, TalosRoute};
use helix_plan::observed::{EtcdMember, MachineStage, ServiceState, TalosFacts};
use helix_plan::secrets::Secret;
use jiff::SignedDuration;

use super::secrets::{Shown, trusts};
use super::{Inner, Universe};
use crate::world::machine::config::Role;
use crate::world::machine::{Apid, ApplyMode, Guest, RpcCode, RpcError, Stage};
use crate::world::servers::Server;
use crate::world::{MachineRef, ServerId};

/// The port of Talos' API.
const TALOS_PORT: u16 = 50_000;

/// How long a trial configuration lasts; Helix asks for none.
const NO_TRIAL: SignedDuration = SignedDuration::ZERO;

fn silent(address: Ipv4Addr) -> TalosError {
    TalosError::Unreachable { address, why: "connection refused".to_owned() }
}

pub(super) fn refusal(address: Ipv4Addr, error: RpcError) -> TalosError {
    let why = error.message;
    match error.code {
        RpcCode::InvalidArgument => TalosError::Invalid { address, why },
        RpcCode::PermissionDenied => TalosError::PermissionDenied { address, why },
        RpcCode::FailedPrecondition => TalosError::NotReady { address, why },
        RpcCode::Unavailable => TalosError::Unreachable { address, why },
        code @ (RpcCode::NotFound | RpcCode::AlreadyExists | RpcCode::Unimplemented | RpcCode::Unknown) => {
            TalosError::Other { address, code: format!("{code:?}"), why }
        }
    }
}

impl Inner {
    fn guest_at(&self, address: Ipv4Addr) -> Option<&Guest> {
        let machine = self.world.machine_at(address)?;
        self.may_call(machine, TALOS_PORT).then(|| self.world.guests().get(machine.server))?
    }

    /// Whether the machine's firewalls let the engine through to a port.
    pub(super) fn may_call(&self, machine: MachineRef, port: u16) -> bool {
        self.caller.is_none_or(|caller| self.world.allows(caller, machine, port))
    }

    /// The server that a route leads to, if apid lets the caller through.
    pub(super) fn reach(&mut self, route: &TalosRoute) -> Result<ServerId, TalosError> {
        let reached = self.find(route);
        match &reached {
            Ok(server) => {
                let name = self.world.guests().get(*server).map(|guest| guest.hostname().to_owned());
                self.say(name.unwrap_or_default());
            }
            Err(error) => self.say(error),
        }
        reached
    }

    fn find(&self, route: &TalosRoute) -> Result<ServerId, TalosError> {
        let address = route.endpoint;
        let endpoint = self.guest_at(address).ok_or_else(|| silent(address))?;
        self.admit(address, endpoint, route)?;
        let Some(node) = route.node else { return Ok(endpoint.host().server) };
        if endpoint.role() != Some(Role::ControlPlane) {
            let why = "workers do not forward".to_owned();
            return Err(TalosError::PermissionDenied { address, why });
        }
        let behind = self.neighbour(endpoint.host().server, node);
        let behind = behind.and_then(|server| self.world.guests().get(server));
        let behind = behind.filter(|guest| guest.apid() == Apid::Serving).ok_or_else(|| {
            let why = "connection refused".to_owned();
            TalosError::NodeUnreachable { address: node, through: address, why }
        })?;
        // From here on the control plane calls in its own name: each has to know the other's authority.
        let machine = |guest: &Guest| guest.config().and_then(|config| config.machine()).cloned();
        let known = machine(endpoint).zip(machine(behind)).is_some_and(|(front, back)| {
            front.known_authorities().contains(&back.ca.crt) && back.known_authorities().contains(&front.ca.crt)
        });
        match known {
            true => Ok(behind.host().server),
            false => {
                let why = "certificate signed by unknown authority".to_owned();
                Err(TalosError::NodeUnreachable { address: node, through: address, why })
            }
        }
    }

    /// The server with that address in one of the private networks of `from`: others may use the same range.
    fn neighbour(&self, from: ServerId, address: Ipv4Addr) -> Option<ServerId> {
        let servers = &self.world.project(self.project).servers;
        let networks = &servers.get(&from)?.private_net;
        let is_there = |it: &&Server| networks.iter().any(|net| it.private_ip(net.network) == Some(address));
        servers.values().find(is_there).map(|server| server.id)
    }

    /// Whether the machine's apid knows the caller's authority.
    fn admit(&self, address: Ipv4Addr, guest: &Guest, route: &TalosRoute) -> Result<(), TalosError> {
        match guest.apid() {
            Apid::Closed => Err(silent(address)),
            Apid::Maintenance => {
                let why = "the certificate is self-signed".to_owned();
                Err(TalosError::WrongAuthority { address, why })
            }
            Apid::Serving => {
                let refused = |why: &str| Err(TalosError::WrongAuthority { address, why: why.to_owned() });
                let Some(machine) = guest.config().and_then(|config| config.machine()) else {
                    return refused("no authority");
                };
                if !trusts(&route.credentials.ca_pem, &machine.ca.crt) {
                    return refused("unknown authority");
                }
                let shown = Shown::read(&route.credentials.certificate_pem);
                match shown {
                    Some(shown) if shown.is_admitted_by(&machine.known_authorities(), self.now) => Ok(()),
                    _ => refused("bad certificate"),
                }
            }
        }
    }
}

#[async_trait]
impl Talos for Universe {
    async fn maintenance(&self, address: Ipv4Addr) -> Result<TalosFacts, TalosError> {
        self.ask("maintenance", |inner| {
            let guest = inner.guest_at(address).ok_or_else(|| silent(address))?;
            match guest.apid() {
                Apid::Closed => Err(silent(address)),
                Apid::Maintenance => Ok(TalosFacts::Maintenance { version: guest.version().to_owned() }),
                Apid::Serving => Err(TalosError::Unauthenticated { address }),
            }
        })
        .await
    }

    async fn configure(&self, address: Ipv4Addr, config: &Secret) -> Result<(), TalosError> {
        self.tell("configure", |inner| {
            let guest = inner.guest_at(address).ok_or_else(|| silent(address))?;
            match guest.apid() {
                Apid::Closed => return Err(silent(address)),
                Apid::Serving => return Err(TalosError::Unauthenticated { address }),
                Apid::Maintenance => {}
            }
            let (server, now) = (guest.host().server, inner.now);
            inner
                .world
                .guests_mut(now)
                .apply_configuration(server, config.expose(), ApplyMode::Auto, false, NO_TRIAL, now)
                .map(|_| ())
                .map_err(|error| refusal(address, error))
        })
        .await
    }

    async fn status(&self, route: &TalosRoute) -> Result<TalosFacts, TalosError> {
        self.ask("status", |inner| {
            let server = inner.reach(route)?;
            let guest = inner.world.guests().get(server).ok_or_else(|| silent(route.endpoint))?;
            let (stage, ready) = guest.status(inner.now);
            let unmet = guest.unmet(inner.now).into_iter();
            let services = guest.services(inner.now).into_iter().map(|service| ServiceState {
                id: service.id.to_owned(),
                state: service.state.to_owned(),
                healthy: service.healthy,
            });
            Ok(TalosFacts::Configured {
                version: guest.version().to_owned(),
                stage: match stage {
                    Stage::Booting => MachineStage::Booting,
                    Stage::Running => MachineStage::Running,
                    Stage::Rebooting => MachineStage::Rebooting,
                    other => MachineStage::Other(format!("{other:?}").to_lowercase()),
                },
                ready,
                unmet: if ready { Vec::new() } else { unmet.map(|(name, _)| name.to_owned()).collect() },
                services: services.collect(),
            })
        })
        .await
    }

    async fn extensions(&self, route: &TalosRoute) -> Result<BTreeSet<String>, TalosError> {
        self.ask("extensions", |inner| {
            let server = inner.reach(route)?;
            let guest = inner.world.guests().get(server).ok_or_else(|| silent(route.endpoint))?;
            Ok(guest.extensions().iter().map(|name| (*name).to_owned()).collect())
        })
        .await
    }

    async fn bootstrap_etcd(&self, route: &TalosRoute) -> Result<(), TalosError> {
        self.tell("bootstrap etcd", |inner| {
            let server = inner.reach(route)?;
            let now = inner.now;
            match inner.world.guests_mut(now).bootstrap(server, now) {
                Ok(()) => {
                    inner.counts.bootstraps += 1;
                    Ok(())
                }
                Err(error) if error.code == RpcCode::AlreadyExists => Ok(()),
                Err(error) => Err(refusal(route.endpoint, error)),
            }
        })
        .await
    }

    async fn etcd_members(&self, route: &TalosRoute) -> Result<Vec<EtcdMember>, TalosError> {
        self.ask("etcd members", |inner| {
            let server = inner.reach(route)?;
            let now = inner.now;
            let members = inner.world.guests_mut(now).etcd_members(server);
            let members = members.map_err(|error| refusal(route.endpoint, error))?;
            let member = |it: crate::world::machine::Member| EtcdMember {
                id: it.id,
                hostname: it.hostname,
                learner: it.learner,
            };
            Ok(members.into_iter().map(member).collect())
        })
        .await
    }

    async fn forfeit_etcd_leadership(&self, route: &TalosRoute) -> Result<(), TalosError> {
        self.tell("forfeit etcd leadership", |inner| {
            let server = inner.reach(route)?;
            let now = inner.now;
            let forfeited = inner.world.guests_mut(now).etcd_forfeit_leadership(server);
            forfeited.map(drop).map_err(|error| refusal(route.endpoint, error))
        })
        .await
    }

    async fn install(&self, route: &TalosRoute, image: &str) -> Result<(), TalosError> {
        self.tell("install", |inner| {
            let server = inner.reach(route)?;
            let now = inner.now;
            let address = route.endpoint;
            inner.world.guests_mut(now).pull_image(server, image).map_err(|error| refusal(address, error))?;
            let installed = inner.world.guests_mut(now).install_next(server, image);
            let installed = installed.map_err(|error| refusal(address, error))?;
            if installed.exit_code == 0 {
                return Ok(());
            }
            Err(TalosError::InstallerFailed { address, why: installed.messages.last().cloned().unwrap_or_default() })
        })
        .await
    }

    async fn reboot(&self, route: &TalosRoute) -> Result<(), TalosError> {
        self.tell("reboot", |inner| {
            let server = inner.reach(route)?;
            let now = inner.now;
            let rebooted = inner.world.guests_mut(now).reboot(server, now);
            rebooted.map(drop).map_err(|error| refusal(route.endpoint, error))
        })
        .await
    }

    async fn reconfigure(&self, route: &TalosRoute, config: &Secret, force: InForce) -> Result<(), TalosError> {
        self.tell("reconfigure", |inner| {
            let server = inner.reach(route)?;
            let now = inner.now;
            let mode = match force {
                InForce::Now => ApplyMode::NoReboot,
                InForce::AtReboot => ApplyMode::Staged,
            };
            let applied =
                inner.world.guests_mut(now).apply_configuration(server, config.expose(), mode, false, NO_TRIAL, now);
            applied.map(drop).map_err(|error| refusal(route.endpoint, error))
        })
        .await
    }

    async fn remove_etcd_member(&self, route: &TalosRoute, member: u64) -> Result<(), TalosError> {
        self.tell("remove etcd member", |inner| {
            let server = inner.reach(route)?;
            let now = inner.now;
            match inner.world.guests_mut(now).etcd_remove_member(server, member, now) {
                Err(error) if error.code != RpcCode::NotFound => Err(refusal(route.endpoint, error)),
                _ => Ok(()),
            }
        })
        .await
    }
}
