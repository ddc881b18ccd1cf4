//! Where the API load balancer forwards to: every control plane that is configured, unless its etcd is gone.
//!
//! The health check takes an API server out that hangs or is down. One whose etcd is gone still refuses the anonymous
//! with 401 and so looks healthy: it is taken out here, as is one that leaves. The last target is never taken out.

use super::{Context, Outcome, etcd, load_balancer, servers};
use crate::disruption::Cause;
use crate::endpoints::api_endpoints;
use crate::names::MachineName;
use crate::observed::{LoadBalancer, LoadBalancerTarget, TalosFacts};
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
    let wanted = |machine: &&MachineName| {
        let configured = matches!(context.talos_of(machine), Some(TalosFacts::Configured { .. }));
        configured && !etcd_gone(context, machine)
    };
    servers::control_planes(context)
        .iter()
        .filter(wanted)
        .filter_map(|machine| Some((context.server_of(machine)?, machine)))
        .find(|(server, _)| context.cloud.private_ipv4(&server.private).is_some() && !is_target(balancer, server.id))
        .map(|(server, machine)| Step::AddLoadBalancerTarget {
            load_balancer: balancer.id,
            server: server.id,
            machine: machine.clone(),
        })
}

/// One target to take out, if another one is left that serves. What the load balancer says of their health is not asked:
/// it would call all of them healthy.
fn removal(context: &Context<'_>, balancer: &LoadBalancer) -> Option<Step> {
    let machine_of = |server: u64| {
        let server = context.cloud.servers.iter().find(|found| found.id == server)?;
        MachineName::parse(&server.name).ok()
    };
    let leaves = |machine: &MachineName| context.mark_of(machine).is_some_and(|mark| mark.cause == Cause::Leave);
    let gone = |target: &&LoadBalancerTarget| {
        machine_of(target.server).is_none_or(|machine| etcd_gone(context, &machine) || leaves(&machine))
    };
    let gone = balancer.targets.iter().find(gone)?;
    let serves =
        |target: &LoadBalancerTarget| machine_of(target.server).is_some_and(|machine| etcd::serves(context, &machine));
    let others = |target: &&LoadBalancerTarget| target.server != gone.server;
    balancer.targets.iter().filter(others).any(serves).then(|| Step::RemoveLoadBalancerTarget {
        load_balancer: balancer.id,
        server: gone.server,
        machine: machine_of(gone.server),
    })
}

/// Whether a machine has a vote in etcd but does not run it: it answers, and cannot serve. One that is only joining has
/// no vote yet; one that has just got it runs, and will be healthy in a moment.
fn etcd_gone(context: &Context<'_>, machine: &MachineName) -> bool {
    let name = machine.to_string();
    let votes = context
        .observed
        .etcd
        .value()
        .is_some_and(|etcd| etcd.members.iter().any(|member| member.hostname == name && !member.learner));
    votes
        && match context.talos_of(machine) {
            Some(talos @ TalosFacts::Configured { .. }) => !talos.runs(etcd::SERVICE),
            Some(TalosFacts::Maintenance { .. }) | None => false,
        }
}

#[cfg(test)]
mod tests {
    use helix_crds::HelixPlatform;
    use jiff::Timestamp;

    use crate::catalogue::dated_table;
    use crate::forecast::{assumed, forecast};
    use crate::observed::{CloudFacts, Fact, Observed, TalosFacts};
    use crate::plan::plan;
    use crate::step::Step;
    use crate::validated::ValidatedPlatform;

    /// What is planned for a platform at rest in which etcd is gone on the control planes in these slots.
    fn without_etcd_on(slots: &[u32]) -> Vec<Step> {
        let text = include_str!("../../../../manifests/examples/sandbox.yaml");
        let mut wanted: HelixPlatform = serde_saphyr::from_str(text).expect("the example parses");
        wanted.metadata.uid = Some("uid".into());
        let now = Timestamp::UNIX_EPOCH;
        let platform = ValidatedPlatform::new(&wanted, &dated_table(), now).expect("the example is good");
        let images = assumed::images(&platform);
        let nothing = Observed::nothing(CloudFacts { images, ..CloudFacts::default() }, now);
        let mut world = forecast(&platform, nothing, now).world;
        for slot in slots {
            let talos = world.talos.get_mut(&platform.identity.machine("cp", *slot));
            if let Some(Fact::Known { value: TalosFacts::Configured { services, .. }, .. }) = talos {
                services.retain(|service| service.id != "etcd");
            }
        }
        plan(&platform, &world, now).items.into_iter().map(|item| item.step).collect()
    }

    #[test]
    fn an_api_server_without_etcd_leaves_the_rotation() {
        let steps = without_etcd_on(&[1]);
        let [Step::RemoveLoadBalancerTarget { machine: Some(machine), .. }] = steps.as_slice() else {
            panic!("one removal expected, found {steps:?}")
        };
        assert_eq!(machine.to_string(), "sandbox-cp-1");
    }

    #[test]
    fn the_last_targets_stay() {
        assert_eq!(without_etcd_on(&[]), []);
        assert_eq!(without_etcd_on(&[0, 1, 2]), []);
    }
}
