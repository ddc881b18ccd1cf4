//! One signed request and its answer: bounded time, bounded size, typed error. No retries, no knowledge of objects.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use helix_engine::seams::{Clock, SnapshotError};
use helix_plan::validated::Bucket;
use reqwest::header::HeaderValue;
use reqwest::{Method, Response, Url};

use super::address::Address;
use super::answer::Refusal;
use super::credentials::Credentials;
use super::objects::BucketClient;
use super::signature::{Headers, Signer, sha256_hex};
use crate::outbound::{self, Clients, Unread, cause};

/// How long a request may take that moves no object.
const LOOK: Duration = Duration::from_secs(30);
/// How long one may take that does: the largest snapshot takes as long at 9 Mbit/s.
const TRANSFER: Duration = Duration::from_secs(120);
/// Error documents are far smaller.
const ERROR_LIMIT_BYTES: usize = 64 << 10;

/// TLS could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client of object stores cannot be set up: {why}")]
pub struct SetUpError {
    why: String,
}

/// Speaks to all object stores; cheap to clone.
#[derive(Clone)]
pub struct ObjectStores {
    clients: Clients,
    clock: Arc<dyn Clock>,
    look: Duration,
    transfer: Duration,
}

impl fmt::Debug for ObjectStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectStores")
    }
}

impl ObjectStores {
    /// Sends nothing yet; `clock` is what signatures go by.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, SetUpError> {
        let clients = Clients::new().map_err(|error| SetUpError { why: error.to_string() })?;
        Ok(Self { clients, clock, look: LOOK, transfer: TRANSFER })
    }

    /// Another bound on the time of one request than 30 s, or 120 s where it moves an object.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { look: timeout, transfer: timeout, ..self }
    }

    /// A bucket, as the holder of these credentials. Sends nothing.
    ///
    /// # Errors
    /// [`SnapshotError::Unreachable`] where the endpoint is no URL.
    pub fn bucket<'a>(
        &'a self,
        bucket: &'a Bucket,
        credentials: &'a Credentials,
    ) -> Result<BucketClient<'a>, SnapshotError> {
        Ok(BucketClient { line: Line { stores: self, address: Address::of(bucket)?, bucket, credentials } })
    }
}

/// A way to one bucket.
#[derive(Debug)]
pub(super) struct Line<'a> {
    stores: &'a ObjectStores,
    pub(super) address: Address,
    pub(super) bucket: &'a Bucket,
    credentials: &'a Credentials,
}

/// A request that is to be signed.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    /// The key that it is about; empty where it is about the bucket.
    pub(super) key: &'a str,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
    /// The digest of the body, in hexadecimal.
    pub(super) body_sha256: String,
    /// Whether an object is moved by it.
    pub(super) moves: bool,
}

impl<'a> Ask<'a> {
    /// One without a body, that moves nothing.
    pub(super) fn new(method: Method, url: Url, key: &'a str) -> Self {
        let (headers, body) = (Headers::new(), Vec::new());
        Self { method, url, key, headers, body_sha256: sha256_hex(&body), body, moves: false }
    }
}

impl Line<'_> {
    /// A successful answer, its body yet to be read.
    pub(super) async fn send(&self, ask: Ask<'_>) -> Result<Response, SnapshotError> {
        let Ask { method, url, key, mut headers, body, body_sha256, moves } = ask;
        let now = self.stores.clock.now();
        let signer = Signer { credentials: self.credentials, region: &self.bucket.region, now };
        signer.sign(&method, &url, &body_sha256, &mut headers);
        let bound = if moves { self.stores.transfer } else { self.stores.look };
        // Plain http may lead anywhere: the secret signs and is not sent, and what is put is sealed by who puts it.
        let mut request = self.stores.clients.of(&url).request(method, url).timeout(bound);
        for (name, value) in headers {
            // What was signed is letters, digits and signs, so it goes into a header.
            let Ok(mut value) = HeaderValue::try_from(value) else { continue };
            value.set_sensitive(name == "authorization");
            request = request.header(name, value);
        }
        let response = request.body(body).send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = self.body(response, ERROR_LIMIT_BYTES).await?.unwrap_or_default();
        Err(Refusal { status, headers: &headers, body: &body }.read(self.bucket, key, now))
    }

    /// The whole of a body; none where it is larger than `limit`.
    pub(super) async fn body(&self, answer: Response, limit: usize) -> Result<Option<Vec<u8>>, SnapshotError> {
        match outbound::body(answer, limit).await {
            Ok(body) => Ok(Some(body)),
            Err(Unread::TooLarge) => Ok(None),
            Err(Unread::Broken { error, .. }) => Err(self.unreachable(&error)),
        }
    }

    pub(super) fn unreachable(&self, error: &reqwest::Error) -> SnapshotError {
        if error.is_timeout() {
            return self.late();
        }
        SnapshotError::Unreachable { endpoint: self.bucket.endpoint.clone(), why: cause(error) }
    }

    fn late(&self) -> SnapshotError {
        let why = "no answer in time".to_owned();
        SnapshotError::Unreachable { endpoint: self.bucket.endpoint.clone(), why }
    }

    /// Bounds in time what takes several requests, as one that moves an object is.
    pub(super) async fn in_time<T>(
        &self,
        requests: impl Future<Output = Result<T, SnapshotError>>,
    ) -> Result<T, SnapshotError> {
        tokio::time::timeout(self.stores.transfer, requests).await.unwrap_or_else(|_| Err(self.late()))
    }

    /// An answer that no object store gives.
    pub(super) fn strange(&self, why: &str) -> SnapshotError {
        let why = format!("its answer cannot be read: {why}. Is this an S3-compatible object store?");
        SnapshotError::Unreachable { endpoint: self.bucket.endpoint.clone(), why }
    }
}
