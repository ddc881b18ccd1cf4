//! Reading the world once: what Hetzner, the store, the machines and the cluster say, each fact with its age.
//!
//! An answer that does not come is a fact, too: it is told as missing, with the reason, and never replaced by what was
//! known before.

mod access;
mod adoptees;
mod backups;
mod cluster;
mod components;
mod extensions;
mod gitops;
mod machines;
mod mesh;
mod names;
mod proofs;
mod race;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use helix_plan::endpoints::{api_endpoints, found_endpoints};
use helix_plan::names::{MachineName, PlatformIdentity};
use helix_plan::observed::{
    BackupFacts, CloudFacts, Components, DnsFacts, Fact, GitOpsFacts, Intents, Missing, Observed, Proofs, ServerStatus,
    Setback, StoreFacts, TalosFacts,
};
use helix_plan::phases::firewall;
use helix_plan::quorum::Quorum;
use helix_plan::secrets::{Rotation, SecretBundle};
use helix_plan::step::Lane;
use helix_plan::validated::{ApprovalMode, MeshAccount, ValidatedPlatform};
use jiff::Timestamp;

pub(crate) use access::{Access, BackupPlace, KUBERNETES_USER};
pub(crate) use extensions::System;
pub(crate) use gitops::Kept;
pub(crate) use names::everywhere;

use crate::memory::Memory;
use crate::seams::{CloudError, Seams, StoreError};

/// Reads what a turn needs. Where the firewall shuts out whom it should admit, that is all that has to be known: Helix may
/// be locked out itself, and would wait in vain for machines that cannot hear it.
pub(crate) async fn observe_for_turn(
    seams: &Seams,
    platform: &ValidatedPlatform,
    intents: &Intents,
    memory: &mut Memory,
    now: Timestamp,
) -> (Observed, Access) {
    let (observed, stored) = beginning(seams, platform, intents, memory, now).await;
    // An attempt that failed, or one that somebody has to approve, must not keep machines from being asked.
    let free = observed.setbacks.is_empty() && platform.approval != ApprovalMode::Manual;
    let shut = |cloud: &CloudFacts| !firewall::is_as_wanted(platform, cloud);
    if free && observed.cloud.value().is_some_and(shut) {
        return (observed, Access::none());
    }
    ask_machines(seams, platform, (observed, stored), memory, now).await
}

/// Reads everything that a plan for a living platform needs.
pub(crate) async fn observe(
    seams: &Seams,
    platform: &ValidatedPlatform,
    intents: &Intents,
    memory: &mut Memory,
    now: Timestamp,
) -> (Observed, Access) {
    let begun = beginning(seams, platform, intents, memory, now).await;
    ask_machines(seams, platform, begun, memory, now).await
}

/// What is read first of a living platform, before any machine is asked.
async fn beginning(
    seams: &Seams,
    platform: &ValidatedPlatform,
    intents: &Intents,
    memory: &mut Memory,
    now: Timestamp,
) -> (Observed, Option<Stored>) {
    let setbacks = memory.setbacks(now);
    let (observed, stored) = foundation(seams, &platform.identity, memory, setbacks, now).await;
    (Observed { intents: intents.clone(), ..observed }, stored)
}

