//! The engine's neighbours played straight on a [`World`] with a virtual clock: no socket, no process, no waiting.
//!
//! A [`Universe`] is the world, a store, and the time. It gives the engine its [`Seams`]; a [`Life`](life::Life) turns
//! the engine over and over and lets time pass in between. Every external call is counted, and at a chosen call the
//! engine can be killed, before or after the call's effect: the call then never returns, and the turn is dropped as
//! `kill -9` would drop it.
//!
//! What it cannot show: wire formats, certificates, timeouts and real concurrency. Those are the sockets' part.

mod answers;
mod beside;
pub mod bucket;
pub mod charts;
mod clock;
mod cloud;
mod facts;
pub mod fleet;
pub mod life;
mod mesh;
mod names;
mod objects;
mod repository;
mod secrets;
mod store;
mod talos;
mod trace;
mod workload;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use helix_crds::HelixPlatform;
use helix_engine::Project;
use helix_engine::seams::{Receipt, Seams, SecretData};
use helix_engine::turn::Turn;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::MeshFacts;
use helix_plan::secrets::Secret;
use jiff::Timestamp;

use crate::lives::watch::{Breach, Watch};
use crate::world::{Permission, ProjectId, Rng, World, WorldConfig};
use beside::Beside;
use bucket::Bucket;
use charts::ChartSource;
use repository::Repository;
use store::Stored;
pub use trace::{Called, Trace};

/// The token of the one project.
const TOKEN: &str = "simulated";

/// Where in a call the engine is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// The call has had no effect.
    Before,
    /// The call has had its effect, and its answer is lost.
    After,
}

/// What has been counted since the universe began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// External calls of any kind.
    pub calls: u64,
    /// Requests to Hetzner's API.
    pub hetzner: u64,
    /// Times that etcd was bootstrapped.
    pub bootstraps: u64,
    /// Times that etcd was brought up from a snapshot.
    pub recoveries: u64,
    /// Secret bundles that were stored.
    pub bundles: u64,
    /// Requests that Hetzner's rate limit has refused.
    pub refused_by_limit: u64,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) world: World,
    pub(crate) project: ProjectId,
    pub(crate) now: Timestamp,
    /// What is stored, by the platform's UID.
    stored: BTreeMap<String, Stored>,
    bucket: Bucket,
    repository: Repository,
    charts: ChartSource,
    /// Secrets that users have made in the platforms' namespace.
    users_secrets: BTreeMap<String, SecretData>,
    /// Restores that were begun.
    restores: u64,
    /// The mesh' account.
    mesh: MeshFacts,
    /// The receipt of a teardown, which outlives what else is stored.
    receipt: Option<Receipt>,
    pub(crate) counts: Counts,
    trace: Trace,
    watch: Watch,
    kill: Option<(u64, Kill)>,
    killed: bool,
    /// Where the engine calls from, if firewalls are to look at it.
    caller: Option<Ipv4Addr>,
    secrets: Rng,
}

/// The outside, all of it. Clones share it.
#[derive(Clone, Debug)]
pub struct Universe(Arc<Mutex<Inner>>, Beside);

impl Universe {
    /// A universe with one empty project.
    #[must_use]
    pub fn new(config: WorldConfig, now: Timestamp) -> Self {
        let mut secrets = Rng::new(config.seed ^ 0x5ec7_e75a);
        secrets.next_u64();
        let mut world = World::new(config, now);
        let project = world.add_project("simulated");
        world.add_token(TOKEN, project, Permission::ReadWrite);
        let inner = Arc::new(Mutex::new(Inner {
            world,
            project,
            now,
            stored: BTreeMap::new(),
            bucket: Bucket::default(),
            repository: Repository::default(),
            charts: ChartSource::default(),
            users_secrets: BTreeMap::from([(
                "hcloud".to_owned(),
                SecretData::from([("token".to_owned(), Secret::new(TOKEN))]),
            )]),
            restores: 0,
            mesh: MeshFacts::default(),
            receipt: None,
            counts: Counts::default(),
            trace: Trace::default(),
            watch: Watch::default(),
            kill: None,
            killed: false,
            caller: None,
            secrets,
        }));
        Self(inner, Beside::default())
    }

