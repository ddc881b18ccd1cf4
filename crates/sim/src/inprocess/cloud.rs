//! Hetzner's API, played on the world: budget, token, faults and errors as over the wire, without the wire.

use async_trait::async_trait;
use helix_engine::budget::BudgetSnapshot;
use helix_engine::seams::{Accepted, ActionFacts, ActionState, Cloud, CloudError, Owner, ProjectFacts};
use helix_plan::catalogue::Catalogue;
use helix_plan::observed as plan;
use helix_plan::observed::{FirewallRule, LoadBalancerService, Tags};
use helix_plan::step::{Lane, NewFirewall, NewLoadBalancer, NewNetwork, NewServer, ResourceKind};
use ipnet::Ipv4Net;
use jiff::Timestamp;

use super::{Inner, TOKEN, Universe, facts};
use crate::faults::CallFault;
use crate::world::firewalls::{CreateFirewall, Direction, FirewallTarget, Protocol, Rule};
use crate::world::load_balancers::{
    CreateLoadBalancer, HealthCheck, HttpCheck, LoadBalancerChange, Service, TargetKind,
};
use crate::world::networks::{CreateNetwork, NetworkChange, NewSubnet, SubnetKind};
use crate::world::servers::PowerAction;
use crate::world::{
    ActionId, ActionStatus, ApiError, ApiResult, CreateServer, ErrorCode, FirewallId, ImageId, LoadBalancerId, Meta,
    NetworkId, Permission, PlacementGroupId, ServerId, SshKeyId,
};

/// Where the API would be.
const ENDPOINT: &str = "the simulated API";

/// How many resources a page of a list holds.
const PAGE: usize = 50;

/// How many actions one request may ask for.
const ACTIONS_AT_ONCE: usize = 25;

impl Inner {
    /// One request: budget, token, faults, effect, in the order in which Hetzner has them.
    fn request<T>(
        &mut self,
        method: &str,
        path: &str,
        effect: impl Fn(&mut Self) -> ApiResult<T>,
    ) -> Result<T, CloudError> {
        self.counts.hetzner += 1;
        let budget = self.world.admit(self.project, self.now);
        if !budget.admitted {
            let resets_at = Timestamp::from_second(budget.reset).unwrap_or(self.now);
            return Err(CloudError::RateLimited { resets_at });
        }
        let (_, permission) = self.world.authenticate(TOKEN).map_err(|error| refusal(&error, path))?;
        if permission == Permission::Read && method != "GET" {
            return Err(refusal(&ApiError::new(ErrorCode::TokenReadonly, "the token is read-only"), path));
        }
        let mut answer_lost = None;
        for fault in self.world.strike_call(method, path) {
            match fault {
                CallFault::RequestLost => return Err(unreachable(false)),
                CallFault::Refused { code } => {
                    let code = ErrorCode::parse(&code).unwrap_or(ErrorCode::ServerError);
                    return Err(refusal(&ApiError::new(code, "injected"), path));
                }
                CallFault::RateLimited { reset_seconds } => {
                    let resets_at = self.now + std::time::Duration::from_secs(u64::from(reset_seconds));
                    return Err(CloudError::RateLimited { resets_at });
                }
                CallFault::AnswerLost => answer_lost = Some(unreachable(true)),
                CallFault::AnswerGarbled | CallFault::AnswerTruncated => {
                    let why = "the answer is no JSON".to_owned();
                    answer_lost = Some(CloudError::Malformed { endpoint: ENDPOINT.to_owned(), why });
                }
                CallFault::RequestRepeated => {
                    effect(self).ok();
                }
                CallFault::AnswerDelayed { .. } => {}
            }
        }
        let answer = effect(self).map_err(|error| refusal(&error, path));
        answer_lost.map_or(answer, Err)
    }

    /// The pages of a list of so many resources: one request each.
    fn pages<T>(&mut self, path: &str, number: usize, list: impl Fn(&mut Self) -> T) -> Result<T, CloudError> {
        for _ in 1..number.div_ceil(PAGE).max(1) {
            self.request("GET", path, |_| Ok(()))?;
        }
        self.request("GET", path, |inner| Ok(list(inner)))
    }
}

