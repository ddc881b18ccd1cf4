//! The files that badges are written to: each put in place whole, the directory made if need be.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use helix_plan::badges::{History, Incident, Incidents, Judged};
use jiff::Timestamp;
use serde_json::json;

use crate::error::CliError;
use crate::output::{self, Readers};

const HISTORY: &str = "history.jsonl";
const INCIDENTS: &str = "incidents.jsonl";
const ABOUT: &str = "about.json";

/// Makes the directory before anybody is asked, so that one that cannot be had is told at once.
pub(super) fn make(directory: &Path) -> Result<(), CliError> {
    fs::create_dir_all(directory).map_err(|source| CliError::Write { path: directory.to_owned(), source })
}

/// Writes every badge and one more line of history.
pub(super) fn badges(directory: &Path, badges: &[Judged], now: Timestamp) -> Result<(), CliError> {
    for judged in badges {
        let json = serde_json::to_string_pretty(&judged.badge).map_err(|_| CliError::Format { format: "JSON" })?;
        put(directory, &format!("{}.json", judged.row.slug), &(json + "\n"))?;
    }
    let mut history = History::read(&earlier(&directory.join(HISTORY))?);
    tell_of_unreadable(&directory.join(HISTORY), history.unreadable());
    history.add(badges, now);
    put(directory, HISTORY, &history.text().map_err(|_| CliError::Format { format: "JSON" })?)
}

/// Takes what is told now in among what was told before, and writes both.
pub(super) fn incidents(directory: &Path, told: Vec<Incident>, now: Timestamp) -> Result<Incidents, CliError> {
    let mut incidents = Incidents::read(&earlier(&directory.join(INCIDENTS))?);
    tell_of_unreadable(&directory.join(INCIDENTS), incidents.unreadable());
    incidents.add(told, now);
    put(directory, INCIDENTS, &incidents.text().map_err(|_| CliError::Format { format: "JSON" })?)?;
    Ok(incidents)
}

/// Writes whose badges these are.
pub(super) fn about(
    directory: &Path,
    platform: Option<(&str, &str)>,
    note: Option<&str>,
    now: Timestamp,
) -> Result<(), CliError> {
    let platform = platform.map(|(namespace, name)| format!("{namespace}/{name}"));
    let at = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let about = json!({"at": at, "platform": platform, "note": note});
    put(directory, ABOUT, &format!("{about:#}\n"))
}

/// How the page calls the directory: relative where both are below one, which is how they are published.
pub(super) fn seen_from(page: &Path, directory: &Path) -> String {
    let beside = page.parent().unwrap_or(Path::new(""));
    let (from, to) = (plain(beside), plain(directory));
    let relative = to.strip_prefix(&from).map_or(to.clone(), Path::to_owned);
    let text = relative.to_string_lossy().into_owned();
    if text.is_empty() { ".".to_owned() } else { text }
}

fn plain(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

fn put(directory: &Path, name: &str, text: &str) -> Result<(), CliError> {
    output::put(&directory.join(name), text, Readers::Anybody)
}

fn earlier(path: &Path) -> Result<String, CliError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(|source| CliError::Read { path: path.to_owned(), source }),
    }
}

fn tell_of_unreadable(path: &Path, lines: usize) {
    if lines > 0 {
        output::remark(&format!("helix: {}: {lines} line(s) mean nothing and are dropped", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_finds_its_directory() {
        for (page, directory, seen) in [
            ("STATUS.md", "metrics", "metrics"),
            ("./STATUS.md", "./metrics/", "metrics"),
            ("site/STATUS.md", "site/metrics", "metrics"),
            ("site/STATUS.md", "site", "."),
            ("site/STATUS.md", "/var/metrics", "/var/metrics"),
        ] {
            assert_eq!(seen_from(Path::new(page), Path::new(directory)), seen);
        }
    }
}
