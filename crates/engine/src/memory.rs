//! What the engine keeps between turns, in memory only: nothing here is needed for a right decision after a restart.
//!
//! Setbacks spare the world attempts that were just refused; credentials spare signatures; the rest says what to look
//! at. Lose it all, and the next turn finds everything out again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use helix_plan::Look;
use helix_plan::components::Component;
use helix_plan::names::MachineName;
use helix_plan::observed::{
    Adoptee, Candidate, Fact, MeshFacts, Named, ObjectId, ObjectState, Record, SecretState, Setback, SetbackKind,
    Snapshot, SnapshotFailure, Surplus,
};
use jiff::{SignedDuration, Timestamp};

use crate::components::Composed;
use crate::in_hand::InHand;
use crate::observe::{Kept, System};
use crate::seams::{KubernetesCredentials, Rendering, TalosCredentials};

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

/// A platform's records as they were read.
#[derive(Debug)]
pub(crate) struct KeptRecords {
    pub(crate) at: Timestamp,
    /// In which zone; in all of them where none is named.
    pub(crate) zone: Option<String>,
    pub(crate) records: Vec<Record>,
}

/// A set of objects that was applied: what it was, and which.
pub(crate) type Applied = (String, Vec<ObjectId>);

/// What is kept of one component.
#[derive(Debug, Default)]
pub(crate) struct Installation {
    /// What it is to be; none while its chart has not been rendered.
    pub(crate) composed: Option<Arc<Composed>>,
    /// What that was put together from: the chart's digest, and that of Helix' own part.
    pub(crate) source: Option<(Option<String>, String)>,
    pub(crate) rendering: Option<Arc<Rendering>>,
    /// How its objects stood when they were compared last; none where something was done to them since.
    pub(crate) compared: Option<Compared>,
    /// When they are compared again.
    pub(crate) again_at: Option<Timestamp>,
    /// The mark of its objects at the last look at marks, where there was one; itself none where no object had its label.
    pub(crate) mark: Option<Option<u64>>,
    /// What it was when all of it was as it should be: what differs afterwards has been changed by others.
    pub(crate) reached: Option<String>,
    /// What was done to each target since all was as it should be, and how often the same again.
    pub(crate) done: BTreeMap<String, (Option<Applied>, i32)>,
}

/// How a component's objects and Secrets stood when they were compared.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    pub(crate) objects: BTreeMap<ObjectId, ObjectState>,
    pub(crate) surplus: Vec<Surplus>,
    pub(crate) secrets: BTreeMap<(String, String), SecretState>,
}

/// The pause after the second time that the same was done to a component.
const AGAIN: SignedDuration = SignedDuration::from_secs(5);

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
    /// The extensions of systems that machines run.
    pub(crate) extensions: BTreeMap<System, BTreeSet<String>>,
    /// What the mesh told last, and when.
    pub(crate) mesh: Option<(Timestamp, MeshFacts)>,
    /// The platform's records of DNS as they were read last.
    pub(crate) records: Option<KeptRecords>,
    /// Its records in other zones than its own, and when they are looked for again.
    pub(crate) elsewhere: Option<(Timestamp, Vec<Record>)>,
    /// What the bucket of backups told last, and until when that is good.
    pub(crate) snapshots: Option<(Timestamp, Fact<Vec<Snapshot>>)>,
    /// The snapshot that is being taken.
    pub(crate) in_hand: InHand,
    /// What the last attempt at one met, if it failed.
    pub(crate) snapshot_failure: Option<SnapshotFailure>,
    /// The snapshot that was opened last for a restore, and until when what was found is good.
    pub(crate) candidate: Option<(Timestamp, Candidate)>,
    /// Components, and how they stood last.
    pub(crate) installations: BTreeMap<Component, Installation>,
    /// When the marks of their objects were read last.
    pub(crate) marked_at: Option<Timestamp>,
    /// The GitOps tree, and what was found in its place.
    pub(crate) gitops: Kept,
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
            | SetbackKind::Rejected { .. }
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

    /// Something was done to a component's objects or Secrets, or tried: they are looked at anew.
    pub(crate) fn touched(&mut self, component: Component) {
        let installation = self.installations.entry(component).or_default();
        installation.compared = None;
    }

    /// Something was done to a component: its objects were applied, or a Secret filled. Tells whether that put right what
    /// others had changed, and how long to rest before the same is done again: something changes it back.
    pub(crate) fn did(
        &mut self,
        component: Component,
        target: &str,
        applied: Option<&Applied>,
    ) -> (bool, Option<SignedDuration>) {
        let installation = self.installations.entry(component).or_default();
        let repaired = applied.is_some_and(|(key, _)| installation.reached.as_ref() == Some(key));
        let times = match installation.done.get(target) {
            Some((before, times)) if before.as_ref() == applied => times.saturating_add(1),
            _ => 0,
        };
        installation.done.insert(target.to_owned(), (applied.cloned(), times));
        (repaired, (times > 0).then(|| (AGAIN * times.min(12)).min(LONGEST_PAUSE)))
    }

    /// The resource has changed, or somebody asks: the next turn reads everything anew.
    pub fn look_now(&mut self) {
        self.look = None;
        self.adoptees.clear();
        self.records = None;
        self.elsewhere = None;
        self.mesh = None;
        self.snapshots = None;
        self.candidate = None;
        self.gitops.touched();
        self.installations.values_mut().for_each(|installation| installation.compared = None);
    }
}
