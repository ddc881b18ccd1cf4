//! From what a store refused to the engine's [`SnapshotError`]: by status and code, never by the text of a message.

use std::time::Duration;

use helix_engine::seams::SnapshotError;
use helix_plan::validated::Bucket;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap};
use roxmltree::Document;

use super::listing::child;

/// Stores refuse signatures that are further away than this.
const SKEW: Duration = Duration::from_secs(15 * 60);
/// The longest code that is kept; stores' own are shorter.
const CODE_CHARS: usize = 64;
/// Where a store tells a bucket's region.
const REGION: &str = "x-amz-bucket-region";

/// An answer that is no success.
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

impl Refusal<'_> {
    /// What it means for a request about `key` in `bucket`, sent at `now`.
    ///
    /// Without the store's error document a status alone means little: a 404 may come from a proxy, and must not pass for
    /// "there is no such snapshot".
    pub(super) fn read(&self, bucket: &Bucket, key: &str, now: Timestamp) -> SnapshotError {
        let (code, region) = self.document();
        let (name, endpoint, key) = (bucket.name.clone(), bucket.endpoint.clone(), key.to_owned());
        let skewed = || SnapshotError::ClockSkew { bucket: name.clone(), theirs: self.date(), ours: now };
        let unusable =
            |why: &str| SnapshotError::Credentials { secret: bucket.credentials.clone(), why: why.to_owned() };
        match code.as_str() {
            "NoSuchBucket" => SnapshotError::NoBucket { bucket: name },
            "NoSuchKey" => SnapshotError::Absent { key },
            "RequestTimeTooSkewed" | "RequestExpired" => skewed(),
            _ if matches!(self.status, 401 | 403) && self.is_skewed(now) => skewed(),
            "InvalidAccessKeyId" => unusable("the store does not know its accessKeyId"),
            "SignatureDoesNotMatch" => unusable("its secretAccessKey is not that of its accessKeyId"),
            "InvalidToken" | "ExpiredToken" => unusable("the store takes its pair no longer"),
            "XAmzContentSHA256Mismatch" | "BadDigest" | "IncompleteBody" => {
                SnapshotError::Damaged { key, why: format!("the store received something else ({code})") }
            }
            "SlowDown" | "ServiceUnavailable" | "Throttling" | "TooManyRequests" => {
                SnapshotError::Busy { endpoint, code }
            }
            _ if matches!(self.status, 429 | 503) => {
                SnapshotError::Busy { endpoint, code: format!("status {}", self.status) }
            }
            _ => match (self.status, region) {
                (301 | 307 | 400, Some(region)) if region != bucket.region => {
                    SnapshotError::WrongRegion { bucket: name, region, asked: bucket.region.clone() }
                }
                (401 | 403, _) if code.is_empty() => {
                    SnapshotError::Forbidden { bucket: name, why: format!("status {}", self.status) }
                }
                (401 | 403, _) => SnapshotError::Forbidden { bucket: name, why: code },
                (status, _) => SnapshotError::Other { endpoint, status, code },
            },
        }
    }

    /// The code, and the bucket's region where it is told.
    fn document(&self) -> (String, Option<String>) {
        let region = self.headers.get(REGION).and_then(|value| value.to_str().ok()).map(word);
        let text = std::str::from_utf8(self.body).unwrap_or_default();
        let Ok(document) = Document::parse(text) else { return (String::new(), region) };
        let root = document.root_element();
        if root.tag_name().name() != "Error" {
            return (String::new(), region);
        }
        let code = child(root, "Code").map(word).unwrap_or_default();
        (code, region.or_else(|| child(root, "Region").map(word)))
    }

    fn date(&self) -> String {
        let date = self.headers.get(DATE).and_then(|value| value.to_str().ok());
        date.map_or_else(|| "something else".to_owned(), str::to_owned)
    }

    fn is_skewed(&self, now: Timestamp) -> bool {
        let theirs = rfc2822::parse(&self.date()).ok();
        theirs.is_some_and(|theirs| theirs.timestamp().duration_since(now).unsigned_abs() > SKEW)
    }
}

/// A word of the store's that may be shown: nothing else that an error document holds is.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(CODE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;
    use crate::s3::address::tests::bucket;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn read(status: u16, date: &str, body: &str) -> SnapshotError {
        let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_str(date).unwrap())]);
        Refusal { status, headers: &headers, body: body.as_bytes() }.read(&bucket("https://s3.example"), "k", now())
    }

    fn coded(status: u16, code: &str) -> SnapshotError {
        let body = format!(
            r#"<?xml version="1.0"?><Error><Code>{code}</Code><Message>words</Message><Region>eu-1</Region>
            <StringToSign>hush</StringToSign></Error>"#
        );
        read(status, "Sat, 21 Nov 2026 12:01:00 GMT", &body)
    }

    #[test]
    fn codes_become_the_errors_that_the_engine_acts_on() {
        let reasons = [
            (403, "AccessDenied", "BucketForbidden"),
            (403, "AllAccessDisabled", "BucketForbidden"),
            (403, "InvalidAccessKeyId", "BackupCredentials"),
            (403, "SignatureDoesNotMatch", "BackupCredentials"),
            (403, "RequestTimeTooSkewed", "BucketClockSkew"),
            (404, "NoSuchBucket", "BucketMissing"),
            (404, "NoSuchKey", "SnapshotMissing"),
            (404, "NoSuchUpload", "BucketError"),
            (400, "AuthorizationHeaderMalformed", "BucketRegion"),
            (301, "PermanentRedirect", "BucketRegion"),
            (400, "XAmzContentSHA256Mismatch", "SnapshotDamaged"),
            (503, "SlowDown", "BucketBusy"),
            (429, "SomethingElse", "BucketBusy"),
            (500, "InternalError", "BucketError"),
        ];
        for (status, code, reason) in reasons {
            let error = coded(status, code);
            assert_eq!(error.reason(), reason, "{status} {code}");
            assert!(!format!("{error} {error:?}").contains("hush"));
        }
        assert!(coded(403, "SignatureDoesNotMatch").to_string().contains("Secret backup-s3"));
        assert!(coded(301, "PermanentRedirect").to_string().contains("eu-1"));
    }

    #[test]
    fn a_refusal_far_from_our_time_is_about_the_clock() {
        let denied = "<Error><Code>AccessDenied</Code></Error>";
        let error = read(403, "Sat, 21 Nov 2026 12:30:00 GMT", denied);
        let SnapshotError::ClockSkew { theirs, .. } = &error else { panic!("{error:?}") };
        assert_eq!(theirs, "Sat, 21 Nov 2026 12:30:00 GMT");
        assert_eq!(read(403, "yesterday", denied).reason(), "BucketForbidden");
    }

    #[test]
    fn a_bare_status_is_not_taken_for_the_stores_word() {
        assert_eq!(read(404, "", "404 page not found").reason(), "BucketError");
        assert_eq!(read(404, "", "<html><Code>NoSuchKey</Code></html>").reason(), "BucketError");
        assert!(read(403, "", "").to_string().contains("status 403"));
        assert_eq!(read(503, "", "").reason(), "BucketBusy");
    }
}
