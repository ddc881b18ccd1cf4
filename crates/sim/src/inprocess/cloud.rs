//! Hetzner's API, played on the world: budget, token, faults and errors as over the wire, without the wire.

mod client;
mod orders;
mod request;
mod zones;

use async_trait::async_trait;
use helix_engine::budget::BudgetSnapshot;
use helix_engine::seams::{Accepted, ActionFacts, Cloud, CloudError, Owner, ProjectFacts};
use helix_plan::catalogue::Catalogue;
use helix_plan::observed as plan;
use helix_plan::observed::{FirewallRule, LoadBalancerService, Tags};
use helix_plan::step::{Lane, NewFirewall, NewLoadBalancer, NewNetwork, NewServer, ResourceKind};
use ipnet::Ipv4Net;
use jiff::Timestamp;

pub(super) use client::Client;
use orders::{action, adoptee, delete, order, owner, path_of, relabel, rules, service};
use request::{already, gone};

use super::facts;
use crate::world::firewalls::{CreateFirewall, FirewallTarget};
use crate::world::load_balancers::{CreateLoadBalancer, LoadBalancerChange, TargetKind};
use crate::world::networks::{CreateNetwork, NetworkChange, NewSubnet, SubnetKind};
use crate::world::servers::PowerAction;
use crate::world::{ActionId, ApiError, ErrorCode, FirewallId, NetworkId, ServerId, Update, VolumeId};

/// How many actions one request may ask for.
const ACTIONS_AT_ONCE: usize = 25;

#[async_trait]
impl Cloud for Client {
    async fn project(&self, lane: Lane) -> Result<ProjectFacts, CloudError> {
        for (path, number) in [
            ("/networks", 0),
            ("/firewalls", 0),
            ("/ssh_keys", 0),
            ("/placement_groups", 0),
            ("/load_balancers", 0),
            ("/volumes", 0),
            ("/images", 0),
        ] {
            self.ask("project", |inner| inner.pages(self.on(lane), path, number, |_| ())).await?;
        }
        self.ask("project", |inner| {
            let number = inner.world.project(inner.project).servers.len();
            inner.pages(self.on(lane), "/servers", number, |inner| facts::project(inner.world.project(inner.project)))
        })
        .await
    }

    async fn servers(&self, lane: Lane) -> Result<Vec<plan::Server>, CloudError> {
        self.ask("servers", |inner| {
            let number = inner.world.project(inner.project).servers.len();
            inner.pages(self.on(lane), "/servers", number, |inner| facts::servers(inner.world.project(inner.project)))
        })
        .await
    }

    async fn catalogue(&self, lane: Lane) -> Result<Catalogue, CloudError> {
        for path in ["/locations", "/pricing"] {
            self.ask("catalogue", |inner| inner.request(self.on(lane), "GET", path, |_| Ok(()))).await?;
        }
        self.ask("catalogue", |inner| {
            inner.request(self.on(lane), "GET", "/server_types", |inner| {
                let now = inner.now;
                let world = &mut inner.world;
                let faults = world.faults().clone();
                Ok(facts::catalogue(
                    |kind, location| (faults.is_orderable(kind, location), faults.retirement(kind, location)),
                    now,
                ))
            })
        })
        .await
    }

    async fn actions(&self, lane: Lane, ids: &[u64]) -> Result<Vec<ActionFacts>, CloudError> {
        let mut found = Vec::new();
        for batch in ids.chunks(ACTIONS_AT_ONCE) {
            let answers = self.ask("actions", |inner| {
                inner.request(self.on(lane), "GET", "/actions", |inner| {
                    batch.iter().map(|id| inner.world.action(inner.project, ActionId(*id)).map(action)).collect()
                })
            });
            let answers: Vec<ActionFacts> = answers.await?;
            found.extend(answers);
        }
        Ok(found)
    }

    async fn owner_of(&self, lane: Lane, kind: ResourceKind, name: &str) -> Result<Option<Owner>, CloudError> {
        self.ask("owner of", |inner| {
            inner.request(self.on(lane), "GET", "/owner", |inner| Ok(owner(inner, kind, name)))
        })
        .await
    }

