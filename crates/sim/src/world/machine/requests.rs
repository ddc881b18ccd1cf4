//! What callers of Talos' API ask of a machine, once it is known that they may.
//!
//! Every method checks the state that the machine is in, as Talos does, and returns at once: what was set in motion
//! ends in [`Guests::advance`].

use jiff::{SignedDuration, Timestamp};

use super::Guests;
use super::config::{Grammar, MachineConfig, Role};
use super::events::Happening;
use super::guest::{Guest, Stage};
use super::phase::{Etcd, GoingDown, Phase, Wipe};
use super::status::{RpcCode, RpcError};
use super::upgrade::SystemImage;
use crate::world::ids::ServerId;

/// How a configuration is to take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyMode {
    /// With a reboot.
    Reboot,
    /// As its changes demand.
    Auto,
    /// At once, or not at all.
    NoReboot,
    /// At the next boot.
    Staged,
    /// At once, and back again after a while.
    Try,
}

/// How a configuration took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The mode that was chosen.
    pub mode: ApplyMode,
    /// What that means, in words.
    pub details: String,
}

/// What a reset takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResetRequest {
    /// Whether to leave etcd first.
    pub graceful: bool,
    /// Whether to boot again.
    pub reboot: bool,
    /// Labels of the system partitions to wipe; none means the whole disk.
    pub partitions: Vec<String>,
}

/// Why a machine goes down, and what is done on the way.
pub(super) struct Errand {
    pub(super) stage: Stage,
    /// Talos' name for it in events.
    pub(super) sequence: &'static str,
    pub(super) come_back: bool,
    /// The system to write, if one is.
    pub(super) install: Option<SystemImage>,
    pub(super) wipe: Wipe,
    /// Whether it is given up on the way.
    pub(super) aborts: bool,
}

impl Errand {
    /// One that changes nothing and comes back.
    pub(super) fn of(stage: Stage, sequence: &'static str) -> Self {
        Self { stage, sequence, come_back: true, install: None, wipe: Wipe::default(), aborts: false }
    }
}

pub(super) fn refuse<T>(code: RpcCode, message: &str) -> Result<T, RpcError> {
    Err(RpcError::new(code, message))
}

fn control_plane_only(guest: &Guest, what: &str) -> Result<(), RpcError> {
    match guest.role() {
        Some(Role::ControlPlane) => Ok(()),
        Some(Role::Worker) | None => {
            Err(RpcError::new(RpcCode::Unimplemented, format!("{what} is only available on control plane nodes")))
        }
    }
}

impl Guests {
    /// The machine, if it is configured and not on its way down.
    pub(super) fn in_service(&mut self, server: ServerId) -> Result<&mut Guest, RpcError> {
        match self.guests.get_mut(&server) {
            Some(guest) if guest.is_up() => Ok(guest),
            Some(Guest { phase: Phase::Maintenance, .. }) => refuse(RpcCode::PermissionDenied, "not authorized"),
            Some(Guest { phase: Phase::Down(_), .. }) => refuse(RpcCode::FailedPrecondition, "locked"),
            Some(_) | None => refuse(RpcCode::Unavailable, "connection refused"),
        }
    }

    pub(super) fn in_control(&mut self, server: ServerId, what: &str) -> Result<&mut Guest, RpcError> {
        let guest = self.in_service(server)?;
        control_plane_only(guest, what)?;
        Ok(guest)
    }

