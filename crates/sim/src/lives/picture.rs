//! What invariants look at: the world in one moment, as nobody inside of it can see it.

use std::collections::{BTreeMap, BTreeSet};

use helix_crds::labels;

use crate::inprocess::Inner;
use crate::world::machine::{Guest, NodeCondition, ObjectKey};
use crate::world::{Labels, Meta, ServerStatus};

/// One server of the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// The server's name.
    pub(super) name: String,
    /// The machine's pool.
    pub(super) pool: String,
    /// Its type and location.
    pub(super) placement: (&'static str, &'static str),
    /// Whether it is on its way out.
    pub(super) going: bool,
    /// Whether its services run at all.
    pub(super) up: bool,
    /// Whether it is up and does its work: its node is registered, and a control plane's etcd is a healthy voter.
    pub(super) serves: bool,
    /// Whether its etcd is a healthy voter.
    pub(super) votes: bool,
    /// The Talos that runs.
    pub(super) talos: String,
    /// Whether it was there before the platform, and stays after it.
    pub(super) adopted: bool,
}

/// One node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) kubelet: String,
    /// Helix' mark: why, and since when in seconds since 1970.
    pub(super) mark: Option<(String, i64)>,
    /// Whether a pod runs on it that nobody has told to end.
    pub(super) occupied: bool,
    /// Whether its kubelet has fallen silent.
    pub(super) silent: bool,
}

/// One moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    /// The platform's servers, by id.
    pub(super) machines: BTreeMap<u64, Machine>,
    /// Everything that is the platform's, as in `network prod`, servers and load balancers on their way out excepted.
    pub(super) ours: BTreeSet<String>,
    /// Everything that is not, and how it is.
    pub(super) foreign: BTreeMap<String, String>,
    /// The ids of everything, by the same names.
    pub(super) ids: BTreeMap<String, u64>,
    /// Etcd's members by host name, learners among them.
    pub(super) members: BTreeSet<String>,
    /// Healthy voters and all voters, of the cluster that has the most.
    pub(super) voters: (usize, usize),
    /// Nodes by name.
    pub(super) nodes: BTreeMap<String, Seen>,
    /// What has copies on several nodes: how many it is to have, and where healthy ones are.
    pub(super) copies: BTreeMap<String, (u32, BTreeSet<String>)>,
    /// Objects in clusters that stand for data, or that users have made.
    pub(super) data: BTreeSet<String>,
    /// Whether a bootstrap has been recorded.
    pub(super) recorded: bool,
    /// How often etcd was bootstrapped.
    pub(super) bootstraps: u64,
    /// How often etcd was brought up from a snapshot, and how many restores were written down.
    pub(super) recoveries: (u64, u64),
    /// How many secret bundles were made.
    pub(super) bundles: u64,
}

impl Picture {
    /// What there is now, of the platform with that UID.
    pub(super) fn of(inner: &Inner, uid: &str) -> Self {
        let mut picture = Self {
            recorded: inner.stored(uid).is_some_and(|stored| stored.bootstrap.is_some()),
            bootstraps: inner.counts.bootstraps,
            recoveries: (inner.counts.recoveries, inner.restores()),
            bundles: inner.counts.bundles,
            ..Self::default()
        };
        picture.take_resources(inner, uid);
        picture.take_nodes(inner);
        picture.take_data(inner);
        picture.take_etcd(inner);
        picture.take_machines(inner, uid);
        picture
    }

    fn take_resources(&mut self, inner: &Inner, uid: &str) {
        let project = inner.world.project(inner.project);
        let made = project.load_balancers.values().filter(|it| inner.world.is_made_inside(it.id));
        let inside: BTreeSet<String> = made.map(|it| format!("load balancer {}", it.meta.name)).collect();
        let mut take = |kind: &str, id: u64, meta: &Meta, how: &dyn Fn() -> String| {
            let name = format!("{kind} {}", meta.name);
            self.ids.insert(name.clone(), id);
            if is_ours(&meta.labels, uid) || inside.contains(&name) {
                self.ours.insert(name);
            } else {
                self.foreign.insert(name, how());
            }
        };
        for it in project.networks.values() {
            take("network", it.id.0, &it.meta, &|| format!("{it:?}"));
        }
        for it in project.firewalls.values() {
            take("firewall", it.id.0, &it.meta, &|| format!("{it:?}"));
        }
        for it in project.ssh_keys.values() {
            take("SSH key", it.id.0, &it.meta, &|| format!("{it:?}"));
        }
        for it in project.placement_groups.values() {
            take("placement group", it.id.0, &it.meta, &|| format!("{it:?}"));
        }
        for it in project.volumes.values() {
            take("volume", it.id.0, &it.meta, &|| format!("{:?} {} {:?}", it.meta, it.size_gb, it.format));
        }
        // What hangs on the platform's network or servers lets go of them when they go: that is no change of its own.
        for it in project.load_balancers.values() {
            let under_way: Vec<_> = it.under_way(project).collect();
            if !under_way.contains(&"delete_load_balancer") {
                let how = || format!("{:?} {:?} {:?} {under_way:?}", it.meta, it.kind.name, it.services);
                take("load balancer", it.id.0, &it.meta, &how);
            }
        }
        for it in project.servers.values().filter(|it| it.status != ServerStatus::Deleting) {
            take("server", it.id.0, &it.meta, &|| format!("{:?} {:?} {:?}", it.meta, it.status, it.private_net));
        }
    }

