//! Firewalls: rules on the public interface of servers, by server or by label. What they let through and
//! whom they guard as labels and servers come and go is in `guard.rs`.

mod guard;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::World;
use super::actions::{Effect, NewAction, ResourceRef};
use super::error::{ApiError, ApiResult, ErrorCode};
use super::ids::{ActionId, FirewallId, ProjectId, ServerId};
use super::labels::{Labels, Selector};
use super::power::WorldEvent;
use super::project::{self, Meta, Update};

pub use rules::{Direction, Protocol, Rule};

/// What a firewall is applied to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FirewallTarget {
    /// A server.
    Server(ServerId),
    /// All servers with such labels, as they change.
    LabelSelector(String),
}

/// An order for a firewall.
#[derive(Clone, Debug, Default)]
pub struct CreateFirewall {
    /// Unique name.
    pub name: String,
    /// Rules, in force at once.
    pub rules: Vec<Rule>,
    /// What it guards.
    pub apply_to: Vec<FirewallTarget>,
    /// Labels.
    pub labels: Labels,
}

/// A firewall.
#[derive(Clone, Debug)]
pub struct Firewall {
    /// Its number.
    pub id: FirewallId,
    /// Name, labels, age.
    pub meta: Meta,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// Servers that it was applied to one by one.
    pub direct: BTreeSet<ServerId>,
    /// Selectors that it was applied to, with the servers that they select as far as that is known.
    pub selected: BTreeMap<String, BTreeSet<ServerId>>,
    /// Deleted servers for which it still counts as in use (behaviour 13).
    pub departed: BTreeSet<ServerId>,
}

impl Firewall {
    /// Whether it guards a server.
    #[must_use]
    pub fn guards(&self, server: ServerId) -> bool {
        self.direct.contains(&server) || self.selected.values().any(|servers| servers.contains(&server))
    }
}

/// What becomes true when an action on a firewall succeeds.
#[derive(Clone, Debug)]
pub(super) enum FirewallEffect {
    RulesSet(FirewallId, Vec<Rule>),
    Applied(FirewallId, FirewallTarget),
    Removed(FirewallId, FirewallTarget),
}

impl World {
    /// Makes a firewall.
    ///
    /// # Errors
    /// `invalid_input`, `uniqueness_error`, `firewall_resource_not_found`, `server_already_added`,
    /// `private_net_only_server`.
    pub fn create_firewall(
        &mut self,
        project: ProjectId,
        order: CreateFirewall,
        now: Timestamp,
    ) -> ApiResult<(FirewallId, Vec<ActionId>)> {
        self.advance(now);
        let CreateFirewall { name, rules, apply_to, labels } = order;
        project::check_new(&self.project(project).firewalls, &name, &labels)?;
        rules::check(&rules)?;
        if apply_to.iter().collect::<BTreeSet<_>>().len() < apply_to.len() {
            return Err(ApiError::new(ErrorCode::ServerAlreadyAdded, "server was applied more than once"));
        }
        for target in &apply_to {
            self.check_firewall_target(project, target).map_err(|error| error.with_status(422))?;
        }
        let id = FirewallId(self.next_id());
        let firewall = Firewall {
            id,
            meta: Meta::new(name, labels, self.now()),
            rules: rules.clone(),
            direct: BTreeSet::new(),
            selected: BTreeMap::new(),
            departed: BTreeSet::new(),
        };
        self.project_mut(project).firewalls.insert(id, firewall);
        let mut actions = vec![self.set_rules_later(project, id, rules)];
        actions.extend(apply_to.into_iter().map(|target| self.apply_later(project, id, target)));
        Ok((id, actions))
    }

    /// Changes name or labels.
    ///
    /// # Errors
    /// `not_found`, `uniqueness_error`, `invalid_input`.
    pub fn update_firewall(
        &mut self,
        project: ProjectId,
        id: FirewallId,
        update: Update,
        now: Timestamp,
    ) -> ApiResult<()> {
        self.advance(now);
        project::update(&mut self.project_mut(project).firewalls, id, update)
    }

    /// Deletes a firewall that guards nothing, nor did until a moment ago.
    ///
    /// # Errors
    /// `not_found`, `resource_in_use`.
    pub fn delete_firewall(&mut self, project: ProjectId, id: FirewallId, now: Timestamp) -> ApiResult<()> {
        self.advance(now);
        let it = project::find(&self.project(project).firewalls, id)?;
        if !it.direct.is_empty() || !it.selected.is_empty() || !it.departed.is_empty() {
            return Err(ApiError::new(ErrorCode::ResourceInUse, format!("firewall with ID {id} is still in use")));
        }
        self.project_mut(project).firewalls.remove(&id);
        Ok(())
    }

    /// Replaces all rules.
    ///
    /// # Errors
    /// `not_found`, `invalid_input`.
    pub fn set_rules(
        &mut self,
        project: ProjectId,
        id: FirewallId,
        rules: Vec<Rule>,
        now: Timestamp,
    ) -> ApiResult<Vec<ActionId>> {
        self.advance(now);
        project::find(&self.project(project).firewalls, id)?;
        rules::check(&rules)?;
        Ok(vec![self.set_rules_later(project, id, rules)])
    }

