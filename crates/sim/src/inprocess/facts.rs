//! What the world holds, as the facts that a plan is made from.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use helix_plan::catalogue::{Architecture, Catalogue, EurMonthly, Offer, ServerType, Source};
use helix_plan::observed as plan;
use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::world::catalogue::{LOAD_BALANCER_TYPES, LOCATIONS, SERVER_TYPES};
use crate::world::firewalls::{Direction, Firewall, Rule};
use crate::world::images::Image;
use crate::world::load_balancers::{LoadBalancer, Service, TargetKind};
use crate::world::money::Money;
use crate::world::networks::Network;
use crate::world::placement_groups::PlacementGroup;
use crate::world::ssh_keys::SshKey;
use crate::world::volumes::Volume;
use crate::world::{NetworkId, Project, Server, ServerStatus, catalogue as sold};

/// The label by which Helix selects what any platform owns.
const OWNED: &str = helix_crds::labels::PLATFORM_UID;

pub(super) fn project(project: &Project) -> plan::CloudFacts {
    let owned = |labels: &BTreeMap<String, String>| labels.contains_key(OWNED);
    plan::CloudFacts {
        networks: project.networks.values().filter(|r| owned(&r.meta.labels)).map(network).collect(),
        firewalls: project.firewalls.values().filter(|r| owned(&r.meta.labels)).map(firewall).collect(),
        ssh_keys: project.ssh_keys.values().filter(|r| owned(&r.meta.labels)).map(ssh_key).collect(),
        placement_groups: project
            .placement_groups
            .values()
            .filter(|r| owned(&r.meta.labels))
            .map(placement_group)
            .collect(),
        load_balancers: project.load_balancers.values().filter(|r| owned(&r.meta.labels)).map(load_balancer).collect(),
        servers: servers(project),
        volumes: project.volumes.values().filter(|r| owned(&r.meta.labels)).map(volume).collect(),
        unlabelled: plan::Unlabelled {
            load_balancers: project
                .load_balancers
                .values()
                .filter(|r| !owned(&r.meta.labels))
                .map(load_balancer)
                .collect(),
            volumes: project.volumes.values().filter(|r| !owned(&r.meta.labels)).map(volume).collect(),
        },
        images: project.images.values().map(image).collect(),
    }
}

pub(super) fn servers(project: &Project) -> Vec<plan::Server> {
    let owned = project.servers.values().filter(|server| server.meta.labels.contains_key(OWNED));
    owned.map(|it| server(it, project)).collect()
}

pub(super) fn network(network: &Network) -> plan::Network {
    plan::Network {
        id: network.id.0,
        name: network.meta.name.clone(),
        labels: network.meta.labels.clone(),
        cidr: network.range,
        subnets: network.subnets.iter().map(|subnet| subnet.range).collect(),
    }
}

pub(super) fn firewall(firewall: &Firewall) -> plan::Firewall {
    plan::Firewall {
        id: firewall.id.0,
        name: firewall.meta.name.clone(),
        labels: firewall.meta.labels.clone(),
        rules: firewall.rules.iter().filter(|rule| rule.direction == Direction::In).map(rule).collect(),
    }
}

