//! A request, read whole, and what it is about: bucket, key and the parameters of its query.

use std::net::IpAddr;

use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};

use super::answer::Refusal;
use super::encoding::decode;

/// No object is larger here; real stores take 5 GB at once.
const MAX_BODY: usize = 256 << 20;

/// A request.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) host: String,
    /// Decoded.
    pub(super) path: String,
    /// Decoded, in the order in which they came.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) bucket: String,
    /// Empty where it is about the bucket.
    pub(super) key: String,
}

impl Call {
    pub(super) async fn read(request: Request<Incoming>) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let unreadable = || Refusal::new("IncompleteBody", "the body could not be read, or it is too large");
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(|_| unreadable())?.to_bytes();
        let no_uri = || Refusal::new("InvalidURI", "the request URI is not percent-encoded");
        let path = decode(parts.uri.path()).ok_or_else(no_uri)?;
        let pairs = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        let query = query.collect::<Option<Vec<_>>>().ok_or_else(no_uri)?;
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.ok_or_else(|| Refusal::new("InvalidRequest", "there is no Host header"))?.to_owned();
        let (bucket, key) = place(&host, &path);
        Ok(Self { method: parts.method, host, path, query, headers: parts.headers, body, bucket, key })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Bucket and key: by the first segment of the path, or by what comes before the first dot of the host's name.
fn place(host: &str, path: &str) -> (String, String) {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let path = path.trim_start_matches('/');
    let own = name.parse::<IpAddr>().is_err().then(|| name.split_once('.')).flatten();
    let (bucket, key) = match own {
        Some((bucket, _)) => (bucket, path),
        None => path.split_once('/').unwrap_or((path, "")),
    };
    (bucket.to_owned(), key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_found_by_path_or_by_host() {
        let at = |host: &str, path: &str| place(host, path);
        let expected = ("b".to_owned(), "a/c".to_owned());
        assert_eq!(at("127.0.0.1:9000", "/b/a/c"), expected);
        assert_eq!(at("localhost:9000", "/b/a/c"), expected);
        assert_eq!(at("b.localhost:9000", "/a/c"), expected);
        assert_eq!(at("127.0.0.1:9000", "/b"), ("b".to_owned(), String::new()));
        assert_eq!(at("b.localhost", "/"), ("b".to_owned(), String::new()));
    }
}
