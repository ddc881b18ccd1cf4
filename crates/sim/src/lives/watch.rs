//! Who looks on: holds the world against the invariants before and after every call and after every turn, and keeps the
//! first breach.

use std::collections::BTreeSet;

use helix_crds::{HelixPlatform, labels};
use helix_engine::turn::Turn;
use helix_plan::secrets::{Secret, SecretBundle};
use jiff::Timestamp;

use super::invariants::{AfterTurn, Call, OF_CALLS, OF_TURNS, unlike};
use super::picture::Picture;
use crate::inprocess::Inner;

/// Something that never may be, and was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The invariant's number; 0 for a promise without one.
    pub invariant: u8,
    /// Its name.
    pub name: &'static str,
    /// The number of the call after which it showed.
    pub call: u64,
    /// What was found.
    pub found: String,
}

/// What the world itself does not show.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Control planes, by server, that Helix has disturbed and that have not come back.
    pub(super) disturbed: BTreeSet<u64>,
    /// Whether the destructive work of the present specification is approved.
    pub(super) approved: bool,
    /// When somebody else than Helix last had a hand in the world.
    pub(super) hands_at: Option<Timestamp>,
    /// Whether somebody else uses up the token.
    pub(super) others_use_the_token: bool,
    /// Requests that the rate limit has refused.
    pub(super) refused_by_limit: u64,
    /// Every value of the bundle that nobody may read.
    pub(super) secrets: Vec<String>,
    /// What restores were asked for by.
    pub(super) restores_asked: BTreeSet<String>,
}

/// Looks on. Of a platform that it was not told of it says nothing.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    platform: Option<HelixPlatform>,
    known: Known,
    before: Option<Picture>,
    /// What the last call has left: nothing else changes the world while time stands still.
    left: Option<Picture>,
    /// Whether a call has changed anything since the last turn.
    news: bool,
    breach: Option<Breach>,
}

/// The control planes whose vote the call has taken away, by server.
pub(super) fn disturbed<'a>(before: &'a Picture, after: &'a Picture) -> impl Iterator<Item = u64> + 'a {
    let votes = |id: &u64| after.machines.get(id).is_some_and(|machine| machine.votes && !machine.going);
    before.machines.iter().filter(move |(id, machine)| machine.votes && !machine.going && !votes(id)).map(|(id, _)| *id)
}

/// A part of each secret by which it is known again, however it is quoted: its longest line.
fn telling(bundle: &SecretBundle) -> Vec<String> {
    let secrets = [
        &bundle.cluster_secret,
        &bundle.bootstrap_token,
        &bundle.secretbox_encryption_secret,
        &bundle.trustd_token,
        &bundle.os_ca.key,
        &bundle.etcd_ca.key,
        &bundle.kubernetes_ca.key,
        &bundle.aggregator_ca.key,
        &bundle.service_account_key,
    ];
    secrets.into_iter().filter_map(longest_line).collect()
}

fn longest_line(secret: &Secret) -> Option<String> {
    secret.expose().lines().max_by_key(|line| line.len()).map(str::to_owned)
}

/// What the project shows to whoever may read it: labels and user data.
fn published(inner: &Inner) -> String {
    let servers = inner.world.project(inner.project).servers.values();
    servers.map(|server| format!("{:?}{:?}", server.meta.labels, server.user_data)).collect()
}

impl Watch {
    /// The platform as it stands in the API now: its user's specification, and the status that was written last.
    pub fn tell(&mut self, platform: &HelixPlatform) {
        let generation = |platform: &HelixPlatform| platform.metadata.generation;
        if self.platform.as_ref().map(generation) != Some(generation(platform)) {
            self.known.approved = false;
        }
        let annotations = platform.metadata.annotations.as_ref();
        self.known.restores_asked.extend(annotations.and_then(|all| all.get(labels::RESTORE_FROM)).cloned());
        self.left = None;
        self.platform = Some(platform.clone());
    }

