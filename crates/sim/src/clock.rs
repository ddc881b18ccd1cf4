//! The wall clock that drives a world on sockets.
//!
//! [`SharedWorld`] is one world behind a lock, with a clock that can be set forward. Expected flow: every server calls
//! [`SharedWorld::with`]; one task runs [`SharedWorld::drive`]; whoever gives the world a body listens to
//! [`SharedWorld::subscribe`]. The in-process simulation doesn't use this: it passes its own time to the world.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::world::{World, WorldEvent};

/// How long the driver sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// A world that many tasks share. Clones share the same world.
#[derive(Clone, Debug)]
pub struct SharedWorld(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    /// By how many milliseconds the clock was set forward.
    ahead_millis: AtomicU64,
    subscribers: Mutex<Vec<mpsc::UnboundedSender<WorldEvent>>>,
    /// The agenda may have changed.
    changed: Notify,
}

impl SharedWorld {
    /// Shares a world.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self(Arc::new(Shared {
            world: Mutex::new(world),
            ahead_millis: AtomicU64::new(0),
            subscribers: Mutex::new(Vec::new()),
            changed: Notify::new(),
        }))
    }

    /// What time it is in the world: wall time, and what it was set forward.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + Duration::from_millis(self.0.ahead_millis.load(Ordering::Relaxed))
    }

    /// Looks at or changes the world, brought up to `now` before. Don't call it from within.
    pub fn with<T>(&self, act: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let answer = self.act(act);
        self.0.changed.notify_one();
        answer
    }

    fn act<T>(&self, act: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let (answer, events) = {
            let mut world = lock(&self.0.world);
            let now = self.now();
            world.advance(now);
            let answer = act(&mut world, now);
            // What a guest did to its own power is taken up at once.
            world.advance(now);
            (answer, world.take_events())
        };
        self.tell(&events);
        answer
    }

    /// Sets the clock forward; everything due until then happens now.
    pub fn set_forward(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0.ahead_millis.fetch_add(millis, Ordering::Relaxed);
        self.with(|_, _| ());
    }

    /// Hears of every event from now on, in order.
    #[must_use]
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<WorldEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&self.0.subscribers).push(sender);
        receiver
    }

    /// Lets time pass until it is told to stop.
    pub async fn drive(&self, stop: CancellationToken) {
        loop {
            let due = self.act(|world, now| world.next_due().map(|due| due.duration_since(now)));
            let wait = due.map_or(IDLE, |due| Duration::try_from(due).unwrap_or(Duration::ZERO));
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.changed.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn tell(&self, events: &[WorldEvent]) {
        if !events.is_empty() {
            lock(&self.0.subscribers).retain(|subscriber| events.iter().all(|event| subscriber.send(*event).is_ok()));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
