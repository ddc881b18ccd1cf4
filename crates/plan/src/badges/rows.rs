//! The table of badges: one row for each. A new badge is a row here and what reads it from its source.

use helix_crds::PhaseName;
use jiff::SignedDuration;

use super::Color::{Blue, BrightGreen, Green, Orange, Yellow};
use super::scale::{Scale, Steps};

use Source::{Grafana, Management, Netbird, Prometheus, Reports, Workload};

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Prometheus' HTTP API.
    Prometheus,
    /// The platform's status in the management cluster.
    Management,
    /// The platform's own cluster.
    Workload,
    /// NetBird's management service.
    Netbird,
    /// Grafana's API.
    Grafana,
    /// Files that continuous integration wrote.
    Reports,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Prometheus, Self::Management, Self::Workload, Self::Netbird, Self::Grafana, Self::Reports];

    /// What people call it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::Management => "HelixPlatform status",
            Self::Workload => "the platform's API server",
            Self::Netbird => "NetBird",
            Self::Grafana => "Grafana",
            Self::Reports => "results of CI",
        }
    }
}

/// A badge: what it is, before anything is observed.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// Name of its file, and in the history.
    pub slug: &'static str,
    /// The left text.
    pub label: &'static str,
    /// Who is asked.
    pub source: Source,
    /// What is measured, in words.
    pub measure: &'static str,
    /// How it is worded and coloured.
    pub scale: Scale,
    /// Older than this it is stale.
    pub bound: SignedDuration,
    /// A slug of Simple Icons.
    pub logo: Option<&'static str>,
    /// The phase that it is about, where it is a phase's own.
    pub phase: Option<PhaseName>,
}

/// What is scraped or asked at this very moment.
const LIVE: SignedDuration = SignedDuration::from_mins(10);
/// Twice the time between two sweeps, with room for a slow pass.
const SWEPT: SignedDuration = SignedDuration::from_mins(30);
/// What continuous integration makes with every change.
const BUILT: SignedDuration = SignedDuration::from_hours(24 * 14);
/// New weaknesses become known every day.
const SCANNED: SignedDuration = SignedDuration::from_hours(24 * 7);

const fn of(slug: &'static str, label: &'static str, source: Source, measure: &'static str, scale: Scale) -> Row {
    let bound = match source {
        Source::Management => SWEPT,
        Source::Reports => BUILT,
        _ => LIVE,
    };
    Row { slug, label, source, measure, scale, bound, logo: None, phase: None }
}

const fn of_phase(slug: &'static str, label: &'static str, phase: PhaseName) -> Row {
    let row = of(slug, label, Source::Management, "state of the phase, by its evidence", Scale::Phase);
    Row { phase: Some(phase), ..row }
}

const fn logo(row: Row, logo: &'static str) -> Row {
    Row { logo: Some(logo), ..row }
}

