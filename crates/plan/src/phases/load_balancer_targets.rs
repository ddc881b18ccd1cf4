//! Where the API load balancer forwards to: every control plane that is configured, unless its etcd is gone.
//!
//! The health check takes an API server out that hangs or is down. One whose etcd is gone still refuses the anonymous
//! with 401 and so looks healthy: it is taken out here. The last target is never taken out.

use super::{Context, Outcome, etcd, load_balancer, servers};
use crate::endpoints::api_endpoints;
use crate::names::MachineName;
use crate::observed::{LoadBalancer, MachineStage, TalosFacts, TargetHealth};
use crate::report::Wait;
use crate::step::Step;
use crate::validated::Endpoint;

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    if matches!(context.platform.endpoint, Endpoint::Dns { .. }) {
        return api(context);
    }
    let Some(balancer) = load_balancer::of(context) else {
        return Outcome::waiting(Wait::Concern(super::Concern::LoadBalancer));
    };
    // One at a time: a load balancer that is being changed refuses every other change with `conflict`.
    if let Some(step) = addition(context, balancer).or_else(|| removal(context, balancer)) {
        return Outcome::step(step);
    }
    api(context)
}

/// Whether the API answers where clients are sent.
fn api(context: &Context<'_>) -> Outcome {
    let endpoints = api_endpoints(context.platform, context.cloud).for_clients();
    let endpoint = endpoints.into_iter().next().unwrap_or_default();
    match context.observed.kubernetes.value() {
        Some(kubernetes) if kubernetes.through_endpoint => {
            Outcome::done(format!("the Kubernetes API answers at {endpoint}"), context.observed.kubernetes.at())
        }
        _ => Outcome::waiting(Wait::Api { endpoint }),
    }
}

fn is_target(balancer: &LoadBalancer, server: u64) -> bool {
    balancer.targets.iter().any(|target| target.server == server)
}

/// One control plane that is not a target yet and should be.
fn addition(context: &Context<'_>, balancer: &LoadBalancer) -> Option<Step> {
    let wanted = |machine: &MachineName| {
        let configured = matches!(context.observed.talos_of(machine), Some(TalosFacts::Configured { .. }));
        configured && !etcd_gone(context, machine)
    };
    servers::control_planes(context)
        .into_iter()
        .filter(wanted)
        .filter_map(|machine| Some((context.server_of(&machine)?, machine)))
        .find(|(server, _)| server.private_ipv4.is_some() && !is_target(balancer, server.id))
        .map(|(server, machine)| Step::AddLoadBalancerTarget { load_balancer: balancer.id, server: server.id, machine })
}

/// One target to take out, if another healthy one is left.
fn removal(context: &Context<'_>, balancer: &LoadBalancer) -> Option<Step> {
    let gone = balancer.targets.iter().find(|target| {
        let server = context.cloud.servers.iter().find(|server| server.id == target.server);
        match server.and_then(|server| MachineName::parse(&server.name).ok()) {
            Some(machine) => etcd_gone(context, &machine),
            None => true,
        }
    })?;
    let another = balancer.targets.iter().any(|t| t.server != gone.server && t.health == TargetHealth::Healthy);
    if !another {
        return None;
    }
    let machine = context.cloud.servers.iter().find(|server| server.id == gone.server);
    Some(Step::RemoveLoadBalancerTarget {
        load_balancer: balancer.id,
        server: gone.server,
        machine: machine.and_then(|server| MachineName::parse(&server.name).ok()),
    })
}

/// Whether a machine in service is known to have no etcd. While etcd is being bootstrapped or joined, none is known.
fn etcd_gone(context: &Context<'_>, machine: &MachineName) -> bool {
    let in_service =
        matches!(context.observed.talos_of(machine), Some(TalosFacts::Configured { stage: MachineStage::Running, .. }));
    in_service && !etcd::serves(context, machine) && context.observed.etcd.value().is_some()
}
