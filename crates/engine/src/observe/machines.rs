//! Asking the machines: a stranger first, by name once they are configured; workers through a control plane.
//!
//! Control planes are asked first, so that workers are asked through one that answers. No machine is waited for longer
//! than [`PATIENCE`], whatever has to be asked of whom.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream;
use futures::{FutureExt, StreamExt};
use helix_plan::names::MachineName;
use helix_plan::observed::{CloudFacts, Fact, Missing, Server, ServerStatus, TalosFacts};
use jiff::Timestamp;

use super::{Access, race};
use crate::memory::Memory;
use crate::seams::{Clock, Talos, TalosError, TalosRoute};

/// Machines asked at once.
const AT_ONCE: usize = 64;

/// How long one machine is asked in all.
const PATIENCE: Duration = Duration::from_secs(10);

type Answer = (MachineName, Result<TalosFacts, Missing>);

/// Asks every machine whose server may be up, and remembers which ones are configured.
pub(super) async fn ask(
    (talos, clock): (&dyn Talos, &dyn Clock),
    cloud: &CloudFacts,
    access: &Access,
    memory: &mut Memory,
    now: Timestamp,
) -> BTreeMap<MachineName, Fact<TalosFacts>> {
    let servers = cloud.servers.iter().filter_map(|server| Some((MachineName::parse(&server.name).ok()?, server)));
    let (control_planes, workers): (Vec<_>, Vec<_>) = servers.partition(|(machine, _)| machine.is_control_plane());
    let mut asker = Asker { talos, clock, access, through: Vec::new() };
    let mut answers = asker.ask_all(control_planes, memory).await;
    asker.through = through(access, &answers);
    answers.extend(asker.ask_all(workers, memory).await);
    let mut facts = BTreeMap::new();
    for (machine, answer) in answers {
        match answer {
            Ok(talos @ TalosFacts::Maintenance { .. }) => {
                memory.configured.remove(&machine);
                facts.insert(machine, Fact::known(talos, now));
            }
            Ok(talos @ TalosFacts::Configured { .. }) => {
                memory.configured.insert(machine.clone());
                facts.insert(machine, Fact::known(talos, now));
            }
            Err(missing) => {
                facts.insert(machine, Fact::Missing(missing));
            }
        }
    }
    memory.configured.retain(|machine| facts.contains_key(machine));
    facts
}

/// The control planes to ask for workers: first those that have just answered.
fn through(access: &Access, answers: &[Answer]) -> Vec<TalosRoute> {
    let answered = |machine: &MachineName| {
        answers.iter().any(|(other, answer)| other == machine && matches!(answer, Ok(TalosFacts::Configured { .. })))
    };
    let mut control_planes: Vec<_> = access.control_planes.iter().collect();
    control_planes.sort_by_key(|control_plane| !answered(&control_plane.machine));
    control_planes.into_iter().filter_map(|control_plane| access.to_control_plane(control_plane.public)).collect()
}

/// Who asks, and through whom.
struct Asker<'a> {
    talos: &'a dyn Talos,
    clock: &'a dyn Clock,
    access: &'a Access,
    /// The control planes to ask for workers.
    through: Vec<TalosRoute>,
}

impl Asker<'_> {
    async fn ask_all(&self, machines: Vec<(MachineName, &Server)>, memory: &Memory) -> Vec<Answer> {
        // Boxed, because a stream of borrowing futures is not `Send` for the compiler.
        let questions: Vec<BoxFuture<'_, Answer>> = machines
            .into_iter()
            .map(|(machine, server)| {
                let configured = memory.configured.contains(&machine);
                async move {
                    let question = self.ask_one(&machine, server, configured).boxed();
                    let answer = race::within(self.clock, PATIENCE, question).await;
                    let answer = answer.unwrap_or_else(|| {
                        let why = format!("no answer within {} s", PATIENCE.as_secs());
                        Err(Missing::Unreachable { who: format!("machine {machine}"), why })
                    });
                    (machine, answer)
                }
                .boxed()
            })
            .collect();
        stream::iter(questions).buffer_unordered(AT_ONCE).collect().await
    }

    async fn ask_one(&self, machine: &MachineName, server: &Server, configured: bool) -> Result<TalosFacts, Missing> {
        let Some(address) = server.public_ipv4.filter(|_| server.status != ServerStatus::Deleting) else {
            return Err(Missing::NotThereYet);
        };
        if configured {
            return match self.ask_by_name(machine, server).await {
                // A configuration that was just given is not in force yet, or the machine has lost it.
                Err(Missing::Refused { .. }) => self.ask_a_stranger(machine, server, address).await,
                answer => answer,
            };
        }
        self.ask_a_stranger(machine, server, address).await
    }

    /// Asks without credentials, and with them once the machine wants them.
    async fn ask_a_stranger(
        &self,
        machine: &MachineName,
        server: &Server,
        address: Ipv4Addr,
    ) -> Result<TalosFacts, Missing> {
        match self.talos.maintenance(address).await {
            Ok(facts) => Ok(facts),
            // Besides one that says so, a machine that hangs up on strangers may be configured, and a configured worker
            // that has not reached a control plane yet keeps its port closed.
            Err(TalosError::Unauthenticated { .. } | TalosError::Unreachable { .. }) => {
                self.ask_by_name(machine, server).await
            }
            Err(error) => Err(missing(machine, &error)),
        }
    }

    /// Asks with credentials: a control plane directly, a worker through the first control plane that can tell.
    async fn ask_by_name(&self, machine: &MachineName, server: &Server) -> Result<TalosFacts, Missing> {
        let mut last = Missing::NotThereYet;
        for route in self.routes(machine, server) {
            match self.talos.status(&route).await {
                Ok(facts) => return Ok(facts),
                Err(error @ TalosError::NodeUnreachable { .. }) => return Err(missing(machine, &error)),
                Err(error) => last = missing(machine, &error),
            }
        }
        Err(last)
    }

    fn routes(&self, machine: &MachineName, server: &Server) -> Vec<TalosRoute> {
        if machine.is_control_plane() {
            return server.public_ipv4.and_then(|address| self.access.to_control_plane(address)).into_iter().collect();
        }
        let Some(node) = self.access.workers.get(machine).copied() else {
            return Vec::new();
        };
        self.through.iter().map(|route| TalosRoute { node: Some(node), ..route.clone() }).collect()
    }
}

fn missing(machine: &MachineName, error: &TalosError) -> Missing {
    match error {
        TalosError::WrongAuthority { .. } | TalosError::PermissionDenied { .. } => Missing::Refused {
            who: format!("machine {machine}"),
            why: error.to_string(),
            remedy: "Bring the bundle that it was made with back by `helix secrets import`".to_owned(),
        },
        TalosError::Unreachable { .. }
        | TalosError::NodeUnreachable { .. }
        | TalosError::Unauthenticated { .. }
        | TalosError::NotReady { .. }
        | TalosError::Invalid { .. }
        | TalosError::InstallerFailed { .. }
        | TalosError::Other { .. } => {
            Missing::Unreachable { who: format!("machine {machine}"), why: error.to_string() }
        }
    }
}
