//! What drives a life: a universe with neighbours in the project, a platform, an approver, and time.

use helix_crds::labels::{APPROVE, PLATFORM, PLATFORM_UID};
use helix_crds::{ApprovalMode, HelixPlatform};
use jiff::{SignedDuration, Timestamp};

use super::spec::{CLUSTER_TOKEN, NAME, pick};
use crate::inprocess::Universe;
use crate::inprocess::life::{Ended, Life};
use crate::world::catalogue::Architecture;
use crate::world::firewalls::CreateFirewall;
use crate::world::images::{SCHEMATIC, SCHEMATIC_FOR_LONGHORN, SCHEMATIC_LABEL, TALOS_VERSION_LABEL};
use crate::world::machine::{AddOns, App, Guests};
use crate::world::networks::CreateNetwork;
use crate::world::{CreateServer, Rng, ServerId, WorldConfig};

/// How long after a change everything is as it should be, in simulated time, with every drain at its worst.
pub(super) const SETTLES: SignedDuration = SignedDuration::from_hours(12);

/// How much longer it may take where machines are disturbed for a few hours a day alone.
const SETTLES_IN_WINDOWS: SignedDuration = SignedDuration::from_hours(4 * 24);

/// How often the approver looks.
const APPROVER_LOOKS: SignedDuration = SignedDuration::from_mins(10);

/// Turns that a life may take to settle.
const MOST_TURNS: u64 = 30_000;

/// Why a life did not go as it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// An invariant was broken, or what was waited for did not come.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// The specification of a scenario is none.
    #[error("the scenario asks for no platform: {0}")]
    Spec(String),
    /// The outcome is not what was asked for.
    #[error("{0}")]
    Unlike(String),
}

impl From<serde_json::Error> for Failed {
    fn from(error: serde_json::Error) -> Self {
        Self::Spec(error.to_string())
    }
}

/// One life and its chance.
pub struct Story {
    pub(super) life: Life,
    pub(super) rng: Rng,
}

impl Story {
    /// A platform in a project with strangers in it, before its first turn.
    #[must_use]
    pub fn begin(seed: u64, rng: Rng, platform: HelixPlatform) -> Self {
        let universe = Universe::new(WorldConfig { seed, ..WorldConfig::default() }, beginning());
        strangers(&universe);
        snapshots(&universe);
        universe.put_users_secret(CLUSTER_TOKEN, "token", "the cluster's own");
        Self { life: Life::new(universe, platform), rng }
    }

    /// The universe.
    #[must_use]
    pub fn universe(&self) -> &Universe {
        self.life.universe()
    }

