//! Where a chart comes from: an index or a registry, and the errors that both have in common.

use helix_engine::seams::ChartError;
use helix_plan::components::WantedChart;

use super::web::Web;
use super::{oci, repository, version};

/// The largest known archive has less than 1 MB; with subcharts and dashboards, some have 5.
pub(super) const LARGEST_ARCHIVE: usize = 32 << 20;

/// An archive that was fetched, and what its source says that it hashes to.
pub(super) struct Found {
    pub(super) archive: Vec<u8>,
    /// In lower-case hex.
    pub(super) told: Option<String>,
}

/// Fetches the archive of a chart.
pub(super) async fn fetch(web: &Web, chart: &WantedChart) -> Result<Found, ChartError> {
    match chart.repository.strip_prefix("oci://") {
        Some(place) => oci::fetch(web, chart, place).await,
        None => repository::fetch(web, chart).await,
    }
}

/// A chart that is looked for.
pub(super) struct Source<'a>(pub(super) &'a WantedChart);

impl Source<'_> {
    pub(super) fn unreachable(&self, why: String) -> ChartError {
        ChartError::Unreachable { repository: self.0.repository.to_owned(), why }
    }

    pub(super) fn unusable(&self, why: String) -> ChartError {
        ChartError::Unusable { chart: self.0.name.to_owned(), version: self.0.version.clone(), why }
    }

    pub(super) fn not_rendered(&self, why: String) -> ChartError {
        ChartError::NotRendered { chart: self.0.name.to_owned(), version: self.0.version.clone(), why }
    }

    pub(super) fn other_digest(&self, wanted: &str, found: &str) -> ChartError {
        ChartError::OtherDigest {
            chart: self.0.name.to_owned(),
            version: self.0.version.clone(),
            wanted: wanted.to_owned(),
            found: found.to_owned(),
        }
    }

    pub(super) fn not_found<'v>(&self, known: impl Iterator<Item = &'v str>) -> ChartError {
        ChartError::NotFound {
            repository: self.0.repository.to_owned(),
            chart: self.0.name.to_owned(),
            version: self.0.version.clone(),
            nearest: version::nearest(&self.0.version, known),
        }
    }
}
