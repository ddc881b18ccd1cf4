//! Looking at the bucket: which snapshots there are, and whether the one that is to be restored is good.
//!
//! A listing is good for a sweep, a failed one for a minute. A snapshot is fetched and opened only while etcd cannot be
//! heard and somebody asks for a restore, and once for each key.

use std::time::Duration;

use helix_plan::SWEEP;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{BackupFacts, Candidate, Fact, Flaw, Missing, Snapshot};
use helix_plan::secrets::SecretBundle;
use helix_plan::validated::{Bucket, RestoreFrom, ValidatedPlatform};
use jiff::{SignedDuration, Timestamp};

use super::race;
use crate::memory::Memory;
use crate::seams::{Clock, LARGEST_SNAPSHOT, Listed, SnapshotError, Snapshots};
use crate::snapshot;

/// How soon a bucket that did not answer is asked again.
const ASK_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// How long a listing is waited for: everything else that the turn is to do waits with it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the bucket tells. `lost` says that nobody can tell the members of etcd.
pub(super) async fn look(
    (snapshots, clock): (&dyn Snapshots, &dyn Clock),
    platform: &ValidatedPlatform,
    bundle: Option<&SecretBundle>,
    lost: bool,
    memory: &mut Memory,
    now: Timestamp,
) -> BackupFacts {
    let mut facts = BackupFacts::unknown();
    let Some(backup) = &platform.backup else { return facts };
    facts.snapshots = listing((snapshots, clock), &platform.identity, &backup.bucket, memory, now).await;
    facts.under_way = memory.in_hand.since();
    facts.failure = memory.snapshot_failure.clone();
    if let (true, Some(request), Some(bundle)) = (lost, &platform.restore_from, bundle) {
        facts.candidate = match wanted(request, &facts.snapshots) {
            Ok(key) => {
                let bucket = (snapshots, &platform.identity, &backup.bucket);
                judge(bucket, bundle, key, memory, now).await
            }
            Err(missing) => missing,
        };
    }
    facts
}

async fn listing(
    (snapshots, clock): (&dyn Snapshots, &dyn Clock),
    identity: &PlatformIdentity,
    bucket: &Bucket,
    memory: &mut Memory,
    now: Timestamp,
) -> Fact<Vec<Snapshot>> {
    if let Some((until, kept)) = memory.snapshots.as_ref().filter(|(until, _)| *until > now) {
        tracing::trace!(%until, "the listing of snapshots is still good");
        return kept.clone();
    }
    let slow = || SnapshotError::Unreachable {
        endpoint: bucket.endpoint.clone(),
        why: format!("no answer within {} s", PATIENCE.as_secs()),
    };
    let listed = race::within(clock, PATIENCE, snapshots.list(identity, bucket)).await;
    let (until, facts) = match listed.unwrap_or_else(|| Err(slow())) {
        Ok(listed) => {
            let ours = |object: &Listed| Snapshot::listed(&bucket.folder, &object.key, object.size_bytes);
            let mut ours: Vec<Snapshot> = listed.iter().filter_map(ours).collect();
            ours.sort_by_key(|snapshot| snapshot.taken_at);
            (now + SWEEP, Fact::known(ours, now))
        }
        Err(error) => (now + ASK_AGAIN, Fact::Missing(missing(bucket, &error))),
    };
    memory.snapshots = Some((until, facts.clone()));
    facts
}

/// The key that a restore asks for; an answer at once where there is none.
fn wanted(request: &RestoreFrom, snapshots: &Fact<Vec<Snapshot>>) -> Result<String, Fact<Candidate>> {
    match (request, snapshots) {
        (RestoreFrom::Key(key), _) => Ok(key.clone()),
        (RestoreFrom::Latest, Fact::Known { value, at }) => value
            .last()
            .map(|newest| newest.key.clone())
            .ok_or_else(|| Fact::known(Candidate { key: request.text().to_owned(), verdict: Err(Flaw::Absent) }, *at)),
        (RestoreFrom::Latest, Fact::Missing(missing)) => Err(Fact::Missing(missing.clone())),
    }
}

async fn judge(
    (snapshots, identity, bucket): (&dyn Snapshots, &PlatformIdentity, &Bucket),
    bundle: &SecretBundle,
    key: String,
    memory: &mut Memory,
    now: Timestamp,
) -> Fact<Candidate> {
    if let Some(kept) = memory.candidate.as_ref().filter(|(until, kept)| kept.key == key && *until > now) {
        return Fact::known(kept.1.clone(), now);
    }
    let limit = snapshot::sealed_limit(LARGEST_SNAPSHOT);
    let verdict = match snapshots.get(identity, bucket, &key, limit).await {
        Ok(sealed) => snapshot::open(bundle, &sealed).map(drop),
        Err(SnapshotError::Absent { .. }) => Err(Flaw::Absent),
        Err(SnapshotError::TooLarge { .. }) => Err(Flaw::TooLarge),
        Err(SnapshotError::Damaged { .. }) => Err(Flaw::Damaged),
        Err(error) => return Fact::Missing(missing(bucket, &error)),
    };
    let candidate = Candidate { key, verdict };
    // What is bad may be put right under the same key.
    let until = now + if candidate.verdict.is_ok() { SWEEP } else { ASK_AGAIN };
    memory.candidate = Some((until, candidate.clone()));
    Fact::known(candidate, now)
}

fn missing(bucket: &Bucket, error: &SnapshotError) -> Missing {
    let who = format!("bucket {}", bucket.name);
    let refused =
        |remedy: &str| Missing::Refused { who: who.clone(), why: error.to_string(), remedy: remedy.to_owned() };
    match error {
        SnapshotError::Credentials { .. } | SnapshotError::Forbidden { .. } => {
            refused("See to spec.backup.etcd.s3.credentialsSecretRef and to what its key may do")
        }
        SnapshotError::NoBucket { .. } => refused("See to spec.backup.etcd.s3.bucket"),
        SnapshotError::WrongRegion { .. } => refused("See to spec.backup.etcd.s3.region"),
        SnapshotError::ClockSkew { .. } => refused("See to the operator's clock"),
        _ => Missing::Unreachable { who, why: error.to_string() },
    }
}
