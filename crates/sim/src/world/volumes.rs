//! Volumes: disks that outlive servers.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::World;
use super::actions::{Effect, NewAction, ResourceRef};
use super::catalogue::{self, Location, VOLUME_GB_MONTHLY};
use super::error::{ApiError, ApiResult, ErrorCode};
use super::ids::{ActionId, ProjectId, ServerId, VolumeId};
use super::labels::Labels;
use super::project::{self, Meta, Project, Update};

/// Sizes that a volume may have, in GB.
const SIZES_GB: std::ops::RangeInclusive<u32> = 10..=10_240;

/// A volume.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Its number.
    pub id: VolumeId,
    /// Name, labels, age, protection.
    pub meta: Meta,
    /// Its size in GB; grows only.
    pub size_gb: u32,
    /// Where it is.
    pub location: &'static Location,
    /// Which server has it.
    pub server: Option<ServerId>,
    /// `ext4` or `xfs`, if it was formatted.
    pub format: Option<String>,
    /// Whether it can be used; else it is being made.
    pub available: bool,
    pub(super) locks: BTreeSet<ActionId>,
}

/// An order for a volume.
#[derive(Clone, Debug, Default)]
pub struct CreateVolume {
    /// Unique name.
    pub name: String,
    /// Size in GB.
    pub size_gb: u32,
    /// Where, unless the server says it.
    pub location: Option<String>,
    /// To which server it is attached.
    pub server: Option<ServerId>,
    /// File system to put on it.
    pub format: Option<String>,
    /// Labels.
    pub labels: Labels,
}

impl Project {
    /// Refuses a volume that a new server in `location` can't have.
    pub(super) fn attachable_volume(&self, id: VolumeId, location: &Location) -> ApiResult<()> {
        let volume = project::find(&self.volumes, id)?;
        project::check_unlocked::<Volume>(&volume.locks)?;
        if volume.server.is_some() {
            return Err(ApiError::invalid("volumes", "volume is already attached to a server"));
        }
        if volume.location.name != location.name {
            return Err(ApiError::invalid("volumes", "volume is in another location than the server"));
        }
        Ok(())
    }
}

/// What becomes true when an action on a volume succeeds.
#[derive(Clone, Copy, Debug)]
pub(super) enum VolumeEffect {
    Created(VolumeId),
    Attached(VolumeId, ServerId),
    Detached(VolumeId),
    Resized(VolumeId, u32),
}

impl World {
    /// Orders a volume.
    ///
    /// # Errors
    /// `invalid_input`, `uniqueness_error`, `not_found`, `locked`.
    pub fn create_volume(
        &mut self,
        project: ProjectId,
        order: CreateVolume,
        now: Timestamp,
    ) -> ApiResult<(VolumeId, ActionId, Vec<ActionId>)> {
        self.advance(now);
        project::check_new(&self.project(project).volumes, &order.name, &order.labels)?;
        if !SIZES_GB.contains(&order.size_gb) {
            return Err(ApiError::invalid("size", "must be between 10 and 10240"));
        }
        let location = match (order.server, &order.location) {
            (Some(server), None) => self.unlocked_server(project, server)?.location,
            (None, Some(name)) => {
                catalogue::location(name).ok_or_else(|| ApiError::invalid("location", "does not exist"))?
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(ApiError::invalid("location", "either location or server must be given"));
            }
        };
        let (id, now) = (VolumeId(self.next_id()), self.now());
        let volume = Volume {
            id,
            meta: Meta::new(order.name.clone(), order.labels, now),
            size_gb: order.size_gb,
            location,
            server: None,
            format: order.format,
            available: false,
            locks: BTreeSet::new(),
        };
        let it = self.project_mut(project);
        let monthly = VOLUME_GB_MONTHLY * u64::from(order.size_gb);
        it.ledger.open(ResourceRef::Volume(id), order.name, monthly, now);
        it.volumes.insert(id, volume);
        let (volume, takes) = (ResourceRef::Volume(id), self.latencies().volume_create);
        let create = NewAction::new("create_volume", volume, takes, Effect::Volume(VolumeEffect::Created(id)));
        let create = self.start_action(project, create);
        let next = order.server.map(|server| {
            let effect = Effect::Volume(VolumeEffect::Attached(id, server));
            let attach = NewAction::new("attach_volume", volume, takes, effect).holding(ResourceRef::Server(server));
            self.start_action(project, attach.after(create))
        });
        Ok((id, create, next.into_iter().collect()))
    }

