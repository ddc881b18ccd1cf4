//! The private network: one range, one cloud subnet in which all machines have their addresses.

use super::{Context, Outcome};
use crate::observed::Network;
use crate::step::{NewNetwork, Step};

/// The platform's network, once it has the subnet that machines need.
pub(super) fn ready<'a>(context: &Context<'a>) -> Option<&'a Network> {
    let wanted = &context.platform.network;
    context.cloud.networks.iter().find(|network| network.subnets.contains(&wanted.subnet))
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let wanted = &context.platform.network;
    let identity = &context.platform.identity;
    if let Some(network) = ready(context) {
        let what = format!("network {} ({}) has subnet {}", network.name, network.cidr, wanted.subnet);
        return Outcome::done(what, context.observed.cloud.at());
    }
    match context.cloud.networks.first() {
        Some(network) => {
            Outcome::step(Step::AddSubnet { network: network.id, subnet: wanted.subnet, zone: wanted.zone.clone() })
        }
        None => Outcome::step(Step::CreateNetwork(NewNetwork {
            name: identity.base_name(),
            labels: identity.labels(),
            cidr: wanted.cidr,
            subnet: wanted.subnet,
            zone: wanted.zone.clone(),
        })),
    }
}
