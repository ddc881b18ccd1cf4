//! The load balancer of the Kubernetes API: in the private network always, open to the world only where asked for.
//!
//! Its health check asks for `/version` over TLS and expects 401: an API server that hangs does not answer, one that
//! lives refuses the anonymous. One whose etcd is gone answers 401, too; that case is [`super::load_balancer_targets`]'.

use super::firewall::KUBERNETES_PORT;
use super::{Context, Outcome, admin_ports, network};
use crate::observed::{LoadBalancer, LoadBalancerService};
use crate::report::{Block, Wait};
use crate::step::{NewLoadBalancer, Step};
use crate::validated::Endpoint;

/// The one type that Helix orders: 25 targets are more than five control planes need.
pub const LOAD_BALANCER_TYPE: &str = "lb11";

/// The platform's load balancer.
pub(super) fn of<'a>(context: &Context<'a>) -> Option<&'a LoadBalancer> {
    context.cloud.load_balancers.first()
}

/// The service as Helix wants it.
#[must_use]
pub fn wanted_service() -> LoadBalancerService {
    LoadBalancerService {
        listen_port: KUBERNETES_PORT,
        destination_port: KUBERNETES_PORT,
        check_protocol: "http".to_owned(),
        check_tls: true,
        check_path: Some("/version".to_owned()),
        check_status_codes: vec!["401".to_owned()],
        check_interval_seconds: 3,
        check_retries: 3,
    }
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let public = match &context.platform.endpoint {
        Endpoint::LoadBalancer { public } => *public && !admin_ports::are_closed(context),
        Endpoint::Dns { host } => {
            return Outcome::done(format!("the API is reached at {host}"), None);
        }
    };
    let Some(network) = network::ready(context) else {
        return Outcome::waiting(Wait::Concern(super::Concern::Network));
    };
    let Some(existing) = of(context) else {
        let identity = &context.platform.identity;
        return Outcome::step(Step::CreateLoadBalancer(NewLoadBalancer {
            name: identity.load_balancer_name(),
            labels: identity.labels(),
            kind: LOAD_BALANCER_TYPE.to_owned(),
            location: context.platform.control_plane.placements[0].location.clone(),
            network: network.id,
            public,
            service: wanted_service(),
        }));
    };
    let here = existing.private.iter().find(|place| place.network == network.id);
    if let (None, Some(elsewhere)) = (here, existing.private.first()) {
        let (name, network) = (existing.name.clone(), elsewhere.network);
        return Outcome::blocked(Block::AttachedElsewhere { name, network });
    }
    if let Some(step) = repair(existing, network.id, public) {
        return Outcome::step(step);
    }
    match here.and_then(|place| place.ip) {
        None => {
            let since = existing.created.unwrap_or(context.now);
            Outcome::waiting_for_hetzner(format!("load balancer {}", existing.name), since)
        }
        Some(address) => {
            let reach = if public { "and from the world" } else { "only" };
            let what = format!("load balancer {} serves {address} in the network {reach}", existing.name);
            Outcome::done(what, context.observed.cloud.at())
        }
    }
}

/// The first thing that is not as it should be; the next plan sees to the next.
fn repair(existing: &LoadBalancer, network: u64, public: bool) -> Option<Step> {
    let (load_balancer, name) = (existing.id, existing.name.clone());
    if existing.private.is_empty() {
        return Some(Step::AttachLoadBalancer { load_balancer, name, network });
    }
    let wanted = wanted_service();
    let service = existing.services.iter().find(|service| service.listen_port == wanted.listen_port);
    if service != Some(&wanted) {
        let missing = service.is_none();
        return Some(Step::SetLoadBalancerService { load_balancer, name, service: wanted, missing });
    }
    (existing.public != public).then_some(Step::SetLoadBalancerPublic { load_balancer, name, public })
}