/// All badges, in the order in which they are shown.
pub const ROWS: &[Row] = &[
    of_phase("hardened_core", "hardened core", PhaseName::HardenedCore),
    of_phase("immutable_substrate", "immutable substrate", PhaseName::ImmutableSubstrate),
    of_phase("security_weave", "security weave", PhaseName::SecurityWeave),
    of_phase("gitops_control_plane", "gitops control plane", PhaseName::GitOpsControlPlane),
    of_phase("state_and_data_ha", "state and data HA", PhaseName::StateAndDataHa),
    of_phase("ai_agentic", "AI agentic", PhaseName::AiAgentic),
    of(
        "uptime",
        "uptime",
        Prometheus,
        "share of the last 30 days, as far as observed, in which every requested phase was Ready",
        Scale::Percent(Steps::AtLeast(&[(99.9, BrightGreen), (99.0, Green), (95.0, Yellow), (90.0, Orange)])),
    ),
    of(
        "latency",
        "latency p99",
        Prometheus,
        "99th percentile of the Kubernetes API's answers in 5 minutes, without watches",
        Scale::Milliseconds(Steps::AtMost(&[(100.0, BrightGreen), (300.0, Green), (1000.0, Yellow), (3000.0, Orange)])),
    ),
    of(
        "error_rate",
        "error rate",
        Prometheus,
        "share of the Kubernetes API's answers in 5 minutes that are server errors",
        Scale::Percent(Steps::AtMost(&[(0.1, BrightGreen), (1.0, Green), (3.0, Yellow), (5.0, Orange)])),
    ),
    logo(
        of(
            "alerts",
            "alerts",
            Prometheus,
            "alerts that fire, but those of severity `none`",
            Scale::Count(["firing", "firing"], Steps::AtMost(&[(0.0, BrightGreen), (2.0, Orange)])),
        ),
        "prometheus",
    ),
    logo(
        of(
            "prometheus_metrics",
            "metrics",
            Prometheus,
            "samples in the newest scrape of every target",
            Scale::Count(["series", "series"], Steps::AtLeast(&[(1.0, Blue)])),
        ),
        "prometheus",
    ),
    logo(
        of(
            "grafana_dashboards",
            "dashboards",
            Grafana,
            "dashboards that the token may see",
            Scale::Count(["dashboard", "dashboards"], Steps::AtLeast(&[(1.0, Blue)])),
        ),
        "grafana",
    ),
    of("machines", "machines", Management, "machines that are ready", Scale::Share("ready")),
    logo(
        of("cost", "cost", Management, "net price per month of what exists at Hetzner", Scale::Euros("per month")),
        "hetzner",
    ),
    logo(
        of(
            "argo_syncs",
            "argo cd",
            Workload,
            "Applications that sync by themselves and are synced",
            Scale::Share("synced"),
        ),
        "argo",
    ),
    logo(
        of(
            "deploys",
            "deploys",
            Workload,
            "syncs of the last 30 days, as far back as Argo CD remembers them",
            Scale::Count(["in 30 days", "in 30 days"], Steps::AtLeast(&[(0.0, Blue)])),
        ),
        "argo",
    ),
    logo(
        of(
            "rollbacks",
            "rollbacks",
            Workload,
            "those of these syncs that went back to an earlier revision",
            Scale::Count(["in 30 days", "in 30 days"], Steps::AtMost(&[(0.0, BrightGreen), (2.0, Yellow)])),
        ),
        "argo",
    ),
    logo(
        of("cnpg_status", "postgresql", Workload, "clusters with every instance ready", Scale::Share("healthy")),
        "postgresql",
    ),
    logo(
        of(
            "redis_hit_rate",
            "redis hit rate",
            Prometheus,
            "share of the last hour's lookups that found their key",
            Scale::Percent(Steps::AtLeast(&[(90.0, BrightGreen), (75.0, Green), (50.0, Yellow), (25.0, Orange)])),
        ),
        "redis",
    ),
    of("longhorn_health", "longhorn", Workload, "volumes in use that have all their copies", Scale::Share("healthy")),
    of("netbird_peers", "netbird peers", Netbird, "peers that are connected", Scale::Share("connected")),
    of("build", "build", Reports, "the newest run of the pipeline", Scale::Verdict(["passing", "failing"])),
    Row {
        bound: SCANNED,
        ..logo(of("trivy", "trivy", Reports, "weaknesses in the newest scan", Scale::Findings), "trivy")
    },
    logo(
        of(
            "sbom",
            "sbom",
            Reports,
            "components in the newest CycloneDX document",
            Scale::Count(["component", "components"], Steps::AtLeast(&[(1.0, Blue)])),
        ),
        "owasp",
    ),
    of(
        "cosign",
        "signatures",
        Reports,
        "signatures that cosign has verified",
        Scale::Count(["verified", "verified"], Steps::AtLeast(&[(1.0, BrightGreen)])),
    ),
];

/// The row of a slug.
#[must_use]
pub fn row(slug: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.slug == slug)
}