    async fn adoptee(&self, lane: Lane, named: plan::Named) -> Result<Option<plan::Adoptee>, CloudError> {
        self.ask("adoptee", |inner| {
            inner.request(self.on(lane), "GET", path_of(named.kind), |inner| Ok(adoptee(inner, named)))
        })
        .await
    }

    async fn relabel(&self, lane: Lane, named: plan::Named, name: &str, labels: &Tags) -> Result<(), CloudError> {
        let update = Update { name: Some(name.to_owned()), labels: Some(labels.clone()) };
        self.tell("relabel", |inner| {
            inner.request(self.on(lane), "PUT", path_of(named.kind), |inner| relabel(inner, named, update.clone()))
        })
        .await
    }

    async fn create_network(&self, lane: Lane, new: &NewNetwork) -> Result<Accepted<plan::Network>, CloudError> {
        let subnet = NewSubnet { kind: SubnetKind::Cloud, range: Some(new.subnet), network_zone: new.zone.clone() };
        self.tell("create network", |inner| {
            inner.request(self.on(lane), "POST", "/networks", |inner| {
                let (project, now) = (inner.project, inner.now);
                let order = CreateNetwork {
                    name: new.name.clone(),
                    range: new.cidr,
                    subnets: vec![subnet.clone()],
                    routes: Vec::new(),
                    labels: new.labels.clone(),
                };
                let id = inner.world.create_network(project, order, now)?;
                let value = facts::network(&inner.world.project(project).networks[&id]);
                Ok(Accepted { value, actions: Vec::new() })
            })
        })
        .await
    }

    async fn add_subnet(
        &self,
        lane: Lane,
        network: u64,
        subnet: Ipv4Net,
        zone: &str,
    ) -> Result<Accepted<()>, CloudError> {
        let new = NewSubnet { kind: SubnetKind::Cloud, range: Some(subnet), network_zone: zone.to_owned() };
        let change = NetworkChange::AddSubnet(new);
        let result = self.tell("add subnet", |inner| {
            inner.request(self.on(lane), "POST", "/networks/*/actions/add_subnet", |inner| {
                inner.world.change_network(inner.project, NetworkId(network), change.clone(), inner.now)
            })
        });
        already(result.await, &[])
    }

    async fn create_firewall(&self, lane: Lane, new: &NewFirewall) -> Result<Accepted<plan::Firewall>, CloudError> {
        self.tell("create firewall", |inner| {
            inner.request(self.on(lane), "POST", "/firewalls", |inner| {
                let (project, now) = (inner.project, inner.now);
                let order = CreateFirewall {
                    name: new.name.clone(),
                    rules: rules(&new.rules)?,
                    apply_to: Vec::new(),
                    labels: new.labels.clone(),
                };
                let (id, actions) = inner.world.create_firewall(project, order, now)?;
                let mut value = facts::firewall(&inner.world.project(project).firewalls[&id]);
                value.rules.clone_from(&new.rules);
                Ok(Accepted { value, actions: actions.iter().map(|action| action.0).collect() })
            })
        })
        .await
    }

    async fn set_firewall_rules(
        &self,
        lane: Lane,
        firewall: u64,
        wanted: &[FirewallRule],
    ) -> Result<Accepted<()>, CloudError> {
        self.tell("set firewall rules", |inner| {
            inner.request(self.on(lane), "POST", "/firewalls/*/actions/set_rules", |inner| {
                let actions = inner.world.set_rules(inner.project, FirewallId(firewall), rules(wanted)?, inner.now)?;
                Ok(Accepted { value: (), actions: actions.iter().map(|action| action.0).collect() })
            })
        })
        .await
    }

