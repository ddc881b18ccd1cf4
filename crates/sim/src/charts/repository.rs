//! Chart repositories: an index and the archives beside it.

use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::archive::{CREATED, archive};
use super::stored::{Chart, charts};
use super::{Fates, digest, not_found};

pub(super) fn answer(path: &str, fates: &Fates<'_>) -> Response {
    let Some((repository, file)) = path.trim_start_matches('/').rsplit_once('/') else { return not_found(path) };
    let here: Vec<&Chart> = charts()
        .iter()
        .filter(|chart| {
            chart.repository.strip_prefix("https://").map(|url| url.trim_end_matches('/')) == Some(repository)
        })
        .collect();
    if here.is_empty() {
        return not_found(path);
    }
    let here = || here.iter().filter(|chart| !fates.is_withdrawn(&chart.name));
    if file == "index.yaml" {
        return index(here().copied(), fates);
    }
    let found = here().find_map(|chart| Some((*chart, chart.version_of_archive(file)?)));
    let Some((chart, version)) = found else { return not_found(path) };
    match archive(chart, version, fates.is_republished(&chart.name)) {
        Ok(content) => ([(header::CONTENT_TYPE, "application/gzip")], content).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

impl Chart {
    fn archive_name(&self, version: &str) -> String {
        format!("{}-{version}.tgz", self.name)
    }

    fn version_of_archive(&self, file: &str) -> Option<&str> {
        self.versions.iter().map(String::as_str).find(|version| self.archive_name(version) == file)
    }
}

/// In JSON, which is YAML.
fn index<'a>(charts: impl Iterator<Item = &'a Chart>, fates: &Fates<'_>) -> Response {
    let entries: serde_json::Map<String, Value> =
        charts.map(|chart| (chart.name.clone(), Value::Array(entries(chart, fates)))).collect();
    let index = json!({"apiVersion": "v1", "generated": CREATED, "entries": entries});
    ([(header::CONTENT_TYPE, "application/yaml")], format!("{index:#}\n")).into_response()
}

fn entries(chart: &Chart, fates: &Fates<'_>) -> Vec<Value> {
    let anew = fates.is_republished(&chart.name);
    let entry = |version: &String| {
        let content = archive(chart, version, anew).ok()?;
        Some(json!({
            "apiVersion": "v2",
            "name": chart.name,
            "version": version,
            "appVersion": chart.app_version,
            "description": chart.description,
            "created": CREATED,
            "digest": digest::hex(&content),
            "urls": [chart.archive_name(version)],
        }))
    };
    chart.versions.iter().filter_map(entry).collect()
}