    /// `ApplyConfiguration`.
    ///
    /// # Errors
    /// `InvalidArgument` for what Talos does not accept, `FailedPrecondition` while another change is under way.
    pub fn apply_configuration(
        &mut self,
        server: ServerId,
        text: &str,
        mode: ApplyMode,
        dry_run: bool,
        trial: SignedDuration,
        now: Timestamp,
    ) -> Result<Applied, RpcError> {
        let configure = self.pace.draw(|spans| spans.configure);
        let Some(guest) = self.guests.get_mut(&server) else {
            return refuse(RpcCode::Unavailable, "connection refused");
        };
        let config = MachineConfig::parse(text, Grammar::of(&guest.version))
            .map_err(|error| RpcError::new(RpcCode::InvalidArgument, error.to_string()))?;
        match guest.phase {
            Phase::Maintenance => {
                if !dry_run {
                    let complete = config.is_complete();
                    guest.disk.config = Some(config);
                    if complete {
                        guest.enter(Phase::Configuring { until: now + configure });
                    }
                    self.settle(now);
                }
                Ok(Applied { mode, details: "Applied configuration in maintenance mode".to_owned() })
            }
            Phase::Up(_) => self.reconfigure(server, config, mode, dry_run, trial, now),
            Phase::Configuring { .. } | Phase::Down(_) => {
                refuse(RpcCode::FailedPrecondition, "another apply configuration is already in progress")
            }
            Phase::Off | Phase::Dead | Phase::Booting { .. } => refuse(RpcCode::Unavailable, "connection refused"),
        }
    }

    fn reconfigure(
        &mut self,
        server: ServerId,
        config: MachineConfig,
        mode: ApplyMode,
        dry_run: bool,
        trial: SignedDuration,
        now: Timestamp,
    ) -> Result<Applied, RpcError> {
        let guest = self.in_service(server)?;
        let without_reboot = Grammar::of(&guest.version) == Grammar::V1_14;
        if mode == ApplyMode::Reboot && without_reboot {
            return refuse(RpcCode::Unimplemented, "REBOOT mode is no longer supported, use the Reboot API");
        }
        let needs = guest.config().and_then(|current| current.reboot_needed_for(&config)).filter(|_| !without_reboot);
        let chosen = match (mode, needs) {
            (ApplyMode::Auto, Some(_)) => ApplyMode::Reboot,
            (ApplyMode::Auto, None) => ApplyMode::NoReboot,
            (ApplyMode::NoReboot | ApplyMode::Try, Some(field)) => {
                let message = format!("this config change can't be applied in immediate mode: {field} changed");
                return Err(RpcError::new(RpcCode::Unknown, message));
            }
            (mode, _) => mode,
        };
        let details = match chosen {
            ApplyMode::Reboot => "Applied configuration with a reboot",
            ApplyMode::Staged => "Staged configuration to be applied after the next reboot",
            ApplyMode::Try => "Applied configuration without a reboot, to be rolled back by itself",
            ApplyMode::NoReboot | ApplyMode::Auto => "Applied configuration without a reboot",
        };
        if !dry_run {
            guest.end_trial();
            guest.disk.staged = None;
            let before = guest.disk.config.clone();
            match chosen {
                ApplyMode::Staged => guest.disk.staged = Some(config),
                ApplyMode::Try => {
                    guest.disk.config = Some(config);
                    if let (Some(up), Some(before)) = (guest.uptime_mut(), before) {
                        up.trial = Some((now + trial, before));
                    }
                }
                ApplyMode::Reboot | ApplyMode::NoReboot | ApplyMode::Auto => guest.disk.config = Some(config),
            }
            if chosen == ApplyMode::Reboot {
                self.reboot(server, now)?;
            }
            self.settle(now);
        }
        Ok(Applied { mode: chosen, details: details.to_owned() })
    }

    /// The machine hangs: it has power and does nothing any more, until it is powered off and on.
    pub fn hang(&mut self, server: ServerId, now: Timestamp) {
        if let Some(guest) = self.guests.get_mut(&server) {
            guest.enter(Phase::Dead);
        }
        self.settle(now);
    }

    /// The etcd of this control plane stops answering and does not come back by itself: its disk is full, say.
    pub fn break_etcd(&mut self, server: ServerId, now: Timestamp) {
        if let Some(up) = self.guests.get_mut(&server).and_then(Guest::uptime_mut) {
            up.etcd = Etcd::Starting { until: Timestamp::MAX };
            up.api_server = false;
        }
        self.settle(now);
    }

