//! How the Kubernetes API server admits and audits: what Talos generates, said in full, so that nothing depends on what
//! a Talos assumes where nothing is said.

use serde::Serialize;

/// The admission plug-in that holds pods to the Pod Security Standards.
pub(super) const POD_SECURITY: &str = "PodSecurity";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSecurityConfiguration {
    api_version: &'static str,
    kind: &'static str,
    defaults: PodSecurityDefaults,
    exemptions: PodSecurityExemptions,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PodSecurityDefaults {
    audit: &'static str,
    audit_version: &'static str,
    enforce: &'static str,
    enforce_version: &'static str,
    warn: &'static str,
    warn_version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodSecurityExemptions {
    namespaces: [&'static str; 1],
    runtime_classes: [&'static str; 0],
    usernames: [&'static str; 0],
}

impl PodSecurityConfiguration {
    /// Talos' default: `baseline` is enforced everywhere but in `kube-system`, `restricted` is warned about.
    pub(super) fn baseline() -> Self {
        Self {
            api_version: "pod-security.admission.config.k8s.io/v1alpha1",
            kind: "PodSecurityConfiguration",
            defaults: PodSecurityDefaults {
                audit: "restricted",
                audit_version: "latest",
                enforce: "baseline",
                enforce_version: "latest",
                warn: "restricted",
                warn_version: "latest",
            },
            exemptions: PodSecurityExemptions { namespaces: ["kube-system"], runtime_classes: [], usernames: [] },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditPolicy {
    api_version: &'static str,
    kind: &'static str,
    rules: [AuditRule; 1],
}

#[derive(Serialize)]
struct AuditRule {
    level: &'static str,
}

impl AuditPolicy {
    /// Talos' default: who did what, without request bodies.
    pub(super) fn metadata() -> Self {
        Self { api_version: "audit.k8s.io/v1", kind: "Policy", rules: [AuditRule { level: "Metadata" }] }
    }
}
