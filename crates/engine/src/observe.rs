//! Reading the world once: what Hetzner, the store, the machines and the cluster say, each fact with its age.
//!
//! An answer that does not come is a fact, too: it is told as missing, with the reason, and never replaced by what was
//! known before.

mod access;
mod cluster;
mod machines;

use std::collections::BTreeMap;

use helix_plan::names::{MachineName, PlatformIdentity};
use helix_plan::observed::{CloudFacts, Fact, Missing, Observed, Setback, StoreFacts, TalosFacts};
use helix_plan::step::Lane;
use helix_plan::validated::ValidatedPlatform;
use jiff::Timestamp;

pub(crate) use access::{Access, KUBERNETES_USER};

use crate::memory::Memory;
use crate::seams::{CloudError, Seams, StoreError};

/// Reads everything that a plan for a living platform needs.
pub(crate) async fn observe(
    seams: &Seams,
    platform: &ValidatedPlatform,
    memory: &mut Memory,
    now: Timestamp,
) -> (Observed, Access) {
    let setbacks = memory.setbacks(now);
    let (mut observed, store) = foundation(seams, &platform.identity, memory, setbacks, now).await;
    let bootstrapped = store.bootstrap.is_some();
    let access = match (&observed.cloud, access::bundle(seams, &platform.identity, &store).await) {
        (Fact::Known { value: cloud, .. }, Ok(bundle)) => access::prepare(seams, platform, cloud, bundle, memory, now),
        (_, Ok(_)) => Access::none(),
        (_, Err(error)) => {
            observed.store = Fact::Missing(missing_store(&error));
            Access::none()
        }
    };
    if let Some(cloud) = observed.cloud.value() {
        observed.talos = machines::ask(seams, cloud, &access, memory, now).await;
    }
    if bootstrapped {
        let (etcd, kubernetes) =
            tokio::join!(cluster::etcd(seams, &access, &observed.talos, now), cluster::kubernetes(seams, &access, now));
        observed.etcd = etcd;
        observed.kubernetes = kubernetes;
    }
    (observed, access)
}

/// Reads what a teardown needs: what is at Hetzner and in the store. That nothing is left at Hetzner is believed only of
/// a reading made after the last deletion: a request that was under way when an earlier process died may have come
/// through since.
pub(crate) async fn observe_for_teardown(
    seams: &Seams,
    platform: &PlatformIdentity,
    memory: &mut Memory,
    now: Timestamp,
) -> Observed {
    let setbacks = memory.setbacks(now);
    let (observed, _) = foundation(seams, platform, memory, setbacks.clone(), now).await;
    let seems_empty = observed.cloud.value().is_some_and(CloudFacts::is_empty);
    if !seems_empty || seams.project.is_as_read().await {
        return observed;
    }
    seams.project.distrust().await;
    foundation(seams, platform, memory, setbacks, now).await.0
}

/// Hetzner and the store, without which nothing may be decided.
async fn foundation(
    seams: &Seams,
    platform: &PlatformIdentity,
    memory: &Memory,
    setbacks: Vec<Setback>,
    now: Timestamp,
) -> (Observed, StoreFacts) {
    let lane = match (memory.deleting, memory.settled) {
        (true, _) => Lane::Teardown,
        (false, true) => Lane::Drift,
        (false, false) => Lane::ControlPlane,
    };
    let (cloud, store) =
        tokio::join!(seams.project.facts(platform, memory.look, lane, now), seams.store.facts(platform));
    let cloud = cloud.unwrap_or_else(|error| Fact::Missing(missing_cloud(&error)));
    let (fact, value) = match store {
        Ok(store) => (Fact::known(store.clone(), now), store),
        Err(error) => (Fact::Missing(missing_store(&error)), StoreFacts::default()),
    };
    let observed = Observed {
        cloud,
        store: fact,
        talos: BTreeMap::<MachineName, Fact<TalosFacts>>::new(),
        etcd: Fact::Missing(Missing::NotThereYet),
        kubernetes: Fact::Missing(Missing::NotThereYet),
        setbacks,
    };
    (observed, value)
}

pub(crate) fn missing_cloud(error: &CloudError) -> Missing {
    let who = "Hetzner's API".to_owned();
    match error {
        CloudError::Unauthorized { message } | CloudError::Forbidden { message } => Missing::Refused {
            who,
            why: message.clone(),
            remedy: "Put a valid API token of the project, with read and write permission, into the token Secret"
                .to_owned(),
        },
        _ => Missing::Unreachable { who, why: error.to_string() },
    }
}

fn missing_store(error: &StoreError) -> Missing {
    let who = "the store of secrets".to_owned();
    match error {
        StoreError::Corrupt { what, why } => Missing::Refused {
            who,
            why: format!("{what} cannot be read: {why}"),
            remedy: "Bring it back with `helix secrets import` from an earlier export".to_owned(),
        },
        StoreError::Forbidden { why } => Missing::Refused {
            who,
            why: why.clone(),
            remedy: "Grant the operator's role on Secrets in the platform's namespace".to_owned(),
        },
        StoreError::Exists { .. } | StoreError::Unreachable { .. } => {
            Missing::Unreachable { who, why: error.to_string() }
        }
    }
}
