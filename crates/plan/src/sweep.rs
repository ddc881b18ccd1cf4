//! Resources that carry a platform's label and whose platform is gone: what they are, whose they were, and what of them may
//! be deleted.
//!
//! That this management cluster has no such platform does not make a resource an orphan of its own: another Helix, with
//! another management cluster, may use the same project. An orphan is proved to be ours where its secret bundle is stored
//! here, and has been since before the first of its servers was made: a bundle is stored before its first use, so one that
//! came later is a copy, from a backup say, of a cluster that may live.
//!
//! Volumes and load balancers are never deleted here, whoever they were made by: `spec.onDelete.retain` may name them, and
//! nobody can say any more what it said. What was adopted was there before its platform and stays, with what it uses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use helix_crds::labels;
use jiff::{SignedDuration, Timestamp};

use crate::names::PlatformIdentity;
use crate::observed::{CloudFacts, Named, Record, Tags, host, is_adopted};
use crate::phases::teardown;
use crate::step::{RECORD, RecordChange, ResourceKind, Step};

/// How long something must have been an orphan before any of it is deleted: a platform that is being moved or restored has
/// that long to come back.
pub const GRACE: SignedDuration = SignedDuration::from_hours(1);

/// The most that one sweep deletes.
pub const MOST_AT_ONCE: usize = 20;

/// What is left of one platform that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The platform's UID.
    pub uid: String,
    /// Its name, as the label has it.
    pub platform: String,
    /// What is left: kind, id and name.
    pub resources: Vec<(ResourceKind, u64, String)>,
    /// Names that it still has: each one's zone, and its name there.
    pub names: Vec<(String, String)>,
    /// When the first was made of what tells when it was made.
    pub oldest: Option<Timestamp>,
}

impl Orphan {
    /// The platform that it was, in a namespace where it may have been.
    #[must_use]
    pub fn identity(&self, namespace: &str) -> PlatformIdentity {
        PlatformIdentity { namespace: namespace.to_owned(), name: self.platform.clone(), uid: self.uid.clone() }
    }

    /// How much is left of it.
    #[must_use]
    pub fn left(&self) -> usize {
        self.resources.len() + self.names.len()
    }

    /// Whether a bundle that has been stored since then is the one that its servers were made with.
    #[must_use]
    pub fn was_made_under(&self, bundle_since: Timestamp) -> bool {
        self.oldest.is_some_and(|oldest| bundle_since <= oldest)
    }
}

impl fmt::Display for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        let resources = self.resources.iter().map(|(kind, _, name)| format!("{} {name}", kind.words()));
        let names = self.names.iter().map(|(zone, name)| format!("{RECORD} {}", host(zone, name)));
        let told: Vec<String> = resources.chain(names).take(SHOWN).collect();
        write!(f, "platform {} ({}): {}", self.platform, self.uid, told.join(", "))?;
        let more = self.left().saturating_sub(SHOWN);
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}

/// Everything of a project, with its labels and, where it is told, when it was made.
fn labelled(cloud: &CloudFacts) -> impl Iterator<Item = (ResourceKind, u64, &String, &Tags, Option<Timestamp>)> {
    use ResourceKind::{Firewall, LoadBalancer, Network, PlacementGroup, Server, SshKey, Volume};
    let servers = cloud.servers.iter().map(|it| (Server, it.id, &it.name, &it.labels, it.created));
    let balancers = cloud.load_balancers.iter().map(|it| (LoadBalancer, it.id, &it.name, &it.labels, it.created));
    let volumes = cloud.volumes.iter().map(|it| (Volume, it.id, &it.name, &it.labels, None));
    let groups = cloud.placement_groups.iter().map(|it| (PlacementGroup, it.id, &it.name, &it.labels, None));
    let firewalls = cloud.firewalls.iter().map(|it| (Firewall, it.id, &it.name, &it.labels, None));
    let keys = cloud.ssh_keys.iter().map(|it| (SshKey, it.id, &it.name, &it.labels, None));
    let networks = cloud.networks.iter().map(|it| (Network, it.id, &it.name, &it.labels, None));
    servers.chain(balancers).chain(volumes).chain(groups).chain(firewalls).chain(keys).chain(networks)
}

