//! What is done to objects: put, get, delete, list.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::answer::{Refusal, document};
use super::call::Call;
use super::encoding::{encode, hexadecimal, xml};
use crate::world::object_storage::{Object, ObjectStorage, Objects, listed};

/// Owners' notes are headers of this kind.
const METADATA: &str = "x-amz-meta-";
/// No page of a listing has more.
const PAGE: usize = 1000;

/// Does what a verified call asks for.
pub(super) fn act(call: &Call, storage: &mut ObjectStorage, now: Timestamp) -> Result<Response, Refusal> {
    let no_bucket = || Refusal::new("NoSuchBucket", "the specified bucket does not exist");
    let objects = storage.bucket_mut(&call.bucket).ok_or_else(no_bucket)?;
    match (&call.method, call.key.is_empty()) {
        (&Method::GET, true) => list(call, objects),
        (&Method::GET, false) => get(call, objects),
        (&Method::PUT, false) => put(call, objects, now),
        (&Method::DELETE, false) => {
            objects.remove(&call.key);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => Err(Refusal::new("NotImplemented", "the simulator does not do this")),
    }
}

fn etag(content: &[u8]) -> String {
    format!("\"{}\"", hexadecimal(Md5::digest(content)))
}

fn put(call: &Call, objects: &mut Objects, now: Timestamp) -> Result<Response, Refusal> {
    check_digest(call, "content-md5", &Md5::digest(&call.body))?;
    check_digest(call, "x-amz-checksum-sha256", &Sha256::digest(&call.body))?;
    let notes = call.headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().strip_prefix(METADATA)?.to_owned(), value.to_str().ok()?.to_owned()))
    });
    let object = Object { metadata: notes.collect(), ..Object::new(call.body.to_vec(), now) };
    let tag = etag(&object.content);
    objects.insert(call.key.clone(), object);
    Ok((StatusCode::OK, [(header::ETAG, tag)]).into_response())
}

fn check_digest(call: &Call, name: &str, actual: &[u8]) -> Result<(), Refusal> {
    let Some(told) = call.header(name) else { return Ok(()) };
    match STANDARD.decode(told) {
        Ok(told) if told == actual => Ok(()),
        Ok(told) if told.len() == actual.len() => {
            Err(Refusal::new("BadDigest", format!("{name} is not what we received")))
        }
        Ok(_) | Err(_) => Err(Refusal::new("InvalidDigest", format!("{name} is not valid"))),
    }
}

fn get(call: &Call, objects: &Objects) -> Result<Response, Refusal> {
    let no_key = || Refusal::new("NoSuchKey", "the specified key does not exist");
    let object = objects.get(&call.key).ok_or_else(no_key)?;
    let modified = DateTimePrinter::new().timestamp_to_rfc9110_string(&object.modified).unwrap_or_default();
    let facts = [(header::ETAG, etag(&object.content)), (header::LAST_MODIFIED, modified)];
    let mut response = (StatusCode::OK, facts, Body::from(object.content.to_vec())).into_response();
    for (name, value) in &object.metadata {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(format!("{METADATA}{name}")), HeaderValue::from_str(value))
        {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

fn list(call: &Call, objects: &Objects) -> Result<Response, Refusal> {
    if call.parameter("list-type") != Some("2") {
        return Err(Refusal::new("NotImplemented", "the simulator lists by list-type=2 alone"));
    }
    let invalid = |what: &str| Refusal::new("InvalidArgument", format!("{what} is not valid"));
    let wanted = call.parameter("max-keys").map_or(Ok(PAGE), str::parse).map_err(|_| invalid("max-keys"))?;
    let prefix = call.parameter("prefix").unwrap_or_default();
    let token = |token: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok();
    let resumed = call.parameter("continuation-token").map(|it| token(it).ok_or_else(|| invalid("continuation-token")));
    let resumed = resumed.transpose()?;
    let in_url = match call.parameter("encoding-type") {
        None => false,
        Some("url") => true,
        Some(_) => return Err(invalid("encoding-type")),
    };
    let shown = |key: &str| if in_url { encode(key, true) } else { xml(key) };
    let after = resumed.as_deref().or_else(|| call.parameter("start-after"));

    let mut rest = listed(objects, prefix, after).peekable();
    let (mut contents, mut count, mut last) = (String::new(), 0, None);
    while let Some((key, object)) = rest.next_if(|_| count < wanted.min(PAGE)) {
        contents += &format!(
            "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size>\
             <StorageClass>STANDARD</StorageClass></Contents>",
            shown(key),
            object.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            xml(&etag(&object.content)),
            object.content.len(),
        );
        (count, last) = (count + 1, Some(key));
    }
    let next = last
        .filter(|_| rest.peek().is_some())
        .map(|key| format!("<NextContinuationToken>{}</NextContinuationToken>", URL_SAFE_NO_PAD.encode(key)));
    let root = format!(
        "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name><Prefix>{}</Prefix>\
         <KeyCount>{count}</KeyCount><MaxKeys>{wanted}</MaxKeys><IsTruncated>{}</IsTruncated>{}{}{contents}\
         </ListBucketResult>",
        xml(&call.bucket),
        shown(prefix),
        next.is_some(),
        if in_url { "<EncodingType>url</EncodingType>" } else { "" },
        next.as_deref().unwrap_or_default(),
    );
    Ok(document(StatusCode::OK, &root))
}
