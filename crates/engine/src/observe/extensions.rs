//! Asking machines for the system extensions of their image: only where something needs one, and once for each system that
//! a machine runs, because an image never changes while it runs.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use helix_plan::names::MachineName;
use helix_plan::observed::{CloudFacts, Fact, Missing, TalosFacts};
use helix_plan::validated::ValidatedPlatform;
use jiff::Timestamp;

use super::{Access, proofs};
use crate::memory::Memory;
use crate::seams::Talos;

/// Which system a machine runs: its server, and the version of Talos.
pub(crate) type System = (u64, String);

/// A system and the extensions that it has.
type Told = (System, BTreeSet<String>);

/// The extensions of every machine that is configured.
pub(super) async fn ask(
    talos: &dyn Talos,
    platform: &ValidatedPlatform,
    (cloud, machines): (&CloudFacts, &BTreeMap<MachineName, Fact<TalosFacts>>),
    access: &Access,
    memory: &mut Memory,
    now: Timestamp,
) -> BTreeMap<MachineName, Fact<BTreeSet<String>>> {
    if platform.extensions.is_empty() {
        memory.extensions.clear();
        return BTreeMap::new();
    }
    let servers = cloud.servers.iter().filter_map(|server| Some((MachineName::parse(&server.name).ok()?, server.id)));
    let systems: Vec<(MachineName, System)> = servers
        .filter_map(|(machine, server)| match machines.get(&machine)?.value()? {
            TalosFacts::Configured { version, .. } => Some((machine, (server, version.clone()))),
            TalosFacts::Maintenance { .. } => None,
        })
        .collect();
    memory.extensions.retain(|known, _| systems.iter().any(|(_, system)| system == known));
    // Boxed, because a stream of borrowing futures is not `Send` for the compiler.
    let unknown: Vec<BoxFuture<'_, Option<Told>>> = systems
        .iter()
        .filter(|(_, system)| !memory.extensions.contains_key(system))
        .filter_map(|(machine, system)| Some((proofs::route(access, machine)?, system.clone())))
        .map(|(route, system)| async move { Some((system, talos.extensions(&route).await.ok()?)) }.boxed())
        .collect();
    let told = join_all(unknown).await;
    memory.extensions.extend(told.into_iter().flatten());
    let fact = |machine: MachineName, system: &System| match memory.extensions.get(system) {
        Some(found) => (machine, Fact::known(found.clone(), now)),
        None => {
            let missing = Missing::Unreachable {
                who: format!("machine {machine}"),
                why: "it did not tell its extensions".to_owned(),
            };
            (machine, Fact::Missing(missing))
        }
    };
    systems.into_iter().map(|(machine, system)| fact(machine, &system)).collect()
}
