//! The resources at Hetzner as files: one for each, as it stands once everything is made.
//!
//! The shape is Helix' own: `kind`, `name` and `labels` first, then what the kind has, in camelCase and always in one
//! order, so that two renderings can be compared. Resources name each other: ids would be made up.

use helix_plan::forecast::Forecast;
use helix_plan::observed::{CloudFacts, Image, LoadBalancerService, Tags};
use helix_plan::step::{NewLoadBalancer, NewServer, Step};
use serde::Serialize;

use super::File;
use crate::error::CliError;

/// A resource as its file has it.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
enum Resource<'a> {
    Network { name: &'a str, labels: &'a Tags, range: String, subnet: String, zone: &'a str },
    Firewall { name: &'a str, labels: &'a Tags, inbound: Vec<Rule<'a>> },
    SshKey { name: &'a str, labels: &'a Tags },
    PlacementGroup { name: &'a str, labels: &'a Tags, strategy: &'static str },
    LoadBalancer(Balancer<'a>),
    Server(Box<Machine<'a>>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    description: &'a str,
    protocol: &'a str,
    /// Port or range; none for ICMP.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<&'a str>,
    sources: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Balancer<'a> {
    name: &'a str,
    labels: &'a Tags,
    load_balancer_type: &'a str,
    location: &'a str,
    network: &'a str,
    public: bool,
    service: Service<'a>,
    /// Servers, over the private network.
    targets: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Service<'a> {
    listen_port: u16,
    destination_port: u16,
    health_check: HealthCheck<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthCheck<'a> {
    protocol: &'a str,
    tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    status_codes: &'a [String],
    interval_seconds: u32,
    retries: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Machine<'a> {
    name: String,
    labels: &'a Tags,
    server_type: &'a str,
    location: &'a str,
    /// The labels by which the snapshot is found, and its architecture.
    image: Snapshot<'a>,
    network: &'a str,
    firewall: &'a str,
    ssh_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    placement_group: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot<'a> {
    labels: &'a Tags,
    architecture: &'a str,
}

/// One file for each resource that is made, by name.
pub(super) fn files(forecast: &Forecast) -> Result<Vec<File>, CliError> {
    let nothing = CloudFacts::default();
    let made = Made(forecast.world.cloud.value().unwrap_or(&nothing));
    let mut files = forecast
        .items()
        .filter_map(|item| Some((file_name(&item.step), made.resource(&item.step)?)))
        .map(|(name, resource)| Ok((name, yaml(&resource)?)))
        .collect::<Result<Vec<File>, CliError>>()?;
    files.sort();
    Ok(files)
}

fn file_name(step: &Step) -> String {
    let target = step.target();
    format!("{}-{}.yaml", target.kind.to_lowercase().replace(' ', "-"), target.name)
}

fn yaml(resource: &Resource<'_>) -> Result<String, CliError> {
    serde_saphyr::to_string(resource).map_err(|_| CliError::Format { format: "YAML" })
}

/// What exists once everything is made: it has the name of every id that a step speaks of.
struct Made<'a>(&'a CloudFacts);

impl<'a> Made<'a> {
    /// The resource that a step makes, if it makes one.
    fn resource(&self, step: &'a Step) -> Option<Resource<'a>> {
        if let Step::CreateNetwork(new) = step {
            let (range, subnet) = (new.cidr.to_string(), new.subnet.to_string());
            Some(Resource::Network { name: &new.name, labels: &new.labels, range, subnet, zone: &new.zone })
        } else if let Step::CreateFirewall(new) = step {
            let rule = |rule: &'a helix_plan::observed::FirewallRule| Rule {
                description: &rule.description,
                protocol: &rule.protocol,
                port: rule.port.as_deref(),
                sources: &rule.sources,
            };
            let inbound = new.rules.iter().map(rule).collect();
            Some(Resource::Firewall { name: &new.name, labels: &new.labels, inbound })
        } else if let Step::CreateSshKey { name, labels } = step {
            Some(Resource::SshKey { name, labels })
        } else if let Step::CreatePlacementGroup { name, labels } = step {
            Some(Resource::PlacementGroup { name, labels, strategy: "spread" })
        } else if let Step::CreateLoadBalancer(new) = step {
            self.balancer(new).map(Resource::LoadBalancer)
        } else if let Step::CreateServer(new) = step {
            self.machine(new).map(|machine| Resource::Server(Box::new(machine)))
        } else {
            None
        }
    }

    fn balancer(&self, new: &'a NewLoadBalancer) -> Option<Balancer<'a>> {
        let balancer = self.0.load_balancers.iter().find(|balancer| balancer.name == new.name)?;
        let server = |id: u64| name(&self.0.servers, id, |server| (server.id, &server.name));
        let mut targets: Vec<&str> = balancer.targets.iter().filter_map(|target| server(target.server)).collect();
        targets.sort_unstable();
        Some(Balancer {
            name: &new.name,
            labels: &new.labels,
            load_balancer_type: &new.kind,
            location: &new.location,
            network: self.network(new.network)?,
            public: new.public,
            service: service(&new.service),
            targets,
        })
    }

    fn machine(&self, new: &'a NewServer) -> Option<Machine<'a>> {
        let Image { labels, architecture, .. } = self.0.images.iter().find(|image| image.id == new.image)?;
        let group = |id| name(&self.0.placement_groups, id, |group| (group.id, &group.name));
        Some(Machine {
            name: new.machine.to_string(),
            labels: &new.labels,
            server_type: &new.server_type,
            location: &new.location,
            image: Snapshot { labels, architecture },
            network: self.network(new.network)?,
            firewall: name(&self.0.firewalls, new.firewall, |firewall| (firewall.id, &firewall.name))?,
            ssh_key: name(&self.0.ssh_keys, new.ssh_key, |key| (key.id, &key.name))?,
            placement_group: new.placement_group.and_then(group),
        })
    }

    fn network(&self, id: u64) -> Option<&'a str> {
        name(&self.0.networks, id, |network| (network.id, &network.name))
    }
}

/// The name of the resource with that id.
fn name<T>(resources: &[T], wanted: u64, told: impl Fn(&T) -> (u64, &String)) -> Option<&str> {
    resources.iter().map(told).find(|(id, _)| *id == wanted).map(|(_, name)| name.as_str())
}

fn service(service: &LoadBalancerService) -> Service<'_> {
    Service {
        listen_port: service.listen_port,
        destination_port: service.destination_port,
        health_check: HealthCheck {
            protocol: &service.check_protocol,
            tls: service.check_tls,
            path: service.check_path.as_deref(),
            status_codes: &service.check_status_codes,
            interval_seconds: service.check_interval_seconds,
            retries: service.check_retries,
        },
    }
}
