//! What was adopted stays, and with it what it uses, so that a server that stays keeps its network and its firewall.

use std::collections::BTreeSet;

use super::{is_user, kept};
use crate::observed::{CloudFacts, Labelled, Named, is_adopted};
use crate::step::{ResourceKind, Step};

/// What outlives the platform because it was there before: what was adopted, and what that uses.
#[must_use]
pub fn staying(cloud: &CloudFacts) -> BTreeSet<Named> {
    let adopted = cloud.labelled().filter(|it| is_adopted(it.labels)).map(|it| it.named);
    let mut staying: BTreeSet<Named> = adopted.collect();
    let mut used = BTreeSet::new();
    let stays = |kind: ResourceKind, id: u64| staying.contains(&Named { kind, id });
    for server in cloud.servers.iter().filter(|server| stays(ResourceKind::Server, server.id)) {
        used.extend(server.private.iter().map(|place| Named { kind: ResourceKind::Network, id: place.network }));
        used.extend(server.firewalls.iter().map(|id| Named { kind: ResourceKind::Firewall, id: *id }));
        used.extend(server.placement_group.map(|id| Named { kind: ResourceKind::PlacementGroup, id }));
    }
    for balancer in cloud.load_balancers.iter().filter(|balancer| stays(ResourceKind::LoadBalancer, balancer.id)) {
        used.extend(balancer.private.iter().map(|place| Named { kind: ResourceKind::Network, id: place.network }));
    }
    staying.extend(used.into_iter().filter(|named| cloud.has(*named)));
    staying
}

/// Lets go of what stays: what is used first, because who uses it says that it stays.
pub(super) fn release(cloud: &CloudFacts) -> Vec<Step> {
    let staying = staying(cloud);
    let (users, used): (Vec<_>, Vec<_>) =
        cloud.labelled().filter(|it| staying.contains(&it.named)).partition(|it| is_user(it.named.kind));
    let first = if used.is_empty() { users } else { used };
    let release = |it: Labelled<'_>| {
        let Named { kind, id } = it.named;
        Step::ReleaseResource { kind, id, name: it.name.to_owned(), labels: kept::without_ours(it.labels) }
    };
    first.into_iter().map(release).collect()
}
