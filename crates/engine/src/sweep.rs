//! The sweep for orphans: what a project holds of platforms that are gone. It reports, and deletes only where it is told to.
//!
//! Guarantees: it makes do with the project's reading that platforms keep, but for one call for the zones and one for each of
//! them, and what it asks for besides waits behind everything else in the token's budget; nothing is deleted unless a fresh reading and the store prove it to be ours
//! ([`helix_plan::sweep`]) and it has been an orphan for [`GRACE`], as this process has seen. A process that starts anew
//! counts anew.
//!
//! Deliberately absent: secrets of orphans, and volumes and load balancers, are left to people.

use std::collections::{BTreeMap, BTreeSet};

use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{CloudFacts, Record};
use helix_plan::step::{Lane, RecordChange, Step};
use helix_plan::sweep::{GRACE, Orphan, deletions, orphans};
use jiff::Timestamp;

use crate::observe::everywhere;
use crate::project::Project;
use crate::seams::{CloudError, Store};

/// What a sweep does about orphans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SweepMode {
    /// It tells of them.
    #[default]
    Report,
    /// It deletes those that are proved to be ours.
    Delete,
}

/// Who lives, and where platforms may have lived.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// UIDs of all platforms of the management cluster, those being deleted among them.
    pub living: BTreeSet<String>,
    /// Namespaces in which an orphan's bundle is looked for.
    pub namespaces: BTreeSet<String>,
}

/// An orphan, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is left.
    pub orphan: Orphan,
    /// Since when this process has seen it.
    pub since: Timestamp,
    /// The platform that it was, where its bundle is stored here and is as old as it must be.
    pub proved: Option<PlatformIdentity>,
}

/// What came of one sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// All orphans, by UID.
    pub found: Vec<Found>,
    /// What was deleted, in words.
    pub deleted: Vec<String>,
    /// What was to be deleted and could not be, and why.
    pub failed: Vec<String>,
}

#[derive(Clone, Debug)]
struct Sighting {
    since: Timestamp,
    proved: Option<PlatformIdentity>,
}

/// What one project's sweeps know of earlier ones.
#[derive(Debug, Default)]
pub struct Sweeper {
    seen: BTreeMap<String, Sighting>,
}

impl Sweeper {
    /// Looks for orphans once, and deletes what may be.
    ///
    /// # Errors
    /// What Hetzner answered, where the project could not be read.
    pub async fn sweep(
        &mut self,
        project: &Project,
        store: &dyn Store,
        census: &Census,
        mode: SweepMode,
        now: Timestamp,
    ) -> Result<Swept, CloudError> {
        let records = records(project).await;
        let found = self.look((&project.everything(now).await?, &records), store, census, now).await;
        let mut swept = Swept { found, ..Swept::default() };
        let due = |found: &Found| found.proved.is_some() && found.since + GRACE <= now;
        if mode == SweepMode::Report || !swept.found.iter().any(due) {
            return Ok(swept);
        }
        // What is deleted is deleted by a reading of this very moment.
        project.distrust().await;
        let cloud = project.everything(now).await?;
        let records = self::records(project).await;
        swept.found = self.look((&cloud, &records), store, census, now).await;
        let proved: Vec<Orphan> = swept.found.iter().filter(|it| due(it)).map(|it| it.orphan.clone()).collect();
        for orphan in proved {
            for step in deletions(&orphan, &cloud) {
                match delete(project, &step).await {
                    Ok(()) => swept.deleted.push(step.target().to_string()),
                    Err(error) => swept.failed.push(format!("{step}: {error}")),
                }
            }
        }
        if !swept.deleted.is_empty() || !swept.failed.is_empty() {
            // Platforms must not plan with what is gone.
            project.distrust().await;
        }
        Ok(swept)
    }

    async fn look(
        &mut self,
        (cloud, records): (&CloudFacts, &[Record]),
        store: &dyn Store,
        census: &Census,
        now: Timestamp,
    ) -> Vec<Found> {
        let found = orphans(cloud, records, &census.living);
        self.seen.retain(|uid, _| found.iter().any(|orphan| orphan.uid == *uid));
        let mut told = Vec::new();
        for orphan in found {
            let known = self.seen.get(&orphan.uid).cloned();
            let since = known.as_ref().map_or(now, |known| known.since);
            // Once the servers are gone nothing tells its age any more: what was proved by them stays proved.
            let proved = match known.and_then(|known| known.proved) {
                Some(proved) => Some(proved),
                None => prove(&orphan, store, census).await,
            };
            self.seen.insert(orphan.uid.clone(), Sighting { since, proved: proved.clone() });
            told.push(Found { orphan, since, proved });
        }
        told
    }
}

/// The records of any platform in all zones. Zones that cannot be read keep nothing else from being swept.
async fn records(project: &Project) -> Vec<Record> {
    let records = everywhere(project.cloud(), None, Lane::Drift).await;
    let told = records.inspect_err(|error| tracing::debug!(reason = error.reason(), %error, "names are not swept"));
    told.unwrap_or_default()
}

/// Looks for the bundle that an orphan's servers were made with. A store that does not answer proves nothing.
async fn prove(orphan: &Orphan, store: &dyn Store, census: &Census) -> Option<PlatformIdentity> {
    for namespace in &census.namespaces {
        let identity = orphan.identity(namespace);
        match store.bundle_since(&identity).await {
            Ok(Some(since)) if orphan.was_made_under(since) => return Some(identity),
            Ok(_) => {}
            Err(error) => tracing::debug!(uid = orphan.uid, reason = error.reason(), %error, "no proof of an orphan"),
        }
    }
    None
}

async fn delete(project: &Project, step: &Step) -> Result<(), CloudError> {
    match step {
        Step::DeleteResource { kind, id, .. } => project.cloud().delete(Lane::Drift, *kind, *id).await.map(|_| ()),
        Step::ChangeRecord(RecordChange::Delete { zone, name }) => {
            project.cloud().delete_record(Lane::Drift, zone, name).await.map(|_| ())
        }
        _ => Ok(()),
    }
}