    /// The static pods of this control plane end, its API server among them; its kubelet starts them again.
    pub fn end_static_pods(&mut self, server: ServerId, now: Timestamp) {
        if let Some(up) = self.guests.get_mut(&server).and_then(Guest::uptime_mut) {
            up.static_pods = None;
            up.static_pods_at = None;
            up.api_server = false;
        }
        self.settle(now);
    }

    /// `ServiceRestart`; the kubelet alone can be restarted here.
    ///
    /// # Errors
    /// `NotFound` for a service that the machine does not have, `Unimplemented` for one that is no kubelet; and unless
    /// the machine is configured and up.
    pub fn restart_service(&mut self, server: ServerId, id: &str, now: Timestamp) -> Result<(), RpcError> {
        let guest = self.in_service(server)?;
        if !guest.services(now).iter().any(|service| service.id == id) {
            return Err(RpcError::new(RpcCode::NotFound, format!("service \"{id}\" not defined")));
        }
        match id {
            "kubelet" => self.restart_kubelet(server, now),
            _ => Err(RpcError::new(RpcCode::Unimplemented, "the simulator restarts the kubelet alone")),
        }
    }

    /// `ServiceRestart` of the kubelet, which registers its node again.
    ///
    /// # Errors
    /// Unless the machine is configured and up.
    pub fn restart_kubelet(&mut self, server: ServerId, now: Timestamp) -> Result<(), RpcError> {
        let at = now + self.pace.draw(|spans| spans.kubelet);
        if let Some(up) = self.in_service(server)?.uptime_mut() {
            up.kubelet_at = at;
            up.registered = false;
            up.register_at = None;
            up.wakes.insert(at);
        }
        self.settle(now);
        Ok(())
    }

    /// `Reboot`; returns the actor's id.
    ///
    /// # Errors
    /// Unless the machine is configured and up.
    pub fn reboot(&mut self, server: ServerId, now: Timestamp) -> Result<String, RpcError> {
        self.go_down(server, Errand::of(Stage::Rebooting, "reboot"), now)
    }

    /// `Shutdown`; returns the actor's id.
    ///
    /// # Errors
    /// Unless the machine is configured and up.
    pub fn shutdown(&mut self, server: ServerId, now: Timestamp) -> Result<String, RpcError> {
        let errand = Errand { come_back: false, ..Errand::of(Stage::ShuttingDown, "shutdown") };
        self.go_down(server, errand, now)
    }

    /// `Reset`, after the attempt to leave etcd where it is graceful (`left`); returns the actor's id. One that could
    /// not leave begins all the same and is given up after a while.
    ///
    /// # Errors
    /// Unless the machine is configured and up.
    pub fn reset(
        &mut self,
        server: ServerId,
        request: &ResetRequest,
        left: Result<(), RpcError>,
        now: Timestamp,
    ) -> Result<String, RpcError> {
        let has = |label: &str| request.partitions.iter().any(|partition| partition == label);
        let whole = request.partitions.is_empty();
        let wipe = Wipe { state: whole || has("STATE"), ephemeral: whole || has("EPHEMERAL"), system: whole };
        let (come_back, aborts) = (request.reboot, left.is_err());
        self.go_down(server, Errand { come_back, wipe, aborts, ..Errand::of(Stage::Resetting, "reset") }, now)
    }

    /// Takes a machine down; returns the actor's id.
    pub(super) fn go_down(&mut self, server: ServerId, errand: Errand, now: Timestamp) -> Result<String, RpcError> {
        let Errand { stage, sequence, come_back, install, wipe, aborts } = errand;
        let mut duration = self.pace.draw(|spans| spans.go_down);
        if aborts {
            duration = self.pace.draw(|spans| spans.leave_deadline);
        }
        if install.is_some() {
            duration += self.pace.draw(|spans| spans.install);
        }
        let actor = self.ids.uuid();
        let guest = self.in_service(server)?;
        let until = now + duration;
        guest.events.record(&actor, Happening::Sequence { name: sequence, began: true, error: None });
        let down = GoingDown { until, stage, wipe, come_back, actor: actor.clone(), install, aborts };
        guest.enter(Phase::Down(Box::new(down)));
        self.settle(now);
        Ok(actor)
    }
}
