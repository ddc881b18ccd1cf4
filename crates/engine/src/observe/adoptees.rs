//! Looking at what `spec.adopt` names and the platform does not own yet: a request for each, kept for a while, so that
//! something that cannot be adopted does not use up the budget.

use std::collections::BTreeMap;

use helix_plan::observed::{Adoptee, CloudFacts, Fact, Missing, Named};
use helix_plan::step::Lane;
use helix_plan::validated::ValidatedPlatform;
use jiff::{SignedDuration, Timestamp};

use super::missing_cloud;
use crate::memory::Memory;
use crate::seams::{Seams, TalosError};

/// How long what was seen is good for.
const LIFE: SignedDuration = SignedDuration::from_secs(30);

pub(super) async fn ask(
    seams: &Seams,
    platform: &ValidatedPlatform,
    cloud: &CloudFacts,
    memory: &mut Memory,
    now: Timestamp,
) -> BTreeMap<Named, Fact<Option<Adoptee>>> {
    let pending = platform.adoptions.iter().filter(|adoption| !adoption.done && !cloud.has(adoption.named));
    let mut facts = BTreeMap::new();
    for named in pending.map(|adoption| adoption.named) {
        let kept = memory.adoptees.remove(&named).filter(|fact| fact.at().is_some_and(|at| at + LIFE > now));
        let fact = match kept {
            Some(kept) => kept,
            None => look(seams, named, now).await,
        };
        facts.insert(named, fact);
    }
    memory.adoptees.clone_from(&facts);
    facts
}

async fn look(seams: &Seams, named: Named, now: Timestamp) -> Fact<Option<Adoptee>> {
    let found = match seams.project.cloud().adoptee(Lane::ControlPlane, named).await {
        Ok(found) => found,
        Err(error) => return Fact::Missing(missing_cloud(&error)),
    };
    let Some(Adoptee::Server { server, .. }) = found else { return Fact::known(found, now) };
    let unreachable = |error: TalosError| {
        Fact::Missing(Missing::Unreachable { who: format!("Talos on {named}"), why: error.to_string() })
    };
    let talos = match server.public_ipv4 {
        None => Fact::Missing(Missing::NotThereYet),
        Some(address) => match seams.talos.maintenance(address).await {
            Ok(talos) => Fact::known(talos, now),
            Err(TalosError::Unauthenticated { .. }) => Fact::known(Adoptee::CONFIGURED, now),
            Err(error) => unreachable(error),
        },
    };
    Fact::known(Some(Adoptee::Server { server, talos }), now)
}
