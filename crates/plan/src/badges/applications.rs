//! Badges of what runs in the platform's own cluster: Argo CD's Applications, PostgreSQL clusters, Longhorn's volumes.

use jiff::{SignedDuration, Timestamp};

use super::{Measured, Reading};

/// How far back deploys and rollbacks are counted.
const COUNTED: SignedDuration = SignedDuration::from_hours(24 * 30);

/// One entry of an Application's history: a sync that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// What was synced.
    pub revision: String,
    /// When.
    pub at: Timestamp,
}

/// An Application, as far as badges tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Whether the cluster is as Git has it.
    pub is_synced: bool,
    /// Whether Argo CD syncs it by itself. What somebody else writes, as Helix does what Argo CD runs on, only shows there.
    pub is_automated: bool,
    /// What Argo CD remembers of its syncs, oldest first.
    pub history: Vec<Deployment>,
}

/// A volume of Longhorn's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Whether something uses it: else nobody knows how it is, but for one that is faulted.
    pub is_attached: bool,
    /// What Longhorn says of it: `healthy`, `degraded`, `faulted` or `unknown`.
    pub robustness: String,
}

/// Syncs, deploys and rollbacks, by the slugs of their badges.
#[must_use]
pub fn of_applications(applications: &[Application], now: Timestamp) -> [(&'static str, Reading); 3] {
    let automated = || applications.iter().filter(|application| application.is_automated);
    let synced = automated().filter(|application| application.is_synced).count();
    let recent = |at: Timestamp| now.duration_since(at) <= COUNTED;
    let (mut deploys, mut rollbacks) = (0_u32, 0_u32);
    for application in applications {
        for (index, entry) in application.history.iter().enumerate().filter(|(_, entry)| recent(entry.at)) {
            deploys += 1;
            let before = &application.history[..index];
            let is_same = before.last().is_some_and(|last| last.revision == entry.revision);
            if !is_same && before.iter().any(|earlier| earlier.revision == entry.revision) {
                rollbacks += 1;
            }
        }
    }
    [
        ("argo_syncs", share(synced, automated().count(), now)),
        ("deploys", Reading::number(f64::from(deploys), now)),
        ("rollbacks", Reading::number(f64::from(rollbacks), now)),
    ]
}

/// PostgreSQL clusters, each with whether it is well.
#[must_use]
pub fn of_databases(are_well: &[bool], now: Timestamp) -> Reading {
    share(are_well.iter().filter(|is_well| **is_well).count(), are_well.len(), now)
}

/// Longhorn's volumes. One that rests is left out: its robustness is unknown until something uses it again.
#[must_use]
pub fn of_volumes(volumes: &[Volume], now: Timestamp) -> Reading {
    let rests = |volume: &Volume| !volume.is_attached && !matches!(volume.robustness.as_str(), "degraded" | "faulted");
    let judged = || volumes.iter().filter(|volume| !rests(volume));
    let is_well = |volume: &&Volume| volume.is_attached && volume.robustness == "healthy";
    share(judged().filter(is_well).count(), judged().count(), now)
}

/// So many of so many.
#[must_use]
pub fn share(well: usize, all: usize, at: Timestamp) -> Reading {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Reading::Observed { measured: Measured::Share { well: number(well), all: number(all) }, at }
}
