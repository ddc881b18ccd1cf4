//! Where charts come from, and what they render to.

use std::sync::Arc;

use async_trait::async_trait;
use helix_plan::components::WantedChart;
use helix_plan::components::values::UnknownKey;
use serde_json::Value;

/// A chart that is to be rendered, with all that the outcome depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct ChartRequest {
    /// Which chart, in which version, and what it must hash to.
    pub chart: WantedChart,
    /// The release's name.
    pub release: String,
    /// The release's namespace.
    pub namespace: String,
    /// The values.
    pub values: Value,
    /// Maps in those values that hold whatever somebody writes into them.
    pub open_values: &'static [&'static str],
    /// The version of Kubernetes that it is rendered for, as in `v1.36.3`.
    pub kubernetes: String,
}

/// What a chart renders to. The same request always gives the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendering {
    /// SHA-256 of the archive, in hex.
    pub chart_digest: String,
    /// Values that the chart does not know. Nothing was rendered then.
    pub unknown_values: Vec<UnknownKey>,
    /// Its manifests, in Helm's order, hooks and tests left out. Namespaced objects name their namespace.
    pub manifests: Vec<Value>,
}

/// Charts and the program that renders them.
#[async_trait]
pub trait Charts: Send + Sync {
    /// What this very request rendered to before; nothing is fetched and no program is run for it.
    async fn rendered(&self, request: &ChartRequest) -> Option<Arc<Rendering>>;
    /// Renders it: fetches the chart unless it is at hand, checks that it is the one that is wanted, and runs Helm.
    async fn render(&self, request: &ChartRequest) -> Result<Arc<Rendering>, ChartError>;
}

/// Why a chart was not rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChartError {
    /// The repository does not answer, or not with what a repository answers.
    #[error("the chart repository {repository} cannot be read: {why}")]
    Unreachable {
        /// Its URL.
        repository: String,
        /// What happened.
        why: String,
    },
    /// It does not have the chart in that version.
    #[error("the chart repository {repository} has no {chart} {version}{}", nearest_version(.nearest.as_deref()))]
    NotFound {
        /// Its URL.
        repository: String,
        /// The chart's name.
        chart: String,
        /// The version that was looked for.
        version: String,
        /// The nearest version that it has.
        nearest: Option<String>,
    },
    /// The archive is not the one that is wanted.
    #[error(
        "chart {chart} {version} hashes to {found}, and not to {wanted}: it was changed after it was chosen. Find out \
         by whom before you set another version"
    )]
    OtherDigest {
        /// The chart's name.
        chart: String,
        /// Its version.
        version: String,
        /// What is wanted.
        wanted: String,
        /// What was found.
        found: String,
    },
    /// The archive cannot be used: truncated, too large, not a chart, or another chart.
    #[error("chart {chart} {version} cannot be used: {why}")]
    Unusable {
        /// The chart's name.
        chart: String,
        /// Its version.
        version: String,
        /// What is wrong with it.
        why: String,
    },
    /// Helm refuses to render it with these values.
    #[error("Helm does not render {chart} {version}: {why}")]
    NotRendered {
        /// The chart's name.
        chart: String,
        /// Its version.
        version: String,
        /// Helm's words, bounded.
        why: String,
    },
    /// There is no Helm, or it does not start.
    #[error("Helm cannot be run: {why}")]
    NoHelm {
        /// What happened, and what to do.
        why: String,
    },
}

fn nearest_version(nearest: Option<&str>) -> String {
    nearest.map(|version| format!("; the nearest is {version}")).unwrap_or_default()
}

impl ChartError {
    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "ChartRepositoryUnreachable",
            Self::NotFound { .. } => "ChartNotFound",
            Self::OtherDigest { .. } => "ChartDigestMismatch",
            Self::Unusable { .. } => "ChartUnusable",
            Self::NotRendered { .. } => "ChartNotRendered",
            Self::NoHelm { .. } => "HelmMissing",
        }
    }
}