    /// The present specification's destructive work was approved.
    pub fn approve(&mut self) {
        self.known.approved = true;
    }

    /// Somebody else uses the token, too.
    pub fn others_use_the_token(&mut self) {
        self.known.others_use_the_token = true;
    }

    /// The first breach.
    #[must_use]
    pub fn breach(&self) -> Option<&Breach> {
        self.breach.as_ref()
    }

    pub(crate) fn unlike(inner: &Inner, platform: &HelixPlatform) -> Option<String> {
        unlike(&Picture::of(inner, platform.metadata.uid.as_deref().unwrap_or_default()), platform)
    }

    pub(crate) fn left_of(inner: &Inner, platform: &HelixPlatform) -> Vec<String> {
        let picture = Picture::of(inner, platform.metadata.uid.as_deref().unwrap_or_default());
        picture.ours.into_iter().collect()
    }

    pub(crate) fn hands_at(&mut self, now: Timestamp) {
        self.known.hands_at = Some(now);
        self.left = None;
    }

    /// The world gets on by itself.
    pub(crate) fn time_passes(&mut self) {
        self.left = None;
    }

    pub(crate) fn before(&mut self, inner: &Inner) {
        let Some(uid) = self.platform.as_ref().and_then(|platform| platform.metadata.uid.as_deref()) else { return };
        let picture = self.left.take().unwrap_or_else(|| Picture::of(inner, uid));
        self.known.disturbed.retain(|id| picture.machines.get(id).is_some_and(|machine| !machine.votes));
        self.before = Some(picture);
    }

    pub(crate) fn after(&mut self, inner: &Inner, name: &'static str) {
        let (Some(platform), Some(before)) = (&self.platform, self.before.take()) else { return };
        let after = Picture::of(inner, platform.metadata.uid.as_deref().unwrap_or_default());
        let call = Call { name, now: inner.now, before: &before, after: &after, known: &self.known, platform };
        for row in &OF_CALLS {
            if let Some(found) = (row.find)(&call).filter(|_| self.breach.is_none()) {
                self.breach = Some(Breach {
                    invariant: row.number,
                    name: row.name,
                    call: inner.counts.calls,
                    found: format!("{found} (by the call `{name}`)"),
                });
            }
        }
        let news: Vec<u64> = disturbed(&before, &after).collect();
        self.known.disturbed.extend(news);
        self.left = Some(after);
        self.news = true;
    }

    pub(crate) fn after_turn(&mut self, inner: &Inner, turn: Option<&Turn>, platform: &HelixPlatform) {
        self.known.refused_by_limit = inner.counts.refused_by_limit;
        let uid = platform.metadata.uid.as_deref().unwrap_or_default();
        let bundle = inner.stored(uid).and_then(|stored| stored.bundle.as_ref());
        if let Some(bundle) = bundle.filter(|_| self.known.secrets.is_empty()) {
            self.known.secrets = telling(bundle);
        }
        if let Some(rotation) = inner.stored(uid).and_then(|stored| stored.rotation.as_ref()) {
            let keys = [&rotation.new.os.key, &rotation.new.kubernetes.key];
            let told = keys.into_iter().filter_map(longest_line).filter(|key| !self.known.secrets.contains(key));
            let told: Vec<String> = told.collect();
            self.known.secrets.extend(told);
        }
        let published = (turn.is_some() && std::mem::take(&mut self.news)).then(|| published(inner));
        let after = AfterTurn {
            turn,
            published: published.as_deref(),
            now: inner.now,
            picture: &|| Picture::of(inner, uid),
            known: &self.known,
            platform,
        };
        for row in &OF_TURNS {
            if let Some(found) = (row.find)(&after).filter(|_| self.breach.is_none()) {
                let call = inner.counts.calls;
                self.breach = Some(Breach { invariant: row.number, name: row.name, call, found });
            }
        }
    }
}