    /// Applies a firewall to more servers.
    ///
    /// # Errors
    /// `not_found`, `firewall_already_applied`, `firewall_resource_not_found`, `private_net_only_server`.
    pub fn apply_firewall(
        &mut self,
        project: ProjectId,
        id: FirewallId,
        to: &[FirewallTarget],
        now: Timestamp,
    ) -> ApiResult<Vec<ActionId>> {
        self.advance(now);
        for target in to {
            self.check_firewall_target(project, target)?;
            if project::find(&self.project(project).firewalls, id)?.has_target(target) {
                return Err(ApiError::new(ErrorCode::FirewallAlreadyApplied, "firewall is already applied"));
            }
        }
        Ok(to.iter().map(|target| self.apply_later(project, id, target.clone())).collect())
    }

    /// Takes a firewall off servers.
    ///
    /// # Errors
    /// `not_found`, `firewall_managed_by_label_selector`, `firewall_resource_not_found`.
    pub fn remove_firewall(
        &mut self,
        project: ProjectId,
        id: FirewallId,
        from: &[FirewallTarget],
        now: Timestamp,
    ) -> ApiResult<Vec<ActionId>> {
        self.advance(now);
        let it = project::find(&self.project(project).firewalls, id)?;
        if let Some(target) = from.iter().find(|target| !it.has_target(target)) {
            let by_label = matches!(target, FirewallTarget::Server(server) if it.guards(*server));
            let (code, message) = if by_label {
                (ErrorCode::FirewallManagedByLabelSelector, "firewall is applied via a label selector")
            } else {
                (ErrorCode::FirewallResourceNotFound, "firewall is not applied to the resource")
            };
            return Err(ApiError::new(code, message));
        }
        let takes = self.latencies().firewall_change;
        Ok(from
            .iter()
            .map(|target| {
                let effect = Effect::Firewall(FirewallEffect::Removed(id, target.clone()));
                let new = NewAction::new("remove_firewall", ResourceRef::Firewall(id), takes, effect);
                self.start_action(project, about(new, target))
            })
            .collect())
    }

    fn check_firewall_target(&self, project: ProjectId, target: &FirewallTarget) -> ApiResult<()> {
        match target {
            FirewallTarget::LabelSelector(selector) => Selector::parse(selector).map(|_| ()),
            FirewallTarget::Server(id) => {
                let message = format!("server with ID '{id}' not found");
                let server = self
                    .project(project)
                    .servers
                    .get(id)
                    .ok_or_else(|| ApiError::new(ErrorCode::FirewallResourceNotFound, message))?;
                if server.ipv4.is_none() && server.ipv6.is_none() {
                    let message = "server has no public interface";
                    return Err(ApiError::new(ErrorCode::PrivateNetOnlyServer, message));
                }
                Ok(())
            }
        }
    }

    fn set_rules_later(&mut self, project: ProjectId, id: FirewallId, rules: Vec<Rule>) -> ActionId {
        let effect = Effect::Firewall(FirewallEffect::RulesSet(id, rules));
        let takes = self.latencies().firewall_change;
        self.start_action(project, NewAction::new("set_firewall_rules", ResourceRef::Firewall(id), takes, effect))
    }

    fn apply_later(&mut self, project: ProjectId, id: FirewallId, target: FirewallTarget) -> ActionId {
        let takes = self.latencies().firewall_change;
        let effect = Effect::Firewall(FirewallEffect::Applied(id, target.clone()));
        let new = NewAction::new("apply_firewall", ResourceRef::Firewall(id), takes, effect);
        self.start_action(project, about(new, &target))
    }

    pub(super) fn apply_to_firewall(&mut self, project: ProjectId, effect: FirewallEffect) {
        let it = self.project_mut(project);
        match effect {
            FirewallEffect::RulesSet(id, rules) => {
                if let Some(firewall) = it.firewalls.get_mut(&id) {
                    firewall.rules = rules;
                }
            }
            FirewallEffect::Applied(id, FirewallTarget::Server(server)) => {
                let exists = it.servers.contains_key(&server);
                if let Some(firewall) = it.firewalls.get_mut(&id).filter(|_| exists) {
                    firewall.direct.insert(server);
                }
            }
            FirewallEffect::Applied(id, FirewallTarget::LabelSelector(selector)) => {
                if let Some(firewall) = it.firewalls.get_mut(&id) {
                    firewall.selected.insert(selector, BTreeSet::new());
                }
                self.resolve_selectors(project);
            }
            FirewallEffect::Removed(id, target) => {
                let Some(firewall) = it.firewalls.get_mut(&id) else { return };
                match target {
                    FirewallTarget::Server(server) => {
                        firewall.direct.remove(&server);
                    }
                    FirewallTarget::LabelSelector(selector) => {
                        firewall.selected.remove(&selector);
                    }
                }
            }
        }
        self.emit(WorldEvent::TopologyChanged);
    }
}

impl Firewall {
    fn has_target(&self, target: &FirewallTarget) -> bool {
        match target {
            FirewallTarget::Server(server) => self.direct.contains(server),
            FirewallTarget::LabelSelector(selector) => self.selected.contains_key(selector),
        }
    }
}

fn about(new: NewAction, target: &FirewallTarget) -> NewAction {
    match target {
        FirewallTarget::Server(server) => new.and(ResourceRef::Server(*server)),
        FirewallTarget::LabelSelector(_) => new,
    }
}
