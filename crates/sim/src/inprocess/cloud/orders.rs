//! What Helix asks for, in the world's terms, and what the world tells of it.

use helix_engine::seams::{ActionFacts, ActionState, Owner};
use helix_plan::observed as plan;
use helix_plan::observed::{Adoptee, FirewallRule, LoadBalancerService};
use helix_plan::step::{NewServer, ResourceKind};

use crate::inprocess::{Inner, facts};
use crate::world::firewalls::{Direction, Protocol, Rule};
use crate::world::load_balancers::{HealthCheck, HttpCheck, LoadBalancerChange, Service, TargetKind};
use crate::world::{
    ActionStatus, ApiError, ApiResult, CreateServer, FirewallId, ImageId, LoadBalancerId, Meta, NetworkId,
    PlacementGroupId, ServerId, SshKeyId, Update, VolumeId,
};

pub(super) fn rules(rules: &[FirewallRule]) -> ApiResult<Vec<Rule>> {
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

pub(super) fn service(service: &LoadBalancerService) -> Service {
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

pub(super) fn order(new: &NewServer) -> CreateServer {
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

pub(super) fn action(action: &crate::world::Action) -> ActionFacts {
    let state = match &action.status {
        ActionStatus::Running => ActionState::Running,
        ActionStatus::Success => ActionState::Succeeded,
        ActionStatus::Error { code, message } => ActionState::Failed { code: code.clone(), message: message.clone() },
    };
    ActionFacts { id: action.id.0, command: action.command.to_owned(), state }
}

pub(super) fn path_of(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Server => "/servers/*",
        ResourceKind::LoadBalancer => "/load_balancers/*",
        ResourceKind::Volume => "/volumes/*",
        ResourceKind::PlacementGroup => "/placement_groups/*",
        ResourceKind::Firewall => "/firewalls/*",
        ResourceKind::SshKey => "/ssh_keys/*",
        ResourceKind::Network => "/networks/*",
    }
}

pub(super) fn path_of_change(change: &LoadBalancerChange) -> &'static str {
    match change {
        LoadBalancerChange::AddService(_) => "/load_balancers/*/actions/add_service",
        LoadBalancerChange::UpdateService(_) => "/load_balancers/*/actions/update_service",
        LoadBalancerChange::DeleteService(_) => "/load_balancers/*/actions/delete_service",
        LoadBalancerChange::AddTarget(_) => "/load_balancers/*/actions/add_target",
        LoadBalancerChange::RemoveTarget(_) => "/load_balancers/*/actions/remove_target",
        LoadBalancerChange::Attach { .. } => "/load_balancers/*/actions/attach_to_network",
        LoadBalancerChange::Detach(_) => "/load_balancers/*/actions/detach_from_network",
        LoadBalancerChange::PublicInterface(true) => "/load_balancers/*/actions/enable_public_interface",
        LoadBalancerChange::PublicInterface(false) => "/load_balancers/*/actions/disable_public_interface",
        LoadBalancerChange::Algorithm(_) => "/load_balancers/*/actions/change_algorithm",
    }
}

pub(super) fn delete(inner: &mut Inner, kind: ResourceKind, id: u64) -> ApiResult<Vec<u64>> {
    let (project, now) = (inner.project, inner.now);
    let world = &mut inner.world;
    let action = match kind {
        ResourceKind::Server => Some(world.delete_server(project, ServerId(id), now)?),
        ResourceKind::LoadBalancer => Some(world.delete_load_balancer(project, LoadBalancerId(id), now)?),
        ResourceKind::Volume => {
            world.delete_volume(project, VolumeId(id), now)?;
            None
        }
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

pub(super) fn owner(inner: &Inner, kind: ResourceKind, name: &str) -> Option<Owner> {
    let it = inner.world.project(inner.project);
    let found = |id: u64, meta: &Meta| (meta.name == name).then(|| Owner { id, labels: meta.labels.clone() });
    match kind {
        ResourceKind::Server => it.servers.values().find_map(|r| found(r.id.0, &r.meta)),
        ResourceKind::LoadBalancer => it.load_balancers.values().find_map(|r| found(r.id.0, &r.meta)),
        ResourceKind::Volume => it.volumes.values().find_map(|r| found(r.id.0, &r.meta)),
        ResourceKind::PlacementGroup => it.placement_groups.values().find_map(|r| found(r.id.0, &r.meta)),
        ResourceKind::Firewall => it.firewalls.values().find_map(|r| found(r.id.0, &r.meta)),
        ResourceKind::SshKey => it.ssh_keys.values().find_map(|r| found(r.id.0, &r.meta)),
        ResourceKind::Network => it.networks.values().find_map(|r| found(r.id.0, &r.meta)),
    }
}

/// A resource by its id, whoever owns it.
pub(super) fn adoptee(inner: &Inner, named: plan::Named) -> Option<Adoptee> {
    let (it, id) = (inner.world.project(inner.project), named.id);
    match named.kind {
        ResourceKind::Server => it.servers.get(&ServerId(id)).map(|server| Adoptee::Server {
            server: Box::new(facts::server(server, it)),
            talos: plan::Fact::Missing(plan::Missing::NotThereYet),
        }),
        ResourceKind::LoadBalancer => it.load_balancers.get(&LoadBalancerId(id)).map(|balancer| {
            let other_targets = balancer.targets.iter().any(|it| !matches!(it.kind, TargetKind::Server { .. }));
            Adoptee::LoadBalancer { balancer: Box::new(facts::load_balancer(balancer)), other_targets }
        }),
        ResourceKind::PlacementGroup => {
            let group = it.placement_groups.get(&PlacementGroupId(id));
            group.map(|group| Adoptee::PlacementGroup(facts::placement_group(group)))
        }
        ResourceKind::Firewall => it.firewalls.get(&FirewallId(id)).map(|firewall| Adoptee::Firewall {
            firewall: facts::firewall(firewall),
            guards: firewall.direct.iter().map(|server| server.0).collect(),
            by_label: !firewall.selected.is_empty(),
        }),
        ResourceKind::SshKey => it.ssh_keys.get(&SshKeyId(id)).map(|key| Adoptee::SshKey(facts::ssh_key(key))),
        ResourceKind::Network => {
            it.networks.get(&NetworkId(id)).map(|network| Adoptee::Network(facts::network(network)))
        }
        ResourceKind::Volume => it.volumes.get(&VolumeId(id)).map(|volume| Adoptee::Volume(facts::volume(volume))),
    }
}

pub(super) fn relabel(inner: &mut Inner, named: plan::Named, update: Update) -> ApiResult<()> {
    let (project, now, id) = (inner.project, inner.now, named.id);
    let world = &mut inner.world;
    match named.kind {
        ResourceKind::Server => world.update_server(project, ServerId(id), update, now),
        ResourceKind::LoadBalancer => world.update_load_balancer(project, LoadBalancerId(id), update, now),
        ResourceKind::Volume => world.update_volume(project, VolumeId(id), update, now),
        ResourceKind::PlacementGroup => world.update_placement_group(project, PlacementGroupId(id), update, now),
        ResourceKind::Firewall => world.update_firewall(project, FirewallId(id), update, now),
        ResourceKind::SshKey => world.update_ssh_key(project, SshKeyId(id), update, now),
        ResourceKind::Network => world.update_network(project, NetworkId(id), update, now),
    }
}
