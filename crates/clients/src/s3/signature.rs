//! AWS Signature Version 4 in the header `Authorization`.
//!
//! By hand, because it is little and what there is fits badly: `rusty-s3` signs queries only (the signature then lies in
//! logs as part of the URL, and covers no body), `aws-sigv4` brings some twenty crates. Held against the examples that
//! Amazon publishes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use reqwest::{Method, Url};
use sha2::{Digest as _, Sha256};

use super::credentials::Credentials;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Headers by name, in lower case.
pub(super) type Headers = BTreeMap<&'static str, String>;

/// Who signs, for where, and when.
pub(super) struct Signer<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) region: &'a str,
    pub(super) now: Timestamp,
}

impl Signer<'_> {
    /// Puts what a signed request needs among its headers. `url` has path and query as they go out, encoded and in order;
    /// whatever else is to be signed is among the headers already.
    pub(super) fn sign(&self, method: &Method, url: &Url, body_sha256: &str, headers: &mut Headers) {
        let moment = self.now.strftime("%Y%m%dT%H%M%SZ").to_string();
        headers.insert("host", host(url));
        headers.insert("x-amz-content-sha256", body_sha256.to_owned());
        headers.insert("x-amz-date", moment.clone());
        let names: Vec<&str> = headers.keys().copied().collect();
        let signed = names.join(";");
        let mut canonical = format!("{method}\n{}\n{}\n", url.path(), url.query().unwrap_or_default());
        for (name, value) in headers.iter() {
            // Writing to a String cannot fail.
            let _ = writeln!(canonical, "{name}:{}", value.trim());
        }
        let _ = write!(canonical, "\n{signed}\n{body_sha256}");

        let day = moment.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let to_sign = format!("{ALGORITHM}\n{moment}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
        let secret = format!("AWS4{}", self.credentials.secret_access_key.expose());
        let mut key = hmac(secret.as_bytes(), day);
        for part in [self.region, "s3", "aws4_request"] {
            key = hmac(&key, part);
        }
        let signature = hex(&hmac(&key, &to_sign));
        let id = &self.credentials.access_key_id;
        let authorization = format!("{ALGORITHM} Credential={id}/{scope},SignedHeaders={signed},Signature={signature}");
        headers.insert("authorization", authorization);
    }
}

/// As the header `Host` has it: without the port that the scheme stands for.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of any length; the empty signature of the impossible would be refused.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature of a request of Amazon's published examples ("Authenticating Requests: Using the Authorization
    /// Header", of the S3 API reference).
    fn signature(method: &Method, url: &str, body: &[u8], more: &[(&'static str, &str)]) -> String {
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap();
        let now = "2013-05-24T00:00:00Z".parse().unwrap();
        let signer = Signer { credentials: &credentials, region: "us-east-1", now };
        let mut headers: Headers = more.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        signer.sign(method, &url.parse().unwrap(), &sha256_hex(body), &mut headers);
        let authorization = &headers["authorization"];
        assert!(!authorization.contains("wJalr"));
        authorization.rsplit_once("Signature=").unwrap().1.to_owned()
    }

    #[test]
    fn the_published_examples_are_signed_as_published() {
        let at = "https://examplebucket.s3.amazonaws.com";
        let get = signature(&Method::GET, &format!("{at}/test.txt"), b"", &[("range", "bytes=0-9")]);
        assert_eq!(get, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
        let more = [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        let put = signature(&Method::PUT, &format!("{at}/test%24file.text"), b"Welcome to Amazon S3.", &more);
        assert_eq!(put, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
        let lifecycle = signature(&Method::GET, &format!("{at}/?lifecycle="), b"", &[]);
        assert_eq!(lifecycle, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
        let list = signature(&Method::GET, &format!("{at}/?max-keys=2&prefix=J"), b"", &[]);
        assert_eq!(list, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    }

    #[test]
    fn the_host_has_its_port_unless_the_scheme_says_it() {
        assert_eq!(host(&"http://127.0.0.1:9000/x".parse().unwrap()), "127.0.0.1:9000");
        assert_eq!(host(&"https://store.example:443/x".parse().unwrap()), "store.example");
    }
}
