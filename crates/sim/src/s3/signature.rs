//! Whether a request comes from the holder of a key pair and says what its holder said: AWS Signature Version 4, in the
//! header `Authorization` or, as "presigned" URLs have it, in the query.

use hmac::{Hmac, Mac as _};
use http::header;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::answer::Refusal;
use super::call::Call;
use super::encoding::{encode, hexadecimal};
use crate::world::object_storage::ObjectStorage;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Requests may be so far from the store's time.
const SKEW: SignedDuration = SignedDuration::from_mins(15);
/// Stands for the digest of a body that is not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What a request says of its signature.
struct Claim<'a> {
    access_key_id: &'a str,
    day: &'a str,
    region: &'a str,
    /// Names of the headers that are signed.
    signed: Vec<&'a str>,
    signature: &'a str,
    moment: &'a str,
    /// For how long a presigned URL counts.
    expires: Option<SignedDuration>,
    body: &'a str,
}

/// Verifies a request at `now`.
pub(super) fn verify(call: &Call, storage: &ObjectStorage, now: Timestamp) -> Result<(), Refusal> {
    let claim = match call.parameter("X-Amz-Signature") {
        Some(signature) => claim_of_query(call, signature),
        None => claim_of_header(call),
    }?;
    if let Some(region) = storage.region.as_deref().filter(|region| *region != claim.region) {
        return Err(Refusal::elsewhere(region));
    }
    let secret = storage
        .secret_of(claim.access_key_id)
        .ok_or_else(|| Refusal::new("InvalidAccessKeyId", "the access key does not exist in our records"))?;
    check_time(&claim, now)?;
    check_signed(call, &claim)?;
    if signature(secret, &claim, &canonical(call, &claim)) != claim.signature {
        return Err(Refusal::new("SignatureDoesNotMatch", "the signature does not match the one we calculated"));
    }
    match claim.body {
        UNSIGNED => Ok(()),
        told if told == hexadecimal(Sha256::digest(&call.body)) => Ok(()),
        // What is said of a body that is signed in chunks is among these, as at Hetzner.
        _ => Err(Refusal::new("XAmzContentSHA256Mismatch", "the body's SHA-256 is not the one that was signed")),
    }
}

fn malformed(what: &str) -> Refusal {
    Refusal::new("AuthorizationHeaderMalformed", format!("the authorization is malformed: {what}"))
}

/// Access key, day and region of a credential scope.
fn scope(text: &str) -> Option<(&str, &str, &str)> {
    let mut parts = text.rsplitn(5, '/');
    let (end, service, region, day) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (end == "aws4_request" && service == "s3").then_some((parts.next()?, day, region))
}

fn claim_of_header(call: &Call) -> Result<Claim<'_>, Refusal> {
    let denied = || Refusal::new("AccessDenied", "the request is not signed");
    let text = call.header(header::AUTHORIZATION.as_str()).ok_or_else(denied)?;
    let text = text.strip_prefix(ALGORITHM).ok_or_else(|| malformed("another algorithm"))?;
    let part = |name: &str| {
        let mut parts = text.split(',').filter_map(|part| part.trim().split_once('='));
        parts.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let credential = part("Credential").and_then(scope);
    let (access_key_id, day, region) = credential.ok_or_else(|| malformed("the credential"))?;
    Ok(Claim {
        access_key_id,
        day,
        region,
        signed: part("SignedHeaders").ok_or_else(|| malformed("the signed headers"))?.split(';').collect(),
        signature: part("Signature").ok_or_else(|| malformed("the signature"))?,
        moment: call.header("x-amz-date").ok_or_else(|| malformed("no date"))?,
        expires: None,
        body: call.header("x-amz-content-sha256").ok_or_else(|| malformed("no digest of the body"))?,
    })
}

fn claim_of_query<'a>(call: &'a Call, signature: &'a str) -> Result<Claim<'a>, Refusal> {
    let wrong = |what: &str| {
        Refusal::new("AuthorizationQueryParametersError", format!("the query's authorization lacks {what}"))
    };
    let parameter = |name: &str| call.parameter(name).ok_or_else(|| wrong(name));
    if parameter("X-Amz-Algorithm")? != ALGORITHM {
        return Err(wrong("a known algorithm"));
    }
    let (access_key_id, day, region) =
        scope(parameter("X-Amz-Credential")?).ok_or_else(|| wrong("a credential scope"))?;
    let seconds = parameter("X-Amz-Expires")?.parse().map_err(|_| wrong("a number of seconds"))?;
    Ok(Claim {
        access_key_id,
        day,
        region,
        signed: parameter("X-Amz-SignedHeaders")?.split(';').collect(),
        signature,
        moment: parameter("X-Amz-Date")?,
        expires: Some(SignedDuration::from_secs(seconds)),
        body: call.header("x-amz-content-sha256").unwrap_or(UNSIGNED),
    })
}

fn check_time(claim: &Claim<'_>, now: Timestamp) -> Result<(), Refusal> {
    let moment = DateTime::strptime("%Y%m%dT%H%M%SZ", claim.moment).and_then(|it| it.to_zoned(TimeZone::UTC));
    let moment = moment.map_err(|_| malformed("the date"))?.timestamp();
    if !claim.moment.starts_with(claim.day) {
        return Err(malformed("the date is not the credential's"));
    }
    let age = now.duration_since(moment);
    match claim.expires {
        Some(expires) if age > expires || age < -SKEW => Err(Refusal::new("AccessDenied", "the request has expired")),
        None if age.abs() > SKEW => {
            let message = "the difference between the request's time and the store's is too large";
            Err(Refusal::new("RequestTimeTooSkewed", message))
        }
        Some(_) | None => Ok(()),
    }
}

