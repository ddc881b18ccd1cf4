//! The world's load balancers on sockets: they really listen, really forward TCP and really check health.
//!
//! Each load balancer has one loopback address, its public one. It listens there whether its public interface is on or
//! not, because there is no other way into the simulated private network; without the public interface, only machines of
//! its network get through. Towards targets it binds that address, so that their firewalls see who comes.

mod check;
mod forward;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SharedWorld;
use crate::world::load_balancers::{Frontend, Probe};
use crate::world::{LoadBalancerId, ProjectId, ServerId, WorldEvent};

use self::check::Checker;

/// What makes a check one and the same while its settings change.
type ProbeKey = (ProjectId, LoadBalancerId, u16, ServerId);

/// Follows the world until it is told to stop; then nothing listens any more.
pub async fn run(world: SharedWorld, stop: CancellationToken) {
    let checker = Arc::new(Checker::new());
    let mut events = world.subscribe();
    let mut running =
        Running { world, checker, tasks: TaskTracker::new(), frontends: BTreeMap::new(), probes: BTreeMap::new() };
    loop {
        running.follow();
        // What changes neither topology nor power is none of the load balancers' business.
        let changed = async {
            while let Some(event) = events.recv().await {
                if matches!(event, WorldEvent::TopologyChanged) {
                    break;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = changed => {}
        }
    }
    running.end().await;
}

/// The tasks that run, by what they are for.
struct Running {
    world: SharedWorld,
    checker: Arc<Checker>,
    tasks: TaskTracker,
    frontends: BTreeMap<Frontend, CancellationToken>,
    probes: BTreeMap<ProbeKey, (Probe, CancellationToken)>,
}

impl Running {
    /// Starts what is missing and ends what is too much.
    fn follow(&mut self) {
        let (frontends, probes) = self.world.with(|world, _| (world.frontends(), world.probes()));
        self.frontends.retain(|frontend, stop| keep(frontends.contains(frontend), stop));
        for frontend in frontends {
            self.frontends.entry(frontend).or_insert_with(|| {
                let stop = CancellationToken::new();
                self.tasks.spawn(forward::listen(self.world.clone(), frontend, stop.clone()));
                stop
            });
        }
        self.probes.retain(|_, (probe, stop)| keep(probes.contains(probe), stop));
        for probe in probes {
            let key = (probe.project, probe.balancer, probe.listen_port, probe.backend.server);
            self.probes.entry(key).or_insert_with(|| {
                let stop = CancellationToken::new();
                let (world, checker) = (self.world.clone(), Arc::clone(&self.checker));
                self.tasks.spawn(check::keep_checking(world, checker, probe.clone(), stop.clone()));
                (probe, stop)
            });
        }
    }

    async fn end(self) {
        self.frontends.values().chain(self.probes.values().map(|(_, stop)| stop)).for_each(CancellationToken::cancel);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn keep(wanted: bool, stop: &CancellationToken) -> bool {
    if !wanted {
        stop.cancel();
    }
    wanted
}
