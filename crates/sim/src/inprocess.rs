//! The engine's neighbours played straight on a [`World`] with a virtual clock: no socket, no process, no waiting.
//!
//! A [`Universe`] is the world, a store, and the time. It gives the engine its [`Seams`]; a [`Life`](life::Life) turns
//! the engine over and over and lets time pass in between. Every external call is counted, and at a chosen call the
//! engine can be killed, before or after the call's effect: the call then never returns, and the turn is dropped as
//! `kill -9` would drop it.
//!
//! What it cannot show: wire formats, certificates, timeouts and real concurrency. Those are the sockets' part.

mod cloud;
mod facts;
pub mod life;
mod secrets;
mod store;
mod talos;
mod workload;

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use helix_engine::Project;
use helix_engine::seams::{Clock, Receipt, Seams};
use jiff::Timestamp;

use crate::world::{Permission, ProjectId, Rng, World, WorldConfig};
use store::Stored;

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
    /// Secret bundles that were stored.
    pub bundles: u64,
}

#[derive(Debug)]
struct Inner {
    world: World,
    project: ProjectId,
    now: Timestamp,
    stored: Stored,
    /// The receipt of a teardown, which outlives what else is stored.
    receipt: Option<Receipt>,
    counts: Counts,
    kill: Option<(u64, Kill)>,
    killed: bool,
    secrets: Rng,
}

/// The outside, all of it. Clones share it.
#[derive(Clone, Debug)]
pub struct Universe(Arc<Mutex<Inner>>);

impl Universe {
    /// A universe with one empty project.
    #[must_use]
    pub fn new(config: WorldConfig, now: Timestamp) -> Self {
        let mut secrets = Rng::new(config.seed ^ 0x5ec7_e75a);
        secrets.next_u64();
        let mut world = World::new(config, now);
        let project = world.add_project("simulated");
        world.add_token(TOKEN, project, Permission::ReadWrite);
        Self(Arc::new(Mutex::new(Inner {
            world,
            project,
            now,
            stored: Stored::default(),
            receipt: None,
            counts: Counts::default(),
            kill: None,
            killed: false,
            secrets,
        })))
    }

    /// The engine's neighbours, with nothing remembered: what a fresh process has.
    #[must_use]
    pub fn seams(&self) -> Seams {
        Seams {
            project: Arc::new(Project::new(Arc::new(self.clone()))),
            talos: Arc::new(self.clone()),
            workload: Arc::new(self.clone()),
            store: Arc::new(self.clone()),
            secrets: Arc::new(self.clone()),
            clock: Arc::new(self.clone()),
        }
    }

    /// Looks at the world, or changes it as hands would.
    pub fn with_world<T>(&self, act: impl FnOnce(&mut World, ProjectId, Timestamp) -> T) -> T {
        let mut inner = self.lock();
        let (project, now) = (inner.project, inner.now);
        act(&mut inner.world, project, now)
    }

    /// Lets time pass.
    pub fn advance_to(&self, now: Timestamp) {
        let mut inner = self.lock();
        inner.now = inner.now.max(now);
        let now = inner.now;
        inner.world.advance(now);
    }

    /// What has been counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Kills the engine at the `nth` external call from the beginning.
    pub fn kill_at(&self, nth: u64, kill: Kill) {
        self.lock().kill = Some((nth, kill));
    }

    /// Whether the engine has been killed since this was last asked.
    #[must_use]
    pub fn take_killed(&self) -> bool {
        std::mem::take(&mut self.lock().killed)
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

    /// The receipt that the last teardown has left.
    #[must_use]
    pub fn receipt(&self) -> Option<Receipt> {
        self.lock().receipt.clone()
    }

    /// Loses everything that was stored.
    pub fn lose_store(&self) {
        self.lock().stored = Stored::default();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One external call: counted, and the place where the engine may be killed.
    async fn call<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        let answer = {
            let mut inner = self.lock();
            inner.counts.calls += 1;
            let kill = inner.kill.filter(|(nth, _)| *nth == inner.counts.calls).map(|(_, kill)| kill);
            inner.killed |= kill.is_some();
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

impl Clock for Universe {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    /// Time stands still while a turn is made: whoever does not answer at once never does.
    fn pause(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}
