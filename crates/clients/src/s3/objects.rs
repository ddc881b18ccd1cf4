//! What is done to the objects of a bucket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helix_engine::seams::{Listed, SnapshotError};
use md5::{Digest as _, Md5};
use reqwest::Method;

use super::listing;
use super::signature::{Headers, sha256_hex};
use super::transport::{Ask, Line};
use crate::outbound::{self, Unread, cause};

/// As many entries as stores put into one page.
const PAGE: usize = 1_000;
/// So many pages are read of one listing; a snapshot every five minutes fills them in ten weeks.
const PAGES: usize = 20;
/// A page of 1,000 keys of the longest kind has about 2 MB.
const PAGE_LIMIT_BYTES: usize = 8 << 20;
/// Metadata that we give: the SHA-256 of the whole object, in hexadecimal.
const DIGEST: &str = "x-amz-meta-helix-sha256";

/// One bucket; made by [`ObjectStores::bucket`](super::ObjectStores::bucket). Its errors are those of the engine's seam.
#[derive(Debug)]
pub struct BucketClient<'a> {
    pub(super) line: Line<'a>,
}

impl BucketClient<'_> {
    /// The objects whose key begins with `prefix`, by key: all of them.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, SnapshotError> {
        self.line.in_time(self.pages(prefix)).await
    }

    async fn pages(&self, prefix: &str) -> Result<Vec<Listed>, SnapshotError> {
        let most = PAGE.to_string();
        let mut objects = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES {
            let mut query = vec![("list-type", "2"), ("max-keys", most.as_str()), ("prefix", prefix)];
            query.extend(after.as_deref().map(|token| ("continuation-token", token)));
            let url = self.line.address.listing(&query);
            let answer = self.line.send(Ask::new(Method::GET, url, "")).await?;
            let body = self.line.body(answer, PAGE_LIMIT_BYTES).await?;
            let body = body.ok_or_else(|| self.line.strange("a page of a listing is too large"))?;
            let page = listing::read(&body).map_err(|why| self.line.strange(why))?;
            objects.extend(page.objects.into_iter().filter(|object| object.key.starts_with(prefix)));
            match page.next {
                None => return Ok(objects),
                next if next == after => return Err(self.line.strange("a page of a listing leads to itself")),
                next => after = next,
            }
        }
        let bucket = self.line.bucket.name.clone();
        Err(SnapshotError::TooMany { bucket, prefix: prefix.to_owned(), limit: PAGE * PAGES })
    }

    /// Puts an object, in place of one of the same key; it is there whole or not at all.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub async fn put(&self, key: &str, content: Vec<u8>) -> Result<(), SnapshotError> {
        // The signature binds the content already. Buckets with object lock demand a checksum besides, and this is the
        // one that every store takes.
        let md5 = STANDARD.encode(Md5::digest(&content));
        let sha256 = sha256_hex(&content);
        let headers = Headers::from([("content-md5", md5), (DIGEST, sha256.clone())]);
        let ask = self.about(Method::PUT, key)?;
        let ask = Ask { headers, body: content, body_sha256: sha256, moves: true, ..ask };
        self.line.send(ask).await.map(drop)
    }

    /// Gets an object of at most `limit` bytes, as it was put: its length and digest are compared.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub async fn get(&self, key: &str, limit: usize) -> Result<Vec<u8>, SnapshotError> {
        let too_large = || SnapshotError::TooLarge { key: key.to_owned(), limit };
        let damaged = |why: String| SnapshotError::Damaged { key: key.to_owned(), why };
        let answer = self.line.send(Ask { moves: true, ..self.about(Method::GET, key)? }).await?;
        let told = answer.content_length();
        if told.is_some_and(|told| usize::try_from(told).map_or(true, |told| told > limit)) {
            return Err(too_large());
        }
        let digest = answer.headers().get(DIGEST).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let content = outbound::body(answer, limit).await.map_err(|unread| match unread {
            Unread::TooLarge => too_large(),
            Unread::Broken { error, .. } if error.is_timeout() => self.line.unreachable(&error),
            Unread::Broken { got, error } => {
                let whole = told.map_or_else(String::new, |told| format!(" of {told}"));
                damaged(format!("it ended after {got}{whole} bytes ({})", cause(&error)))
            }
        })?;
        match digest {
            Some(digest) if digest != sha256_hex(&content) => {
                Err(damaged("its SHA-256 is not the one that it was put with".to_owned()))
            }
            _ => Ok(content),
        }
    }

    /// Deletes an object; one that is gone is success.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub async fn delete(&self, key: &str) -> Result<(), SnapshotError> {
        let deleted = async { self.line.send(self.about(Method::DELETE, key)?).await };
        match deleted.await {
            Ok(_) | Err(SnapshotError::Absent { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A request about an object.
    fn about<'a>(&self, method: Method, key: &'a str) -> Result<Ask<'a>, SnapshotError> {
        let url = self.line.address.object(key).ok_or_else(|| SnapshotError::Absent { key: key.to_owned() })?;
        Ok(Ask::new(method, url, key))
    }
}
