//! The bucket and Talos' side of backups: objects that are there until they are deleted, and what can be wrong with them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use helix_engine::seams::{Listed, Recovery, SnapshotError, Snapshots, TalosError, TalosRoute};
use helix_plan::names::PlatformIdentity;
use helix_plan::validated::Bucket as Place;
use jiff::{SignedDuration, Timestamp};

use super::beside::Until;
use super::talos::refusal;
use super::{Inner, Universe};
use crate::world::machine::RpcCode;

/// What is in the one bucket.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    objects: BTreeMap<String, Vec<u8>>,
    mood: BucketMood,
    /// How long it takes to put an object, though it answers.
    takes: SignedDuration,
}

/// How a bucket takes requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BucketMood {
    /// It answers.
    #[default]
    Well,
    /// It denies whoever asks.
    Denies,
    /// It is away.
    Down,
    /// It takes that long for each object, and tells nobody what it has meanwhile.
    Slow(SignedDuration),
}

impl Universe {
    /// The keys in the bucket.
    #[must_use]
    pub fn objects(&self) -> Vec<String> {
        self.lock().bucket.objects.keys().cloned().collect()
    }

    /// Changes what is in the bucket, as hands would.
    pub fn with_bucket<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> T {
        act(&mut self.lock().bucket.objects)
    }

    /// Lets the bucket take requests in that way from now on.
    pub fn let_bucket_be(&self, mood: BucketMood) {
        self.lock().bucket.mood = mood;
    }

    /// Lets the bucket take that long from now on to put an object; it answers whatever else is asked.
    pub fn let_bucket_take(&self, span: SignedDuration) {
        self.lock().bucket.takes = span;
    }

    /// Waits as long as the bucket takes for an object.
    async fn at_the_buckets_pace(&self) {
        let at = self.lock().object_is_there_at();
        Until { universe: self.clone(), at }.await;
    }
}

fn away(place: &Place, why: &str) -> SnapshotError {
    SnapshotError::Unreachable { endpoint: place.endpoint.clone(), why: why.to_owned() }
}

impl Inner {
    /// When an object that is put now is there.
    fn object_is_there_at(&self) -> Timestamp {
        self.now
            + match self.bucket.mood {
                BucketMood::Slow(span) => span,
                BucketMood::Well | BucketMood::Denies | BucketMood::Down => self.bucket.takes,
            }
    }

    fn objects(&mut self, place: &Place) -> Result<&mut BTreeMap<String, Vec<u8>>, SnapshotError> {
        match self.bucket.mood {
            BucketMood::Well | BucketMood::Slow(_) => Ok(&mut self.bucket.objects),
            BucketMood::Denies => {
                Err(SnapshotError::Forbidden { bucket: place.name.clone(), why: "AccessDenied".to_owned() })
            }
            BucketMood::Down => Err(away(place, "connection refused")),
        }
    }
}

#[async_trait]
impl Snapshots for Universe {
    async fn list(&self, _: &PlatformIdentity, bucket: &Place) -> Result<Vec<Listed>, SnapshotError> {
        self.ask("list snapshots", |inner| {
            if let BucketMood::Slow(_) = inner.bucket.mood {
                return Err(away(bucket, "no answer in time"));
            }
            let objects = inner.objects(bucket)?.iter().filter(|(key, _)| key.starts_with(&bucket.folder));
            Ok(objects.map(|(key, body)| Listed { key: key.clone(), size_bytes: body.len() as u64 }).collect())
        })
        .await
    }

    async fn put(
        &self,
        _: &PlatformIdentity,
        bucket: &Place,
        key: &str,
        content: Vec<u8>,
    ) -> Result<(), SnapshotError> {
        self.at_the_buckets_pace().await;
        self.tell("put snapshot", |inner| {
            inner.objects(bucket).map(|objects| drop(objects.insert(key.to_owned(), content)))
        })
        .await
    }

    async fn get(
        &self,
        _: &PlatformIdentity,
        bucket: &Place,
        key: &str,
        limit: usize,
    ) -> Result<Vec<u8>, SnapshotError> {
        self.ask("get snapshot", |inner| {
            let body = inner.objects(bucket)?.get(key);
            let body = body.ok_or_else(|| SnapshotError::Absent { key: key.to_owned() })?;
            if body.len() > limit {
                return Err(SnapshotError::TooLarge { key: key.to_owned(), limit });
            }
            Ok(body.clone())
        })
        .await
    }

    async fn delete(&self, _: &PlatformIdentity, bucket: &Place, key: &str) -> Result<(), SnapshotError> {
        self.tell("delete snapshot", |inner| inner.objects(bucket).map(|objects| drop(objects.remove(key)))).await
    }
}

#[async_trait]
impl Recovery for Universe {
    async fn etcd_snapshot(&self, route: &TalosRoute, limit: usize) -> Result<Vec<u8>, TalosError> {
        self.ask("take etcd snapshot", |inner| {
            let (server, now) = (inner.reach(route)?, inner.now);
            let taken = inner.world.guests_mut(now).etcd_snapshot(server);
            let taken = taken.map_err(|error| refusal(route.endpoint, error))?;
            if taken.len() > limit {
                return Err(TalosError::Invalid { address: route.endpoint, why: format!("more than {limit} bytes") });
            }
            Ok(taken)
        })
        .await
    }

    async fn etcd_recover(&self, route: &TalosRoute, snapshot: Vec<u8>) -> Result<(), TalosError> {
        self.tell("upload etcd snapshot", |inner| {
            let (server, now) = (inner.reach(route)?, inner.now);
            let kept = inner.world.guests_mut(now).etcd_recover(server, snapshot);
            kept.map_err(|error| refusal(route.endpoint, error))
        })
        .await
    }

    async fn bootstrap_recovered(&self, route: &TalosRoute) -> Result<(), TalosError> {
        self.tell("recover etcd", |inner| {
            let (server, now) = (inner.reach(route)?, inner.now);
            match inner.world.guests_mut(now).bootstrap_recovered(server, false, now) {
                Ok(()) => {
                    inner.counts.recoveries += 1;
                    Ok(())
                }
                Err(error) if error.code == RpcCode::AlreadyExists => Ok(()),
                Err(error) => Err(refusal(route.endpoint, error)),
            }
        })
        .await
    }

    async fn restart_kubelet(&self, route: &TalosRoute) -> Result<(), TalosError> {
        self.tell("restart kubelet", |inner| {
            let (server, now) = (inner.reach(route)?, inner.now);
            let restarted = inner.world.guests_mut(now).restart_kubelet(server, now);
            restarted.map_err(|error| refusal(route.endpoint, error))
        })
        .await
    }
}
