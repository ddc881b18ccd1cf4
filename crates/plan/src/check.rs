//! The second opinion: what must hold of every plan, whoever made it. A plan that fails a check is never applied.
//!
//! One row of [`CHECKS`] for each invariant that a plan can show. Rows look at the plan and the facts alone and share
//! no code with the planner but the types; a mistake there should not be repeated here.

mod adoption;
mod components;
mod data;
mod day_two;
mod labelled;
mod leaving;
mod names;
mod ports;
mod restore;
mod rotation;

use std::collections::{BTreeMap, BTreeSet};

use helix_crds::labels;

use crate::farewell::Farewell;
use crate::guard::{self, Guard};
use crate::names::PlatformIdentity;
use crate::observed::{CloudFacts, Observed, StoreFacts, is_adopted};
use crate::plan::Plan;
use crate::quorum::majority;
use crate::step::{ResourceKind, Step};
use crate::validated::ValidatedPlatform;

/// What a row may look at.
pub struct Subject<'a> {
    /// Whose plan it is.
    pub identity: &'a PlatformIdentity,
    /// What is wanted, and what of it is approved; none during a teardown.
    pub platform: Option<&'a ValidatedPlatform>,
    /// How the platform goes; none while it is to stay.
    pub farewell: Option<&'a Farewell>,
    /// The facts that it was made from.
    pub observed: &'a Observed,
    /// The plan.
    pub plan: &'a Plan,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The number of the invariant, as in the documents.
    pub invariant: u8,
    /// The row's name.
    pub check: &'static str,
    /// What was found.
    pub found: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "invariant {} ({}): {}", self.invariant, self.check, self.found)
    }
}

