//! Actions: what was asked for and isn't true yet.
//!
//! A mutation returns an action before it has its effect (behaviour 1). The action holds the effect, and the locks of
//! what it changes; when it is due, the effect happens or, if a fault strikes, the action ends in error without it.

use jiff::Timestamp;

use super::error::{ApiError, ApiResult};
use super::firewalls::FirewallEffect;
use super::ids::{
    ActionId, FirewallId, ImageId, LoadBalancerId, NetworkId, PlacementGroupId, PrimaryIpId, ProjectId, ServerId,
    VolumeId, ZoneId,
};
use super::latencies::Span;
use super::load_balancers::LoadBalancerEffect;
use super::networks::NetworkEffect;
use super::primary_ips::PrimaryIpEffect;
use super::servers::ServerEffect;
use super::volumes::VolumeEffect;
use super::{Due, World};

/// Where an action stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionStatus {
    /// Under way.
    Running,
    /// It had its effect.
    Success,
    /// It had none.
    Error {
        /// For programs.
        code: String,
        /// For people.
        message: String,
    },
}

/// What an action is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceRef {
    /// A server.
    Server(ServerId),
    /// A network.
    Network(NetworkId),
    /// A firewall.
    Firewall(FirewallId),
    /// A load balancer.
    LoadBalancer(LoadBalancerId),
    /// A volume.
    Volume(VolumeId),
    /// A primary IP.
    PrimaryIp(PrimaryIpId),
    /// An image.
    Image(ImageId),
    /// A placement group.
    PlacementGroup(PlacementGroupId),
    /// A zone of DNS.
    Zone(ZoneId),
}

impl ResourceRef {
    /// The kind in Hetzner's words, and the number.
    #[must_use]
    pub fn parts(self) -> (&'static str, u64) {
        match self {
            Self::Server(id) => ("server", id.0),
            Self::Network(id) => ("network", id.0),
            Self::Firewall(id) => ("firewall", id.0),
            Self::LoadBalancer(id) => ("load_balancer", id.0),
            Self::Volume(id) => ("volume", id.0),
            Self::PrimaryIp(id) => ("primary_ip", id.0),
            Self::Image(id) => ("image", id.0),
            Self::PlacementGroup(id) => ("placement_group", id.0),
            Self::Zone(id) => ("zone", id.0),
        }
    }
}

/// What becomes true when an action succeeds.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// Nothing that isn't true already.
    None,
    /// Deletion (and, of a server, rebuilding) is refused or allowed from now on.
    Protected {
        resource: ResourceRef,
        delete: bool,
        rebuild: Option<bool>,
    },
    Server(ServerEffect),
    Network(NetworkEffect),
    Firewall(FirewallEffect),
    LoadBalancer(LoadBalancerEffect),
    Volume(VolumeEffect),
    PrimaryIp(PrimaryIpEffect),
}

/// An asynchronous task.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its number.
    pub id: ActionId,
    /// As in `create_server`.
    pub command: &'static str,
    /// Where it stands.
    pub status: ActionStatus,
    /// When it was asked for.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// What it is about.
    pub resources: Vec<ResourceRef>,
    /// What it locks while it runs: the first so many of its resources.
    held: usize,
    due: Timestamp,
    effect: Effect,
    /// Fails with this one, if it does.
    depends_on: Option<ActionId>,
}

impl Action {
    /// Percent done at `now`, by the time that it takes; 100 only at the end.
    #[must_use]
    pub fn progress(&self, now: Timestamp) -> u8 {
        if self.finished.is_some() {
            return 100;
        }
        let whole = self.due.duration_since(self.started).as_millis().max(1);
        let passed = now.duration_since(self.started).as_millis().clamp(0, whole);
        u8::try_from(passed * 100 / whole).unwrap_or(100).min(99)
    }
}

/// An action to be started.
pub(super) struct NewAction {
    command: &'static str,
    resources: Vec<ResourceRef>,
    held: usize,
    takes: Span,
    effect: Effect,
    after: Option<ActionId>,
}

impl NewAction {
    /// An action that locks `resource` while it runs.
    pub(super) fn new(command: &'static str, resource: ResourceRef, takes: Span, effect: Effect) -> Self {
        Self { command, resources: vec![resource], held: 1, takes, effect, after: None }
    }

    /// It locks this one, too.
    pub(super) fn holding(mut self, resource: ResourceRef) -> Self {
        self.resources.insert(self.held, resource);
        self.held += 1;
        self
    }

    /// It is about this one, too, but doesn't lock it.
    pub(super) fn and(mut self, resource: ResourceRef) -> Self {
        self.resources.push(resource);
        self
    }

    /// It begins when that one ends, and fails if that one does.
    pub(super) fn after(mut self, action: ActionId) -> Self {
        self.after = Some(action);
        self
    }
}

impl World {
    /// An action of the project, whatever became of what it was about.
    ///
    /// # Errors
    /// `not_found`.
    pub fn action(&self, project: ProjectId, id: ActionId) -> ApiResult<&Action> {
        self.project(project).actions.get(&id).ok_or_else(|| ApiError::not_found("action", id))
    }

    /// The actions that are about a resource, oldest first.
    pub fn actions_of(&self, project: ProjectId, resource: ResourceRef) -> impl Iterator<Item = &Action> {
        self.project(project).actions.values().filter(move |action| action.resources.contains(&resource))
    }

