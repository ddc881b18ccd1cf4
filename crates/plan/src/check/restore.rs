//! What must hold of plans that save etcd or bring it up again: once by each record, nowhere beside what is left of the lost
//! one, and never without a snapshot to go back to.

use helix_crds::{ApprovalMode, Disruption};
use jiff::SignedDuration;

use super::day_two::rebooted;
use super::{Subject, steps};
use crate::observed::{CloudFacts, Fact, StoreFacts};
use crate::quorum::majority;
use crate::step::Step;

/// Etcd comes up from a snapshot only by an open record, on the server that it names, once nothing of the lost one is left.
pub(super) fn one_restore(subject: &Subject<'_>, cloud: &CloudFacts, store: &StoreFacts) -> Vec<String> {
    let led = subject.observed.etcd.value().is_some_and(|etcd| !etcd.members.is_empty());
    let open = store.restore.as_ref().filter(|record| record.is_open());
    let left = |id: &u64| cloud.servers.iter().any(|server| server.id == *id);
    steps(subject)
        .filter_map(|step| match step {
            Step::RecoverEtcd { machine, server, snapshot } => match open {
                Some(record)
                    if record.snapshot == *snapshot
                        && record
                            .target
                            .as_ref()
                            .is_some_and(|it| it.server_id == *server && it.machine == *machine)
                        && !record.leftovers.iter().any(left)
                        && !led =>
                {
                    None
                }
                _ => Some(format!("etcd is restored on {machine} (server {server}) without a record of it")),
            },
            Step::RecordRestore(new) if new.is_open() && led && open.is_none() => {
                let voters = subject.observed.etcd.value().map_or(0, |etcd| etcd.members.len());
                let answering = subject.observed.talos.values().filter_map(Fact::value);
                let healthy = answering.filter(|talos| talos.serves("etcd")).count();
                (healthy >= majority(voters)).then(|| "a restore begins while etcd has its quorum".to_owned())
            }
            _ => None,
        })
        .collect()
}

/// The newest snapshot is what a restore needs.
pub(super) fn newest_snapshot_is_kept(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let newest = subject.observed.backups.newest();
    steps(subject)
        .filter_map(|step| match step {
            Step::PruneSnapshot { key } if newest.is_none_or(|newest| newest.key == *key) => {
                Some(format!("{key} is pruned, and no newer snapshot is known"))
            }
            _ => None,
        })
        .collect()
}