/// An invariant, as a function over a plan.
pub struct Check {
    /// The number of the invariant.
    pub invariant: u8,
    /// Its name.
    pub name: &'static str,
    /// The guards whose work it repeats: when the simulation breaks one of them, this row must not hide it.
    backs: &'static [Guard],
    find: fn(&Subject<'_>, &CloudFacts, &StoreFacts) -> Vec<String>,
}

/// Every invariant that a plan can show.
pub const CHECKS: [Check; 28] = [
    Check { invariant: 1, name: "one-server-per-machine", backs: &[], find: one_server_per_machine },
    Check { invariant: 2, name: "only-what-is-ours", backs: &[Guard::ProofOfOrigin], find: only_what_is_ours },
    Check { invariant: 2, name: "adopted-only-as-named", backs: &[], find: adoption::only_as_named },
    Check {
        invariant: 7,
        name: "what-is-to-stay-is-kept",
        backs: &[Guard::RetainedStays],
        find: leaving::what_is_to_stay_is_kept,
    },
    Check {
        invariant: 3,
        name: "quorum-is-kept",
        backs: &[Guard::QuorumMayRemove, Guard::OneControlPlane],
        find: quorum_is_kept,
    },
    Check {
        invariant: 3,
        name: "quorum-outlasts-a-reboot",
        backs: &[Guard::QuorumMayPause],
        find: day_two::quorum_outlasts_a_reboot,
    },
    Check {
        invariant: 3,
        name: "one-control-plane-at-a-time",
        backs: &[Guard::OneControlPlane],
        find: day_two::one_control_plane_at_a_time,
    },
    Check {
        invariant: 3,
        name: "downtime-is-saved-or-approved",
        backs: &[Guard::Approval],
        find: restore::downtime_is_saved_or_approved,
    },
    Check { invariant: 3, name: "member-goes-before-server", backs: &[], find: day_two::member_goes_before_server },
    Check {
        invariant: 4,
        name: "one-bootstrap",
        backs: &[Guard::BootstrapRecord, Guard::BootstrapOnRecorded],
        find: one_bootstrap,
    },
    Check { invariant: 4, name: "one-restore-at-a-time", backs: &[], find: restore::one_restore },
    Check { invariant: 4, name: "newest-snapshot-is-kept", backs: &[], find: restore::newest_snapshot_is_kept },
    Check { invariant: 5, name: "bundle-before-use", backs: &[Guard::BundleOnce], find: bundle_before_use },
    Check {
        invariant: 7,
        name: "secrets-outlive-servers",
        backs: &[Guard::SecretsLast],
        find: secrets_outlive_servers,
    },
    Check { invariant: 2, name: "labelled-as-ours", backs: &[], find: labelled::as_ours },
    Check {
        invariant: 10,
        name: "destroyed-only-as-approved",
        backs: &[Guard::Approval],
        find: day_two::destroyed_only_as_approved,
    },
    Check {
        invariant: 10,
        name: "changed-only-as-approved",
        backs: &[Guard::Approval],
        find: day_two::changed_only_as_approved,
    },
    Check {
        invariant: 16,
        name: "held-machines-are-left-alone",
        backs: &[],
        find: day_two::held_machines_are_left_alone,
    },
    Check { invariant: 0, name: "authorities-go-only-when-known", backs: &[], find: rotation::only_when_known },
    Check { invariant: 12, name: "one-step-per-target", backs: &[], find: one_step_per_target },
    Check { invariant: 2, name: "only-our-records", backs: &[], find: names::only_our_records },
    Check { invariant: 13, name: "admin-ports-guarded", backs: &[], find: ports::guarded },
    Check { invariant: 13, name: "narrowed-only-when-proved", backs: &[], find: ports::narrowed_only_when_proved },
    Check { invariant: 13, name: "only-the-ingress-is-exposed", backs: &[], find: components::only_ingress_is_exposed },
    Check { invariant: 0, name: "last-copy-stays", backs: &[Guard::LastCopy], find: data::last_copy_stays },
    Check { invariant: 0, name: "what-holds-data-is-kept", backs: &[Guard::DataStays], find: data::is_kept },
    Check { invariant: 9, name: "no-rendered-secret", backs: &[], find: components::no_rendered_secret },
    Check {
        invariant: 13,
        name: "policies-and-predecessors-first",
        backs: &[],
        find: components::each_after_its_needs,
    },
];

/// Holds a plan against every invariant; an empty answer lets it pass.
#[must_use]
pub fn check(subject: &Subject<'_>) -> Vec<Violation> {
    let (Some(cloud), Some(store)) = (subject.observed.cloud.value(), subject.observed.store.value()) else {
        return blind(subject.plan);
    };
    CHECKS
        .iter()
        .filter(|row| !row.backs.iter().any(|guard| !guard::holds(*guard)))
        .flat_map(|row| {
            (row.find)(subject, cloud, store).into_iter().map(|found| Violation {
                invariant: row.invariant,
                check: row.name,
                found,
            })
        })
        .collect()
}

/// Without facts about Hetzner and the store no step is right.
fn blind(plan: &Plan) -> Vec<Violation> {
    plan.items
        .iter()
        .map(|item| Violation { invariant: 16, check: "nothing-done-blindly", found: item.step.to_string() })
        .collect()
}

fn steps<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = &'a Step> {
    subject.plan.items.iter().map(|item| &item.step)
}

fn one_server_per_machine(subject: &Subject<'_>, cloud: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let mut seen: BTreeSet<String> = cloud.servers.iter().map(|server| server.name.clone()).collect();
    seen.extend(cloud.servers.iter().filter_map(|server| server.labels.get(labels::MACHINE).cloned()));
    steps(subject)
        .filter_map(|step| match step {
            Step::CreateServer(new) => Some(new.machine.to_string()),
            _ => None,
        })
        .filter(|machine| !seen.insert(machine.clone()))
        .map(|machine| format!("a second server for {machine}"))
        .collect()
}

/// The ids of a kind that carry our label.
fn ours(kind: ResourceKind, cloud: &CloudFacts, identity: &PlatformIdentity) -> BTreeSet<u64> {
    let owned = cloud.labelled().filter(|it| it.named.kind == kind && identity.owns(it.labels));
    owned.map(|it| it.named.id).collect()
}