    /// The engine's neighbours, with nothing remembered: what a fresh process has.
    #[must_use]
    pub fn seams(&self) -> Seams {
        Seams {
            project: Arc::new(Project::new(Arc::new(cloud::Client::new(self.clone())))),
            talos: Arc::new(self.clone()),
            recovery: Arc::new(self.clone()),
            snapshots: Arc::new(self.clone()),
            workload: Arc::new(self.clone()),
            mesh: Arc::new(self.clone()),
            names: Arc::new(self.clone()),
            charts: Arc::new(self.clone()),
            objects: Arc::new(self.clone()),
            git: Arc::new(self.clone()),
            applications: Arc::new(self.clone()),
            store: Arc::new(self.clone()),
            secrets: Arc::new(self.clone()),
            clock: Arc::new(self.clone()),
        }
    }

    /// Looks at the world, or changes it as hands would.
    pub fn with_world<T>(&self, act: impl FnOnce(&mut World, ProjectId, Timestamp) -> T) -> T {
        let mut inner = self.lock();
        let (project, now) = (inner.project, inner.now);
        inner.watch.hands_at(now);
        act(&mut inner.world, project, now)
    }

    /// Changes where charts come from.
    pub fn with_charts<T>(&self, act: impl FnOnce(&mut ChartSource) -> T) -> T {
        act(&mut self.lock().charts)
    }

    /// Makes a Secret in the platforms' namespace, as users do.
    pub fn put_users_secret(&self, name: &str, key: &str, value: &str) {
        let mut inner = self.lock();
        let data = inner.users_secrets.entry(name.to_owned()).or_default();
        data.insert(key.to_owned(), Secret::new(value));
    }

    /// What every call is held against, to tell it what the world does not show.
    pub fn with_watch<T>(&self, act: impl FnOnce(&mut Watch) -> T) -> T {
        act(&mut self.lock().watch)
    }

    /// What was called, oldest first.
    #[must_use]
    pub fn trace(&self) -> Vec<Called> {
        self.lock().trace.calls().cloned().collect()
    }

    /// Keeps every call, not only the last ones.
    pub fn trace_all(&self) {
        self.lock().trace.keep_all();
    }

    /// Notes what was not a call, in the trace.
    pub fn note(&self, what: String) {
        let mut inner = self.lock();
        let (at, number) = (inner.now, inner.counts.calls);
        inner.trace.add(Called { number, at, name: "--", changes: false, what });
    }

    /// What has been broken first, if anything was.
    #[must_use]
    pub fn breach(&self) -> Option<Breach> {
        self.lock().watch.breach().cloned()
    }

    /// In what the world is not as the specification says; `None` where it is.
    pub(crate) fn unlike(&self, platform: &HelixPlatform) -> Option<String> {
        Watch::unlike(&self.lock(), platform)
    }

    /// What there is of a platform.
    pub(crate) fn left_of(&self, platform: &HelixPlatform) -> Vec<String> {
        Watch::left_of(&self.lock(), platform)
    }