fn unreachable(sent: bool) -> CloudError {
    CloudError::Unreachable { endpoint: ENDPOINT.to_owned(), why: "the connection broke".to_owned(), sent }
}

/// An error of the API, as the engine knows it.
fn refusal(error: &ApiError, path: &str) -> CloudError {
    let message = error.message.clone();
    let what = path.to_owned();
    match error.code {
        ErrorCode::Unauthorized => CloudError::Unauthorized { message },
        ErrorCode::TokenReadonly | ErrorCode::Forbidden => CloudError::Forbidden { message },
        ErrorCode::NotFound => CloudError::NotFound { what },
        ErrorCode::UniquenessError => CloudError::Taken { name: what },
        ErrorCode::Locked => CloudError::Locked { what },
        ErrorCode::Protected => CloudError::Protected { what },
        ErrorCode::ResourceInUse => CloudError::InUse { what },
        ErrorCode::Conflict => CloudError::Conflict { message },
        ErrorCode::ResourceUnavailable | ErrorCode::PlacementError => CloudError::Unavailable { message },
        ErrorCode::ResourceLimitExceeded => CloudError::LimitExceeded { message },
        ErrorCode::InvalidInput => {
            CloudError::Invalid { message, fields: error.fields.iter().map(|field| field.name.clone()).collect() }
        }
        code => CloudError::Other { status: error.http_status(), code: code.as_str().to_owned(), message },
    }
}

/// What is as wanted already counts as done.
fn already(result: Result<ActionId, CloudError>, codes: &[ErrorCode]) -> Result<Accepted<()>, CloudError> {
    match result {
        Ok(action) => Ok(Accepted { value: (), actions: vec![action.0] }),
        Err(CloudError::Other { code, .. }) if codes.iter().any(|known| known.as_str() == code) => {
            Ok(Accepted { value: (), actions: Vec::new() })
        }
        Err(error) => Err(error),
    }
}

fn rules(rules: &[FirewallRule]) -> ApiResult<Vec<Rule>> {
    let parse = |source: &String| source.parse().map_err(|_| ApiError::invalid("rules", "is no range"));
    rules
        .iter()
        .map(|rule| {
            Ok(Rule {
                description: Some(rule.description.clone()),
                direction: Direction::In,
                source_ips: rule.sources.iter().map(parse).collect::<ApiResult<_>>()?,
                destination_ips: Vec::new(),
                protocol: match rule.protocol.as_str() {
                    "udp" => Protocol::Udp,
                    "icmp" => Protocol::Icmp,
                    _ => Protocol::Tcp,
                },
                port: rule.port.clone(),
            })
        })
        .collect()
}

fn service(service: &LoadBalancerService) -> Service {
    let http = (service.check_protocol == "http").then(|| HttpCheck {
        domain: None,
        path: service.check_path.clone().unwrap_or_default(),
        response: None,
        status_codes: service.check_status_codes.clone(),
        tls: service.check_tls,
    });
    Service {
        listen_port: service.listen_port,
        destination_port: service.destination_port,
        proxy_protocol: false,
        health_check: HealthCheck {
            port: service.destination_port,
            interval_seconds: service.check_interval_seconds,
            timeout_seconds: service.check_interval_seconds,
            retries: service.check_retries,
            http,
        },
    }
}

fn order(new: &NewServer) -> CreateServer {
    CreateServer {
        name: new.machine.to_string(),
        server_type: new.server_type.clone(),
        image: ImageId(new.image).to_string(),
        location: Some(new.location.clone()),
        placement_group: new.placement_group.map(PlacementGroupId),
        ssh_keys: vec![SshKeyId(new.ssh_key).to_string()],
        networks: vec![NetworkId(new.network)],
        firewalls: vec![FirewallId(new.firewall)],
        labels: new.labels.clone(),
        ..CreateServer::default()
    }
}

