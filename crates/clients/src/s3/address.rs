//! Where a bucket and its objects are: URLs whose path is exactly what is signed.

use helix_engine::seams::SnapshotError;
use helix_plan::validated::Bucket;
use reqwest::Url;

/// A bucket's place on the web.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// The endpoint.
    base: Url,
    /// What the path of everything in the bucket begins with; it ends without a slash.
    root: String,
}

impl Address {
    pub(super) fn of(bucket: &Bucket) -> Result<Self, SnapshotError> {
        let no_url = |why: &str| SnapshotError::Unreachable { endpoint: bucket.endpoint.clone(), why: why.to_owned() };
        let base = Url::parse(&bucket.endpoint).map_err(|_| no_url("it is no URL"))?;
        let host = base.host_str().ok_or_else(|| no_url("it names no host"))?.trim_matches(['[', ']']);
        let own = host.strip_prefix(&bucket.name).is_some_and(|rest| rest.starts_with('.'));
        let mut root = base.path().trim_end_matches('/').to_owned();
        if !own {
            root = format!("{root}/{}", encoded(&bucket.name, Slash::Encoded));
        }
        Ok(Self { base, root })
    }

    /// The URL of the bucket, with a query of pairs that are not encoded yet.
    pub(super) fn listing(&self, query: &[(&str, &str)]) -> Url {
        let mut pairs: Vec<(String, String)> =
            query.iter().map(|(k, v)| (encoded(k, Slash::Encoded), encoded(v, Slash::Encoded))).collect();
        // The signature covers them in this order, so they go out in it.
        pairs.sort();
        let query: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut url = self.base.clone();
        url.set_path(if self.root.is_empty() { "/" } else { &self.root });
        url.set_query(Some(&query.join("&")));
        url
    }

    /// The URL of an object; none for a key that a URL cannot say: one with `.` or `..` for a segment leads elsewhere.
    pub(super) fn object(&self, key: &str) -> Option<Url> {
        let path = format!("{}/{}", self.root, encoded(key, Slash::Kept));
        let mut url = self.base.clone();
        url.set_path(&path);
        (!key.is_empty() && url.path() == path).then_some(url)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Slash {
    Kept,
    Encoded,
}

/// Percent-encoded as signatures want it: all but what RFC 3986 calls unreserved.
fn encoded(text: &str, slash: Slash) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            b'/' if slash == Slash::Kept => encoded.push('/'),
            // Writing to a String cannot fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::s3) fn bucket(endpoint: &str) -> Bucket {
        Bucket {
            endpoint: endpoint.to_owned(),
            name: "acme-backups".to_owned(),
            region: "us-east-1".to_owned(),
            folder: "prod/5f0c/".to_owned(),
            credentials: "backup-s3".to_owned(),
        }
    }

    fn object(endpoint: &str, key: &str) -> Option<String> {
        Address::of(&bucket(endpoint)).unwrap().object(key).map(Url::into)
    }

    #[test]
    fn an_endpoint_is_the_stores_or_the_buckets_own() {
        let key = "prod/a b+c%.age";
        let at = |place: &str| Some(format!("{place}/prod/a%20b%2Bc%25.age"));
        assert_eq!(object("https://fsn1.example", key), at("https://fsn1.example/acme-backups"));
        assert_eq!(object("https://acme-backups.fsn1.example", key), at("https://acme-backups.fsn1.example"));
        assert_eq!(object("https://acme-backups2.example", key), at("https://acme-backups2.example/acme-backups"));
        assert_eq!(object("http://127.0.0.1:9000/s3/", key), at("http://127.0.0.1:9000/s3/acme-backups"));
    }

    #[test]
    fn a_key_that_would_lead_elsewhere_has_no_url() {
        for key in ["", "a/../b", "./a", "a/.", ".."] {
            assert_eq!(object("https://fsn1.example", key), None, "{key}");
        }
        assert!(object("https://fsn1.example", "a//b/...").is_some());
    }

    #[test]
    fn a_query_is_encoded_and_in_order() {
        let address = Address::of(&bucket("https://fsn1.example")).unwrap();
        let url = address.listing(&[("prefix", "a/b'"), ("list-type", "2")]);
        assert_eq!(url.as_str(), "https://fsn1.example/acme-backups?list-type=2&prefix=a%2Fb%27");
        let own = Address::of(&bucket("https://acme-backups.fsn1.example")).unwrap();
        assert_eq!(own.listing(&[("list-type", "2")]).as_str(), "https://acme-backups.fsn1.example/?list-type=2");
    }

    #[test]
    fn what_names_no_host_is_no_endpoint() {
        assert_eq!(Address::of(&bucket("http://")).unwrap_err().reason(), "BucketUnreachable");
    }
}
