//! The end of a platform: everything that carries its label is deleted, users before what they use, and the secrets
//! last of all. Works on whatever is there, so half-built platforms go the same way.

use jiff::Timestamp;

use super::Outcome;
use crate::observed::{CloudFacts, Observed, ServerStatus, StoreFacts};
use crate::report::Wait;
use crate::step::{ResourceKind, Step};

/// One resource that is left.
struct Left {
    id: u64,
    name: String,
    going: bool,
}

pub(crate) fn plan(observed: &Observed, cloud: &CloudFacts, store: &StoreFacts, now: Timestamp) -> Outcome {
    // Servers and load balancers do not depend on one another; the rest may still be held by either.
    let mut steps = Vec::new();
    let mut left = Vec::new();
    for kind in ResourceKind::TEARDOWN_ORDER {
        let first = matches!(kind, ResourceKind::Server | ResourceKind::LoadBalancer);
        if !first && !left.is_empty() && holds_others(cloud) {
            break;
        }
        for resource in left_of(kind, cloud) {
            if !resource.going {
                steps.push(Step::DeleteResource { kind, id: resource.id, name: resource.name.clone() });
            }
            left.push(format!("{} {}", kind.words(), resource.name));
        }
    }
    if !steps.is_empty() {
        return Outcome::steps(steps);
    }
    if let Some(example) = left.first() {
        // What is still there is servers on their way out; everything else goes with its request.
        let wait = Wait::Deletion { left: left.len(), example: example.clone() };
        return Outcome::waiting_for_servers(wait, now);
    }
    let forgotten = store.bundle.is_none()
        && store.bootstrap.is_none()
        && store.kubeconfig.is_none()
        && store.talosconfig.is_none();
    if forgotten {
        return Outcome::done("nothing of the platform is left", observed.cloud.at().or(Some(now)));
    }
    Outcome::step(Step::ForgetSecrets)
}

/// Whether servers or load balancers are left, which hold networks, firewalls and groups.
fn holds_others(cloud: &CloudFacts) -> bool {
    !cloud.servers.is_empty() || !cloud.load_balancers.is_empty()
}

fn left_of(kind: ResourceKind, cloud: &CloudFacts) -> Vec<Left> {
    let left = |id: u64, name: &String| Left { id, name: name.clone(), going: false };
    match kind {
        ResourceKind::Server => cloud
            .servers
            .iter()
            .map(|s| Left { going: s.status == ServerStatus::Deleting, ..left(s.id, &s.name) })
            .collect(),
        ResourceKind::LoadBalancer => cloud.load_balancers.iter().map(|r| left(r.id, &r.name)).collect(),
        ResourceKind::PlacementGroup => cloud.placement_groups.iter().map(|r| left(r.id, &r.name)).collect(),
        ResourceKind::Firewall => cloud.firewalls.iter().map(|r| left(r.id, &r.name)).collect(),
        ResourceKind::SshKey => cloud.ssh_keys.iter().map(|r| left(r.id, &r.name)).collect(),
        ResourceKind::Network => cloud.networks.iter().map(|r| left(r.id, &r.name)).collect(),
    }
}