#[async_trait]
impl Cloud for Universe {
    async fn project(&self, _: Lane) -> Result<ProjectFacts, CloudError> {
        for (path, number) in [
            ("/networks", 0),
            ("/firewalls", 0),
            ("/ssh_keys", 0),
            ("/placement_groups", 0),
            ("/load_balancers", 0),
            ("/images", 0),
        ] {
            self.call(|inner| inner.pages(path, number, |_| ())).await?;
        }
        self.call(|inner| {
            let number = inner.world.project(inner.project).servers.len();
            inner.pages("/servers", number, |inner| facts::project(inner.world.project(inner.project)))
        })
        .await
    }

    async fn servers(&self, _: Lane) -> Result<Vec<plan::Server>, CloudError> {
        self.call(|inner| {
            let number = inner.world.project(inner.project).servers.len();
            inner.pages("/servers", number, |inner| facts::servers(inner.world.project(inner.project)))
        })
        .await
    }

    async fn catalogue(&self, _: Lane) -> Result<Catalogue, CloudError> {
        for path in ["/locations", "/pricing"] {
            self.call(|inner| inner.request("GET", path, |_| Ok(()))).await?;
        }
        self.call(|inner| {
            inner.request("GET", "/server_types", |inner| {
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

    async fn actions(&self, _: Lane, ids: &[u64]) -> Result<Vec<ActionFacts>, CloudError> {
        let mut found = Vec::new();
        for batch in ids.chunks(ACTIONS_AT_ONCE) {
            let answers = self.call(|inner| {
                inner.request("GET", "/actions", |inner| {
                    batch.iter().map(|id| inner.world.action(inner.project, ActionId(*id)).map(action)).collect()
                })
            });
            let answers: Vec<ActionFacts> = answers.await?;
            found.extend(answers);
        }
        Ok(found)
    }

    async fn owner_of(&self, _: Lane, kind: ResourceKind, name: &str) -> Result<Option<Owner>, CloudError> {
        self.call(|inner| inner.request("GET", "/owner", |inner| Ok(owner(inner, kind, name)))).await
    }

    async fn create_network(&self, _: Lane, new: &NewNetwork) -> Result<Accepted<plan::Network>, CloudError> {
        let subnet = NewSubnet { kind: SubnetKind::Cloud, range: Some(new.subnet), network_zone: new.zone.clone() };
        self.call(|inner| {
            inner.request("POST", "/networks", |inner| {
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

    async fn add_subnet(&self, _: Lane, network: u64, subnet: Ipv4Net, zone: &str) -> Result<Accepted<()>, CloudError> {
        let new = NewSubnet { kind: SubnetKind::Cloud, range: Some(subnet), network_zone: zone.to_owned() };
        let change = NetworkChange::AddSubnet(new);
        let result = self.call(|inner| {
            inner.request("POST", "/networks/*/actions/add_subnet", |inner| {
                inner.world.change_network(inner.project, NetworkId(network), change.clone(), inner.now)
            })
        });
        already(result.await, &[])
    }

    async fn create_firewall(&self, _: Lane, new: &NewFirewall) -> Result<Accepted<plan::Firewall>, CloudError> {
        self.call(|inner| {
            inner.request("POST", "/firewalls", |inner| {
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
        _: Lane,
        firewall: u64,
        wanted: &[FirewallRule],
    ) -> Result<Accepted<()>, CloudError> {
        self.call(|inner| {
            inner.request("POST", "/firewalls/*/actions/set_rules", |inner| {
                let actions = inner.world.set_rules(inner.project, FirewallId(firewall), rules(wanted)?, inner.now)?;
                Ok(Accepted { value: (), actions: actions.iter().map(|action| action.0).collect() })
            })
        })
        .await
    }

    async fn apply_firewall(&self, _: Lane, firewall: u64, server: u64) -> Result<Accepted<()>, CloudError> {
        let result = self.call(|inner| {
            inner.request("POST", "/firewalls/*/actions/apply_to_resources", |inner| {
                let to = [FirewallTarget::Server(ServerId(server))];
                let actions = inner.world.apply_firewall(inner.project, FirewallId(firewall), &to, inner.now)?;
                actions.first().copied().ok_or_else(|| ApiError::invalid("apply_to", "is empty"))
            })
        });
        already(result.await, &[ErrorCode::FirewallAlreadyApplied])
    }

    async fn create_ssh_key(
        &self,
        _: Lane,
        name: &str,
        labels: &Tags,
        public_key: &str,
    ) -> Result<Accepted<plan::SshKey>, CloudError> {
        self.call(|inner| {
            inner.request("POST", "/ssh_keys", |inner| {
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
        _: Lane,
        name: &str,
        labels: &Tags,
    ) -> Result<Accepted<plan::PlacementGroup>, CloudError> {
        self.call(|inner| {
            inner.request("POST", "/placement_groups", |inner| {
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
        _: Lane,
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
        self.call(|inner| {
            inner.request("POST", "/load_balancers", |inner| {
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
        _: Lane,
        load_balancer: u64,
        wanted: &LoadBalancerService,
        missing: bool,
    ) -> Result<Accepted<()>, CloudError> {
        let wanted = service(wanted);
        let change = match missing {
            true => LoadBalancerChange::AddService(wanted),
            false => LoadBalancerChange::UpdateService(wanted),
        };
        self.change_balancer(load_balancer, change, &[]).await
    }

    async fn set_load_balancer_public(
        &self,
        _: Lane,
        load_balancer: u64,
        public: bool,
    ) -> Result<Accepted<()>, CloudError> {
        self.change_balancer(load_balancer, LoadBalancerChange::PublicInterface(public), &[]).await
    }

    async fn attach_load_balancer(
        &self,
        _: Lane,
        load_balancer: u64,
        network: u64,
    ) -> Result<Accepted<()>, CloudError> {
        let change = LoadBalancerChange::Attach { network: NetworkId(network), ip: None };
        self.change_balancer(load_balancer, change, &[ErrorCode::LoadBalancerAlreadyAttached]).await
    }

    async fn add_target(&self, _: Lane, load_balancer: u64, server: u64) -> Result<Accepted<()>, CloudError> {
        let kind = TargetKind::Server { server: ServerId(server), use_private_ip: true };
        let change = LoadBalancerChange::AddTarget(kind);
        self.change_balancer(load_balancer, change, &[ErrorCode::TargetAlreadyDefined]).await
    }

    async fn remove_target(&self, _: Lane, load_balancer: u64, server: u64) -> Result<Accepted<()>, CloudError> {
        let kind = TargetKind::Server { server: ServerId(server), use_private_ip: true };
        let change = LoadBalancerChange::RemoveTarget(kind);
        self.change_balancer(load_balancer, change, &[ErrorCode::LoadBalancerTargetNotFound]).await
    }

    async fn create_server(&self, _: Lane, new: &NewServer) -> Result<Accepted<plan::Server>, CloudError> {
        let order = order(new);
        self.call(|inner| {
            inner.request("POST", "/servers", |inner| {
                let (project, now) = (inner.project, inner.now);
                let made = inner.world.create_server(project, order.clone(), now)?;
                let it = inner.world.project(project);
                let mut value = facts::server(&it.servers[&made.id], it);
                // The answer tells what was asked for, though it is not true yet.
                value.networks = vec![new.network];
                value.firewalls = vec![new.firewall];
                let actions = std::iter::once(made.action).chain(made.next_actions).map(|action| action.0).collect();
                Ok(Accepted { value, actions })
            })
        })
        .await
    }

    async fn attach_server(&self, _: Lane, server: u64, network: u64) -> Result<Accepted<()>, CloudError> {
        let result = self.call(|inner| {
            inner.request("POST", "/servers/*/actions/attach_to_network", |inner| {
                let (server, network) = (ServerId(server), NetworkId(network));
                inner.world.attach_to_network(inner.project, server, network, None, inner.now)
            })
        });
        already(result.await, &[ErrorCode::ServerAlreadyAttached])
    }

    async fn power_on(&self, _: Lane, server: u64) -> Result<Accepted<()>, CloudError> {
        let result = self.call(|inner| {
            inner.request("POST", "/servers/*/actions/poweron", |inner| {
                inner.world.power(inner.project, ServerId(server), PowerAction::PowerOn, inner.now)
            })
        });
        already(result.await, &[])
    }

    async fn delete(&self, _: Lane, kind: ResourceKind, id: u64) -> Result<Accepted<()>, CloudError> {
        let done = self.call(|inner| inner.request("DELETE", path_of(kind), |inner| delete(inner, kind, id))).await;
        match done {
            Ok(actions) => Ok(Accepted { value: (), actions }),
            Err(CloudError::NotFound { .. }) => Ok(Accepted { value: (), actions: Vec::new() }),
            Err(error) => Err(error),
        }
    }

    fn budget(&self, now: Timestamp) -> BudgetSnapshot {
        let mut inner = self.lock();
        let project = inner.project;
        let budget = inner.world.budget(project, now);
        let resets_at = Timestamp::from_second(budget.reset).unwrap_or(now);
        BudgetSnapshot { limit: budget.limit, remaining: budget.remaining, resets_at }
    }
}

impl Universe {
    async fn change_balancer(
        &self,
        balancer: u64,
        change: LoadBalancerChange,
        already_so: &[ErrorCode],
    ) -> Result<Accepted<()>, CloudError> {
        let result = self.call(|inner| {
            inner.request("POST", "/load_balancers/*/actions/*", |inner| {
                inner.world.change_load_balancer(inner.project, LoadBalancerId(balancer), change.clone(), inner.now)
            })
        });
        already(result.await, already_so)
    }
}

fn action(action: &crate::world::Action) -> ActionFacts {
    let state = match &action.status {
        ActionStatus::Running => ActionState::Running,
        ActionStatus::Success => ActionState::Succeeded,
        ActionStatus::Error { code, message } => ActionState::Failed { code: code.clone(), message: message.clone() },
    };
    ActionFacts { id: action.id.0, command: action.command.to_owned(), state }
}

fn path_of(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Server => "/servers/*",
        ResourceKind::LoadBalancer => "/load_balancers/*",
        ResourceKind::PlacementGroup => "/placement_groups/*",
        ResourceKind::Firewall => "/firewalls/*",
        ResourceKind::SshKey => "/ssh_keys/*",
        ResourceKind::Network => "/networks/*",
    }
}

fn delete(inner: &mut Inner, kind: ResourceKind, id: u64) -> ApiResult<Vec<u64>> {
    let (project, now) = (inner.project, inner.now);
    let world = &mut inner.world;
    let action = match kind {
        ResourceKind::Server => Some(world.delete_server(project, ServerId(id), now)?),
        ResourceKind::LoadBalancer => Some(world.delete_load_balancer(project, LoadBalancerId(id), now)?),
        ResourceKind::PlacementGroup => {
            world.delete_placement_group(project, PlacementGroupId(id), now)?;
            None
        }
        ResourceKind::Firewall => {
            world.delete_firewall(project, FirewallId(id), now)?;
            None
        }
        ResourceKind::SshKey => {
            world.delete_ssh_key(project, SshKeyId(id), now)?;
            None
        }
        ResourceKind::Network => {
            world.delete_network(project, NetworkId(id), now)?;
            None
        }
    };
    Ok(action.into_iter().map(|action| action.0).collect())
}

fn owner(inner: &Inner, kind: ResourceKind, name: &str) -> Option<Owner> {
    let it = inner.world.project(inner.project);
    let found = |id: u64, meta: &Meta| (meta.name == name).then(|| Owner { id, labels: meta.labels.clone() });
    match kind {
        ResourceKind::Server => it.servers.values().find_map(|r| found(r.id.0, &r.meta)),
        ResourceKind::LoadBalancer => it.load_balancers.values().find_map(|r| found(r.id.0, &r.meta)),
        ResourceKind::PlacementGroup => it.placement_groups.values().find_map(|r| found(r.id.0, &r.meta)),
        ResourceKind::Firewall => it.firewalls.values().find_map(|r| found(r.id.0, &r.meta)),
        ResourceKind::SshKey => it.ssh_keys.values().find_map(|r| found(r.id.0, &r.meta)),
        ResourceKind::Network => it.networks.values().find_map(|r| found(r.id.0, &r.meta)),
    }
}