/// The only voter of etcd reboots after a snapshot, or by an approval of the downtime.
pub(super) fn downtime_is_saved_or_approved(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    const SAVED: SignedDuration = SignedDuration::from_mins(10);
    let (Some(platform), Some(etcd)) = (subject.platform, &subject.observed.etcd.value()) else { return Vec::new() };
    let mut voters = etcd.members.iter().filter(|member| !member.learner);
    let (Some(only), None) = (voters.next(), voters.next()) else { return Vec::new() };
    let newest = subject.observed.backups.newest().map(|newest| newest.taken_at + SAVED);
    let saved = newest.is_some_and(|until| Some(until) > subject.observed.etcd.at());
    let names_it = subject.plan.destruction.items().any(|item| item.disruption == Disruption::Downtime);
    // Where every change is asked about, the change is named and not what it does.
    let asked = names_it || platform.approval == ApprovalMode::Manual;
    let approved = asked && subject.plan.destruction.is_approved(platform.approval, &platform.approved);
    steps(subject)
        .filter(|step| rebooted(step).is_some_and(|machine| machine.to_string() == only.hostname))
        .filter(|_| !saved && !approved)
        .map(|step| format!("{step}, the only voter of etcd, which was neither saved before nor agreed to"))
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use crate::approval::Destruction;
    use crate::check::{Subject, Violation, check};
    use crate::names::{MachineName, PlatformIdentity};
    use crate::observed::{
        BundleFacts, CloudFacts, EtcdFacts, EtcdMember, Fact, Observed, RestoreRecord, RestoreTarget, Server,
        ServerStatus, Snapshot, StoreFacts,
    };
    use crate::phases::Concern;
    use crate::plan::{Look, Plan, PlanItem};
    use crate::report::Report;
    use crate::step::Step;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn identity() -> PlatformIdentity {
        PlatformIdentity { namespace: "n".to_owned(), name: "p".to_owned(), uid: "u".to_owned() }
    }

    fn machine() -> MachineName {
        identity().machine("cp", 0)
    }

    fn record() -> RestoreRecord {
        RestoreRecord {
            request: "latest".to_owned(),
            snapshot: "s".to_owned(),
            begun_at: NOW,
            leftovers: vec![1],
            target: Some(RestoreTarget { machine: machine(), server_id: 2 }),
            closed_at: None,
        }
    }

    fn server(id: u64) -> Server {
        let labels = identity().machine_labels(&machine());
        Server {
            id,
            name: machine().to_string(),
            status: ServerStatus::Running,
            server_type: String::new(),
            location: String::new(),
            public_ipv4: None,
            private: Vec::new(),
            placement_group: None,
            firewalls: Vec::new(),
            labels,
            locked: false,
            created: None,
        }
    }

    /// A world whose etcd is lost, with these servers and that record.
    fn world(servers: &[u64], restore: Option<RestoreRecord>) -> Observed {
        let cloud = CloudFacts { servers: servers.iter().map(|id| server(*id)).collect(), ..CloudFacts::default() };
        let bundle = Some(BundleFacts { digest: String::new() });
        let store = StoreFacts { bundle, restore, ..StoreFacts::default() };
        Observed { store: Fact::known(store, NOW), ..Observed::nothing(cloud, NOW) }
    }

    fn found(observed: &Observed, step: Step) -> Vec<&'static str> {
        let plan = Plan {
            items: vec![PlanItem { concern: Concern::Etcd, step }],
            report: Report::default(),
            look: Look { again_at: NOW, servers_at: NOW, project_at: NOW },
            destruction: Destruction::default(),
            approved: true,
        };
        let subject = Subject { identity: &identity(), platform: None, observed, farewell: None, plan: &plan };
        check(&subject).into_iter().map(|Violation { check, .. }| check).collect()
    }

    fn recover() -> Step {
        Step::RecoverEtcd { machine: machine(), server: 2, snapshot: "s".to_owned() }
    }

    #[test]
    fn etcd_is_restored_by_an_open_record_alone() {
        assert_eq!(found(&world(&[2], Some(record())), recover()), Vec::<&str>::new());
        let refused = ["one-restore-at-a-time"];
        let closed = RestoreRecord { closed_at: Some(NOW), ..record() };
        let untargeted = RestoreRecord { target: None, ..record() };
        let another = RestoreRecord { snapshot: "another".to_owned(), ..record() };
        for store in [None, Some(closed), Some(untargeted), Some(another)] {
            assert_eq!(found(&world(&[2], store.clone()), recover()), refused, "{store:?}");
        }
    }

    #[test]
    fn etcd_is_restored_beside_nothing_that_is_left_of_it() {
        assert_eq!(found(&world(&[1, 2], Some(record())), recover()), ["one-restore-at-a-time"], "a former server");
        let mut led = world(&[2], Some(record()));
        let member = EtcdMember { id: 7, hostname: machine().to_string(), learner: false };
        led.etcd = Fact::known(EtcdFacts { members: vec![member] }, NOW);
        assert_eq!(found(&led, recover()), ["one-restore-at-a-time"], "a member that tells of itself");
    }

    #[test]
    fn the_newest_snapshot_is_never_pruned() {
        let mut world = world(&[2], None);
        let snapshot = |key: &str| Snapshot { key: key.to_owned(), size_bytes: 1, taken_at: NOW };
        let prune = |key: &str| Step::PruneSnapshot { key: key.to_owned() };
        assert_eq!(found(&world, prune("old")), ["newest-snapshot-is-kept"], "nobody knows a newer one");
        world.backups.snapshots = Fact::known(vec![snapshot("old"), snapshot("new")], NOW);
        assert_eq!(found(&world, prune("old")), Vec::<&str>::new());
        assert_eq!(found(&world, prune("new")), ["newest-snapshot-is-kept"]);
    }
}