/// What S3 wants to be signed is: the host, and every header that means something to it.
fn check_signed(call: &Call, claim: &Claim<'_>) -> Result<(), Refusal> {
    let meant = call.headers.keys().map(header::HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
    match std::iter::once("host").chain(meant).find(|name| !claim.signed.contains(name)) {
        None => Ok(()),
        Some(name) => Err(Refusal::new("AccessDenied", format!("the header {name} is not signed"))),
    }
}

/// The request as both sides write it to sign it.
fn canonical(call: &Call, claim: &Claim<'_>) -> String {
    let mut pairs: Vec<String> = call
        .query
        .iter()
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| format!("{}={}", encode(name, false), encode(value, false)))
        .collect();
    pairs.sort();
    let header = |name: &&str| {
        let value = if *name == "host" { Some(call.host.as_str()) } else { call.header(name) };
        format!("{name}:{}\n", value.unwrap_or_default().trim())
    };
    let headers: String = claim.signed.iter().map(header).collect();
    let (method, path, signed) = (&call.method, encode(&call.path, true), claim.signed.join(";"));
    format!("{method}\n{path}\n{}\n{headers}\n{signed}\n{}", pairs.join("&"), claim.body)
}

fn signature(secret: &str, claim: &Claim<'_>, canonical: &str) -> String {
    let Claim { day, region, moment, .. } = claim;
    let digest = hexadecimal(Sha256::digest(canonical));
    let text = format!("{ALGORITHM}\n{moment}\n{day}/{region}/s3/aws4_request\n{digest}");
    let steps = [*day, *region, "s3", "aws4_request", &text];
    let seed = format!("AWS4{secret}").into_bytes();
    let signature = steps.into_iter().try_fold(seed, |key, step| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(step.as_bytes());
        Some(mac.finalize().into_bytes().to_vec())
    });
    hexadecimal(signature.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    use super::*;

    /// The listing that Amazon publishes as an example, with its signature.
    fn published() -> Call {
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
        let signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        let authorization = format!("{ALGORITHM} Credential={scope}, SignedHeaders={signed}, Signature={signature}");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let headers = [
            ("authorization", authorization.as_str()),
            ("x-amz-content-sha256", empty),
            ("x-amz-date", "20130524T000000Z"),
        ];
        let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        Call {
            method: Method::GET,
            host: "examplebucket.s3.amazonaws.com".to_owned(),
            path: "/".to_owned(),
            query: [("prefix", "J"), ("max-keys", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            headers: headers.map(header).into_iter().collect::<HeaderMap>(),
            body: hyper::body::Bytes::new(),
            bucket: "examplebucket".to_owned(),
            key: String::new(),
        }
    }

    fn storage() -> ObjectStorage {
        let mut storage = ObjectStorage::default();
        storage.add_pair("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        storage
    }

    fn code(call: &Call, storage: &ObjectStorage, now: &str) -> Result<(), String> {
        verify(call, storage, now.parse().unwrap()).map_err(|refusal| refusal.code)
    }

    #[test]
    fn the_published_example_is_accepted_and_nothing_like_it() {
        let now = "2013-05-24T00:10:00Z";
        assert_eq!(code(&published(), &storage(), now), Ok(()));
        let changed = |change: fn(&mut Call)| {
            let mut call = published();
            change(&mut call);
            code(&call, &storage(), now).unwrap_err()
        };
        assert_eq!(changed(|call| call.query[0].1 = "K".to_owned()), "SignatureDoesNotMatch");
        assert_eq!(changed(|call| call.path = "/x".to_owned()), "SignatureDoesNotMatch");
        assert_eq!(changed(|call| call.method = Method::DELETE), "SignatureDoesNotMatch");
        assert_eq!(changed(|call| call.host = "other".to_owned()), "SignatureDoesNotMatch");
        assert_eq!(changed(|call| call.body = "x".into()), "XAmzContentSHA256Mismatch");
        let unsigned =
            |call: &mut Call| drop(call.headers.insert("x-amz-acl", HeaderValue::from_static("public-read")));
        assert_eq!(changed(unsigned), "AccessDenied");
        assert_eq!(changed(|call| drop(call.headers.remove("authorization"))), "AccessDenied");
        assert_eq!(changed(|call| drop(call.headers.remove("x-amz-date"))), "AuthorizationHeaderMalformed");
    }

    #[test]
    fn time_key_and_region_have_to_be_right() {
        let call = published();
        for now in ["2013-05-24T00:16:00Z", "2013-05-23T23:44:00Z"] {
            assert_eq!(code(&call, &storage(), now).unwrap_err(), "RequestTimeTooSkewed");
        }
        let now = "2013-05-24T00:00:00Z";
        assert_eq!(code(&call, &ObjectStorage::default(), now).unwrap_err(), "InvalidAccessKeyId");
        let mut other = storage();
        other.add_pair("AKIAIOSFODNN7EXAMPLE", "another");
        assert_eq!(code(&call, &other, now).unwrap_err(), "SignatureDoesNotMatch");
        let mut elsewhere = storage();
        elsewhere.region = Some("fsn1".to_owned());
        assert_eq!(code(&call, &elsewhere, now).unwrap_err(), "AuthorizationHeaderMalformed");
    }
}
