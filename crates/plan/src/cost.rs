//! What a platform costs per month, and by how much a plan changes it. Prices are net, as Hetzner states them.

use crate::catalogue::{Catalogue, EurMonthly};
use crate::observed::CloudFacts;
use crate::phases::load_balancer::LOAD_BALANCER_TYPE;
use crate::plan::Plan;
use crate::step::{ResourceKind, Step};
use crate::validated::{Endpoint, Pool, ValidatedPlatform};

/// What exists costs so much per month; a type that the catalogue no longer has counts as nothing.
#[must_use]
pub fn of_what_exists(cloud: &CloudFacts, catalogue: &Catalogue) -> EurMonthly {
    let servers = cloud.servers.iter().filter_map(|s| catalogue.server_monthly(&s.server_type, &s.location));
    let balancers = cloud.load_balancers.iter().filter_map(|b| catalogue.load_balancers.get(&b.kind).copied());
    let volumes = cloud.volumes.iter().map(|volume| catalogue.volume_gb * volume.size_gb);
    servers.chain(balancers).chain(volumes).sum()
}

/// What the platform will cost per month when every machine is made in its pool's first open placement.
#[must_use]
pub fn of_what_is_wanted(platform: &ValidatedPlatform, catalogue: &Catalogue) -> EurMonthly {
    let machine = |pool: &Pool| {
        let open = pool.placements.iter().find(|placement| placement.closed.is_none());
        open.or(pool.placements.first()).map(|placement| placement.monthly * pool.replicas)
    };
    let balancer = match platform.endpoint {
        Endpoint::LoadBalancer { .. } => catalogue.load_balancers.get(LOAD_BALANCER_TYPE).copied(),
        Endpoint::Dns { .. } => None,
    };
    platform.pools().filter_map(machine).chain(balancer).sum()
}

/// By how much a step changes the monthly cost: what it adds and what it saves.
#[must_use]
pub fn of_step(step: &Step, cloud: &CloudFacts, catalogue: &Catalogue) -> (EurMonthly, EurMonthly) {
    let nothing = EurMonthly::default();
    match step {
        Step::CreateServer(new) => {
            (catalogue.server_monthly(&new.server_type, &new.location).unwrap_or_default(), nothing)
        }
        Step::CreateLoadBalancer(new) => {
            (catalogue.load_balancers.get(&new.kind).copied().unwrap_or_default(), nothing)
        }
        Step::DeleteResource { kind: ResourceKind::Server, id, .. } => {
            let server = cloud.servers.iter().find(|server| server.id == *id);
            let saved = server.and_then(|s| catalogue.server_monthly(&s.server_type, &s.location));
            (nothing, saved.unwrap_or_default())
        }
        Step::DeleteResource { kind: ResourceKind::LoadBalancer, id, .. } => {
            let all = cloud.load_balancers.iter().chain(&cloud.unlabelled.load_balancers);
            let balancer = all.into_iter().find(|balancer| balancer.id == *id);
            let saved = balancer.and_then(|b| catalogue.load_balancers.get(&b.kind).copied());
            (nothing, saved.unwrap_or_default())
        }
        Step::DeleteResource { kind: ResourceKind::Volume, id, .. } => {
            let volume = cloud.volumes.iter().find(|volume| volume.id == *id);
            (nothing, volume.map(|volume| catalogue.volume_gb * volume.size_gb).unwrap_or_default())
        }
        _ => (nothing, nothing),
    }
}

/// By how much a plan changes the monthly cost, with its sign, as in `+12.40 EUR`.
#[must_use]
pub fn delta(plan: &Plan, cloud: &CloudFacts, catalogue: &Catalogue) -> String {
    let (added, saved) = plan
        .items
        .iter()
        .map(|item| of_step(&item.step, cloud, catalogue))
        .fold((EurMonthly::default(), EurMonthly::default()), |(added, saved), (more, less)| {
            (added + more, saved + less)
        });
    format!("{:+.2} EUR", added.euros() - saved.euros())
}
