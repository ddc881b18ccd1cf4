//! Placement groups: at most ten servers spread over hosts, of which a deleted one still counts for a while
//! (behaviour 12).

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::error::{ApiError, ApiResult, ErrorCode};
use super::ids::{PlacementGroupId, ProjectId, ServerId};
use super::labels::Labels;
use super::project::{self, Meta, Update};
use super::{Due, World};

/// A group holds so many servers.
const MAX_MEMBERS: usize = 10;
/// A project holds so many groups.
const MAX_GROUPS: usize = 50;

/// A spread placement group.
#[derive(Clone, Debug)]
pub struct PlacementGroup {
    /// Its number.
    pub id: PlacementGroupId,
    /// Name, labels, age.
    pub meta: Meta,
    /// Its servers.
    pub servers: BTreeSet<ServerId>,
    /// Deleted servers that still count.
    pub departed: BTreeSet<ServerId>,
}

/// Refuses an eleventh member.
pub(super) fn check_room(group: &PlacementGroup) -> ApiResult<()> {
    if group.servers.len() + group.departed.len() < MAX_MEMBERS {
        return Ok(());
    }
    let message = format!("placement group with ID {} contains already {MAX_MEMBERS} servers", group.id);
    Err(ApiError::new(ErrorCode::PlacementGroupMemberLimitReached, message))
}

impl World {
    /// Makes a group.
    ///
    /// # Errors
    /// `invalid_input`, `uniqueness_error`, `resource_limit_exceeded`.
    pub fn create_placement_group(
        &mut self,
        project: ProjectId,
        name: &str,
        labels: Labels,
        now: Timestamp,
    ) -> ApiResult<PlacementGroupId> {
        self.advance(now);
        let groups = &self.project(project).placement_groups;
        project::check_new(groups, name, &labels)?;
        if groups.len() >= MAX_GROUPS {
            return Err(ApiError::new(ErrorCode::ResourceLimitExceeded, "placement group limit exceeded"));
        }
        let id = PlacementGroupId(self.next_id());
        let meta = Meta::new(name.to_owned(), labels, self.now());
        let group = PlacementGroup { id, meta, servers: BTreeSet::new(), departed: BTreeSet::new() };
        self.project_mut(project).placement_groups.insert(id, group);
        Ok(id)
    }

    /// Changes name or labels.
    ///
    /// # Errors
    /// `not_found`, `uniqueness_error`, `invalid_input`.
    pub fn update_placement_group(
        &mut self,
        project: ProjectId,
        id: PlacementGroupId,
        update: Update,
        now: Timestamp,
    ) -> ApiResult<()> {
        self.advance(now);
        project::update(&mut self.project_mut(project).placement_groups, id, update)
    }

    /// Deletes a group; its servers stay.
    ///
    /// # Errors
    /// `not_found`.
    pub fn delete_placement_group(
        &mut self,
        project: ProjectId,
        id: PlacementGroupId,
        now: Timestamp,
    ) -> ApiResult<()> {
        self.advance(now);
        project::find(&self.project(project).placement_groups, id)?;
        let it = self.project_mut(project);
        it.placement_groups.remove(&id);
        for server in it.servers.values_mut().filter(|server| server.placement_group == Some(id)) {
            server.placement_group = None;
        }
        Ok(())
    }

    pub(super) fn leave_group_later(&mut self, project: ProjectId, group: Option<PlacementGroupId>, server: ServerId) {
        let Some(group) = group else { return };
        if let Some(it) = self.project_mut(project).placement_groups.get_mut(&group) {
            it.servers.remove(&server);
            it.departed.insert(server);
        }
        let takes = self.draw(self.latencies().group_release);
        self.schedule(self.now() + takes, Due::GroupReleased { project, group, server });
    }

    pub(super) fn release_group(&mut self, project: ProjectId, group: PlacementGroupId, server: ServerId) {
        if let Some(group) = self.project_mut(project).placement_groups.get_mut(&group) {
            group.departed.remove(&server);
        }
    }
}
