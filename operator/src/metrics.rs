//! What Prometheus is told: passes, steps, budgets, phases, machines, costs and who leads.
//!
//! Labels name objects of the management cluster, never a token or anything made from one. A platform's series end with
//! the platform.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use helix_crds::{HelixPlatformStatus, PhaseName, PhaseState};
use helix_engine::budget::BudgetSnapshot;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// From 10 ms, a pass that finds nothing to do, to 82 s, one that waits for time-outs.
const FIRST_BUCKET_SECONDS: f64 = 0.01;
const BUCKETS: u16 = 14;

/// What a platform's status names as its phase when all of them are Ready.
const READY: &str = "Ready";

const STATES: [PhaseState; 6] = [
    PhaseState::Pending,
    PhaseState::Progressing,
    PhaseState::Ready,
    PhaseState::Blocked,
    PhaseState::Unknown,
    PhaseState::NotRequested,
];

/// Which platform a series is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
pub(crate) struct PlatformLabels {
    pub(crate) namespace: String,
    pub(crate) platform: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    namespace: String,
    platform: String,
    phase: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MachineLabels {
    namespace: String,
    platform: String,
    count: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    namespace: String,
    platform: String,
    certificate: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct TokenLabels {
    pub(crate) namespace: String,
    pub(crate) secret: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// All series.
pub(crate) struct Metrics {
    registry: Registry,
    passes: Histogram,
    failures: Family<ReasonLabels, Counter>,
    steps: Family<StepLabels, Counter>,
    phases: Family<PhaseLabels, Gauge>,
    machines: Family<MachineLabels, Gauge>,
    ready: Family<PlatformLabels, Gauge>,
    cost: Family<PlatformLabels, Gauge<f64, AtomicU64>>,
    certificates: Family<CertificateLabels, Gauge>,
    budget_remaining: Family<TokenLabels, Gauge>,
    budget_limit: Family<TokenLabels, Gauge>,
    orphans: Family<TokenLabels, Gauge>,
    leads: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("helix");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The operator that runs", build);
        let passes = Histogram::new(exponential_buckets(FIRST_BUCKET_SECONDS, 2.0, BUCKETS));
        registry.register("reconcile_seconds", "Duration of a pass over one platform", passes.clone());
        let failures = Family::default();
        registry.register("reconcile_failures", "Passes that the management cluster cut short", failures.clone());
        let steps = Family::default();
        registry.register("steps", "Steps that were carried out, by the kind of their target", steps.clone());
        let phases = Family::default();
        registry.register("platform_phase", "1 for the state that a platform's phase is in", phases.clone());
        let machines = Family::default();
        registry.register("platform_machines", "Machines of a platform: desired, ready, updated", machines.clone());
        let ready = Family::default();
        registry.register("platform_ready", "1 while every phase that is asked for is Ready, else 0", ready.clone());
        let cost = Family::default();
        registry.register("platform_monthly_cost_euros", "Net price per month of what exists", cost.clone());
        let certificates = Family::default();
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When the certificate of an administrator's stored file ends",
            certificates.clone(),
        );
        let budget_remaining = Family::default();
        registry.register(
            "api_budget_remaining",
            "Calls of the provider's API that the token in a Secret has left",
            budget_remaining.clone(),
        );
        let budget_limit = Family::default();
        registry.register("api_budget_limit", "Calls that the token's budget holds when full", budget_limit.clone());
        let orphans = Family::default();
        registry.register(
            "orphaned_resources",
            "Resources in the project of the token in a Secret whose platform is gone",
            orphans.clone(),
        );
        let leads = Gauge::default();
        registry.register("leads", "1 where this process looks after platforms, 0 where it stands by", leads.clone());
        Self {
            registry,
            passes,
            failures,
            steps,
            phases,
            machines,
            ready,
            cost,
            certificates,
            budget_remaining,
            budget_limit,
            orphans,
            leads,
        }
    }
}

impl Metrics {
    /// The whole in OpenMetrics' text format.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// A pass is over.
    pub(crate) fn passed(&self, took: Duration) {
        self.passes.observe(took.as_secs_f64());
    }

