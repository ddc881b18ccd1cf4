//! What the engine keeps between turns, in memory only: nothing here is needed for a right decision after a restart.
//!
//! Setbacks spare the world attempts that were just refused; credentials spare signatures; the rest says what to look
//! at. Lose it all, and the next turn finds everything out again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use helix_plan::Look;
use helix_plan::names::MachineName;
use helix_plan::observed::{Adoptee, Candidate, Fact, Named, Setback, SetbackKind, Snapshot, SnapshotFailure};
use jiff::{SignedDuration, Timestamp};

use crate::in_hand::InHand;
use crate::seams::{KubernetesCredentials, TalosCredentials};

/// The pause after a first failed attempt; it doubles with every further one.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(1);

/// The longest pause between attempts.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// How long a placement that was sold out is passed over.
const SOLD_OUT: SignedDuration = SignedDuration::from_mins(10);

/// Client certificates issued from one bundle.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    /// Digest of the bundle.
    pub(crate) bundle_digest: String,
    /// When they end.
    pub(crate) expires_at: Timestamp,
    /// For Talos.
    pub(crate) talos: Arc<TalosCredentials>,
    /// For Kubernetes.
    pub(crate) kubernetes: Arc<KubernetesCredentials>,
}

/// What is kept for one platform.
#[derive(Debug, Default)]
pub struct Memory {
    pub(crate) look: Option<Look>,
    pub(crate) setbacks: BTreeMap<String, (Setback, u32)>,
    pub(crate) credentials: Option<Credentials>,
    /// What was seen of what is to be adopted.
    pub(crate) adoptees: BTreeMap<Named, Fact<Option<Adoptee>>>,
    /// Those that the next stage of a rotation makes.
    pub(crate) next_credentials: Option<Credentials>,
    /// Machines that were seen or made configured: they are asked with credentials first.
    pub(crate) configured: BTreeSet<MachineName>,
    /// What the bucket of backups told last, and until when that is good.
    pub(crate) snapshots: Option<(Timestamp, Fact<Vec<Snapshot>>)>,
    /// The snapshot that is being taken.
    pub(crate) in_hand: InHand,
    /// What the last attempt at one met, if it failed.
    pub(crate) snapshot_failure: Option<SnapshotFailure>,
    /// The snapshot that was opened last for a restore, and until when what was found is good.
    pub(crate) candidate: Option<(Timestamp, Candidate)>,
    /// Whether the last plan had nothing to do.
    pub(crate) settled: bool,
    /// Whether the last plan found nothing that it could order.
    pub(crate) scarce: bool,
    /// Whether the platform is being deleted.
    pub(crate) deleting: bool,
}

impl Memory {
    /// Setbacks that have not expired.
    pub(crate) fn setbacks(&mut self, now: Timestamp) -> Vec<Setback> {
        // An expired setback still counts attempts for a while, so that pauses grow.
        self.setbacks.retain(|_, (setback, _)| setback.until + LONGEST_PAUSE > now);
        self.setbacks.values().map(|(setback, _)| setback.clone()).filter(|setback| setback.until > now).collect()
    }

    /// Remembers what an attempt met. `until` is what the refusal itself named, if it did.
    pub(crate) fn met(&mut self, target: String, kind: SetbackKind, now: Timestamp, until: Option<Timestamp>) {
        // A placement is sold out for every machine, whichever of them found out.
        let key = match &kind {
            SetbackKind::PlacementUnavailable { server_type, location } => format!("{server_type} in {location}"),
            _ => target.clone(),
        };
        self.remember(key, target, kind, now, until);
    }

    /// Remembers that an accepted attempt failed afterwards. It is kept apart, because the next acceptance means nothing
    /// yet: else the pauses would not grow.
    pub(crate) fn failed_later(&mut self, target: String, kind: SetbackKind, now: Timestamp) {
        match kind {
            SetbackKind::PlacementUnavailable { .. } => self.met(target, kind, now, None),
            _ => self.remember(format!("{target}, once accepted"), target, kind, now, None),
        }
    }

    fn remember(&mut self, key: String, target: String, kind: SetbackKind, now: Timestamp, until: Option<Timestamp>) {
        let attempts = self.setbacks.get(&key).map_or(0, |(_, attempts)| *attempts) + 1;
        let pause = match &kind {
            SetbackKind::PlacementUnavailable { .. } => SOLD_OUT,
            SetbackKind::ForeignResource { .. }
            | SetbackKind::Namesake { .. }
            | SetbackKind::LimitExceeded { .. }
            | SetbackKind::NotPermitted { .. }
            | SetbackKind::UnderWay
            | SetbackKind::Failed { .. } => {
                let doubled = FIRST_PAUSE * 2_i32.saturating_pow(attempts.min(8) - 1);
                doubled.min(LONGEST_PAUSE)
            }
        };
        let until = until.unwrap_or(now + pause);
        self.setbacks.insert(key, (Setback { target, kind, at: now, until }, attempts));
    }

    /// An attempt succeeded: forgets what earlier ones met, and lets the step rest until its effect can be seen.
    pub(crate) fn succeeded_slowly(&mut self, target: String, pause: SignedDuration, now: Timestamp) {
        let setback = Setback { target: target.clone(), kind: SetbackKind::UnderWay, at: now, until: now + pause };
        self.setbacks.insert(target, (setback, 0));
    }

    /// Forgets what attempts at this target met: one succeeded.
    pub(crate) fn succeeded(&mut self, target: &str) {
        self.setbacks.remove(target);
    }

    /// The resource has changed, or somebody asks: the next turn reads everything anew.
    pub fn look_now(&mut self) {
        self.look = None;
        self.adoptees.clear();
        self.snapshots = None;
        self.candidate = None;
    }
}