/// Asks machines and cluster, and looks at what is to be adopted.
async fn ask_machines(
    seams: &Seams,
    platform: &ValidatedPlatform,
    (mut observed, stored): (Observed, Option<Stored>),
    memory: &mut Memory,
    now: Timestamp,
) -> (Observed, Access) {
    let bootstrapped = observed.store.value().is_some_and(|store| store.bootstrap.is_some());
    let mut access = match &observed.cloud {
        Fact::Known { value: cloud, .. } => {
            let access = access::prepare(seams, api_endpoints(platform, cloud), cloud, stored, memory, now);
            Access { backup: BackupPlace::of(platform), mesh: platform.mesh.clone(), ..access }
        }
        Fact::Missing(_) => Access::none(),
    };
    if let Some(cloud) = observed.cloud.value() {
        observed.adoptees = adoptees::ask(seams, platform, cloud, memory, now).await;
    }
    observed.dns = names::ask(seams, &platform.identity, &platform.dns, memory, now).await;
    let (talos, workload) = (seams.talos.as_ref(), seams.workload.as_ref());
    let clock = seams.clock.as_ref();
    if let Some(cloud) = observed.cloud.value() {
        observed.talos = machines::ask((talos, clock), cloud, &access, memory, now).await;
        observed.proofs = proofs::ask(talos, workload, cloud, &access).await;
        observed.extensions = extensions::ask(talos, platform, (cloud, &observed.talos), &access, memory, now).await;
    }
    if bootstrapped {
        let (etcd, (kubernetes, answered)) = tokio::join!(
            cluster::etcd((talos, clock), &access, &observed.talos, now),
            cluster::kubernetes((workload, clock), &access, false, now)
        );
        observed.etcd = etcd;
        observed.kubernetes = kubernetes;
        access.answered = answered;
        observed.mesh = mesh::ask(seams, platform, memory, now).await;
        observed.way_in = mesh::way_in(seams, platform, &observed, &access, now).await;
        observed.components = components::look(seams, platform, (&access, &observed.kubernetes), memory, now).await;
        let cluster = (&access, &observed.kubernetes);
        observed.gitops = gitops::look(seams, platform, cluster, &observed.components, memory, now).await;
        let lost = observed.etcd.value().is_none_or(|etcd| etcd.members.is_empty()) || !is_led(&observed);
        let bundle = access.bundle.clone();
        observed.backups =
            backups::look((seams.snapshots.as_ref(), clock), platform, bundle.as_deref(), lost, memory, now).await;
    }
    (observed, access)
}

/// Whether most control planes that are members of etcd answer for it: where they do, nothing is to be restored.
fn is_led(observed: &Observed) -> bool {
    let Some(etcd) = observed.etcd.value() else { return false };
    let serves = |name: &str| {
        let machine = MachineName::parse(name).ok();
        machine.and_then(|machine| observed.talos_of(&machine)).is_some_and(|talos| talos.serves("etcd"))
    };
    Quorum::new(etcd, serves).holds()
}

/// Reads what a teardown needs: what is at Hetzner and in the store, and, while there are servers, what the cluster tells of
/// what was made from inside of it. That no server is left that secrets could be needed
/// for, or nothing at all, is believed only of a reading made after the last deletion: a request that was under way when
/// an earlier process died may have come through since.
pub(crate) async fn observe_for_teardown(
    seams: &Seams,
    platform: &PlatformIdentity,
    account: Option<&MeshAccount>,
    memory: &mut Memory,
    now: Timestamp,
) -> (Observed, Access) {
    let setbacks = memory.setbacks(now);
    let (mut observed, stored) = foundation(seams, platform, memory, setbacks, now).await;
    observed.dns = names::ask_of_the_leaving(seams, platform, memory, now).await;
    observed.mesh = mesh::ask_of_the_leaving(seams, platform, account, memory, now).await;
    let decisive = |cloud: &CloudFacts| {
        let stored = observed.store.value().is_some_and(|store| !store.is_empty());
        cloud.is_empty() || (cloud.is_unused() && stored)
    };
    if observed.cloud.value().is_some_and(decisive) && !seams.project.is_as_read().await {
        seams.project.distrust().await;
        observed.cloud = cloud(seams, platform, memory, now).await;
    }
    let access = ask_the_leaving_cluster(seams, &mut observed, stored, memory, now).await;
    (observed, Access { mesh: account.cloned(), ..access })
}

