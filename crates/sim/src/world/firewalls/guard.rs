//! What firewalls let through, and whom they guard: label selectors are followed after a delay, and a deleted server keeps
//! its firewalls in use for a while.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::world::ids::{FirewallId, ProjectId, ServerId};
use crate::world::labels::Selector;
use crate::world::power::{MachineRef, WorldEvent};
use crate::world::{Due, World};

impl World {
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

    /// Brings label-selected firewalls and targets up to date (behaviour 14).
    pub(in crate::world) fn resolve_selectors(&mut self, project: ProjectId) {
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

    pub(in crate::world) fn leave_firewalls_later(&mut self, project: ProjectId, server: ServerId) {
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

    pub(in crate::world) fn release_firewall(&mut self, project: ProjectId, firewall: FirewallId, server: ServerId) {
        if let Some(firewall) = self.project_mut(project).firewalls.get_mut(&firewall) {
            firewall.departed.remove(&server);
        }
    }
}