fn rule(rule: &Rule) -> plan::FirewallRule {
    plan::FirewallRule {
        description: rule.description.clone().unwrap_or_default(),
        protocol: rule.protocol.as_str().to_owned(),
        port: rule.port.clone(),
        sources: rule.source_ips.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn ssh_key(key: &SshKey) -> plan::SshKey {
    plan::SshKey { id: key.id.0, name: key.meta.name.clone(), labels: key.meta.labels.clone() }
}

pub(super) fn placement_group(group: &PlacementGroup) -> plan::PlacementGroup {
    plan::PlacementGroup {
        id: group.id.0,
        name: group.meta.name.clone(),
        labels: group.meta.labels.clone(),
        servers: group.servers.iter().map(|server| server.0).collect(),
    }
}

pub(super) fn load_balancer(balancer: &LoadBalancer) -> plan::LoadBalancer {
    let target = |kind: &TargetKind| match kind {
        TargetKind::Server { server, .. } => {
            Some(plan::LoadBalancerTarget { server: server.0, health: plan::TargetHealth::Unknown })
        }
        TargetKind::LabelSelector { .. } | TargetKind::Ip { .. } => None,
    };
    plan::LoadBalancer {
        id: balancer.id.0,
        name: balancer.meta.name.clone(),
        labels: balancer.meta.labels.clone(),
        kind: balancer.kind.name.to_owned(),
        location: balancer.location.name.to_owned(),
        public: balancer.public,
        public_ipv4: Some(balancer.address),
        private: balancer.private_net.map(|(network, ip)| place(network, ip)).into_iter().collect(),
        services: balancer.services.values().map(service).collect(),
        targets: balancer.targets.iter().filter_map(|it| target(&it.kind)).collect(),
        created: Some(balancer.meta.created),
    }
}

pub(super) fn volume(volume: &Volume) -> plan::Volume {
    plan::Volume {
        id: volume.id.0,
        name: volume.meta.name.clone(),
        labels: volume.meta.labels.clone(),
        location: volume.location.name.to_owned(),
        size_gb: volume.size_gb,
        server: volume.server.map(|server| server.0),
    }
}

fn place(network: NetworkId, ip: Ipv4Addr) -> plan::PrivateNet {
    plan::PrivateNet { network: network.0, ip: Some(ip) }
}

fn service(service: &Service) -> plan::LoadBalancerService {
    let check = &service.health_check;
    plan::LoadBalancerService {
        listen_port: service.listen_port,
        destination_port: service.destination_port,
        check_protocol: if check.http.is_some() { "http" } else { "tcp" }.to_owned(),
        check_tls: check.http.as_ref().is_some_and(|http| http.tls),
        check_path: check.http.as_ref().map(|http| http.path.clone()),
        check_status_codes: check.http.as_ref().map(|http| http.status_codes.clone()).unwrap_or_default(),
        check_interval_seconds: check.interval_seconds,
        check_retries: check.retries,
    }
}

pub(super) fn server(server: &Server, project: &Project) -> plan::Server {
    plan::Server {
        id: server.id.0,
        name: server.meta.name.clone(),
        labels: server.meta.labels.clone(),
        status: status(server.status),
        locked: server.locked(),
        server_type: server.server_type.name.to_owned(),
        location: server.location.name.to_owned(),
        public_ipv4: server.ipv4.map(|_| server.address),
        private: server.private_net.iter().map(|net| place(net.network, net.ip)).collect(),
        placement_group: server.placement_group.map(|group| group.0),
        firewalls: project.firewalls.values().filter(|it| it.guards(server.id)).map(|it| it.id.0).collect(),
        created: Some(server.meta.created),
    }
}

fn status(status: ServerStatus) -> plan::ServerStatus {
    match status {
        ServerStatus::Initializing => plan::ServerStatus::Initializing,
        ServerStatus::Starting => plan::ServerStatus::Starting,
        ServerStatus::Running => plan::ServerStatus::Running,
        ServerStatus::Stopping => plan::ServerStatus::Stopping,
        ServerStatus::Off => plan::ServerStatus::Off,
        ServerStatus::Deleting => plan::ServerStatus::Deleting,
        other => plan::ServerStatus::Other(other.as_str().to_owned()),
    }
}

fn image(image: &Image) -> plan::Image {
    plan::Image {
        id: image.id.0,
        labels: image.meta.labels.clone(),
        architecture: image.architecture.as_str().to_owned(),
        available: true,
    }
}

fn euros(money: Money) -> EurMonthly {
    EurMonthly::new(money.to_string().parse::<Decimal>().unwrap_or_default())
}

/// What is sold, with what faults make of it.
pub(super) fn catalogue(orderable: impl Fn(&str, &str) -> (bool, Option<Timestamp>), now: Timestamp) -> Catalogue {
    let server_type = |kind: &sold::ServerType| {
        let offers = kind.locations().map(|location| {
            let (available, unavailable_after) = orderable(kind.name, location.name);
            (location.name.to_owned(), Offer { monthly: euros(kind.monthly), available, unavailable_after })
        });
        let architecture = match kind.architecture {
            sold::Architecture::X86 => Architecture::X86,
            sold::Architecture::Arm => Architecture::Arm,
        };
        let (cores, memory_gb, disk_gb) = (kind.cores, kind.memory_gb, kind.disk_gb);
        (kind.name.to_owned(), ServerType { architecture, cores, memory_gb, disk_gb, offers: offers.collect() })
    };
    Catalogue {
        source: Source::Api { at: now },
        locations: LOCATIONS.iter().map(|l| (l.name.to_owned(), l.network_zone.to_owned())).collect(),
        server_types: SERVER_TYPES.iter().map(server_type).collect(),
        load_balancers: LOAD_BALANCER_TYPES.iter().map(|kind| (kind.name.to_owned(), euros(kind.monthly))).collect(),
        primary_ipv4: euros(sold::IPV4_MONTHLY),
        volume_gb: euros(sold::VOLUME_GB_MONTHLY),
    }
}
