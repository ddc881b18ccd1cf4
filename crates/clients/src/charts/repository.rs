//! A chart repository as Helm has had them from the beginning: an `index.yaml` over HTTP that names archives.

use std::collections::BTreeMap;

use helix_engine::seams::ChartError;
use helix_plan::components::WantedChart;
use reqwest::Url;
use serde::Deserialize;

use super::source::{Found, LARGEST_ARCHIVE, Source};
use super::version;
use super::web::{Ask, Web};
use super::yaml;

/// The largest known index has 20 MB.
const LARGEST_INDEX: usize = 64 << 20;

/// What an index says; charts that nobody asked for are read over.
#[derive(Deserialize)]
struct Index {
    entries: BTreeMap<String, Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    version: String,
    #[serde(default)]
    urls: Vec<String>,
    digest: Option<String>,
}

/// Finds a chart's archive by the index.
pub(super) async fn fetch(web: &Web, chart: &WantedChart) -> Result<Found, ChartError> {
    let source = Source(chart);
    let root = Url::parse(&format!("{}/", chart.repository.trim_end_matches('/')))
        .map_err(|_| source.unreachable("it is not a URL".to_owned()))?;
    let entry = entry(web, &source, &root).await?;
    let url = entry.urls.first().and_then(|url| root.join(url).ok());
    let url = url.ok_or_else(|| source.unusable("the repository's index does not say where it is".to_owned()))?;
    let ask = Ask { url: &web.place(&url), accept: None, token: None, limit: LARGEST_ARCHIVE };
    let answer = web.get(ask).await.map_err(|why| source.unreachable(why))?;
    if answer.status != 200 {
        return Err(source.unreachable(format!("it lists {url}, which answers {}", told(answer.status))));
    }
    let digest = entry.digest.map(|digest| digest.trim_start_matches("sha256:").to_ascii_lowercase());
    Ok(Found { archive: answer.body, told: digest.filter(|digest| !digest.is_empty()) })
}

async fn entry(web: &Web, source: &Source<'_>, root: &Url) -> Result<Entry, ChartError> {
    let url = root.join("index.yaml").map_err(|_| source.unreachable("it is not a URL".to_owned()))?;
    let ask = Ask { url: &web.place(&url), accept: None, token: None, limit: LARGEST_INDEX };
    let answer = web.get(ask).await.map_err(|why| source.unreachable(why))?;
    if answer.status != 200 {
        return Err(source.unreachable(format!("its index.yaml answers {}", told(answer.status))));
    }
    let name = source.0.name.to_owned();
    let index = tokio::task::spawn_blocking(move || {
        let mut index: Index = yaml::one(&answer.body)?;
        Ok::<_, String>(index.entries.remove(&name).unwrap_or_default())
    });
    let entries = index.await.map_err(|error| error.to_string()).and_then(|read| read);
    let mut entries = entries.map_err(|why| source.unreachable(format!("its index.yaml cannot be read: {why}")))?;
    match entries.iter().position(|entry| version::same(&entry.version, &source.0.version)) {
        Some(at) => Ok(entries.swap_remove(at)),
        None => Err(source.not_found(entries.iter().map(|entry| entry.version.as_str()))),
    }
}

/// A status, and what to do about it.
pub(super) fn told(status: u16) -> String {
    match status {
        401 | 403 => format!("{status}: it refuses access without credentials"),
        404 | 410 => format!("{status}: it may have moved"),
        _ => status.to_string(),
    }
}
