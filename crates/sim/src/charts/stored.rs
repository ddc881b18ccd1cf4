//! The charts below `charts/`, which are in the program: where each is published and in which versions.

use std::sync::LazyLock;

use serde::Deserialize;

/// Every file below `charts/`, by its path there.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/charts.rs"));
/// What all charts share, put among the templates of each.
const SHARED: &str = "_stand-in.tpl";

/// A stand-in chart.
#[derive(Debug)]
pub struct Chart {
    /// Its name.
    pub name: String,
    /// URL of the repository where the real one is published.
    pub repository: String,
    /// The versions that are served, the newest first. They differ in nothing but their number.
    pub versions: Vec<String>,
    /// The version of what the real one installs.
    pub app_version: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Its files, by their path within the chart.
    pub(super) files: Vec<(String, &'static str)>,
}

/// `Chart.yaml`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    name: String,
    version: String,
    app_version: String,
    description: String,
    annotations: Annotations,
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "stand-in/repository")]
    repository: String,
    #[serde(rename = "stand-in/other-versions")]
    other_versions: String,
}

/// All of them, by name. One whose `Chart.yaml` could not be read would be missing, which a test excludes.
pub fn charts() -> &'static [Chart] {
    static CHARTS: LazyLock<Vec<Chart>> = LazyLock::new(|| {
        let described = FILES.iter().filter(|(path, _)| path.split('/').nth(1) == Some("Chart.yaml"));
        described.filter_map(|(_, text)| chart(serde_saphyr::from_str(text).ok()?)).collect()
    });
    &CHARTS
}

fn chart(described: Described) -> Option<Chart> {
    let Described { name, version, app_version, description, annotations } = described;
    let shared = FILES.iter().find(|(path, _)| *path == SHARED)?;
    let own = FILES.iter().filter_map(|(path, text)| {
        let (of, path) = path.split_once('/')?;
        (of == name).then(|| (path.to_owned(), *text))
    });
    let mut files: Vec<_> = own.chain([(format!("templates/{SHARED}"), shared.1)]).collect();
    files.sort();
    let mut versions = vec![version];
    versions.extend(annotations.other_versions.split_whitespace().map(str::to_owned));
    Some(Chart { name, repository: annotations.repository, versions, app_version, description, files })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directory_is_a_chart_with_more_than_one_version() {
        let directories: std::collections::BTreeSet<&str> =
            FILES.iter().filter_map(|(path, _)| Some(path.split_once('/')?.0)).collect();
        let names: std::collections::BTreeSet<&str> = charts().iter().map(|chart| chart.name.as_str()).collect();
        assert_eq!(names, directories);
        assert!(charts().iter().all(|chart| chart.versions.len() > 1));
    }
}