/// Asks a cluster that is still whole what was made from inside of it.
async fn ask_the_leaving_cluster(
    seams: &Seams,
    observed: &mut Observed,
    stored: Option<Stored>,
    memory: &mut Memory,
    now: Timestamp,
) -> Access {
    let Some(cloud) = observed.cloud.value() else { return Access::none() };
    let bootstrapped = observed.store.value().is_some_and(|store| store.bootstrap.is_some());
    let whole = cloud.servers.iter().all(|server| server.status != ServerStatus::Deleting) && !cloud.servers.is_empty();
    if !bootstrapped || !whole {
        return Access::none();
    }
    let mut access = access::prepare(seams, found_endpoints(cloud), cloud, stored, memory, now);
    let asked = (seams.workload.as_ref(), seams.clock.as_ref());
    let (kubernetes, answered) = cluster::kubernetes(asked, &access, true, now).await;
    observed.kubernetes = kubernetes;
    access.answered = answered;
    access
}

/// What Hetzner holds for the platform.
async fn cloud(seams: &Seams, platform: &PlatformIdentity, memory: &Memory, now: Timestamp) -> Fact<CloudFacts> {
    let lane = match (memory.deleting, memory.settled) {
        (true, _) => Lane::Teardown,
        (false, true) => Lane::Drift,
        (false, false) => Lane::ControlPlane,
    };
    let facts = seams.project.facts(platform, memory.look, lane, now).await;
    facts.unwrap_or_else(|error| Fact::Missing(missing_cloud(&error)))
}

/// Hetzner and the store, without which nothing may be decided; and the bundle, if one is stored.
async fn foundation(
    seams: &Seams,
    platform: &PlatformIdentity,
    memory: &Memory,
    setbacks: Vec<Setback>,
    now: Timestamp,
) -> (Observed, Option<Stored>) {
    let (cloud, read) = tokio::join!(cloud(seams, platform, memory, now), read_store(seams, platform));
    let (store, stored) = match read {
        Ok((store, stored)) => (Fact::known(store, now), stored),
        Err(error) => (Fact::Missing(missing_store(&error)), None),
    };
    let observed = Observed {
        cloud,
        adoptees: BTreeMap::new(),
        store,
        talos: BTreeMap::<MachineName, Fact<TalosFacts>>::new(),
        extensions: BTreeMap::new(),
        mesh: Fact::Missing(Missing::NotThereYet),
        way_in: None,
        dns: DnsFacts { records: Fact::Missing(Missing::NotThereYet), resolved: BTreeMap::new() },
        etcd: Fact::Missing(Missing::NotThereYet),
        kubernetes: Fact::Missing(Missing::NotThereYet),
        proofs: Proofs::default(),
        components: Components::new(),
        gitops: GitOpsFacts::unknown(),
        backups: BackupFacts::unknown(),
        intents: Intents::default(),
        setbacks,
    };
    (observed, stored)
}

/// The bundle as it is stored, and the rotation beside it.
pub(crate) struct Stored {
    bundle: SecretBundle,
    rotation: Option<Rotation>,
}

/// Reads the store. The bundle is told by what is in force of it.
async fn read_store(seams: &Seams, platform: &PlatformIdentity) -> Result<(StoreFacts, Option<Stored>), StoreError> {
    let ((mut facts, bundle), rotation) = tokio::try_join!(seams.store.read(platform), seams.store.rotation(platform))?;
    facts.rotation = rotation.as_ref().map(|rotation| rotation.facts.clone());
    let stored = bundle.map(|bundle| Stored { bundle, rotation });
    if let (Some(told), Some(stored)) = (&mut facts.bundle, &stored) {
        told.digest = stored.in_force().digest();
    }
    Ok((facts, stored))
}

impl Stored {
    /// What machines are made with and called by now.
    fn in_force(&self) -> SecretBundle {
        match &self.rotation {
            Some(rotation) => rotation.in_force(&self.bundle),
            None => self.bundle.clone(),
        }
    }
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
            remedy: "Grant the operator's role on Secrets and ConfigMaps in the platform's namespace".to_owned(),
        },
        StoreError::Exists { .. } | StoreError::Unreachable { .. } => {
            Missing::Unreachable { who, why: error.to_string() }
        }
    }
}