    /// Starts an action: takes the locks and puts its end on the agenda.
    pub(super) fn start_action(&mut self, project: ProjectId, new: NewAction) -> ActionId {
        let id = ActionId(self.next_id());
        let takes = self.draw(new.takes);
        let begins = new
            .after
            .and_then(|action| self.project(project).actions.get(&action))
            .map_or(self.now(), |action| action.due);
        let due = begins + takes;
        for resource in new.resources.iter().take(new.held) {
            self.set_lock(project, *resource, id, true);
        }
        let action = Action {
            id,
            command: new.command,
            status: ActionStatus::Running,
            started: self.now(),
            finished: None,
            resources: new.resources,
            held: new.held,
            due,
            effect: new.effect,
            depends_on: new.after,
        };
        self.project_mut(project).actions.insert(id, action);
        self.schedule(due, Due::Action { project, action: id });
        id
    }

    /// Ends an action: with its effect, or in error without.
    pub(super) fn finish_action(&mut self, project: ProjectId, id: ActionId) {
        let Some(action) = self.project(project).actions.get(&id) else { return };
        let (command, held, effect) = (action.command, action.held, action.effect.clone());
        let resources = action.resources.clone();
        let failed_before = action
            .depends_on
            .and_then(|before| self.project(project).actions.get(&before))
            .is_some_and(|before| matches!(before.status, ActionStatus::Error { .. }));
        let names: Vec<String> = resources.iter().filter_map(|resource| self.name_of(project, *resource)).collect();
        let failure = if failed_before {
            Some(("action_failed".to_owned(), "a preceding action failed".to_owned()))
        } else {
            self.strike_action(command, &names)
        };
        for resource in resources.iter().take(held) {
            self.set_lock(project, *resource, id, false);
        }
        let status = match failure {
            Some((code, message)) => {
                self.abandon(project, effect);
                ActionStatus::Error { code, message }
            }
            None => {
                self.apply(project, effect);
                ActionStatus::Success
            }
        };
        let finished = self.now();
        if let Some(action) = self.project_mut(project).actions.get_mut(&id) {
            action.status = status;
            action.finished = Some(finished);
            action.effect = Effect::None;
        }
    }

    fn apply(&mut self, project: ProjectId, effect: Effect) {
        match effect {
            Effect::None => {}
            Effect::Protected { resource, delete, rebuild } => self.set_protection(project, resource, delete, rebuild),
            Effect::Server(effect) => self.apply_to_server(project, effect),
            Effect::Network(effect) => self.apply_to_network(project, effect),
            Effect::Firewall(effect) => self.apply_to_firewall(project, effect),
            Effect::LoadBalancer(effect) => self.apply_to_load_balancer(project, effect),
            Effect::Volume(effect) => self.apply_to_volume(project, effect),
            Effect::PrimaryIp(effect) => self.apply_to_primary_ip(project, effect),
        }
    }

    /// Gives back what a failed action had reserved.
    fn abandon(&mut self, project: ProjectId, effect: Effect) {
        match effect {
            Effect::Server(effect) => self.abandon_server_effect(project, effect),
            Effect::LoadBalancer(effect) => self.abandon_load_balancer_effect(project, effect),
            Effect::None
            | Effect::Protected { .. }
            | Effect::Network(_)
            | Effect::Firewall(_)
            | Effect::Volume(_)
            | Effect::PrimaryIp(_) => {}
        }
    }

    fn set_lock(&mut self, project: ProjectId, resource: ResourceRef, action: ActionId, held: bool) {
        let project = self.project_mut(project);
        let locks = match resource {
            ResourceRef::Server(id) => project.servers.get_mut(&id).map(|server| &mut server.locks),
            ResourceRef::Network(id) => project.networks.get_mut(&id).map(|network| &mut network.locks),
            ResourceRef::LoadBalancer(id) => project.load_balancers.get_mut(&id).map(|balancer| &mut balancer.locks),
            ResourceRef::Volume(id) => project.volumes.get_mut(&id).map(|volume| &mut volume.locks),
            ResourceRef::Firewall(_)
            | ResourceRef::PrimaryIp(_)
            | ResourceRef::Image(_)
            | ResourceRef::PlacementGroup(_)
            | ResourceRef::Zone(_) => None,
        };
        let Some(locks) = locks else { return };
        if held {
            locks.insert(action);
        } else {
            locks.remove(&action);
        }
    }

    fn name_of(&self, project: ProjectId, resource: ResourceRef) -> Option<String> {
        self.project(project).meta_of(resource).map(|meta| meta.name.clone())
    }

    /// Starts `change_protection` of anything that can be protected.
    ///
    /// # Errors
    /// `not_found`; `locked`.
    pub fn change_protection(
        &mut self,
        project: ProjectId,
        resource: ResourceRef,
        delete: bool,
        rebuild: Option<bool>,
        now: Timestamp,
    ) -> ApiResult<ActionId> {
        self.advance(now);
        let (kind, number) = resource.parts();
        if self.project(project).meta_of(resource).is_none() {
            return Err(ApiError::not_found(kind, number));
        }
        if let ResourceRef::Server(server) = resource {
            self.unlocked_server(project, server)?;
        }
        let effect = Effect::Protected { resource, delete, rebuild };
        let new = NewAction::new("change_protection", resource, self.latencies().minor, effect);
        Ok(self.start_action(project, new))
    }

    fn set_protection(&mut self, project: ProjectId, resource: ResourceRef, delete: bool, rebuild: Option<bool>) {
        let project = self.project_mut(project);
        if let Some(meta) = project.meta_of_mut(resource) {
            meta.delete_protected = delete;
        }
        if let (ResourceRef::Server(id), Some(rebuild)) = (resource, rebuild)
            && let Some(server) = project.servers.get_mut(&id)
        {
            server.rebuild_protected = rebuild;
        }
    }
}