    async fn apply_firewall(&self, lane: Lane, firewall: u64, server: u64) -> Result<Accepted<()>, CloudError> {
        let result = self.tell("apply firewall", |inner| {
            inner.request(self.on(lane), "POST", "/firewalls/*/actions/apply_to_resources", |inner| {
                let to = [FirewallTarget::Server(ServerId(server))];
                let actions = inner.world.apply_firewall(inner.project, FirewallId(firewall), &to, inner.now)?;
                actions.first().copied().ok_or_else(|| ApiError::invalid("apply_to", "is empty"))
            })
        });
        already(result.await, &[ErrorCode::FirewallAlreadyApplied])
    }

    async fn create_ssh_key(
        &self,
        lane: Lane,
        name: &str,
        labels: &Tags,
        public_key: &str,
    ) -> Result<Accepted<plan::SshKey>, CloudError> {
        self.tell("create ssh key", |inner| {
            inner.request(self.on(lane), "POST", "/ssh_keys", |inner| {
                let (project, now) = (inner.project, inner.now);
                let id = inner.world.create_ssh_key(project, name, public_key, labels.clone(), now)?;
                let value = facts::ssh_key(&inner.world.project(project).ssh_keys[&id]);
                Ok(Accepted { value, actions: Vec::new() })
            })
        })
        .await
    }

    async fn create_placement_group(
        &self,
        lane: Lane,
        name: &str,
        labels: &Tags,
    ) -> Result<Accepted<plan::PlacementGroup>, CloudError> {
        self.tell("create placement group", |inner| {
            inner.request(self.on(lane), "POST", "/placement_groups", |inner| {
                let (project, now) = (inner.project, inner.now);
                let id = inner.world.create_placement_group(project, name, labels.clone(), now)?;
                let value = facts::placement_group(&inner.world.project(project).placement_groups[&id]);
                Ok(Accepted { value, actions: Vec::new() })
            })
        })
        .await
    }

    async fn create_load_balancer(
        &self,
        lane: Lane,
        new: &NewLoadBalancer,
    ) -> Result<Accepted<plan::LoadBalancer>, CloudError> {
        let order = CreateLoadBalancer {
            name: new.name.clone(),
            kind: new.kind.clone(),
            location: Some(new.location.clone()),
            services: vec![service(&new.service)],
            network: Some(NetworkId(new.network)),
            private_only: !new.public,
            labels: new.labels.clone(),
            ..CreateLoadBalancer::default()
        };
        self.tell("create load balancer", |inner| {
            inner.request(self.on(lane), "POST", "/load_balancers", |inner| {
                let (project, now) = (inner.project, inner.now);
                let (id, action) = inner.world.create_load_balancer(project, order.clone(), now)?;
                let value = facts::load_balancer(&inner.world.project(project).load_balancers[&id]);
                Ok(Accepted { value, actions: vec![action.0] })
            })
        })
        .await
    }

    async fn set_load_balancer_service(
        &self,
        lane: Lane,
        load_balancer: u64,
        wanted: &LoadBalancerService,
        missing: bool,
    ) -> Result<Accepted<()>, CloudError> {
        let wanted = service(wanted);
        let change = match missing {
            true => LoadBalancerChange::AddService(wanted),
            false => LoadBalancerChange::UpdateService(wanted),
        };
        self.change_balancer(lane, load_balancer, change, &[]).await
    }

    async fn set_load_balancer_public(
        &self,
        lane: Lane,
        load_balancer: u64,
        public: bool,
    ) -> Result<Accepted<()>, CloudError> {
        self.change_balancer(lane, load_balancer, LoadBalancerChange::PublicInterface(public), &[]).await
    }

    async fn attach_load_balancer(
        &self,
        lane: Lane,
        load_balancer: u64,
        network: u64,
    ) -> Result<Accepted<()>, CloudError> {
        let change = LoadBalancerChange::Attach { network: NetworkId(network), ip: None };
        self.change_balancer(lane, load_balancer, change, &[ErrorCode::LoadBalancerAlreadyAttached]).await
    }

    async fn add_target(&self, lane: Lane, load_balancer: u64, server: u64) -> Result<Accepted<()>, CloudError> {
        let kind = TargetKind::Server { server: ServerId(server), use_private_ip: true };
        let change = LoadBalancerChange::AddTarget(kind);
        self.change_balancer(lane, load_balancer, change, &[ErrorCode::TargetAlreadyDefined]).await
    }