    /// Holds the world against what must be true after a turn.
    pub(crate) fn after_turn(&self, turn: Option<&Turn>, platform: &HelixPlatform) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let mut watch = std::mem::take(&mut inner.watch);
        watch.after_turn(inner, turn, platform);
        inner.watch = watch;
    }

    /// Lets time pass.
    pub fn advance_to(&self, now: Timestamp) {
        let mut inner = self.lock();
        inner.now = inner.now.max(now);
        let now = inner.now;
        inner.watch.time_passes();
        inner.world.advance(now);
        drop(inner);
        self.1.get_on();
    }

    /// Time passes that nobody looks at.
    pub fn sleep(&self, span: jiff::SignedDuration) {
        let until = self.lock().now + span;
        self.advance_to(until);
    }

    /// What has been counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// How many restores were begun.
    #[must_use]
    pub fn restores(&self) -> u64 {
        self.lock().restores
    }

    /// Kills the engine at the `nth` external call from the beginning.
    pub fn kill_at(&self, nth: u64, kill: Kill) {
        self.lock().kill = Some((nth, kill));
    }

    /// Whether the engine has been killed since this was last asked.
    #[must_use]
    pub fn take_killed(&self) -> bool {
        let killed = std::mem::take(&mut self.lock().killed);
        if killed {
            self.1.end();
        }
        killed
    }

    /// The process ends: so does what it has set going.
    pub(crate) fn end_work(&self) {
        self.1.end();
    }

    /// The token belongs to the project that was added last from now on.
    pub fn move_to_newest_project(&self) {
        let mut inner = self.lock();
        if let Some(newest) = inner.world.projects().map(|(id, _)| id).last() {
            inner.project = newest;
        }
    }

    /// The token belongs to this project from now on.
    pub fn move_to(&self, project: ProjectId) {
        self.lock().project = project;
    }

    /// The engine calls machines from this address from now on, and firewalls look at it. Load balancers have none.
    pub fn call_from(&self, address: Ipv4Addr) {
        self.lock().caller = Some(address);
    }

    /// The receipt that the last teardown has left.
    #[must_use]
    pub fn receipt(&self) -> Option<Receipt> {
        self.lock().receipt.clone()
    }

    /// Loses everything that was stored.
    pub fn lose_store(&self) {
        self.lock().stored.clear();
    }

    /// Kills the engine at this of the calls from now on, counted from 1.
    pub fn kill_in(&self, calls: u64, kill: Kill) {
        let mut inner = self.lock();
        inner.kill = Some((inner.counts.calls + calls, kill));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One external call that only reads.
    async fn ask<T>(&self, name: &'static str, act: impl FnOnce(&mut Inner) -> T) -> T {
        self.call(name, false, act).await
    }

    /// One external call that changes the outside: the world is held against the invariants before and after it.
    async fn tell<T>(&self, name: &'static str, act: impl FnOnce(&mut Inner) -> T) -> T {
        let watched = |inner: &mut Inner| {
            let mut watch = std::mem::take(&mut inner.watch);
            watch.before(inner);
            let answer = act(inner);
            watch.after(inner, name);
            inner.watch = watch;
            answer
        };
        self.call(name, true, watched).await
    }

    /// One external call: counted, and the place where the engine may be killed.
    async fn call<T>(&self, name: &'static str, changes: bool, act: impl FnOnce(&mut Inner) -> T) -> T {
        let answer = {
            let mut inner = self.lock();
            inner.counts.calls += 1;
            let number = inner.counts.calls;
            let kill = inner.kill.filter(|(nth, _)| *nth == number).map(|(_, kill)| kill);
            inner.killed |= kill.is_some();
            let at = inner.now;
            let what = kill.map(|kill| format!("the engine is killed {kill:?} it")).unwrap_or_default();
            inner.trace.add(Called { number, at, name, changes, what });
            match kill {
                Some(Kill::Before) => None,
                Some(Kill::After) => {
                    act(&mut inner);
                    None
                }
                None => Some(act(&mut inner)),
            }
        };
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

impl Inner {
    /// Adds to what the trace says of the call that is being made.
    fn say(&mut self, what: impl std::fmt::Display) {
        self.trace.say(what);
    }

    /// What is in the store of one platform, if anything is.
    pub(crate) fn stored(&self, uid: &str) -> Option<&Stored> {
        self.stored.get(uid)
    }

    fn stored_of(&mut self, platform: &PlatformIdentity) -> &mut Stored {
        self.stored.entry(platform.uid.clone()).or_default()
    }

    /// How many restores were begun.
    pub(crate) fn restores(&self) -> u64 {
        self.restores
    }
}
