//! `spec.backup.etcd` and the annotation that asks for a restore, made fit to be acted on.

use helix_crds::labels::RESTORE_FROM;
use helix_crds::{HelixPlatform, HelixPlatformSpec, S3Target};
use jiff::SignedDuration;

use super::Rejections;
use super::schedule::Schedule;
use crate::names::PlatformIdentity;

/// Regular snapshots of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdBackup {
    /// When one is due.
    pub schedule: Schedule,
    /// How long one is kept; the newest is kept in any case.
    pub retention: SignedDuration,
    /// Where they go.
    pub bucket: Bucket,
}

/// A bucket, and the place in it that is this platform's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// URL of the object store, without a slash at its end.
    pub endpoint: String,
    /// Its name.
    pub name: String,
    /// Its region, as requests are signed for it.
    pub region: String,
    /// What every key of this platform's own snapshots begins with: the prefix of the specification and the platform's
    /// UID, so that platforms may share a bucket and none prunes what is another's. It ends with a slash.
    pub folder: String,
    /// Name of the Secret with the keys `accessKeyId` and `secretAccessKey`, in the platform's namespace.
    pub credentials: String,
}

/// The snapshot that a restore is asked from: the annotation's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreFrom {
    /// The newest of this platform's own.
    Latest,
    /// The one with this key in the bucket.
    Key(String),
}

impl RestoreFrom {
    /// As the annotation has it.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Latest => LATEST,
            Self::Key(key) => key,
        }
    }

    pub(super) fn of(platform: &HelixPlatform) -> Option<Self> {
        let text = platform.metadata.annotations.as_ref()?.get(RESTORE_FROM)?.trim();
        match text {
            "" => None,
            LATEST => Some(Self::Latest),
            key => Some(Self::Key(key.to_owned())),
        }
    }
}

/// Most snapshots of one platform: a listing of more than 20,000 objects is an error, and others may lie in the folder.
const MOST_KEPT: u32 = 8_000;

const LATEST: &str = "latest";

/// What requests are signed for where the specification names no region; most compatible stores take any.
const REGION: &str = "us-east-1";

pub(super) fn etcd(
    spec: &HelixPlatformSpec,
    identity: &PlatformIdentity,
    rejections: &mut Rejections,
) -> Option<EtcdBackup> {
    let backup = spec.backup.as_ref()?.etcd.as_ref()?;
    let schedule = Schedule::parse(&backup.schedule);
    if schedule.is_none() {
        rejections.add(
            "spec.backup.etcd.schedule",
            format!("`{}` is no cron schedule of five fields, or never comes", backup.schedule),
            "write minute, hour, day, month and weekday in UTC, as in \"*/30 * * * *\"",
        );
    }
    let retention = span(&backup.retention);
    if retention.is_none() {
        rejections.add(
            "spec.backup.etcd.retention",
            format!("`{}` is no span", backup.retention),
            "write a number and h, d or w, as in 30d",
        );
    }
    if let (Some(schedule), Some(retention)) = (schedule, retention) {
        let days = u32::try_from(retention.as_hours().div_euclid(24) + 1).unwrap_or(u32::MAX);
        let kept = schedule.most_per_day().saturating_mul(days);
        if kept > MOST_KEPT {
            rejections.add(
                "spec.backup.etcd.retention",
                format!("up to {kept} snapshots would be kept, and a listing tells at most {MOST_KEPT} in time"),
                "write a shorter retention or a rarer schedule",
            );
        }
    }
    let bucket = bucket(&backup.s3, identity, rejections);
    Some(EtcdBackup { schedule: schedule?, retention: retention?, bucket: bucket? })
}

/// Reads `12h`, `7d` or `4w`.
fn span(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        "w" => 7 * 24,
        _ => return None,
    };
    let number: u16 = number.parse().ok().filter(|number| *number > 0)?;
    Some(SignedDuration::from_hours(i64::from(number) * hours))
}

fn bucket(s3: &S3Target, identity: &PlatformIdentity, rejections: &mut Rejections) -> Option<Bucket> {
    let before = rejections.as_slice().len();
    let endpoint = s3.endpoint.trim_end_matches('/');
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://")).unwrap_or_default();
    if host.is_empty() || host.contains(['@', '?', '#', ' ']) {
        rejections.add(
            "spec.backup.etcd.s3.endpoint",
            format!("`{}` is no URL of an object store", s3.endpoint),
            "write it with its scheme and without credentials, as in https://fsn1.your-objectstorage.com",
        );
    }
    let in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if s3.bucket.is_empty() || !s3.bucket.chars().all(in_name) {
        rejections.add(
            "spec.backup.etcd.s3.bucket",
            format!("`{}` is no name of a bucket", s3.bucket),
            "write lower-case letters, digits, dashes and dots",
        );
    }
    let prefix = s3.prefix.as_deref().unwrap_or(&identity.name).trim_end_matches('/');
    let in_key = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if prefix.is_empty() || prefix.starts_with('/') || prefix.contains("..") || !prefix.chars().all(in_key) {
        rejections.add(
            "spec.backup.etcd.s3.prefix",
            format!("`{prefix}` cannot begin a key"),
            "write letters, digits, dashes, dots and slashes, beginning without a slash, as in prod/etcd",
        );
    }
    (rejections.as_slice().len() == before).then(|| Bucket {
        endpoint: endpoint.to_owned(),
        name: s3.bucket.clone(),
        region: s3.region.clone().unwrap_or_else(|| REGION.to_owned()),
        folder: format!("{prefix}/{}/", identity.uid),
        credentials: s3.credentials_secret_ref.name.clone(),
    })
}
