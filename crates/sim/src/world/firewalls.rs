//! Firewalls: rules on the public interface of servers, by server or by label, and what they let through.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use jiff::Timestamp;

use super::actions::{Effect, NewAction, ResourceRef};
use super::error::{ApiError, ApiResult, ErrorCode};
use super::ids::{ActionId, FirewallId, ProjectId, ServerId};
use super::labels::{Labels, Selector};
use super::power::{MachineRef, WorldEvent};
use super::project::{self, Meta, Update};
use super::{Due, World};

/// A firewall has so many rules.
const MAX_RULES: usize = 50;
/// A rule has so many ranges.
const MAX_RANGES: usize = 100;

/// Which way a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    In,
    /// From the server.
    Out,
}

/// What a rule lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// IPsec ESP.
    Esp,
    /// GRE.
    Gre,
}

impl Protocol {
    /// On the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Esp => "esp",
            Self::Gre => "gre",
        }
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// For people.
    pub description: Option<String>,
    /// Which way it looks.
    pub direction: Direction,
    /// From where (inbound).
    pub source_ips: Vec<IpNet>,
    /// To where (outbound).
    pub destination_ips: Vec<IpNet>,
    /// What.
    pub protocol: Protocol,
    /// Port or range, for TCP and UDP.
    pub port: Option<String>,
}

impl Rule {
    fn check(&self) -> ApiResult<()> {
        let invalid = |reason: &str| Err(ApiError::invalid("rules", reason));
        let (used, unused) = match self.direction {
            Direction::In => (&self.source_ips, &self.destination_ips),
            Direction::Out => (&self.destination_ips, &self.source_ips),
        };
        if used.is_empty() || !unused.is_empty() {
            return invalid("an inbound rule needs source_ips, an outbound one destination_ips, and not the other");
        }
        if used.len() > MAX_RANGES {
            return invalid("a rule has at most 100 ranges");
        }
        let has_ports = matches!(self.protocol, Protocol::Tcp | Protocol::Udp);
        match &self.port {
            Some(port) if has_ports && port_range(port).is_none() => invalid("port is not a port or a range of ports"),
            Some(_) if !has_ports => invalid("only tcp and udp have a port"),
            None if has_ports => invalid("tcp and udp need a port"),
            Some(_) | None => Ok(()),
        }
    }

    fn admits_tcp(&self, source: Ipv4Addr, port: u16) -> bool {
        self.direction == Direction::In
            && self.protocol == Protocol::Tcp
            && self.port.as_deref().and_then(port_range).is_some_and(|range| range.contains(&port))
            && self.source_ips.iter().any(|range| range.contains(&IpAddr::V4(source)))
    }
}

/// Reads `80`, `80-90` or `any`.
fn port_range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    if text == "any" {
        return Some(1..=u16::MAX);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then_some(first..=last)
}

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
        check_rules(&rules)?;
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
        check_rules(&rules)?;
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
        for target in from.iter().filter(|target| !it.has_target(target)) {
            if matches!(target, FirewallTarget::Server(server) if it.guards(*server)) {
                let message = "firewall is applied via a label selector";
                return Err(ApiError::new(ErrorCode::FirewallManagedByLabelSelector, message));
            }
            return Err(ApiError::new(ErrorCode::FirewallResourceNotFound, "firewall is not applied to the resource"));
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

    /// Whether a TCP connection from `source` reaches `port` of a server: over a private network that both are in
    /// always, over the public interface if there is one and each firewall-guarded server has a rule for it.
    #[must_use]
    pub fn allows(&self, source: Ipv4Addr, machine: MachineRef, port: u16) -> bool {
        let project = self.project(machine.project);
        let Some(server) = project.servers.get(&machine.server) else { return false };
        if source == server.address || self.shares_network(source, machine) {
            return true;
        }
        let mut guards = project.firewalls.values().filter(|firewall| firewall.guards(machine.server)).peekable();
        let unguarded = guards.peek().is_none();
        server.ipv4.is_some()
            && (unguarded || guards.any(|firewall| firewall.rules.iter().any(|rule| rule.admits_tcp(source, port))))
    }

    fn shares_network(&self, source: Ipv4Addr, machine: MachineRef) -> bool {
        let project = self.project(machine.project);
        let networks_of_source: Vec<_> = project
            .servers
            .values()
            .filter(|server| server.address == source)
            .flat_map(|server| server.private_net.iter().map(|net| net.network))
            .chain(
                project
                    .load_balancers
                    .values()
                    .filter(|balancer| balancer.address == source)
                    .flat_map(|balancer| balancer.private_net.map(|(network, _)| network)),
            )
            .collect();
        let Some(server) = project.servers.get(&machine.server) else { return false };
        server.private_net.iter().any(|net| networks_of_source.contains(&net.network))
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

    /// Brings label-selected firewalls and targets up to date (behaviour 14).
    pub(super) fn resolve_selectors(&mut self, project: ProjectId) {
        let it = self.project_mut(project);
        let servers = &it.servers;
        let select = |selector: &str| -> BTreeSet<ServerId> {
            let Ok(selector) = Selector::parse(selector) else { return BTreeSet::new() };
            servers.values().filter(|server| selector.matches(&server.meta.labels)).map(|server| server.id).collect()
        };
        for firewall in it.firewalls.values_mut() {
            for (selector, selected) in &mut firewall.selected {
                *selected = select(selector);
            }
        }
        for balancer in it.load_balancers.values_mut() {
            balancer.resolve(select);
        }
        self.emit(WorldEvent::TopologyChanged);
    }

    pub(super) fn leave_firewalls_later(&mut self, project: ProjectId, server: ServerId) {
        let mut left = Vec::new();
        for firewall in self.project_mut(project).firewalls.values_mut().filter(|firewall| firewall.guards(server)) {
            firewall.direct.remove(&server);
            firewall.selected.values_mut().for_each(|selected| {
                selected.remove(&server);
            });
            firewall.departed.insert(server);
            left.push(firewall.id);
        }
        for firewall in left {
            let takes = self.draw(self.latencies().firewall_release);
            self.schedule(self.now() + takes, Due::FirewallReleased { project, firewall, server });
        }
    }

    pub(super) fn release_firewall(&mut self, project: ProjectId, firewall: FirewallId, server: ServerId) {
        if let Some(firewall) = self.project_mut(project).firewalls.get_mut(&firewall) {
            firewall.departed.remove(&server);
        }
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

fn check_rules(rules: &[Rule]) -> ApiResult<()> {
    if rules.len() > MAX_RULES {
        return Err(ApiError::invalid("rules", "a firewall has at most 50 rules"));
    }
    rules.iter().try_for_each(Rule::check)
}
