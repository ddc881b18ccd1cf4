//! A chart's archive, the same to the byte each time: files by name, no owners, all of one moment.

use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};

use super::stored::Chart;

/// The moment of every file, 2026-01-01T00:00:00Z: some programs take zero for damage.
const MOMENT: u64 = 1_767_225_600;

/// What is told of every chart in an index.
pub(super) const CREATED: &str = "2026-01-01T00:00:00Z";

/// The archive of a version; with `anew` another one than it was, as when somebody publishes a version twice.
pub(super) fn archive(chart: &Chart, version: &str, anew: bool) -> io::Result<Vec<u8>> {
    let gzip = GzBuilder::new().write(Vec::new(), Compression::default());
    let mut archive = tar::Builder::new(gzip);
    for (path, text) in &chart.files {
        let content = if path == "Chart.yaml" { described(chart, text, version, anew) } else { (*text).to_owned() };
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(MOMENT);
        archive.append_data(&mut header, format!("{}/{path}", chart.name), content.as_bytes())?;
    }
    let mut gzip = archive.into_inner()?;
    gzip.flush()?;
    gzip.finish()
}

impl Chart {
    /// The archive of a version, as it is served.
    ///
    /// # Errors
    /// Where it cannot be packed, which nothing in memory gives a reason for.
    pub fn archive(&self, version: &str) -> io::Result<Vec<u8>> {
        archive(self, version, false)
    }
}

/// `Chart.yaml` of that version.
fn described(chart: &Chart, text: &str, version: &str, anew: bool) -> String {
    let own = chart.versions.first().map_or("", String::as_str);
    let text = text.replacen(&format!("\nversion: {own}\n"), &format!("\nversion: {version}\n"), 1);
    if anew { format!("{text}# Published anew.\n") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::charts;

    #[test]
    fn an_archive_is_the_same_each_time_and_another_for_each_version_and_when_published_anew() {
        for chart in charts() {
            let [newest, older] = [0, 1].map(|index| chart.versions[index].as_str());
            let once = archive(chart, newest, false).unwrap();
            assert_eq!(once, archive(chart, newest, false).unwrap());
            assert_ne!(once, archive(chart, older, false).unwrap());
            assert_ne!(once, archive(chart, newest, true).unwrap());
        }
    }
}
