//! Asking the machines: a stranger first, by name once they are configured; workers through a control plane.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use futures::future::BoxFuture;
use futures::stream;
use futures::{FutureExt, StreamExt};
use helix_plan::names::MachineName;
use helix_plan::observed::{CloudFacts, Fact, Missing, Server, ServerStatus, TalosFacts};
use jiff::Timestamp;

use super::Access;
use crate::memory::Memory;
use crate::seams::{Seams, TalosError, TalosRoute};

/// Machines asked at once.
const AT_ONCE: usize = 64;

/// Asks every machine whose server may be up, and remembers which ones are configured.
pub(super) async fn ask(
    seams: &Seams,
    cloud: &CloudFacts,
    access: &Access,
    memory: &mut Memory,
    now: Timestamp,
) -> BTreeMap<MachineName, Fact<TalosFacts>> {
    let servers = cloud.servers.iter().filter_map(|server| Some((MachineName::parse(&server.name).ok()?, server)));
    // Boxed, because a stream of borrowing futures is not `Send` for the compiler.
    let questions: Vec<BoxFuture<'_, _>> = servers
        .map(|(machine, server)| {
            let configured = memory.configured.contains(&machine);
            async move {
                let answer = ask_one(seams, access, &machine, server, configured).await;
                (machine, answer)
            }
            .boxed()
        })
        .collect();
    let answers: Vec<_> = stream::iter(questions).buffer_unordered(AT_ONCE).collect().await;
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

async fn ask_one(
    seams: &Seams,
    access: &Access,
    machine: &MachineName,
    server: &Server,
    configured: bool,
) -> Result<TalosFacts, Missing> {
    let Some(address) = server.public_ipv4.filter(|_| server.status != ServerStatus::Deleting) else {
        return Err(Missing::NotThereYet);
    };
    if configured {
        return match ask_by_name(seams, access, machine, server).await {
            // A configuration that was just given is not in force yet, or the machine has lost it.
            Err(Missing::Refused { .. }) => ask_a_stranger(seams, access, machine, server, address).await,
            answer => answer,
        };
    }
    ask_a_stranger(seams, access, machine, server, address).await
}

/// Asks without credentials, and with them once the machine wants them.
async fn ask_a_stranger(
    seams: &Seams,
    access: &Access,
    machine: &MachineName,
    server: &Server,
    address: Ipv4Addr,
) -> Result<TalosFacts, Missing> {
    match seams.talos.maintenance(address).await {
        Ok(facts) => Ok(facts),
        // Besides one that says so, a machine that hangs up on strangers may be configured, and a configured worker that
        // has not reached a control plane yet keeps its port closed.
        Err(TalosError::Unauthenticated { .. } | TalosError::Unreachable { .. }) => {
            ask_by_name(seams, access, machine, server).await
        }
        Err(error) => Err(missing(machine, &error)),
    }
}

/// Asks with credentials: a control plane directly, a worker through the first control plane that answers.
async fn ask_by_name(
    seams: &Seams,
    access: &Access,
    machine: &MachineName,
    server: &Server,
) -> Result<TalosFacts, Missing> {
    let mut last = Missing::NotThereYet;
    for route in routes(access, machine, server) {
        match seams.talos.status(&route).await {
            Ok(facts) => return Ok(facts),
            Err(error) => last = missing(machine, &error),
        }
    }
    Err(last)
}

fn routes(access: &Access, machine: &MachineName, server: &Server) -> Vec<TalosRoute> {
    if machine.is_control_plane() {
        return server.public_ipv4.and_then(|address| access.to_control_plane(address)).into_iter().collect();
    }
    let Some(node) = server.private_ipv4 else {
        return Vec::new();
    };
    access
        .control_planes
        .iter()
        .filter_map(|control_plane| access.to_control_plane(control_plane.public))
        .map(|route| TalosRoute { node: Some(node), ..route })
        .collect()
}

fn missing(machine: &MachineName, error: &TalosError) -> Missing {
    match error {
        TalosError::WrongAuthority { .. } | TalosError::PermissionDenied { .. } => Missing::Refused {
            who: format!("machine {machine}"),
            why: error.to_string(),
            remedy: "Bring the bundle that it was made with back by `helix secrets import`".to_owned(),
        },
        TalosError::Unreachable { .. }
        | TalosError::Unauthenticated { .. }
        | TalosError::NotReady { .. }
        | TalosError::Invalid { .. }
        | TalosError::Other { .. } => {
            Missing::Unreachable { who: format!("machine {machine}"), why: error.to_string() }
        }
    }
}
