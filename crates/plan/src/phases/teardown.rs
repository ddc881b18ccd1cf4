//! The end of a platform: everything that carries its label is deleted, users before what they use. The secrets go when
//! no server is left, and before the last resource. Works on whatever is there, so half-built platforms go the same way.
//!
//! What was made from inside the cluster goes first, while there is a cluster: its own controllers are asked to remove it
//! ([`inside`]). What they leave, and what nobody can be asked about any more, is deleted by its proof ([`crate::inside`]).
//! What is to stay is stripped of what only this platform had use for, and let go of ([`kept`]). What was adopted was there
//! before the platform and outlives it: it is let go of last of all, and with it what it uses ([`adopted`]).

mod adopted;
mod inside;
mod kept;
mod mesh;

use jiff::Timestamp;

pub use adopted::staying;

use super::{Outcome, names};
use crate::farewell::Farewell;
use crate::guard::{self, Guard};
use crate::inside::proved;
use crate::observed::{CloudFacts, Named, Observed, ServerStatus, StoreFacts};
use crate::report::{Block, Wait};
use crate::step::{ResourceKind, Step};

/// One resource that is left.
struct Left {
    kind: ResourceKind,
    id: u64,
    name: String,
    /// What has to be done about it now; nothing while it is on its way out.
    step: Option<Step>,
}

impl Left {
    fn deleted(kind: ResourceKind, id: u64, name: &str) -> Self {
        let step = Step::DeleteResource { kind, id, name: name.to_owned() };
        Self { kind, id, name: name.to_owned(), step: Some(step) }
    }

    fn words(&self) -> String {
        format!("{} {}", self.kind.words(), self.name)
    }
}

pub(crate) fn plan(
    farewell: &Farewell,
    observed: &Observed,
    cloud: &CloudFacts,
    store: &StoreFacts,
    now: Timestamp,
) -> Outcome {
    if let Some(outcome) = names::leave(observed) {
        return outcome;
    }
    if let Some(outcome) = inside::plan(farewell, observed, store, cloud, now) {
        return outcome;
    }
    // Before the servers: some hang on nothing else that could prove whose they are.
    let from_inside: Vec<Left> =
        proved(cloud, farewell).map(|it| Left::deleted(ResourceKind::LoadBalancer, it.id, &it.name)).collect();
    if !from_inside.is_empty() {
        return carry_on(from_inside, now);
    }
    if !cloud.is_unused() && guard::holds(Guard::SecretsLast) {
        return carry_on(left_of(true, farewell, cloud), now);
    }
    if cloud.is_unused()
        && let Some(outcome) = mesh::leave(observed)
    {
        return outcome;
    }
    // No server is left that the secrets could be needed for. They go while something is there still: that secrets are
    // stored and the project is empty can then only mean that it is the wrong project.
    match &store.bootstrap {
        Some(record) if cloud.is_empty() => {
            Outcome::blocked(Block::WrongProject { platform: record.machine.platform().to_owned() })
        }
        _ if !store.is_empty() => Outcome::step(Step::ForgetSecrets),
        _ if !cloud.is_empty() => {
            let rest = left_of(false, farewell, cloud);
            if rest.is_empty() { Outcome::steps(adopted::release(cloud)) } else { carry_on(rest, now) }
        }
        _ => Outcome::done("nothing of the platform is left", observed.cloud.at().or(Some(now))),
    }
}

/// Does what can be done about what is left, or waits for what is on its way out.
fn carry_on(left: Vec<Left>, now: Timestamp) -> Outcome {
    let steps: Vec<Step> = left.iter().filter_map(|left| left.step.clone()).collect();
    match left.first() {
        // What is still there is servers on their way out; everything else goes with its request.
        Some(example) if steps.is_empty() => {
            let wait = Wait::Deletion { left: left.len(), example: example.words() };
            Outcome::waiting_for_servers(wait, now)
        }
        _ => Outcome::steps(steps),
    }
}

/// What is left, and is not to stay with what was adopted, of what uses other resources or of the rest.
fn left_of(users: bool, farewell: &Farewell, cloud: &CloudFacts) -> Vec<Left> {
    let staying = staying(cloud);
    let kinds = ResourceKind::TEARDOWN_ORDER.into_iter().filter(|kind| is_user(*kind) == users);
    let left = kinds.flat_map(|kind| of_kind(kind, farewell, cloud));
    left.filter(|left| !staying.contains(&Named { kind: left.kind, id: left.id })).collect()
}

/// Whether resources of this kind use others: servers and load balancers do.
fn is_user(kind: ResourceKind) -> bool {
    matches!(kind, ResourceKind::Server | ResourceKind::LoadBalancer)
}

fn of_kind(kind: ResourceKind, farewell: &Farewell, cloud: &CloudFacts) -> Vec<Left> {
    let keeps = farewell.keeps(kind);
    let gone = |id: u64, name: &str| Left::deleted(kind, id, name);
    match kind {
        ResourceKind::Server => cloud
            .servers
            .iter()
            .map(|server| match server.status {
                ServerStatus::Deleting => Left { step: None, ..gone(server.id, &server.name) },
                _ => gone(server.id, &server.name),
            })
            .collect(),
        ResourceKind::LoadBalancer if keeps => {
            cloud.load_balancers.iter().map(|it| kept::load_balancer(it, cloud)).collect()
        }
        ResourceKind::LoadBalancer => cloud.load_balancers.iter().map(|it| gone(it.id, &it.name)).collect(),
        ResourceKind::Volume => cloud.volumes.iter().map(|it| kept::volume(it, keeps)).collect(),
        ResourceKind::PlacementGroup => cloud.placement_groups.iter().map(|it| gone(it.id, &it.name)).collect(),
        ResourceKind::Firewall => cloud.firewalls.iter().map(|it| gone(it.id, &it.name)).collect(),
        ResourceKind::SshKey => cloud.ssh_keys.iter().map(|it| gone(it.id, &it.name)).collect(),
        ResourceKind::Network => cloud.networks.iter().map(|it| gone(it.id, &it.name)).collect(),
    }
}