    fn take_nodes(&mut self, inner: &Inner) {
        let guests = inner.world.guests();
        let occupied: BTreeSet<&str> = guests.occupied_nodes().collect();
        for node in guests.all_nodes() {
            let mark = node.annotations.get(labels::DISRUPTION).and_then(|text| {
                let mut words = text.split(' ');
                let (cause, since) = (words.next()?, words.next()?.parse::<jiff::Timestamp>().ok()?);
                Some((cause.to_owned(), since.as_second()))
            });
            let seen = Seen {
                labels: node.labels.clone(),
                kubelet: node.kubelet_version.clone(),
                mark,
                occupied: occupied.contains(node.name.as_str()),
                silent: node.condition == NodeCondition::Silent,
            };
            self.nodes.insert(node.name.clone(), seen);
        }
    }

    fn take_data(&mut self, inner: &Inner) {
        for inside in inner.world.guests().all_inside() {
            let copies = inside.volumes.iter();
            self.copies.extend(copies.map(|(name, it)| (name.clone(), (it.wanted, it.healthy_on.clone()))));
            let objects = inside.objects.iter().filter(|(key, held)| held.component.is_none() || stands_for_data(key));
            let names = objects.map(|((_, kind, namespace, name), _)| {
                let namespace = namespace.as_ref().map(|it| format!("{it}/")).unwrap_or_default();
                format!("{kind} {namespace}{name}")
            });
            self.data.extend(names);
        }
    }

    fn take_etcd(&mut self, inner: &Inner) {
        let guests = inner.world.guests();
        for members in guests.etcd_memberships() {
            let voters = members.iter().filter(|member| !member.learner);
            let healthy = voters.clone().filter(|member| {
                let guest = guests.get(member.server);
                guest.is_some_and(|guest| guest.etcd_healthy() && guest.etcd_member_id() == Some(member.id))
            });
            self.voters = self.voters.max((healthy.count(), voters.count()));
            self.members.extend(members.iter().map(|member| member.hostname.clone()));
        }
    }

    fn take_machines(&mut self, inner: &Inner, uid: &str) {
        let project = inner.world.project(inner.project);
        for server in project.servers.values().filter(|server| is_ours(&server.meta.labels, uid)) {
            let guest = inner.world.guests().get(server.id);
            let votes = guest.is_some_and(Guest::etcd_healthy);
            let pool = server.meta.labels.get(labels::POOL).cloned().unwrap_or_default();
            let up = guest.is_some_and(Guest::is_up);
            let is_up = guest.is_some_and(|guest| guest.is_up() && guest.kubelet_runs(inner.now));
            let registered = self.nodes.get(&server.meta.name).is_some_and(|node| !node.silent);
            let machine = Machine {
                name: server.meta.name.clone(),
                placement: (server.server_type.name, server.location.name),
                going: server.status == ServerStatus::Deleting,
                up,
                serves: is_up && registered && (votes || pool != labels::CONTROL_PLANE_POOL),
                votes,
                adopted: server.meta.labels.contains_key(labels::ADOPTED),
                talos: guest.map(|guest| guest.version().to_owned()).unwrap_or_default(),
                pool,
            };
            self.machines.insert(server.id.0, machine);
        }
    }
}

/// Whether data goes with an object of that kind.
fn stands_for_data((api_version, kind, ..): &ObjectKey) -> bool {
    let holder = ["longhorn.io/", "postgresql.cnpg.io/", "redis.redis.opstreelabs.in/"];
    kind == "PersistentVolumeClaim" || holder.iter().any(|group| api_version.starts_with(group))
}

fn is_ours(labels: &Labels, uid: &str) -> bool {
    labels.get(labels::PLATFORM_UID).is_some_and(|found| found == uid)
}