    async fn remove_target(&self, lane: Lane, load_balancer: u64, server: u64) -> Result<Accepted<()>, CloudError> {
        let kind = TargetKind::Server { server: ServerId(server), use_private_ip: true };
        let change = LoadBalancerChange::RemoveTarget(kind);
        self.change_balancer(lane, load_balancer, change, &[ErrorCode::LoadBalancerTargetNotFound]).await
    }

    async fn create_server(&self, lane: Lane, new: &NewServer) -> Result<Accepted<plan::Server>, CloudError> {
        let order = order(new);
        self.tell("create server", |inner| {
            inner.request(self.on(lane), "POST", "/servers", |inner| {
                let (project, now) = (inner.project, inner.now);
                let made = inner.world.create_server(project, order.clone(), now)?;
                let it = inner.world.project(project);
                let mut value = facts::server(&it.servers[&made.id], it);
                // The answer tells what was asked for, though it is not true yet.
                value.private = vec![plan::PrivateNet { network: new.network, ip: None }];
                value.firewalls = vec![new.firewall];
                let actions = std::iter::once(made.action).chain(made.next_actions).map(|action| action.0).collect();
                Ok(Accepted { value, actions })
            })
        })
        .await
    }

    async fn attach_server(&self, lane: Lane, server: u64, network: u64) -> Result<Accepted<()>, CloudError> {
        let result = self.tell("attach server", |inner| {
            inner.request(self.on(lane), "POST", "/servers/*/actions/attach_to_network", |inner| {
                let (server, network) = (ServerId(server), NetworkId(network));
                inner.world.attach_to_network(inner.project, server, network, None, inner.now)
            })
        });
        already(result.await, &[ErrorCode::ServerAlreadyAttached])
    }

    async fn power_on(&self, lane: Lane, server: u64) -> Result<Accepted<()>, CloudError> {
        let result = self.tell("power on", |inner| {
            inner.request(self.on(lane), "POST", "/servers/*/actions/poweron", |inner| {
                inner.world.power(inner.project, ServerId(server), PowerAction::PowerOn, inner.now)
            })
        });
        already(result.await, &[])
    }

    async fn detach_volume(&self, lane: Lane, volume: u64) -> Result<Accepted<()>, CloudError> {
        let result = self.tell("detach volume", |inner| {
            inner.request(self.on(lane), "POST", "/volumes/*/actions/detach", |inner| {
                inner.world.detach_volume(inner.project, VolumeId(volume), inner.now)
            })
        });
        already(result.await, &[])
    }

    async fn remove_load_balancer_service(
        &self,
        lane: Lane,
        load_balancer: u64,
        listen_port: u16,
    ) -> Result<Accepted<()>, CloudError> {
        let change = LoadBalancerChange::DeleteService(listen_port);
        gone(self.change_balancer(lane, load_balancer, change, &[]).await)
    }

    async fn detach_load_balancer(
        &self,
        lane: Lane,
        load_balancer: u64,
        network: u64,
    ) -> Result<Accepted<()>, CloudError> {
        let change = LoadBalancerChange::Detach(NetworkId(network));
        self.change_balancer(lane, load_balancer, change, &[ErrorCode::LoadBalancerNotAttachedToNetwork]).await
    }

    async fn delete(&self, lane: Lane, kind: ResourceKind, id: u64) -> Result<Accepted<()>, CloudError> {
        let done = self
            .tell("delete", |inner| {
                inner.request(self.on(lane), "DELETE", path_of(kind), |inner| delete(inner, kind, id))
            })
            .await;
        match done {
            Ok(actions) => Ok(Accepted { value: (), actions }),
            Err(CloudError::NotFound { .. }) => Ok(Accepted { value: (), actions: Vec::new() }),
            Err(error) => Err(error),
        }
    }

    fn budget(&self, now: Timestamp) -> BudgetSnapshot {
        self.budget.snapshot(now)
    }
}
