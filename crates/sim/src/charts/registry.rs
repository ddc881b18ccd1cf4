//! An OCI registry, to read charts from: manifests by tag and by digest, blobs, and the token that a caller needs.
//!
//! The token is anybody's who asks for it. It is no secret and holds for everything; what matters is that a caller asks.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::archive::archive;
use super::stored::{Chart, charts};
use super::{Call, Fates, digest};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// What everybody gets who asks for a token.
const TOKEN: &str = "anonymous";

/// The answer to a call of the registry; `None` if it is none.
pub(super) fn answer(call: &Call, fates: &Fates<'_>) -> Option<Response> {
    if call.path == "/token" {
        return Some(Json(json!({"token": TOKEN, "expires_in": 300})).into_response());
    }
    let rest = call.path.strip_prefix("/v2/")?;
    if !is_known(&call.headers) {
        return Some(challenge(&call.headers, rest));
    }
    if rest.is_empty() {
        return Some(Json(json!({})).into_response());
    }
    let named = |chart: &&Chart| {
        let repository = chart.repository.strip_prefix("oci://");
        repository.is_some_and(|repository| rest.strip_prefix(repository).is_some_and(|it| it.starts_with('/')))
    };
    let found = charts().iter().filter(named).find_map(|chart| {
        let of = format!("{}/{}/", chart.repository.strip_prefix("oci://")?, chart.name);
        Some((chart, rest.strip_prefix(of.as_str())?))
    });
    let found = found.filter(|(chart, _)| !fates.is_withdrawn(&chart.name));
    let Some((chart, rest)) = found else {
        return Some(unknown("NAME_UNKNOWN", "repository name not known to registry"));
    };
    Some(within(chart, rest, fates.is_republished(&chart.name)))
}

fn is_known(headers: &HeaderMap) -> bool {
    let told = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    told.and_then(|value| value.strip_prefix("Bearer ")) == Some(TOKEN)
}

/// Where to ask for a token.
fn challenge(headers: &HeaderMap, rest: &str) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    let name =
        ["/manifests/", "/blobs/", "/tags/"].iter().find_map(|at| Some(rest.split_once(at)?.0)).unwrap_or_default();
    let scope = if name.is_empty() { String::new() } else { format!(",scope=\"repository:{name}:pull\"") };
    let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"{host}\"{scope}");
    let body = errors("UNAUTHORIZED", "authentication required");
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], Json(body)).into_response()
}

/// What a version is made of.
struct Artifact {
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
}

impl Artifact {
    fn of(chart: &Chart, version: &str, anew: bool) -> Option<Self> {
        let layer = archive(chart, version, anew).ok()?;
        let config = json!({
            "apiVersion": "v2",
            "name": chart.name,
            "version": version,
            "appVersion": chart.app_version,
            "description": chart.description,
        });
        let config = config.to_string().into_bytes();
        let described = |kind: &str, content: &[u8]| json!({"mediaType": kind, "digest": digest::named(content), "size": content.len()});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described(CONFIG, &config),
            "layers": [described(LAYER, &layer)],
        });
        Some(Self { manifest: manifest.to_string().into_bytes(), config, layer })
    }
}

/// What is asked for within a chart's repository.
fn within(chart: &Chart, rest: &str, anew: bool) -> Response {
    let all = || chart.versions.iter().filter_map(|version| Some((version, Artifact::of(chart, version, anew)?)));
    if rest == "tags/list" {
        let name = format!("{}/{}", chart.repository.trim_start_matches("oci://"), chart.name);
        return Json(json!({"name": name, "tags": chart.versions})).into_response();
    }
    if let Some(reference) = rest.strip_prefix("manifests/") {
        let wanted =
            |(version, it): &(&String, Artifact)| *version == reference || digest::named(&it.manifest) == reference;
        return match all().find(wanted) {
            Some((_, it)) => content(MANIFEST, it.manifest),
            None => unknown("MANIFEST_UNKNOWN", "manifest unknown"),
        };
    }
    let Some(wanted) = rest.strip_prefix("blobs/") else { return unknown("UNSUPPORTED", "no such endpoint") };
    let found = all().flat_map(|(_, it)| [it.config, it.layer]).find(|blob| digest::named(blob) == wanted);
    found.map_or_else(
        || unknown("BLOB_UNKNOWN", "blob unknown to registry"),
        |blob| content("application/octet-stream", blob),
    )
}

fn content(kind: &'static str, content: Vec<u8>) -> Response {
    let digest = digest::named(&content);
    let length = content.len().to_string();
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_LENGTH, length)];
    (headers, [("docker-content-digest", digest)], content).into_response()
}

fn unknown(code: &str, message: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(errors(code, message))).into_response()
}

fn errors(code: &str, message: &str) -> Value {
    json!({"errors": [{"code": code, "message": message}]})
}