/// What existing resources a step changes.
fn touches(step: &Step) -> Vec<(ResourceKind, u64)> {
    use ResourceKind::{Firewall, LoadBalancer, Network, PlacementGroup, Server, SshKey};
    match step {
        Step::AddSubnet { network, .. } => vec![(Network, *network)],
        Step::SetFirewallRules { firewall, .. } => vec![(Firewall, *firewall)],
        Step::SetLoadBalancerService { load_balancer, .. } | Step::SetLoadBalancerPublic { load_balancer, .. } => {
            vec![(LoadBalancer, *load_balancer)]
        }
        Step::AttachLoadBalancer { load_balancer, network, .. } => {
            vec![(LoadBalancer, *load_balancer), (Network, *network)]
        }
        Step::AddLoadBalancerTarget { load_balancer, server, .. } => {
            vec![(LoadBalancer, *load_balancer), (Server, *server)]
        }
        // The server may be gone; taking it out of our own load balancer is all that happens.
        Step::RemoveLoadBalancerTarget { load_balancer, .. } => vec![(LoadBalancer, *load_balancer)],
        Step::AttachServer { server, network, .. } => vec![(Server, *server), (Network, *network)],
        Step::ApplyFirewall { firewall, server, .. } => vec![(Firewall, *firewall), (Server, *server)],
        Step::PowerOnServer { server, .. }
        | Step::RecoverEtcd { server, .. }
        | Step::RecordBootstrap { server, .. }
        | Step::BootstrapEtcd { server, .. } => vec![(Server, *server)],
        Step::ConfigureMachine { inputs, .. } | Step::ReconfigureMachine { inputs, .. } => {
            vec![(Server, inputs.server_id)]
        }
        Step::DeleteResource { kind, id, .. } | Step::ReleaseResource { kind, id, .. } => vec![(*kind, *id)],
        Step::DetachVolume { volume, .. } => vec![(ResourceKind::Volume, *volume)],
        Step::RemoveLoadBalancerService { load_balancer, .. } => vec![(LoadBalancer, *load_balancer)],
        Step::DetachLoadBalancer { load_balancer, network, .. } => {
            vec![(LoadBalancer, *load_balancer), (Network, *network)]
        }
        Step::CreateServer(new) => {
            let group = new.placement_group.map(|group| (PlacementGroup, group));
            let rest = [(Network, new.network), (Firewall, new.firewall), (SshKey, new.ssh_key)];
            rest.into_iter().chain(group).collect()
        }
        Step::CreateLoadBalancer(new) => vec![(Network, new.network)],
        // What is not the platform's yet is judged by a row of its own, and so are records, which have no id.
        Step::AdoptResource { .. }
        | Step::ChangeRecord(_)
        | Step::ChangeMesh(_)
        | Step::CreateSecretBundle
        | Step::CreateNetwork(_)
        | Step::CreateFirewall(_)
        | Step::CreateSshKey { .. }
        | Step::CreatePlacementGroup { .. }
        | Step::RecordRestore(_)
        | Step::TakeSnapshot { .. }
        | Step::PruneSnapshot { .. }
        | Step::RestartKubelet { .. }
        | Step::RemoveEtcdMember { .. }
        | Step::BeginRotation { .. }
        | Step::AdvanceRotation { .. }
        | Step::StoreKubeconfig { .. }
        | Step::StoreTalosconfig { .. }
        | Step::PatchNode { .. }
        | Step::MarkNode { .. }
        | Step::UnmarkNode { .. }
        | Step::EvictPods { .. }
        | Step::UpgradeTalos { .. }
        | Step::DeleteNode { .. }
        | Step::DeleteService(_)
        | Step::DeleteClaim(_)
        | Step::RenderChart { .. }
        | Step::ApplyObjects { .. }
        | Step::PutSecret { .. }
        | Step::PruneObjects { .. }
        | Step::PublishTree { .. }
        | Step::ForgetSecrets => Vec::new(),
    }
}

fn only_what_is_ours(subject: &Subject<'_>, cloud: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let mut owned: BTreeMap<ResourceKind, BTreeSet<u64>> = BTreeMap::new();
    let mut found = Vec::new();
    for step in steps(subject) {
        for (kind, id) in touches(step) {
            let ours = owned.entry(kind).or_insert_with(|| ours(kind, cloud, subject.identity));
            let is_deleted = matches!(step, Step::DeleteResource { .. });
            let permitted = ours.contains(&id) || is_deleted && leaving::comes_from_inside(subject, cloud, kind, id);
            if !permitted {
                found.push(format!("{step} touches {} {id}, which is not this platform's", kind.words()));
            }
        }
    }
    found
}