/// The orphan that something with these labels is of, if it is of one.
fn orphan_of<'f>(
    tags: &Tags,
    living: &BTreeSet<String>,
    found: &'f mut BTreeMap<String, Orphan>,
) -> Option<&'f mut Orphan> {
    let uid = tags.get(labels::PLATFORM_UID).filter(|uid| !living.contains(*uid))?;
    Some(found.entry(uid.clone()).or_insert_with(|| Orphan {
        uid: uid.clone(),
        platform: tags.get(labels::PLATFORM).cloned().unwrap_or_default(),
        resources: Vec::new(),
        names: Vec::new(),
        oldest: None,
    }))
}

/// What a project holds of platforms that are not among the living, by UID.
#[must_use]
pub fn orphans(cloud: &CloudFacts, records: &[Record], living: &BTreeSet<String>) -> Vec<Orphan> {
    let mut found: BTreeMap<String, Orphan> = BTreeMap::new();
    for record in records {
        if let Some(orphan) = orphan_of(&record.labels, living, &mut found) {
            orphan.names.push((record.zone.clone(), record.name.clone()));
        }
    }
    for (kind, id, name, tags, created) in labelled(cloud) {
        let Some(orphan) = orphan_of(tags, living, &mut found) else { continue };
        orphan.resources.push((kind, id, name.clone()));
        // What was adopted is older than any bundle, and tells nothing of when the platform was made.
        let made = created.filter(|_| !is_adopted(tags));
        orphan.oldest = [orphan.oldest, made].into_iter().flatten().min();
    }
    found.into_values().collect()
}

