//! What must hold of the plans of a teardown: what comes from inside the cluster is proved, and what is to stay is kept.

use helix_crds::labels;

use super::{Subject, steps};
use crate::farewell::Kept;
use crate::observed::{CloudFacts, StoreFacts};
use crate::step::{ResourceKind, Step};

/// Whether a load balancer without our label is of a recorded Service and hangs on our network or on one of our servers.
pub(super) fn comes_from_inside(subject: &Subject<'_>, cloud: &CloudFacts, kind: ResourceKind, id: u64) -> bool {
    let (ResourceKind::LoadBalancer, Some(farewell)) = (kind, subject.farewell) else { return false };
    let Some(balancer) = cloud.unlabelled.load_balancers.iter().find(|it| it.id == id) else { return false };
    let recorded = balancer.labels.get(labels::SERVICE_UID).is_some_and(|uid| farewell.services.contains(uid));
    let in_network = balancer.private.iter().any(|place| cloud.networks.iter().any(|it| it.id == place.network));
    let at_server = balancer.targets.iter().any(|target| cloud.servers.iter().any(|it| it.id == target.server));
    recorded && (in_network || at_server)
}

/// Nothing is deleted that was asked to stay, at Hetzner or by the cluster's own means.
pub(super) fn what_is_to_stay_is_kept(subject: &Subject<'_>, cloud: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let Some(farewell) = subject.farewell else { return Vec::new() };
    let volumes = farewell.retain.contains(&Kept::Volumes);
    let address = farewell.retain.contains(&Kept::LoadBalancer);
    let api = |id: u64| cloud.load_balancers.iter().any(|it| it.id == id && subject.identity.owns(&it.labels));
    steps(subject)
        .filter(|step| match step {
            Step::DeleteClaim(_) | Step::DeleteResource { kind: ResourceKind::Volume, .. } => volumes,
            Step::DeleteResource { kind: ResourceKind::LoadBalancer, id, .. } => address && api(*id),
            _ => false,
        })
        .map(|step| format!("{step}, which spec.onDelete.retain asks to keep"))
        .collect()
}