    /// One of some, by chance.
    pub(super) fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        *pick(&mut self.rng, of)
    }

    pub(super) fn note(&self, what: impl Into<String>) {
        self.universe().note(what.into());
    }

    /// Changes what is asked for.
    pub(super) fn edit(&mut self, what: &str, change: impl FnOnce(&mut HelixPlatform)) {
        self.note(format!("asked for: {what}"));
        self.life.edit(change);
    }

    /// Lets the life go on for a while, whatever comes of it but a breach.
    pub(super) fn live(&mut self, minutes: i64) -> Result<(), Failed> {
        match self.life.until(SignedDuration::from_mins(minutes), |_, _| false) {
            Err(broken @ Ended::Broken { .. }) => Err(broken.into()),
            Ok(()) | Err(Ended::Stuck { .. }) => Ok(()),
        }
    }

    /// Lets it go on until everything is as asked for, with an approver who says yes to what is asked of him.
    pub(super) fn settle(&mut self) -> Result<(), Failed> {
        let windows = self.life.platform().spec.upgrade.window.as_ref().map(|_| SETTLES_IN_WINDOWS);
        let deadline = self.life.passed() + SETTLES + windows.unwrap_or_default();
        let turns = self.life.turns();
        loop {
            match self.life.until_ready(APPROVER_LOOKS) {
                Ok(()) => break,
                Err(stuck @ Ended::Stuck { .. })
                    if self.life.passed() > deadline || self.life.turns() > turns + MOST_TURNS =>
                {
                    return Err(stuck.into());
                }
                Err(Ended::Stuck { .. }) => self.approve(),
                Err(broken) => return Err(broken.into()),
            }
        }
        match self.universe().unlike(self.life.platform()) {
            None => Ok(()),
            Some(what) => Err(Failed::Unlike(format!("settled, and yet {what}"))),
        }
    }

    /// Says yes to what is asked for, if something is.
    pub(super) fn approve(&mut self) {
        if self.life.platform().spec.approval == ApprovalMode::Automatic {
            return;
        }
        let asked = self.life.platform().status.as_ref().and_then(|status| status.waiting_for.clone());
        let digest = asked.as_deref().and_then(|asked| asked.split('"').nth(1)).map(str::to_owned);
        if let Some(digest) = digest.filter(|digest| digest.len() == 16) {
            self.note(format!("approved: {digest}"));
            self.life.annotate(APPROVE, &digest);
        }
    }

    /// Ends the platform and sees that nothing is left but the strangers.
    pub(super) fn end(&mut self) -> Result<(), Failed> {
        self.note("the platform is deleted");
        self.life.until_gone(SETTLES)?;
        let left = self.universe().left_of(self.life.platform());
        match left.first() {
            Some(left) => Err(Failed::Unlike(format!("gone, and {left} is left"))),
            None => self.receipt_is_complete(),
        }
    }

    fn receipt_is_complete(&self) -> Result<(), Failed> {
        let receipt = self.universe().receipt();
        let Some(receipt) = receipt else { return Err(Failed::Unlike("there is no receipt".to_owned())) };
        let number = usize::try_from(receipt.deleted_count).unwrap_or(usize::MAX);
        if receipt.deleted.len() != number {
            let listed = receipt.deleted.len();
            return Err(Failed::Unlike(format!("the receipt lists {listed} of {number} resources")));
        }
        Ok(())
    }

    /// Acts on the cluster through a control plane whose API server answers, if one does.
    pub(super) fn at_cluster<T>(&self, act: impl FnOnce(&mut Guests, ServerId, Timestamp) -> T) -> Option<T> {
        self.universe().with_world(|world, _, now| {
            let server = world.guests().iter().find(|guest| guest.api_server_healthy())?.host().server;
            Some(act(world.guests_mut(now), server, now))
        })
    }

    /// A pod network, the cloud controller manager, and an application with a disruption budget.
    pub(super) fn install(&mut self, app: App) -> Result<(), Failed> {
        self.note(format!("a pod network, and {app:?}"));
        self.at_cluster(|guests, server, now| {
            guests.set_add_ons(server, AddOns { pod_network: true, cloud_controller: true }, now);
            guests.run_app(server, "shop", app, now)
        });
        self.live(2)
    }

    /// The server of that name.
    pub(super) fn server(&self, name: &str) -> Option<ServerId> {
        self.universe().with_world(|world, project, _| {
            world.project(project).servers.values().find(|server| server.meta.name == name).map(|server| server.id)
        })
    }

    /// The platform's servers: name and id.
    pub(super) fn servers(&self) -> Vec<(String, ServerId)> {
        self.universe().with_world(|world, project, _| {
            let servers = world.project(project).servers.values();
            let ours =
                servers.filter(|server| server.meta.labels.get(PLATFORM_UID).is_some_and(|it| it == super::spec::UID));
            ours.map(|server| (server.meta.name.clone(), server.id)).collect()
        })
    }

    /// The nodes that Helix has marked.
    pub(super) fn marked(&self) -> Vec<String> {
        self.universe().with_world(|world, _, _| {
            let nodes = world.guests().all_nodes();
            let marked = nodes.filter(|node| node.annotations.contains_key(helix_crds::labels::DISRUPTION));
            marked.map(|node| node.name.clone()).collect()
        })
    }

    /// What the platform says that it waits for.
    pub(super) fn waiting_for(&self) -> String {
        let status = self.life.platform().status.as_ref();
        status.and_then(|status| status.waiting_for.clone()).unwrap_or_default()
    }

    /// The reason of the platform's `Ready` condition.
    pub(super) fn ready_reason(&self) -> String {
        let status = self.life.platform().status.as_ref();
        let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
        ready.map(|condition| condition.reason.clone()).unwrap_or_default()
    }

    /// The machine hangs.
    pub(super) fn hang(&mut self, name: &str) {
        let Some(server) = self.server(name) else { return };
        self.note(format!("{name} hangs"));
        self.universe().with_world(|world, _, now| world.guests_mut(now).hang(server, now));
    }

    /// Somebody deletes the server by hand.
    pub(super) fn delete_by_hand(&mut self, name: &str) {
        let Some(server) = self.server(name) else { return };
        self.note(format!("somebody deletes {name}"));
        self.universe().with_world(|world, project, now| world.delete_server(project, server, now).ok());
    }
}

/// When every life begins.
fn beginning() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 56)
}

/// What others have in the project, under names that are like the platform's.
fn strangers(universe: &Universe) {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let theirs = [label(PLATFORM_UID, "99999999-0000-4000-8000-000000000009"), label(PLATFORM, NAME)];
    universe.with_world(|world, project, now| {
        for (name, labels) in [("life-old", theirs.clone().into()), ("lif", Default::default())] {
            let order = CreateNetwork {
                name: name.to_owned(),
                range: ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 9, 0, 0), 16),
                subnets: Vec::new(),
                routes: Vec::new(),
                labels,
            };
            world.create_network(project, order, now).ok();
        }
        let rules = Vec::new();
        let order =
            CreateFirewall { name: "life-old".to_owned(), rules, apply_to: Vec::new(), labels: theirs.clone().into() };
        world.create_firewall(project, order, now).ok();
        let order = CreateServer {
            name: "life-cp-old".to_owned(),
            server_type: "cx23".to_owned(),
            image: "v1.13.9".to_owned(),
            location: Some("fsn1".to_owned()),
            labels: theirs.into(),
            ..CreateServer::default()
        };
        let image = world.project(project).images.keys().next().map(ToString::to_string).unwrap_or_default();
        world.create_server(project, CreateServer { image, ..order }, now).ok();
    });
}

/// Snapshots of every Talos that a life may come to.
fn snapshots(universe: &Universe) {
    for architecture in [Architecture::X86, Architecture::Arm] {
        for schematic in [SCHEMATIC, SCHEMATIC_FOR_LONGHORN] {
            let labels = [(TALOS_VERSION_LABEL, "v1.14.4"), (SCHEMATIC_LABEL, schematic)];
            let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
            universe.with_world(|world, project, _| {
                world.add_snapshot(project, "v1.14.4", architecture, labels.into()).ok()
            });
        }
    }
}