    /// Changes name or labels.
    ///
    /// # Errors
    /// `not_found`, `uniqueness_error`, `invalid_input`.
    pub fn update_volume(&mut self, project: ProjectId, id: VolumeId, update: Update, now: Timestamp) -> ApiResult<()> {
        self.advance(now);
        project::update(&mut self.project_mut(project).volumes, id, update)
    }

    /// Deletes a detached volume.
    ///
    /// # Errors
    /// `not_found`, `protected`, `locked`, `resource_in_use` while it is attached.
    pub fn delete_volume(&mut self, project: ProjectId, id: VolumeId, now: Timestamp) -> ApiResult<()> {
        self.advance(now);
        let volume = self.unlocked_volume(project, id)?;
        project::check_deletable(volume)?;
        if volume.server.is_some() {
            let message = format!("volume with ID {id} is still attached to a server");
            return Err(ApiError::new(ErrorCode::ResourceInUse, message));
        }
        let now = self.now();
        let it = self.project_mut(project);
        it.volumes.remove(&id);
        it.ledger.close(ResourceRef::Volume(id), now);
        Ok(())
    }

    /// Attaches a volume to a server of its location.
    ///
    /// # Errors
    /// `not_found`, `locked`, `invalid_input`.
    pub fn attach_volume(
        &mut self,
        project: ProjectId,
        id: VolumeId,
        server: ServerId,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        let location = self.unlocked_server(project, server)?.location;
        self.project(project).attachable_volume(id, location)?;
        let effect = Effect::Volume(VolumeEffect::Attached(id, server));
        let new = NewAction::new("attach_volume", ResourceRef::Volume(id), self.latencies().volume_create, effect);
        Ok(self.start_action(project, new.holding(ResourceRef::Server(server))))
    }

    /// Detaches a volume.
    ///
    /// # Errors
    /// `not_found`, `locked`, `invalid_input` when it isn't attached.
    pub fn detach_volume(&mut self, project: ProjectId, id: VolumeId, now: Timestamp) -> ApiResult<ActionId> {
        self.advance(now);
        let attached = self.unlocked_volume(project, id)?.server;
        let server = attached.ok_or_else(|| ApiError::new(ErrorCode::InvalidInput, "volume is not attached"))?;
        self.unlocked_server(project, server)?;
        let effect = Effect::Volume(VolumeEffect::Detached(id));
        let new = NewAction::new("detach_volume", ResourceRef::Volume(id), self.latencies().volume_detach, effect);
        Ok(self.start_action(project, new.holding(ResourceRef::Server(server))))
    }

    /// Makes a volume larger.
    ///
    /// # Errors
    /// `not_found`, `locked`, `invalid_input`.
    pub fn resize_volume(
        &mut self,
        project: ProjectId,
        id: VolumeId,
        size_gb: u32,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        let volume = self.unlocked_volume(project, id)?;
        if size_gb <= volume.size_gb || !SIZES_GB.contains(&size_gb) {
            return Err(ApiError::invalid("size", "can only grow, to at most 10240"));
        }
        let effect = Effect::Volume(VolumeEffect::Resized(id, size_gb));
        let new = NewAction::new("resize_volume", ResourceRef::Volume(id), self.latencies().minor, effect);
        Ok(self.start_action(project, new))
    }

    pub(super) fn apply_to_volume(&mut self, project: ProjectId, effect: VolumeEffect) {
        match effect {
            VolumeEffect::Created(id) => {
                if let Some(volume) = self.project_mut(project).volumes.get_mut(&id) {
                    volume.available = true;
                }
            }
            VolumeEffect::Attached(id, server) => self.volume_attached(project, id, server),
            VolumeEffect::Detached(id) => {
                if let Some(volume) = self.project_mut(project).volumes.get_mut(&id) {
                    volume.server = None;
                }
            }
            VolumeEffect::Resized(id, size_gb) => {
                let now = self.now();
                let it = self.project_mut(project);
                if let Some(volume) = it.volumes.get_mut(&id) {
                    volume.size_gb = size_gb;
                    let monthly = VOLUME_GB_MONTHLY * u64::from(size_gb);
                    it.ledger.reprice(ResourceRef::Volume(id), monthly, now);
                }
            }
        }
    }

    pub(super) fn volume_attached(&mut self, project: ProjectId, id: VolumeId, server: ServerId) {
        if let Some(volume) = self.project_mut(project).volumes.get_mut(&id) {
            volume.server = Some(server);
        }
    }

    fn unlocked_volume(&self, project: ProjectId, id: VolumeId) -> ApiResult<&Volume> {
        let volume = project::find(&self.project(project).volumes, id)?;
        project::check_unlocked::<Volume>(&volume.locks)?;
        Ok(volume)
    }
}