    /// A pass was cut short.
    pub(crate) fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Steps were tried.
    pub(crate) fn stepped(&self, steps: &[(&'static str, bool)]) {
        for &(kind, succeeded) in steps {
            let result = if succeeded { "done" } else { "failed" };
            self.steps.get_or_create(&StepLabels { kind, result }).inc();
        }
    }

    /// What the token in that Secret has left.
    pub(crate) fn budget(&self, namespace: &str, secret: &str, budget: BudgetSnapshot) {
        let token = TokenLabels { namespace: namespace.to_owned(), secret: secret.to_owned() };
        self.budget_remaining.get_or_create(&token).set(budget.remaining.into());
        self.budget_limit.get_or_create(&token).set(budget.limit.into());
    }

    /// So many resources are orphans in the project of the token in that Secret.
    pub(crate) fn orphans(&self, token: &TokenLabels, number: usize) {
        self.orphans.get_or_create(token).set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// How a platform is.
    pub(crate) fn platform(&self, platform: &PlatformLabels, status: &HelixPlatformStatus) {
        for phase in &status.phases {
            for state in STATES {
                let labels = phase_labels(platform, phase.name, state);
                if state == phase.state {
                    self.phases.get_or_create(&labels).set(1);
                } else {
                    self.phases.remove(&labels);
                }
            }
        }
        let ready = status.phase.as_deref() == Some(READY);
        self.ready.get_or_create(platform).set(ready.into());
        let cost = status.cost.as_ref().and_then(|cost| cost.monthly.strip_suffix(" EUR")?.parse::<f64>().ok());
        if let Some(cost) = cost {
            self.cost.get_or_create(platform).set(cost);
        }
        if let Some(machines) = &status.machines {
            for (count, value) in
                [("desired", machines.desired), ("ready", machines.ready), ("updated", machines.updated)]
            {
                self.machines.get_or_create(&machine_labels(platform, count)).set(value.into());
            }
        }
        if let Some(secrets) = &status.secrets {
            let files =
                [("kubeconfig", &secrets.kubeconfig_expires_at), ("talosconfig", &secrets.talosconfig_expires_at)];
            for (certificate, ends) in files {
                if let Some(ends) = ends {
                    self.certificates.get_or_create(&certificate_labels(platform, certificate)).set(ends.0.as_second());
                }
            }
        }
    }

    /// A platform is gone.
    pub(crate) fn forget(&self, platform: &PlatformLabels) {
        for phase in PhaseName::ALL {
            for state in STATES {
                self.phases.remove(&phase_labels(platform, phase, state));
            }
        }
        self.ready.remove(platform);
        self.cost.remove(platform);
        for count in ["desired", "ready", "updated"] {
            self.machines.remove(&machine_labels(platform, count));
        }
        for certificate in ["kubeconfig", "talosconfig"] {
            self.certificates.remove(&certificate_labels(platform, certificate));
        }
    }

    /// Whether this process looks after platforms.
    pub(crate) fn leads(&self, leads: bool) {
        self.leads.set(leads.into());
    }
}

fn phase_labels(platform: &PlatformLabels, phase: PhaseName, state: PhaseState) -> PhaseLabels {
    PhaseLabels {
        namespace: platform.namespace.clone(),
        platform: platform.platform.clone(),
        phase: phase.as_str(),
        state: state.as_str(),
    }
}

fn machine_labels(platform: &PlatformLabels, count: &'static str) -> MachineLabels {
    MachineLabels { namespace: platform.namespace.clone(), platform: platform.platform.clone(), count }
}

fn certificate_labels(platform: &PlatformLabels, certificate: &'static str) -> CertificateLabels {
    CertificateLabels { namespace: platform.namespace.clone(), platform: platform.platform.clone(), certificate }
}

#[cfg(test)]
mod tests {
    use helix_crds::{CostStatus, MachineCounts, PhaseStatus, SecretNames};
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn status(state: PhaseState) -> HelixPlatformStatus {
        let phase =
            PhaseStatus { name: PhaseName::HardenedCore, state, since: None, message: None, evidence: Vec::new() };
        HelixPlatformStatus {
            phase: Some("Ready".to_owned()),
            cost: Some(CostStatus { monthly: "58.17 EUR".to_owned(), source: None }),
            phases: vec![phase],
            machines: Some(MachineCounts::new(5, 3, 2)),
            secrets: Some(SecretNames {
                kubeconfig_expires_at: Some(Time(Timestamp::UNIX_EPOCH)),
                ..SecretNames::default()
            }),
            ..HelixPlatformStatus::default()
        }
    }

    #[test]
    fn a_phase_is_in_one_state_and_leaves_nothing_behind() {
        let metrics = Metrics::default();
        let dev = PlatformLabels { namespace: "n".to_owned(), platform: "dev".to_owned() };
        metrics.platform(&dev, &status(PhaseState::Progressing));
        metrics.platform(&dev, &status(PhaseState::Ready));
        let text = metrics.encode().unwrap();
        let series: Vec<&str> = text.lines().filter(|line| line.starts_with("helix_platform_phase{")).collect();
        assert_eq!(
            series,
            [r#"helix_platform_phase{namespace="n",platform="dev",phase="HardenedCore",state="Ready"} 1"#]
        );
        assert!(text.contains(r#"helix_platform_machines{namespace="n",platform="dev",count="ready"} 3"#), "{text}");
        let ends =
            r#"helix_certificate_expiry_timestamp_seconds{namespace="n",platform="dev",certificate="kubeconfig"} 0"#;
        assert!(text.lines().any(|line| line == ends), "{text}");
        assert!(text.contains("helix_platform_ready{namespace=\"n\",platform=\"dev\"} 1"), "{text}");
        let cost = r#"helix_platform_monthly_cost_euros{namespace="n",platform="dev"} 58.17"#;
        assert!(text.lines().any(|line| line == cost), "{text}");
        metrics.platform(
            &dev,
            &HelixPlatformStatus { phase: Some("HardenedCore".to_owned()), ..HelixPlatformStatus::default() },
        );
        assert!(metrics.encode().unwrap().contains("helix_platform_ready{namespace=\"n\",platform=\"dev\"} 0"));
        metrics.forget(&dev);
        assert!(!metrics.encode().unwrap().contains(r#"platform="dev""#));
    }

    #[test]
    fn names_are_those_that_dashboards_use() {
        let metrics = Metrics::default();
        metrics.passed(Duration::from_millis(20));
        metrics.failed("Conflict");
        metrics.stepped(&[("server", true), ("server", true), ("network", false)]);
        metrics.leads(true);
        let text = metrics.encode().unwrap();
        for line in [
            r#"helix_steps_total{kind="server",result="done"} 2"#,
            r#"helix_steps_total{kind="network",result="failed"} 1"#,
            r#"helix_reconcile_failures_total{reason="Conflict"} 1"#,
            "helix_reconcile_seconds_count 1",
            "helix_leads 1",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
    }
}