/// What of an orphan that is proved to be ours is deleted next: its names, so that nobody is sent to what is gone, then
/// servers, and when there are none, what only they used. The network stays while anything that is not deleted here hangs on it.
#[must_use]
pub fn deletions(orphan: &Orphan, cloud: &CloudFacts) -> Vec<Step> {
    if !orphan.names.is_empty() {
        let deletion = |(zone, name): &(String, String)| {
            Step::ChangeRecord(RecordChange::Delete { zone: zone.clone(), name: name.clone() })
        };
        return orphan.names.iter().take(MOST_AT_ONCE).map(deletion).collect();
    }
    let staying = teardown::staying(cloud);
    let goes = |kind: ResourceKind, id: u64| !staying.contains(&Named { kind, id });
    let going: Vec<_> = orphan.resources.iter().filter(|(kind, id, _)| goes(*kind, *id)).collect();
    let of = |wanted: fn(ResourceKind) -> bool| {
        let wanted = going.iter().filter(move |(kind, _, _)| wanted(*kind));
        wanted.map(|(kind, id, name)| Step::DeleteResource { kind: *kind, id: *id, name: name.clone() })
    };
    let servers: Vec<Step> = of(|kind| kind == ResourceKind::Server).take(MOST_AT_ONCE).collect();
    if !servers.is_empty() {
        return servers;
    }
    let in_use = |network: u64| {
        let balancers = cloud.load_balancers.iter().chain(&cloud.unlabelled.load_balancers);
        let balanced = balancers.flat_map(|it| &it.private).any(|place| place.network == network);
        balanced || cloud.servers.iter().any(|it| it.is_in(network))
    };
    let rest = of(|kind| {
        matches!(
            kind,
            ResourceKind::PlacementGroup | ResourceKind::Firewall | ResourceKind::SshKey | ResourceKind::Network
        )
    });
    let stays =
        |step: &Step| matches!(step, Step::DeleteResource { kind: ResourceKind::Network, id, .. } if in_use(*id));
    rest.filter(|step| !stays(step)).take(MOST_AT_ONCE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farewell::tests::server;
    use crate::observed::{LoadBalancer, Network, PrivateNet, Volume};

    fn tags(uid: &str) -> Tags {
        Tags::from([(labels::PLATFORM_UID.to_owned(), uid.to_owned()), (labels::PLATFORM.to_owned(), "dev".to_owned())])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn project() -> CloudFacts {
        let mut cloud = CloudFacts::default();
        for (id, uid) in [(1, "lives"), (2, "gone"), (3, "gone")] {
            let mut server = server(id);
            (server.labels, server.created) = (tags(uid), Some(at(100 + id.cast_signed())));
            cloud.servers.push(server);
        }
        let cidr = "10.0.0.0/16".parse().unwrap();
        cloud.networks = vec![Network { id: 9, name: "dev".into(), labels: tags("gone"), cidr, subnets: Vec::new() }];
        let (labels, location) = (tags("gone"), "fsn1".to_owned());
        cloud.volumes = vec![Volume { id: 8, name: "data".into(), labels, location, size_gb: 10, server: None }];
        cloud
    }

    fn living() -> BTreeSet<String> {
        ["lives".to_owned()].into()
    }

    #[test]
    fn an_orphan_is_what_is_left_of_a_platform_that_is_not_among_the_living() {
        let found = orphans(&project(), &[], &living());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].uid.as_str(), found[0].resources.len(), found[0].oldest), ("gone", 4, Some(at(102))));
        assert!(orphans(&project(), &[], &["lives".to_owned(), "gone".to_owned()].into()).is_empty());
        assert!(found[0].was_made_under(at(50)));
        assert!(!found[0].was_made_under(at(500)), "a copy that came later proves nothing");
    }

    #[test]
    fn servers_go_first_then_what_they_used_and_never_what_may_have_been_asked_to_stay() {
        let mut cloud = project();
        let deleted = |cloud: &CloudFacts| -> Vec<String> {
            let found = orphans(cloud, &[], &living());
            deletions(&found[0], cloud).iter().map(ToString::to_string).collect()
        };
        assert_eq!(deleted(&cloud), ["delete server dev-general-2", "delete server dev-general-3"]);
        cloud.servers.truncate(1);
        assert_eq!(deleted(&cloud), ["delete network dev"]);
        cloud.unlabelled.load_balancers = vec![LoadBalancer {
            id: 7,
            name: "a1".into(),
            labels: Tags::new(),
            kind: "lb11".into(),
            location: "fsn1".into(),
            public: true,
            public_ipv4: None,
            private: vec![PrivateNet { network: 9, ip: None }],
            services: Vec::new(),
            targets: Vec::new(),
            created: None,
        }];
        assert!(deleted(&cloud).is_empty(), "the network is in use, and the volume stays");
    }

    #[test]
    fn names_are_left_of_a_platform_too_and_go_first() {
        let record = |uid: &str, name: &str| {
            let (zone, name) = ("example.com".to_owned(), name.to_owned());
            Record { zone, name, addresses: BTreeSet::new(), labels: tags(uid) }
        };
        let records = [record("lives", "www"), record("gone", "app"), record("forgotten", "@")];
        let found = orphans(&project(), &records, &living());
        let uids: Vec<&str> = found.iter().map(|orphan| orphan.uid.as_str()).collect();
        assert_eq!(uids, ["forgotten", "gone"]);
        assert_eq!(found[0].to_string(), "platform dev (forgotten): DNS record example.com");
        assert!(!found[0].was_made_under(at(0)), "a name tells nothing of when its platform was made");
        let deleted: Vec<String> = deletions(&found[1], &project()).iter().map(ToString::to_string).collect();
        assert_eq!(deleted, ["delete DNS record app.example.com"]);
    }

    #[test]
    fn what_was_adopted_stays_with_what_it_uses_and_proves_nothing() {
        let mut cloud = project();
        let adopted = &mut cloud.servers[1];
        adopted.labels.insert(labels::ADOPTED.to_owned(), "true".to_owned());
        adopted.created = Some(at(1));
        adopted.private = vec![PrivateNet { network: 9, ip: None }];
        let found = orphans(&cloud, &[], &living());
        assert_eq!(found[0].oldest, Some(at(103)), "it is older than the platform");
        let deleted: Vec<String> = deletions(&found[0], &cloud).iter().map(ToString::to_string).collect();
        assert_eq!(deleted, ["delete server dev-general-3"]);
        cloud.servers.truncate(2);
        assert!(deletions(&orphans(&cloud, &[], &living())[0], &cloud).is_empty(), "its network stays, too");
    }
}