fn quorum_is_kept(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let removed: Vec<u64> = steps(subject)
        .filter_map(|step| match step {
            Step::RemoveEtcdMember { member, .. } => Some(*member),
            _ => None,
        })
        .collect();
    if removed.is_empty() {
        return Vec::new();
    }
    if removed.len() > 1 {
        return vec![format!("{} etcd members are removed at once", removed.len())];
    }
    let Some(etcd) = subject.observed.etcd.value() else {
        return vec!["an etcd member is removed while the membership is unknown".to_owned()];
    };
    let ours = |hostname: &str| subject.identity.machine_of(hostname).is_some();
    if let Some(foreign) = etcd.members.iter().find(|m| removed.contains(&m.id) && !ours(&m.hostname)) {
        return vec![format!("etcd member {} is removed, which is no machine of this platform", foreign.hostname)];
    }
    let left: Vec<_> = etcd.members.iter().filter(|m| !m.learner && !removed.contains(&m.id)).collect();
    let answers = |hostname: &str| {
        let machine = subject.identity.machine_of(hostname);
        machine.and_then(|machine| subject.observed.talos_of(&machine)).is_some_and(|talos| talos.serves("etcd"))
    };
    let healthy = left.iter().filter(|member| answers(&member.hostname)).count();
    if left.is_empty() || healthy < majority(left.len()) {
        return vec![format!("{healthy} of {} voters would answer", left.len())];
    }
    Vec::new()
}

fn one_bootstrap(subject: &Subject<'_>, _: &CloudFacts, store: &StoreFacts) -> Vec<String> {
    let members = subject.observed.etcd.value().map_or(0, |etcd| etcd.members.len());
    steps(subject)
        .filter_map(|step| match step {
            Step::BootstrapEtcd { machine, server } => match &store.bootstrap {
                Some(_) if store.restore.is_some() => Some(format!("bootstrap of {machine} after a restore")),
                Some(record) if record.server_id == *server && record.machine == *machine && members == 0 => None,
                Some(record) => Some(format!(
                    "bootstrap of {machine} (server {server}) with {members} members, while the record says {} (server {})",
                    record.machine, record.server_id
                )),
                None => Some(format!("bootstrap of {machine} without a record")),
            },
            Step::RecordBootstrap { machine, .. } if store.bootstrap.is_some() || members > 0 => {
                Some(format!("a second bootstrap record, for {machine}"))
            }
            _ => None,
        })
        .collect()
}

fn bundle_before_use(subject: &Subject<'_>, cloud: &CloudFacts, store: &StoreFacts) -> Vec<String> {
    let stored = store.bundle.is_some();
    steps(subject)
        .filter(|step| match step {
            Step::CreateSecretBundle => stored || !cloud.servers.is_empty(),
            Step::CreateServer(_)
            | Step::ConfigureMachine { .. }
            | Step::ReconfigureMachine { .. }
            | Step::BeginRotation { .. }
            | Step::StoreKubeconfig { .. }
            | Step::StoreTalosconfig { .. } => !stored,
            _ => false,
        })
        .map(|step| format!("{step} while the bundle is {}", if stored { "stored already" } else { "not stored" }))
        .collect()
}

fn secrets_outlive_servers(subject: &Subject<'_>, cloud: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let forgets = steps(subject).any(|step| matches!(step, Step::ForgetSecrets));
    let servers = cloud.servers.iter().filter(|server| !is_adopted(&server.labels)).count();
    if forgets && servers > 0 {
        return vec![format!("secrets are forgotten while {servers} servers exist")];
    }
    Vec::new()
}

fn one_step_per_target(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let mut seen = BTreeSet::new();
    steps(subject)
        .filter(|step| !seen.insert(step.target()))
        .map(|step| format!("two steps for {}", step.target()))
        .collect()
}
