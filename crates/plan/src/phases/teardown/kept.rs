//! What stays when its platform goes, a step at a time: the last one takes Helix' labels away, so that until then the
//! teardown finds it again, wherever it was stopped.

use super::Left;
use crate::names::MachineName;
use crate::observed::{CloudFacts, LoadBalancer, Tags, Volume};
use crate::step::{ResourceKind, Step};

/// Labels without Helix' own.
pub(super) fn without_ours(labels: &Tags) -> Tags {
    labels.clone().into_iter().filter(|(key, _)| !key.starts_with("helix.dev/")).collect()
}

/// The API's load balancer keeps its address and nothing else: one change at a time, because each locks it.
pub(super) fn load_balancer(balancer: &LoadBalancer, cloud: &CloudFacts) -> Left {
    let (load_balancer, name) = (balancer.id, balancer.name.clone());
    let ours = |network: u64| cloud.networks.iter().any(|it| it.id == network);
    let step = if let Some(service) = balancer.services.first() {
        Step::RemoveLoadBalancerService { load_balancer, name: name.clone(), listen_port: service.listen_port }
    } else if let Some(target) = balancer.targets.first() {
        let server = cloud.servers.iter().find(|it| it.id == target.server);
        let machine = server.and_then(|it| MachineName::parse(&it.name).ok());
        Step::RemoveLoadBalancerTarget { load_balancer, server: target.server, machine }
    } else if let Some(place) = balancer.private.iter().find(|place| ours(place.network)) {
        Step::DetachLoadBalancer { load_balancer, name: name.clone(), network: place.network }
    } else {
        let labels = without_ours(&balancer.labels);
        Step::ReleaseResource { kind: ResourceKind::LoadBalancer, id: load_balancer, name: name.clone(), labels }
    };
    Left { kind: ResourceKind::LoadBalancer, id: load_balancer, name, step: Some(step) }
}

/// A volume leaves the server that has it, and is then let go of or deleted.
pub(super) fn volume(volume: &Volume, keeps: bool) -> Left {
    let (kind, id, name) = (ResourceKind::Volume, volume.id, volume.name.clone());
    let step = match volume.server {
        Some(_) => Step::DetachVolume { volume: id, name: name.clone() },
        None if keeps => Step::ReleaseResource { kind, id, name: name.clone(), labels: without_ours(&volume.labels) },
        None => Step::DeleteResource { kind, id, name: name.clone() },
    };
    Left { kind, id, name, step: Some(step) }
}
