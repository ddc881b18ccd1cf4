//! The end of a platform: everything that carries its label is deleted, users before what they use. The secrets go when
//! no server is left, and before the last resource. Works on whatever is there, so half-built platforms go the same way.

use jiff::Timestamp;

use super::Outcome;
use crate::guard::{self, Guard};
use crate::observed::{CloudFacts, Observed, ServerStatus, StoreFacts};
use crate::report::{Block, Wait};
use crate::step::{ResourceKind, Step};

/// One resource that is left.
struct Left {
    id: u64,
    name: String,
    going: bool,
}

pub(crate) fn plan(observed: &Observed, cloud: &CloudFacts, store: &StoreFacts, now: Timestamp) -> Outcome {
    if !cloud.is_unused() && guard::holds(Guard::SecretsLast) {
        return delete(true, cloud, now);
    }
    // No server is left that the secrets could be needed for. They go while something is there still: that secrets are
    // stored and the project is empty can then only mean that it is the wrong project.
    match &store.bootstrap {
        Some(record) if cloud.is_empty() => {
            Outcome::blocked(Block::WrongProject { platform: record.machine.platform().to_owned() })
        }
        _ if !store.is_empty() => Outcome::step(Step::ForgetSecrets),
        _ if !cloud.is_empty() => delete(false, cloud, now),
        _ => Outcome::done("nothing of the platform is left", observed.cloud.at().or(Some(now))),
    }
}

/// Deletes either what uses other resources, which are servers and load balancers, or the rest; and waits for what is on
/// its way out.
fn delete(users: bool, cloud: &CloudFacts, now: Timestamp) -> Outcome {
    let is_user = |kind: &ResourceKind| matches!(kind, ResourceKind::Server | ResourceKind::LoadBalancer);
    let mut steps = Vec::new();
    let mut left = Vec::new();
    for kind in ResourceKind::TEARDOWN_ORDER.into_iter().filter(|kind| is_user(kind) == users) {
        for resource in left_of(kind, cloud) {
            if !resource.going {
                steps.push(Step::DeleteResource { kind, id: resource.id, name: resource.name.clone() });
            }
            left.push(format!("{} {}", kind.words(), resource.name));
        }
    }
    match left.first() {
        // What is still there is servers on their way out; everything else goes with its request.
        Some(example) if steps.is_empty() => {
            let wait = Wait::Deletion { left: left.len(), example: example.clone() };
            Outcome::waiting_for_servers(wait, now)
        }
        _ => Outcome::steps(steps),
    }
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
